#!/usr/bin/env node
// How much slower a CPU-bound training loop is while a checkpoint is written behind it.
import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { randomFloats } from '../dist/bench/random.js';
import { CheckpointManager, keep } from '../dist/index.js';
import { choice, describeMachine, positiveNumber, runBenchmark, wholeNumber } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';
import { loadTf } from './lib/tfjs.mjs';

const HELP = `The speed of a training loop while a checkpoint is written in the background, against the same loop alone.

  node bench/slowdown.mjs [--size GIB] [--runs N] [--loop tfjs|plain] [--dir DIRECTORY] [--json] [--out FILE]

  --size  GiB in a checkpoint, as 64 tensors of random float32 that are promised stable. Default 2
  --runs  rounds. Each runs the loop alone, beside a save, alone again, beside one of low priority, and beside buffered writing;
          the order changes from round to round. Default 15
  --loop  tfjs: real steps of a small network on the cpu backend; plain: a multiplication of matrices in JavaScript. Default tfjs
  --dir   where to write; default a new directory here
  --json  one JSON document on standard output; --out writes it into a file as well

Buffered writing is what one writes oneself: fs/promises, tensor by tensor, then fsync, on libuv's threads. Speed is steps per second from the call
until the checkpoint is durable, against the mean of the two runs alone of the same round; these against each other are the noise
(A/A). "lost" is the training time that one save costs: (1 - speed) times the time it takes.

Examples
  node bench/slowdown.mjs
  node bench/slowdown.mjs --size 4 --json --out slowdown.json
  node bench/slowdown.mjs --size 0.25 --runs 3 --loop plain`;

const TENSORS = 64;
const ALONE_MS = 2000;
/** What the last variant has left to the disk (discarding removed files) must not slow the next one down. */
const REST_MS = 500;

await runBenchmark({
  name: 'slowdown',
  help: HELP,
  options: { size: positiveNumber(2), runs: wholeNumber(15), loop: choice(['tfjs', 'plain']) },
  measure,
  print,
});

async function measure({ size, runs, loop }, { directory, progress }) {
  const step = loop === 'tfjs' ? await tfjsStep() : plainStep();
  const tensors = makeTensors(size);
  const bytes = tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  const openManager = (priority) =>
    CheckpointManager.open(path.join(directory, priority), { priority, keep: keep.last(1), engine: 'auto' });
  const managers = { normal: await openManager('normal'), low: await openManager('low') };
  const ours = (priority) => (round) => saveWith(managers[priority], tensors, round);
  const variants = {
    alone: () => sleep(ALONE_MS),
    normal: ours('normal'),
    again: () => sleep(ALONE_MS),
    low: ours('low'),
    buffered: () => writeBuffered(path.join(directory, 'buffered.bin'), tensors),
  };
  const names = Object.keys(variants);
  for (let i = 0; i < 20; i++) await step();
  const rounds = [];
  // The first round starts workers and compiles code, and does not count.
  for (let run = 0; run <= runs; run++) {
    const round = {};
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + run) % names.length];
      round[name] = await trainBeside(step, () => variants[name](run));
      await sleep(REST_MS);
    }
    if (run === 0) continue;
    const compared = compare(round);
    rounds.push({ ...compared, ...round });
    const { noise, speed } = compared;
    progress(
      `round ${run}/${runs}: normal ${percent(speed.normal)}, low ${percent(speed.low)}, buffered ${percent(speed.buffered)}; A/A ${percent(noise)}`,
    );
  }
  for (const manager of Object.values(managers)) await manager.close();
  return { settings: { bytes, tensors: TENSORS }, ...summarize(rounds), rounds };
}

/** Trains until `work` is done; how fast, how long, and how much processor time all threads used. */
async function trainBeside(step, work) {
  let done = false;
  let steps = 0;
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const working = work().then(() => {
    done = true;
  });
  while (!done) {
    await step();
    steps++;
    // As model.fit does: others get the event loop between steps.
    await nextTurn();
  }
  const seconds = (performance.now() - began) / 1000;
  await working;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { stepsPerSecond: steps / seconds, steps, seconds, cpuSeconds: (user + system) / 1e6 };
}

function compare({ alone, again, ...beside }) {
  const reference = (alone.stepsPerSecond + again.stepsPerSecond) / 2;
  const entries = Object.entries(beside).map(([name, { stepsPerSecond, seconds }]) => {
    const speed = stepsPerSecond / reference;
    return [name, speed, (1 - speed) * seconds];
  });
  return {
    noise: alone.stepsPerSecond / again.stepsPerSecond,
    speed: Object.fromEntries(entries.map(([name, speed]) => [name, speed])),
    lostSeconds: Object.fromEntries(entries.map(([name, , lost]) => [name, lost])),
  };
}

function summarize(rounds) {
  const of = (pick) =>
    Object.fromEntries(['normal', 'low', 'buffered'].map((name) => [name, summary(rounds.map((round) => pick(round, name)))]));
  return {
    noise: summary(rounds.map(({ noise }) => noise)),
    speed: of((round, name) => round.speed[name]),
    lostSeconds: of((round, name) => round.lostSeconds[name]),
    seconds: of((round, name) => round[name].seconds),
    aloneStepsPerSecond: summary(rounds.flatMap(({ alone, again }) => [alone.stepsPerSecond, again.stepsPerSecond])),
  };
}

async function saveWith(manager, tensors, step) {
  const pending = await manager.saveAsync({ step, tensors });
  await pending.committed;
}

/** Tensor by tensor into one file, then fsync; durable but for its directory. */
async function writeBuffered(file, tensors) {
  const handle = await open(file, 'w');
  try {
    for (const { data } of tensors) await writeAll(handle, new Uint8Array(data.buffer));
    await handle.sync();
  } finally {
    await handle.close();
    await rm(file);
  }
}

async function writeAll(handle, bytes) {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
}

function makeTensors(gib) {
  const length = Math.max(1, Math.round((gib * 2 ** 30) / TENSORS / 4));
  return Array.from({ length: TENSORS }, (_, i) => ({
    name: `tensor.${i}`,
    dtype: 'F32',
    shape: [length],
    data: randomFloats(length, i + 1),
    stable: true,
  }));
}

/** A step of a few milliseconds: short against a save. */
async function tfjsStep() {
  const tf = await loadTf('cpu');
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [64], units: 128, activation: 'relu' }),
      tf.layers.dense({ units: 64, activation: 'relu' }),
      tf.layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
  const x = tf.randomNormal([16, 64]);
  const y = tf.oneHot(tf.randomUniform([16], 0, 10, 'int32'), 10);
  return () => model.trainOnBatch(x, y);
}

/** Work for one core and its cache. */
function plainStep() {
  const n = 128;
  const a = randomFloats(n * n, 1).map((_, i) => (i % 7) / 7);
  const b = randomFloats(n * n, 2).map((_, i) => (i % 5) / 5);
  const c = new Float32Array(n * n);
  return async () => {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
        c[i * n + j] = sum;
      }
    }
  };
}

function percent(ratio) {
  return `${short(100 * ratio)} %`;
}

function print({ settings, environment, noise, speed, lostSeconds, seconds, aloneStepsPerSecond }) {
  const line = (title, name) =>
    `  ${title.padEnd(26)} ${spread(speed[name], ' %', 0.01).padEnd(26)} ${spread(seconds[name], ' s').padEnd(24)} ${spread(lostSeconds[name], ' s')}`;
  return `
${short(settings.bytes / 2 ** 30)} GiB in ${settings.tensors} tensors, ${settings.loop} loop (${short(aloneStepsPerSecond.median)} steps/s alone), ${settings.runs} rounds
${describeMachine(environment)}

  ${'while there is written'.padEnd(26)} ${'speed of training'.padEnd(26)} ${'durable after'.padEnd(24)} training lost per save
${line('by saveAsync', 'normal')}
${line("by saveAsync, 'low'", 'low')}
${line('buffered, fs/promises', 'buffered')}
  ${'nothing, against itself'.padEnd(26)} ${spread(noise, ' %', 0.01)}`;
}

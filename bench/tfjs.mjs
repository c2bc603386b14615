#!/usr/bin/env node
// Asynchronous saves of a TensorFlow.js model with Adam against model.save, side by side.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { EventLoopProbe } from '../dist/bench/event-loop.js';
import { peakBytes, restartPeak } from '../dist/bench/memory.js';
import { CheckpointManager, keep } from '../dist/index.js';
import { saveModelAsync } from '../dist/tfjs/index.js';
import { choice, positiveNumber, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { exposeGarbageCollection } from './lib/resources.mjs';
import { median, short, spread, summary } from './lib/stats.mjs';
import { bytesOf, denseModel, largestOf, loadTf, tensorsOf, trainStep } from './lib/tfjs.mjs';

const HELP = `Asynchronous saves of a TensorFlow.js model and its Adam optimizer, against model.save.

  node bench/tfjs.mjs [--backend cpu|node] [--params MILLIONS] [--runs N] [--order auto|interleaved|last] [--dir DIRECTORY] [--json] [--out FILE]

  --backend  cpu: @tensorflow/tfjs; node: the real tfjs-node ("npm run setup:tfjs-node" installs it). Default cpu
  --params   millions of parameters; a save has three times as many numbers. Default 100
  --runs     rounds; each is one save of ours, one of model.save, and reading the largest tensor. Default 15
  --order    when model.save has its turn: interleaved, in every round; last, after all of ours. auto: last on tfjs-node, where the
             gigabytes that it leaves behind slow down our next save
  --dir      where to write; default a new directory here
  --json     one JSON document on standard output; --out writes it into a file as well

The model is trained for one step, which makes the optimizer's slots; with 100 million parameters that takes half a minute on the cpu backend.
stall: around "await saveModelAsync(…)". block: the longest time in which the event loop came to nothing else, from the call until the
checkpoint is durable, by a timer of 1 ms. model.save goes to a handler that keeps nothing (cpu), or to file:// (node), which does not sync;
training has to wait for all of it, or a save mixes steps. read: dataSync of the largest tensor (node only: the cpu backend has it in JavaScript
memory). Extra memory is the rise of resident memory, measured in one save more of each kind, after a collection of garbage.

Examples
  node bench/tfjs.mjs
  node bench/tfjs.mjs --backend node --json --out tfjs-node.json
  node bench/tfjs.mjs --backend node --order interleaved
  node bench/tfjs.mjs --params 5 --runs 3`;

await runBenchmark({
  name: 'tfjs',
  help: HELP,
  options: {
    backend: choice(['cpu', 'node']),
    params: positiveNumber(100),
    runs: wholeNumber(15),
    order: choice(['auto', 'interleaved', 'last']),
  },
  measure,
  print,
});

async function measure({ backend, params, runs, order }, { directory, progress }) {
  const tf = await loadTf(backend);
  progress(`making a model of ${params} million parameters and training it for one step`);
  const model = denseModel(tf, params * 1e6);
  await trainStep(tf, model);
  const tensors = tensorsOf(model);
  const bytes = bytesOf(tensors);
  const largest = largestOf(tensors);
  const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), { keep: keep.last(1) });
  const target = backend === 'cpu' ? nothing(tf) : `file://${path.join(directory, 'stock')}`;
  const stock = () => model.save(target, { includeOptimizer: true });
  const rounds = [];
  const save = (step) => ours(manager, model, bytes, step);
  const first = await save(0);
  const stockLast = order === 'auto' ? backend === 'node' : order === 'last';
  if (!stockLast) await watch(stock);
  let [leaked, leakedByStock] = [0, 0];
  const numTensors = () => tf.memory().numTensors;
  const saveStock = async () => {
    const before = numTensors();
    const watched = await watch(stock);
    leakedByStock += numTensors() - before;
    return watched;
  };
  for (let step = 1; step <= runs; step++) {
    const idle = await watch(() => new Promise((resolve) => setTimeout(resolve, 300)));
    const before = numTensors();
    const saved = await save(step);
    leaked += numTensors() - before;
    const read = backend === 'node' ? readTimes(largest) : undefined;
    rounds.push({ ours: saved, stock: stockLast ? undefined : await saveStock(), read, idleMs: idle.blockMs });
    const { stallMs, blockMs } = saved;
    progress(`round ${step}/${runs}: stall ${short(stallMs)} ms, block ${short(blockMs)} ms`);
  }
  // Apart from the rest: collecting garbage makes V8 drop compiled code, and the next call is slower.
  exposeGarbageCollection();
  const extraRssBytes = { ours: await extraMemory(() => save(runs + 1)), stock: await extraMemory(stock) };
  for (const round of stockLast ? rounds : []) {
    round.stock = await saveStock();
    progress(`model.save: ${short(round.stock.ms)} ms`);
  }
  await manager.close();
  rmSync(path.join(directory, 'stock'), { recursive: true, force: true });
  return {
    settings: { tfjs: tf.version_core, tensors: tensors.length, bytes, largestBytes: 4 * largest.size },
    firstStallMs: first.stallMs,
    ours: summarize(
      rounds.map((round) => round.ours),
      ['stallMs', 'blockMs', 'bytesPerSecond'],
    ),
    stock: summarize(
      rounds.map((round) => round.stock),
      ['ms', 'blockMs'],
    ),
    ...(backend === 'node' ? summarizeReading(rounds) : {}),
    idleMs: summary(rounds.map(({ idleMs }) => idleMs)),
    stallToStock: summary(rounds.map((round) => round.ours.stallMs / round.stock.ms)),
    extraRssBytes,
    tensorsLeaked: { ours: leaked, stock: leakedByStock },
    rounds,
  };
}

async function ours(manager, model, bytes, step) {
  let stallMs;
  let persistMs;
  const watched = await watch(async () => {
    const began = performance.now();
    const pending = await saveModelAsync(manager, model, { step });
    stallMs = performance.now() - began;
    await pending.committed;
    persistMs = performance.now() - began - stallMs;
  });
  // The checkpoint before it is removed behind the save: not beside what is measured next.
  await manager.flush();
  return { stallMs, bytesPerSecond: (1000 * bytes) / persistMs, ...watched };
}

/** What `work` takes, and its longest block of the event loop. */
async function watch(work) {
  const probe = new EventLoopProbe();
  const began = performance.now();
  await work();
  const ms = performance.now() - began;
  probe.stop();
  return { ms, blockMs: probe.longestMs };
}

/** How far resident memory rises; `null` where that cannot be told. */
async function extraMemory(work) {
  const before = restartPeak();
  await work();
  const peak = peakBytes();
  return before === null || peak === null ? null : Math.max(0, peak - before);
}

/** A handler as an application would write one, that does nothing with what it gets. */
function nothing(tf) {
  return tf.io.withSaveHandler(async () => ({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } }));
}

/** Milliseconds of some readings of the whole tensor, the first one not counted. */
function readTimes(tensor) {
  const times = Array.from({ length: 4 }, () => {
    const began = performance.now();
    tensor.dataSync();
    return performance.now() - began;
  });
  return times.slice(1);
}

function summarizeReading(rounds) {
  return {
    readMs: summary(rounds.map(({ read }) => median(read))),
    blockToRead: summary(rounds.map((round) => round.ours.blockMs / median(round.read))),
  };
}

function summarize(list, keys) {
  return Object.fromEntries(keys.map((key) => [key, summary(list.map((each) => each[key]))]));
}

function print({
  settings,
  environment,
  ours,
  stock,
  readMs,
  idleMs,
  stallToStock,
  blockToRead,
  firstStallMs,
  tensorsLeaked,
  extraRssBytes,
}) {
  const { backend, bytes, tensors, largestBytes, runs } = settings;
  return `
${short(bytes / 1e9)} GB in ${tensors} tensors, ${backend} backend, TensorFlow.js ${settings.tfjs}, ${runs} rounds
${describeMachine(environment)}

  saveModelAsync: stall              ${spread(ours.stallMs, ' ms')}; the first ${short(firstStallMs)} ms
    longest block of the event loop  ${spread(ours.blockMs, ' ms')}; with nothing going on ${spread(idleMs, ' ms')}
    persisted in the background at   ${spread(ours.bytesPerSecond, ' GB/s', 1e9)}
    extra memory                     ${mebibytes(extraRssBytes.ours)}
  model.save${backend === 'node' ? "('file://…')" : ' to a handler'}, not durable
    training waits for               ${spread(stock.ms, ' ms')}
    longest block of the event loop  ${spread(stock.blockMs, ' ms')}
    extra memory                     ${mebibytes(extraRssBytes.stock)}
  stall against model.save           ${spread(stallToStock)}
${readMs === undefined ? '' : reading(readMs, blockToRead, largestBytes)}  tensors left after ${runs} saves       ${tensorsLeaked.ours} by us, ${tensorsLeaked.stock} by model.save`;
}

function mebibytes(bytes) {
  return bytes === null ? 'unknown' : `${short(bytes / 2 ** 20)} MiB`;
}

function reading(readMs, blockToRead, bytes) {
  return `  reading the largest tensor         ${spread(readMs, ' ms')} for ${short(bytes / 2 ** 20)} MiB
  longest block against that         ${spread(blockToRead)}
`;
}

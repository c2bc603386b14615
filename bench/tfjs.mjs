#!/usr/bin/env node
// Asynchronous saves of a TensorFlow.js model with Adam against model.save, side by side.
import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { EventLoopProbe } from '../dist/bench/event-loop.js';
import { CheckpointManager, keep } from '../dist/index.js';
import { saveModelAsync } from '../dist/tfjs/index.js';
import { choice, positiveNumber, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { median, short, spread, summary } from './lib/stats.mjs';
import { bytesOf, denseModel, largestOf, loadTf, tensorsOf, trainStep } from './lib/tfjs.mjs';

const HELP = `Asynchronous saves of a TensorFlow.js model and its Adam optimizer, against model.save.

  node bench/tfjs.mjs [--backend cpu|node] [--params MILLIONS] [--runs N] [--order auto|interleaved|last] [--dir DIRECTORY] [--json] [--out FILE]

  --backend  cpu: @tensorflow/tfjs; node: the real tfjs-node ("npm run setup:tfjs-node" installs it). Default cpu
  --params   millions of parameters; a save has three times as many numbers. Default 100; 67.1 is 256 MiB, 768 MiB with Adam
  --runs     rounds; each is one save of ours, one of model.save, and reading the largest tensor. Default 15
  --order    when model.save has its turn: interleaved, in every round; last, after all of ours. auto: last on tfjs-node, where the
             gigabytes that it leaves behind slow down our next save
  --dir      where to write; default a new directory here
  --json     one JSON document on standard output; --out writes it into a file as well

The model is trained for one step, which makes the optimizer's slots; with 100 million parameters that takes half a minute on the cpu backend.
stall: around "await saveModelAsync(…)". block: the longest time in which the event loop came to nothing else, from the call until the
checkpoint is durable, by a timer of 1 ms. model.save goes to a handler that keeps nothing (cpu), or to file:// (node), which does not sync:
what fsync of its files takes is counted by itself, and durable is both; training has to wait for all of it, or a save mixes steps. read:
dataSync of the largest tensor (node only: the cpu backend has it in JavaScript memory). Extra memory is the rise of resident memory in
the first save of a process of its own, after a collection of garbage; "beside training" trains on as long as the save takes, against training alone.
On node the bars are looked at: longest block at most a tenth of model.save's, durable in at most a third of its time, extra memory at most a
quarter of its, and beside training at most the checkpoint's bytes and 128 MiB.

Examples
  node bench/tfjs.mjs
  node bench/tfjs.mjs --backend node --params 67.1 --json --out tfjs-node.json
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
    return { ...watched, durableMs: watched.ms + (backend === 'node' ? syncMs(path.join(directory, 'stock')) : 0) };
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
  progress('measuring memory');
  const extra = (what) => extraMemory(what, backend, params * 1e6, directory);
  const extraRssBytes = {
    ours: extra('ours'),
    stock: extra('stock'),
    ...(backend === 'node' ? { besideTraining: extra('training') } : {}),
  };
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
      ['stallMs', 'blockMs', 'durableMs', 'bytesPerSecond'],
    ),
    stock: summarize(
      rounds.map((round) => round.stock),
      ['ms', 'blockMs', 'durableMs'],
    ),
    ...(backend === 'node' ? summarizeReading(rounds) : {}),
    idleMs: summary(rounds.map(({ idleMs }) => idleMs)),
    stallToStock: summary(rounds.map((round) => round.ours.stallMs / round.stock.ms)),
    extraRssBytes,
    ...(backend === 'node' ? againstStock(rounds, extraRssBytes, bytes) : {}),
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
  return { stallMs, durableMs: stallMs + persistMs, bytesPerSecond: (1000 * bytes) / persistMs, ...watched };
}

/** What it takes to make the files of a directory durable that were written without. */
function syncMs(directory) {
  const began = performance.now();
  for (const name of ['.', ...readdirSync(directory)]) {
    const file = openSync(path.join(directory, name), 'r');
    fsyncSync(file);
    closeSync(file);
  }
  return performance.now() - began;
}

/** How far memory rises in one save of each kind, each in a process of its own. */
function extraMemory(what, backend, params, directory) {
  const program = fileURLToPath(new URL('lib/tfjs-memory.mjs', import.meta.url));
  const args = [program, backend, String(params), what, directory];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Measuring the memory of ${what} failed: ${stderr}`);
  return JSON.parse(stdout).extraBytes;
}

/** The bars: each ratio per round, against model.save of the same round. */
function againstStock(rounds, { ours: extra, stock: stockExtra, besideTraining }, bytes) {
  const ratio = (key) => summary(rounds.map(({ ours, stock }) => ours[key] / stock[key]));
  const blockToStock = ratio('blockMs');
  const durableToStock = ratio('durableMs');
  const extraToStock = extra === null || !stockExtra ? null : extra / stockExtra;
  const besideTrainingLimit = bytes + 128 * 2 ** 20;
  const met = {
    block: blockToStock.median <= 1 / 10,
    durable: durableToStock.median <= 1 / 3,
    extraMemory: extraToStock === null ? null : extraToStock <= 1 / 4,
    besideTraining: besideTraining === null ? null : besideTraining <= besideTrainingLimit,
  };
  return { blockToStock, durableToStock, extraToStock, besideTrainingLimit, met };
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
  ...bars
}) {
  const { backend, bytes, tensors, largestBytes, runs } = settings;
  return `
${short(bytes / 1e9)} GB in ${tensors} tensors, ${backend} backend, TensorFlow.js ${settings.tfjs}, ${runs} rounds
${describeMachine(environment)}

  saveModelAsync: stall              ${spread(ours.stallMs, ' ms')}; the first ${short(firstStallMs)} ms
    longest block of the event loop  ${spread(ours.blockMs, ' ms')}; with nothing going on ${spread(idleMs, ' ms')}
    durable after                    ${spread(ours.durableMs, ' ms')}
    persisted in the background at   ${spread(ours.bytesPerSecond, ' GB/s', 1e9)}
    extra memory                     ${mebibytes(extraRssBytes.ours)}
  model.save${backend === 'node' ? "('file://…')" : ' to a handler'}, not durable
    training waits for               ${spread(stock.ms, ' ms')}
    longest block of the event loop  ${spread(stock.blockMs, ' ms')}
${backend === 'node' ? `    durable, with fsync, after       ${spread(stock.durableMs, ' ms')}\n` : ''}    extra memory                     ${mebibytes(extraRssBytes.stock)}
  stall against model.save           ${spread(stallToStock)}
${readMs === undefined ? '' : reading(readMs, blockToRead, largestBytes)}${bars.met === undefined ? '' : comparison(bars, extraRssBytes)}  tensors left after ${runs} saves       ${tensorsLeaked.ours} by us, ${tensorsLeaked.stock} by model.save`;
}

function mebibytes(bytes) {
  return bytes === null ? 'unknown' : `${short(bytes / 2 ** 20)} MiB`;
}

function reading(readMs, blockToRead, bytes) {
  return `  reading the largest tensor         ${spread(readMs, ' ms')} for ${short(bytes / 2 ** 20)} MiB
  longest block against that         ${spread(blockToRead)}
`;
}

function comparison({ blockToStock, durableToStock, extraToStock, besideTrainingLimit, met }, { besideTraining }) {
  const said = (met) => (met === null ? 'unknown' : met ? 'met' : 'NOT met');
  return `  against model.save:
    longest block                    ${spread(blockToStock)}; at most 0.1: ${said(met.block)}
    durable                          ${spread(durableToStock)}; at most 0.333: ${said(met.durable)}
    extra memory                     ${extraToStock === null ? 'unknown' : short(extraToStock)}; at most 0.25: ${said(met.extraMemory)}
  extra memory beside training       ${mebibytes(besideTraining)}; at most ${mebibytes(besideTrainingLimit)}: ${said(met.besideTraining)}
`;
}

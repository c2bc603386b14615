#!/usr/bin/env node
// Thousands of asynchronous saves beside training: does anything grow?
import path from 'node:path';
import { CheckpointManager, keep } from '../dist/index.js';
import { saveModelAsync } from '../dist/tfjs/index.js';
import { choice, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { lookAtResources } from './lib/resources.mjs';
import { median, short, slope } from './lib/stats.mjs';
import { loadTf } from './lib/tfjs.mjs';

const HELP = `Thousands of asynchronous saves of a small TensorFlow.js model that is being trained, and whether anything grows meanwhile.

  node bench/soak.mjs [--saves N] [--samples N] [--backend cpu|node] [--dir DIRECTORY] [--json] [--out FILE]

  --saves    default 10000
  --samples  how often resources are looked at, garbage collected before. Default 100
  --backend  cpu: @tensorflow/tfjs; node: the real tfjs-node. Default cpu
  --dir      where to write; default a new directory here
  --json     one JSON document on standard output; --out writes it into a file as well

The last three checkpoints are kept. Exits with 1 if anything grew by more than its bound from the second quarter of the samples to the
last one (medians): memory by what allocators need, everything else by nothing.

Examples
  node bench/soak.mjs
  node bench/soak.mjs --backend node --json --out soak.json
  node bench/soak.mjs --saves 500 --samples 20`;

const MIB = 2 ** 20;
/** Most that each may grow. Garbage is collected before, but allocators keep what they once had, in pieces. */
const BOUNDS = {
  rssBytes: 16 * MIB,
  heapBytes: 2 * MIB,
  externalBytes: 2 * MIB,
  arrayBufferBytes: 2 * MIB,
  descriptors: 0,
  threads: 0,
  files: 0,
  tensors: 0,
  tensorBytes: 0,
  pins: 0,
  writers: 0,
  readers: 0,
  abortTokens: 0,
  stagingBytes: 0,
  arenas: 0,
  arenaBytes: 0,
  nativeThreads: 0,
};

await runBenchmark({
  name: 'soak',
  help: HELP,
  options: { saves: wholeNumber(10_000), samples: wholeNumber(100, 4), backend: choice(['cpu', 'node']) },
  measure,
  print,
});

async function measure({ saves, samples: wanted, backend }, { directory, progress }) {
  const tf = await loadTf(backend);
  const { model, step } = smallModel(tf);
  const checkpoints = path.join(directory, 'checkpoints');
  const manager = await CheckpointManager.open(checkpoints, { keep: keep.last(3) });
  const samples = [];
  const calls = [];
  let failure;
  const began = performance.now();
  for (let save = 1; save <= saves; save++) {
    await step();
    const called = performance.now();
    const pending = await saveModelAsync(manager, model, { step: save, metrics: { loss: 1 / save } });
    calls.push(performance.now() - called);
    pending.committed.catch((error) => {
      failure ??= error;
    });
    if (failure !== undefined) throw failure;
    if (Math.floor((save * wanted) / saves) === samples.length) continue;
    await manager.flush();
    const { numTensors: tensors, numBytes: tensorBytes } = tf.memory();
    samples.push({ save, ...lookAtResources(checkpoints), tensors, tensorBytes });
    const last = samples.at(-1);
    progress(`${save}/${saves} saves: resident ${short(last.rssBytes / MIB)} MiB, heap ${short(last.heapBytes / MIB)} MiB`);
  }
  const seconds = (performance.now() - began) / 1000;
  const { counts } = manager;
  await manager.close();
  const growth = Object.fromEntries(Object.entries(BOUNDS).map(([key, bound]) => [key, growthOf(samples, key, bound)]));
  const grown = Object.keys(growth).filter((key) => growth[key].growth > growth[key].bound);
  if (grown.length > 0 || counts.committed !== saves) process.exitCode = 1;
  return {
    ok: grown.length === 0 && counts.committed === saves,
    grown,
    growth,
    counts,
    savesPerSecond: saves / seconds,
    callMs: median(calls),
    samples,
  };
}

/** From the second quarter, when everything has been allocated once, to the last. */
function growthOf(samples, key, bound) {
  const known = samples.filter((sample) => typeof sample[key] === 'number');
  if (known.length < 4) return { growth: 0, bound, perThousandSaves: 0, first: null, last: null };
  const quarter = Math.floor(known.length / 4);
  const early = median(known.slice(quarter, 2 * quarter).map((sample) => sample[key]));
  const late = median(known.slice(-quarter).map((sample) => sample[key]));
  const points = known.slice(quarter).map((sample) => [sample.save / 1000, sample[key]]);
  return { growth: late - early, bound, perThousandSaves: slope(points), first: known[0][key], last: known.at(-1)[key] };
}

function smallModel(tf) {
  const model = tf.sequential({
    layers: [tf.layers.dense({ inputShape: [32], units: 64, activation: 'relu' }), tf.layers.dense({ units: 10, activation: 'softmax' })],
  });
  model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
  const x = tf.randomNormal([8, 32]);
  const y = tf.oneHot(tf.randomUniform([8], 0, 10, 'int32'), 10);
  return { model, step: () => model.trainOnBatch(x, y) };
}

function print({ settings, environment, ok, grown, growth, counts, savesPerSecond, callMs }) {
  const show = (key, value) => (value === null ? '–' : key.endsWith('Bytes') ? `${(value / MIB).toFixed(2)} MiB` : short(value));
  const lines = Object.entries(growth).map(([key, { first, last, growth: by, perThousandSaves, bound }]) => {
    const cells = [show(key, first), show(key, last), show(key, by), show(key, perThousandSaves), show(key, bound)];
    return `  ${key.padEnd(18)}${cells.map((cell) => cell.padStart(13)).join('')}${grown.includes(key) ? '  GREW' : ''}`;
  });
  return `
${counts.committed} of ${settings.saves} saves committed, ${settings.backend} backend, ${short(savesPerSecond)} saves/s; saveAsync took ${short(callMs)} ms (median), waits for the save before included
${describeMachine(environment)}

  ${''.padEnd(18)}${['first', 'last', 'growth', 'per 1000', 'bound'].map((title) => title.padStart(13)).join('')}
${lines.join('\n')}

${ok ? 'Nothing grew.' : `Grew: ${grown.join(', ') || 'nothing, but saves are missing'}.`}`;
}

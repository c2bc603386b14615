#!/usr/bin/env node
// What checkpoints cost a model.fit: an epoch with ModelCheckpoint every so many batches against one without, interleaved.
import path from 'node:path';
import { keep } from '../dist/index.js';
import { ModelCheckpoint } from '../dist/tfjs/index.js';
import { choice, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';
import { bytesOf, convolutionalModel, loadTf, tensorsOf } from './lib/tfjs.mjs';

const HELP = `What checkpoints cost a model.fit of TensorFlow.js.

  node bench/fit.mjs [--backend node|cpu] [--batches N] [--every N] [--batch-size N] [--width N] [--runs N] [--dir DIRECTORY] [--json] [--out FILE]

  --backend     node: the real tfjs-node ("npm run setup:tfjs-node" installs it); cpu: @tensorflow/tfjs. Default node
  --batches     batches of the epoch. Default 200
  --every       a checkpoint, model and optimizer, every so many batches. Default 50
  --batch-size  examples per batch. Default 32
  --width       channels of the first convolution; the model has four of them and two dense layers. Default 32, 2.2 million parameters
  --runs        rounds; each is an epoch without checkpoints, one with, and one without again. Default 15
  --dir         where to write; default a new directory here
  --json        one JSON document on standard output; --out writes it into a file as well

One epoch is one call of model.fit on images of 32 x 32 with Adam. With checkpoints the call opens the directory, saves asynchronously, and
ends when the last checkpoint is durable: all of that counts. The second epoch without tells how much two equal epochs differ. The bar is 3 %.

Examples
  node bench/fit.mjs
  node bench/fit.mjs --runs 5 --every 10
  node bench/fit.mjs --backend cpu --batches 20 --every 5 --width 4 --batch-size 8`;

/** How much longer the epoch may be. */
const BAR = 1.03;

await runBenchmark({
  name: 'fit',
  help: HELP,
  options: {
    backend: choice(['node', 'cpu']),
    batches: wholeNumber(200),
    every: wholeNumber(50),
    'batch-size': wholeNumber(32),
    width: wholeNumber(32),
    runs: wholeNumber(15),
  },
  measure,
  print,
});

async function measure({ backend, batches, every, 'batch-size': batchSize, width, runs }, { directory, progress }) {
  const tf = await loadTf(backend);
  const model = convolutionalModel(tf, width);
  const x = tf.randomNormal([batches * batchSize, 32, 32, 3]);
  const labels = tf.randomUniform([batches * batchSize], 0, 10, 'int32');
  const y = tf.oneHot(labels, 10);
  const epoch = async (callbacks) => {
    const began = performance.now();
    await model.fit(x, y, { epochs: 1, batchSize, verbose: 0, callbacks });
    return (performance.now() - began) / 1000;
  };
  const withCheckpoints = () => {
    const filepath = path.join(directory, 'checkpoints', 'model-{step}');
    return epoch([new ModelCheckpoint(filepath, { model, saveFreq: every, keep: keep.last(2) })]);
  };
  progress('warming up');
  await epoch([]);
  await withCheckpoints();
  const rounds = [];
  for (let round = 1; round <= runs; round++) {
    const without = await epoch([]);
    const checkpointed = await withCheckpoints();
    const again = await epoch([]);
    rounds.push({ without, checkpointed, again });
    progress(`round ${round}/${runs}: ${short(without)} s without, ${short(checkpointed)} s with, ${short(again)} s without again`);
  }
  const ratio = summary(rounds.map(({ without, checkpointed, again }) => checkpointed / ((without + again) / 2)));
  return {
    settings: { tfjs: tf.version_core, bytes: bytesOf(tensorsOf(model)) },
    seconds: {
      without: summary(rounds.map(({ without }) => without)),
      checkpointed: summary(rounds.map(({ checkpointed }) => checkpointed)),
    },
    ratio,
    noise: summary(rounds.map(({ without, again }) => again / without)),
    met: ratio.median <= BAR,
    rounds,
  };
}

function print({ settings, environment, seconds, ratio, noise, met }) {
  const { backend, bytes, batches, every, runs } = settings;
  return `
An epoch of ${batches} batches, a checkpoint of ${short(bytes / 1e6)} MB every ${every}, ${backend} backend, TensorFlow.js ${settings.tfjs}, ${runs} rounds
${describeMachine(environment)}

  without checkpoints          ${spread(seconds.without, ' s')}
  with                         ${spread(seconds.checkpointed, ' s')}
  with against without         ${spread(ratio)}; at most ${BAR}: ${met ? 'met' : 'NOT met'}
  without against itself       ${spread(noise)}`;
}

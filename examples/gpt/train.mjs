/**
 * Trains a small GPT with a loop of its own, and checkpoints all that the next step depends on: variables and Adam's state, the position in the
 * data, and the random numbers that dropout draws.
 *
 *   node examples/gpt/train.mjs --help
 */
import * as tf from '@tensorflow/tfjs';
import { anyOf, at, CheckpointManager, every, keep } from 'holdfast';
import { installRandom, restoreVariables, stepVariables } from 'holdfast/tfjs';
import { useBackend } from '../backend.mjs';
import { runMain, UsageError } from '../command-line.mjs';
import { compareRuns } from './compare.mjs';
import { Corpus, WindowCursor } from './data.mjs';
import { Gpt } from './model.mjs';
import { readOptions } from './options.mjs';

const LEARNING_RATE = 0.005;
const WARM_UP = 0.05;
const DROPOUT = 0.05;
const VALIDATION_BATCHES = 4;

/** Rises to LEARNING_RATE during the first steps, then falls along a cosine to a tenth of it. */
function learningRate(step, steps) {
  const warmUp = Math.max(1, Math.round(steps * WARM_UP));
  if (step <= warmUp) return (LEARNING_RATE * step) / warmUp;
  const done = (step - warmUp) / Math.max(1, steps - warmUp);
  return LEARNING_RATE * (0.1 + 0.45 * (1 + Math.cos(Math.PI * done)));
}

/** Mean loss on text that is not trained with: always the same windows, without dropout. */
function validate(gpt, corpus, batch) {
  const distance = Math.floor((corpus.validation.length - corpus.context - 1) / (VALIDATION_BATCHES * batch));
  const starts = Array.from({ length: batch }, (_, i) => i * VALIDATION_BATCHES * distance);
  let sum = 0;
  for (let i = 0; i < VALIDATION_BATCHES; i++) {
    const windows = corpus.windows(
      corpus.validation,
      starts.map((start) => start + i * distance),
    );
    sum += tf.tidy(() => gpt.loss(windows).dataSync()[0]);
  }
  return sum / VALIDATION_BATCHES;
}

/** Goes on from the newest good checkpoint, if there is one; gives the step that is done. */
async function resume(manager, { gpt, optimizer, cursor, random, config }) {
  const restored = await restoreVariables(manager, gpt.variables, 'latest', { optimizer });
  if (restored === null) return 0;
  const { step, info, skipped, rng, dataPosition } = restored;
  for (const { name, message } of skipped) console.warn(`Passed over ${name}: ${message}`);
  if (JSON.stringify(restored.config) !== JSON.stringify(config)) {
    throw new UsageError(`${info.name} is of a run with ${JSON.stringify(restored.config)}, and this one has ${JSON.stringify(config)}.`);
  }
  cursor.move(dataPosition);
  random.restore(rng);
  console.log(`Resumed from ${info.name}: epoch ${dataPosition.epoch + 1}, batch ${dataPosition.batch} of ${cursor.batchesPerEpoch}.`);
  return step;
}

/** Trains to the last step, with a checkpoint there and at every multiple of `options.every`. */
async function train(manager, first, { gpt, optimizer, cursor, random, corpus, config, options }) {
  const variables = Object.values(gpt.variables);
  let losses = [];
  let began = performance.now();
  for (let step = first + 1; step <= options.steps; step++) {
    const batch = corpus.windows(corpus.train, cursor.next());
    optimizer.learningRate = learningRate(step, options.steps);
    losses.push(tf.tidy(() => optimizer.minimize(() => gpt.loss(batch, { training: true }), true, variables).dataSync()[0]));
    let metrics;
    if (step % options.every === 0 || step === options.steps) {
      const seconds = (performance.now() - began) / 1000;
      metrics = { loss: losses.reduce((sum, loss) => sum + loss) / losses.length, val_loss: validate(gpt, corpus, options.batch) };
      const speed = Math.round((losses.length * options.batch * options.context) / seconds);
      console.log(
        `step ${step}/${options.steps}  loss ${metrics.loss.toFixed(4)}  val_loss ${metrics.val_loss.toFixed(4)}  ${speed} tokens/s`,
      );
      losses = [];
      began = performance.now();
    }
    // Saves in the background where the trigger says so, and does nothing at the steps between.
    await stepVariables(manager, gpt.variables, {
      ...{ step, metrics, optimizer, config },
      dataPosition: () => cursor.position,
      rng: () => random.state,
    });
    // A turn for the event loop, so that this process hears of its saves.
    await tf.nextFrame();
    if (step === options.killAt) process.kill(process.pid, 'SIGKILL');
  }
}

function write(gpt, corpus, { prompt, sample }, random) {
  if (sample === 0) return;
  const tokens = gpt.sample(corpus.encode(prompt), sample, () => random.next());
  console.log(`\n${corpus.decode(tokens)}`);
}

await runMain(async (args) => {
  const options = readOptions(args);
  if (options.compare) {
    if (!(await compareRuns(options))) process.exitCode = 1;
    return;
  }
  await useBackend(tf, options.backend);
  const { steps, layers, heads, width, context, batch, seed } = options;
  const corpus = Corpus.read(context);
  const unknown = [...options.prompt].find((character) => !corpus.characters.includes(character));
  if (unknown !== undefined) throw new UsageError(`--prompt: the text has no ${JSON.stringify(unknown)}.`);
  const cursor = new WindowCursor({ length: corpus.train.length, context, batch, seed });
  if (cursor.batchesPerEpoch === 0) throw new UsageError('--batch and --context: the text is too short for even one such batch.');

  // First of all: weights and dropout draw from it.
  const random = installRandom(seed);
  const gpt = new Gpt({ vocabulary: corpus.size, layers, heads, width, context, dropout: DROPOUT });
  const optimizer = tf.train.adam(LEARNING_RATE, 0.9, 0.99);
  const config = { steps, layers, heads, width, context, batch, seed };
  const chance = Math.log(corpus.size).toFixed(2);
  console.log(
    `${gpt.parameters} parameters, ${corpus.train.length} characters, ${corpus.size} different ones: by chance the loss is ${chance}.`,
  );

  const manager = await CheckpointManager.open(options.dir, {
    trigger: anyOf(every.steps(options.every), at.steps([steps])),
    keep: [keep.last(3), keep.best(1)],
    monitor: 'val_loss',
  });
  try {
    const run = { gpt, optimizer, cursor, random, corpus, config, options };
    const done = await resume(manager, run);
    if (done >= steps) console.log(`Nothing to train: step ${done} is done.`);
    await train(manager, done, run);
  } finally {
    // Waits until the last checkpoint is durable.
    await manager.close();
  }
  write(gpt, corpus, options, random);
});

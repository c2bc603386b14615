/**
 * The classic training loop, with checkpoints: for each epoch train, validate, step the scheduler, save. It may be stopped at any moment;
 * with --resume latest it goes on from the last checkpoint and ends with the same bits as a run that was not stopped.
 *
 *   node examples/classic-loop/train.mjs --help
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { CheckpointManager, isHoldfastError, keep } from 'holdfast';
import { restoreModel, saveModel } from 'holdfast/tfjs';
import { Random } from '../quickstart/random.mjs';
import { loadData, plainBatches, shuffledBatches } from './data.mjs';
import { readOptions, UsageError } from './options.mjs';
import { StepLR } from './step-lr.mjs';

const CONFIG = { hidden: 64, batchSize: 64, learningRate: 0.1, momentum: 0.9, stepSize: 2, gamma: 0.5, seed: 2025 };

function buildModel({ hidden, seed }) {
  const initializer = (n) => tf.initializers.glorotUniform({ seed: seed + n });
  return tf.sequential({
    layers: [
      tf.layers.dense({ name: 'hidden', inputShape: [28 * 28], units: hidden, activation: 'relu', kernelInitializer: initializer(1) }),
      tf.layers.dense({ name: 'digit', units: 10, kernelInitializer: initializer(2) }),
    ],
  });
}

/** One pass over the training data; gives the mean loss. */
async function trainOneEpoch(model, optimizer, batches, onStep) {
  let lossSum = 0;
  let samples = 0;
  for (const { images, labels } of batches) {
    const cost = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, model.apply(images, { training: true })), true);
    lossSum += cost.dataSync()[0] * images.shape[0];
    samples += images.shape[0];
    tf.dispose([images, labels, cost]);
    onStep();
    // A turn for the event loop, which a loop over synchronous calls would not give.
    await tf.nextFrame();
  }
  return lossSum / samples;
}

/** Mean loss and accuracy on data that the model is not trained with. */
function validate(model, batches) {
  let lossSum = 0;
  let correct = 0;
  let samples = 0;
  for (const { images, labels } of batches) {
    tf.tidy(() => {
      const logits = model.predict(images);
      lossSum += tf.losses.softmaxCrossEntropy(labels, logits).dataSync()[0] * images.shape[0];
      correct += logits.argMax(1).equal(labels.argMax(1)).sum().dataSync()[0];
    });
    samples += images.shape[0];
    tf.dispose([images, labels]);
  }
  return { loss: lossSum / samples, accuracy: correct / samples };
}

/** Begins anew in an empty directory, or goes on from a checkpoint: gives the epoch and step to go on with. */
async function resume(manager, { dir, resume: target }, { model, optimizer, scheduler, random, config }) {
  if (target === undefined) {
    for await (const { name } of manager.list()) {
      throw new UsageError(`${dir} has checkpoints already, such as ${name}. Give --resume latest to go on, or another --dir.`);
    }
    return { initialEpoch: 0, step: 0 };
  }
  const restored = await restoreModel(manager, model, target, { optimizer });
  if (restored === null) {
    console.log(`There is no checkpoint in ${dir} yet: this run begins anew.`);
    return { initialEpoch: 0, step: 0 };
  }
  const { info, initialEpoch, step, skipped } = restored;
  for (const { name, message } of skipped) console.warn(`Passed over ${name}: ${message}`);
  if (JSON.stringify(restored.config) !== JSON.stringify(config)) {
    throw new UsageError(`${info.name} was trained with ${JSON.stringify(restored.config)}, and this run has ${JSON.stringify(config)}.`);
  }
  scheduler.load(restored.scheduler);
  random.state = restored.rng;
  console.log(`Resumed from ${info.name}.`);
  return { initialEpoch, step };
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  // Without the advice to install tfjs-node.
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const { trainSet, validationSet } = loadData(options.samples);
  const config = { ...CONFIG, samples: trainSet.length };
  const model = buildModel(config);
  const optimizer = tf.train.momentum(config.learningRate, config.momentum);
  const scheduler = new StepLR(optimizer, config);
  const random = new Random(config.seed);

  const manager = await CheckpointManager.open(options.dir, { keep: [keep.last(3), keep.best(2)], monitor: 'val_loss' });
  try {
    let { initialEpoch, step } = await resume(manager, options, { model, optimizer, scheduler, random, config });

    for (let epoch = initialEpoch; epoch < options.epochs; epoch++) {
      const { learningRate } = scheduler;
      const loss = await trainOneEpoch(model, optimizer, shuffledBatches(trainSet, config.batchSize, random), () => step++);
      const validation = validate(model, plainBatches(validationSet, 256));
      scheduler.step();

      // Resolves when the checkpoint is durable. saveModelAsync, or stepModel with a trigger, would let training go on meanwhile.
      const { name } = await saveModel(manager, model, {
        optimizer,
        step,
        // How many epochs are done: the index of the next.
        epoch: epoch + 1,
        metrics: { loss, val_loss: validation.loss, val_accuracy: validation.accuracy },
        scheduler: scheduler.state(),
        rng: random.state,
        config,
      });
      console.log(
        `epoch ${epoch + 1}/${options.epochs}  lr ${learningRate}  loss ${loss.toFixed(4)}  val_loss ${validation.loss.toFixed(4)}  ` +
          `val_accuracy ${(100 * validation.accuracy).toFixed(1)} %  saved ${name}`,
      );
    }
    if (initialEpoch >= options.epochs) console.log(`Nothing to do: epoch ${initialEpoch} is done. Give more --epochs to go on.`);
  } finally {
    await manager.close();
  }
  showCheckpoints(options.dir);
}

/** What `npx holdfast ls DIR` prints. */
function showCheckpoints(directory) {
  const command = fileURLToPath(new URL('cli/main.js', import.meta.resolve('holdfast')));
  console.log();
  spawnSync(process.execPath, [command, 'ls', directory], { stdio: 'inherit' });
}

/** What the library says of a directory or checkpoint that was named wrongly. */
const WRONG_PLACE = new Set(['ERR_NOT_FOUND', 'ERR_NOT_A_DIRECTORY', 'ERR_MISSING_MANIFEST', 'ERR_MODEL_MISMATCH']);

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError) && !isHoldfastError(error)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError || WRONG_PLACE.has(error.code) ? 2 : 1;
}

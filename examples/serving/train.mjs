/** Trains a small network on handwritten digits, and keeps its best state, by validation accuracy, where a web server can find it. */
import * as tf from '@tensorflow/tfjs';
import { CheckpointManager, keep } from 'holdfast';
import { stepModel } from 'holdfast/tfjs';
import { loadData } from '../classic-loop/data.mjs';
import { PIXELS } from '../quickstart/digits.mjs';

const BATCH = 64;

function buildModel() {
  const kernelInitializer = (seed) => tf.initializers.glorotUniform({ seed });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'hidden', inputShape: [PIXELS], units: 128, activation: 'relu', kernelInitializer: kernelInitializer(1) }),
      tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer(2) }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.002), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  return model;
}

function toTensors(digits) {
  const pixels = new Float32Array(digits.length * PIXELS);
  digits.forEach((digit, i) => {
    pixels.set(digit.pixels, i * PIXELS);
  });
  const labels = tf.tidy(() =>
    tf
      .oneHot(
        digits.map(({ label }) => label),
        10,
      )
      .toFloat(),
  );
  return [tf.tensor2d(pixels, [digits.length, PIXELS]), labels];
}

/** One digit of each label that training does not see, as JSON for the page: it lies in the checkpoint, beside the model. */
function sampleFile(digits) {
  const samples = Array.from({ length: 10 }, (_, label) => digits.find((digit) => digit.label === label)).filter(Boolean);
  return { name: 'samples.json', data: JSON.stringify(samples.map(({ label, pixels }) => ({ label, pixels: Array.from(pixels) }))) };
}

/** Where the manager of the served directory is opened, for training and for looking whether there is something to serve. */
export function openDirectory(directory, options = {}) {
  return CheckpointManager.open(directory, {
    // A model for inference: its best state without the optimizer's. The link `best` always points at the best one, whole.
    ...{ monitor: 'val_accuracy', saveBestOnly: true, contents: 'weights', keep: keep.best(2) },
    ...options,
  });
}

/** Trains `epochs` epochs on at most `samples` digits. */
export async function trainDigits(manager, { epochs, samples, onEpoch }) {
  const { trainSet, validationSet } = loadData(samples);
  const [x, y] = toTensors(trainSet);
  const [valX, valY] = toTensors(validationSet);
  const model = buildModel();
  const attachments = [sampleFile(validationSet)];
  let step = 0;
  try {
    await model.fit(x, y, {
      ...{ epochs, batchSize: BATCH, validationData: [valX, valY], verbose: 0 },
      callbacks: {
        onBatchEnd: () => {
          step++;
        },
        onEpochEnd: async (epoch, { loss, acc, val_loss, val_acc }) => {
          const metrics = { loss, accuracy: acc, val_loss, val_accuracy: val_acc };
          const { due } = await stepModel(manager, model, { step, epoch: epoch + 1, metrics, attachments });
          onEpoch({ epoch: epoch + 1, metrics, saved: due });
        },
      },
    });
    await manager.flush();
  } finally {
    tf.dispose([x, y, valX, valY]);
    model.dispose();
  }
}

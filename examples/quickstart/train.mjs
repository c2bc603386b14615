/**
 * Trains a small network on handwritten digits with TensorFlow.js, with checkpoints. It may be killed at any
 * moment: started again with the same directory, it goes on from the last checkpoint and ends with the same bits.
 *
 *   node examples/quickstart/train.mjs DIRECTORY [STEPS] [CHECKPOINT_EVERY]
 */
import * as tf from '@tensorflow/tfjs';
import { CheckpointManager, keep } from 'holdfast';
import { restoreModel, saveModelAsync } from 'holdfast/tfjs';
import { loadDigits, PIXELS, SIDE } from './digits.mjs';
import { Random } from './random.mjs';

const [directory, steps = '240', every = '20'] = process.argv.slice(2);
const STEPS = Number(steps);
const EVERY = Number(every);
const BATCH = 32;
const SEED = 2025;

/** Tells whoever started this program, or prints. */
function tell(event) {
  if (process.send) process.send(event);
  else console.log(JSON.stringify(event));
}

function buildModel() {
  const initializer = (seed) => tf.initializers.glorotUniform({ seed });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'hidden', inputShape: [PIXELS], units: 256, activation: 'relu', kernelInitializer: initializer(1) }),
      tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: initializer(2) }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.001), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  return model;
}

/** Copies a digit into `target`, moved by up to one pixel each way: augmentation that draws on the random generator. */
function putShifted(pixels, target, random) {
  const dx = random.below(3) - 1;
  const dy = random.below(3) - 1;
  for (let y = Math.max(0, dy); y < SIDE + Math.min(0, dy); y++) {
    for (let x = Math.max(0, dx); x < SIDE + Math.min(0, dx); x++) target[y * SIDE + x] = pixels[(y - dy) * SIDE + (x - dx)];
  }
}

function toTensors(digits, fill) {
  const pixels = new Float32Array(digits.length * PIXELS);
  const labels = new Float32Array(digits.length * 10);
  digits.forEach(({ label, pixels: source }, i) => {
    fill(source, pixels.subarray(i * PIXELS, (i + 1) * PIXELS));
    labels[i * 10 + label] = 1;
  });
  return [tf.tensor2d(pixels, [digits.length, PIXELS]), tf.tensor2d(labels, [digits.length, 10])];
}

function measureAccuracy(model, digits) {
  return tf.tidy(() => {
    const [x, y] = toTensors(digits, (source, target) => target.set(source));
    return model.evaluate(x, y, { batchSize: 256 })[1].dataSync()[0];
  });
}

await tf.setBackend('cpu');
const { train, test } = loadDigits();
const model = buildModel();
const manager = await CheckpointManager.open(directory, { keep: keep.last(5) });

// Everything that the next step depends on: the model and optimizer in the checkpoint's tensors, the rest in its state.
const restored = await restoreModel(manager, model);
let { step, epoch, position, random: randomState } = restored?.state ?? { step: 0, epoch: 0, position: 0, random: SEED };
const random = new Random(randomState);
let order = new Random(SEED + epoch).permutation(train.length);
tell({ event: 'started', from: step, skipped: restored?.skipped ?? [], swept: manager.swept, engine: manager.engineName });

manager.on('saveCommitted', ({ step, result: { name, bytes, direct, seconds } }) => {
  tell({ event: 'saved', step, name, bytes, direct, stall: seconds.stall * 1000, durable: seconds.total * 1000 });
});

let lossSum = 0;
while (step < STEPS) {
  if (position + BATCH > order.length) {
    epoch++;
    position = 0;
    order = new Random(SEED + epoch).permutation(train.length);
  }
  const batch = order.slice(position, position + BATCH).map((i) => train[i]);
  const [x, y] = toTensors(batch, (source, target) => putShifted(source, target, random));
  const [loss] = await model.trainOnBatch(x, y);
  tf.dispose([x, y]);
  position += BATCH;
  step++;
  lossSum += loss;
  tell({ event: 'step', step, loss });

  if (step % EVERY === 0 || step === STEPS) {
    const metrics = { loss: lossSum / EVERY, ...(step === STEPS ? { accuracy: measureAccuracy(model, test) } : {}) };
    lossSum = 0;
    // Resolves when everything is captured: training goes on while a worker writes. A failure would be thrown by the next call.
    await saveModelAsync(manager, model, { step, epoch, metrics, state: { step, epoch, position, random: random.state } });
  }
  // A turn for the event loop, so that this process hears of its saves; model.fit does that by itself.
  await tf.nextFrame();
}
await manager.close();
tell({ event: 'done', step, accuracy: measureAccuracy(model, test), testDigits: test.length });
process.disconnect?.();

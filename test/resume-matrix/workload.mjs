// One case: 40 steps of training as a resumable run, which may be killed at any of them, and what is compared of it.
import { readdirSync } from 'node:fs';
import { buildModel, makeSamples } from './cases.mjs';

export const STEPS = 40;
const EPOCHS = 5;
const BATCH = 3;
const SAMPLES = (STEPS / EPOCHS) * BATCH;

/** Where a process kills itself: before or after the batch, or while an epoch ends. `saving` is while a checkpoint is half written, at the first such batch. */
export const MOMENTS = ['begin', 'end', 'epoch'];

/**
 * Trains the case of that name in `directory` to its end, or to the death of the process at `kill`, `{ step, at }`. Resolves to the losses by step, the history,
 * and all bytes of weights and optimizer.
 */
export async function trainCase({ tf, holdfast: { installRandom, resumable }, name, directory, seed, saveFreq, kill, onStep = () => {} }) {
  // Before the model is built: its initial weights follow from the seed, too.
  const random = installRandom(seed);
  const model = buildModel(tf, name);
  const run = await resumable(model, { directory, saveFreq });
  const resumedAt = run.restored?.step ?? 0;
  const losses = new Map();
  let step = resumedAt;
  const die = (at) => {
    if (kill !== undefined && kill.step === step && kill.at === at) process.kill(process.pid, 'SIGKILL');
  };
  const callbacks = {
    onBatchBegin: async () => {
      die('begin');
      if (kill?.at === 'saving' && step >= kill.step && (await isSaving(directory))) process.kill(process.pid, 'SIGKILL');
    },
    onBatchEnd: async (_batch, { loss, acc }) => {
      losses.set(step, `${loss} ${acc}`);
      onStep(step, `${loss} ${acc}`);
      die('end');
      step++;
    },
    onEpochEnd: async () => {
      // Let a save of the last batch get somewhere.
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (kill !== undefined && kill.at === 'epoch' && step > kill.step) process.kill(process.pid, 'SIGKILL');
    },
  };
  const history = await fitCase(tf, run, name, { epochs: EPOCHS, verbose: 0, callbacks });
  const outcome = { resumedAt, steps: run.steps, history: history.history, epochs: history.epoch, ...stateOf(model) };
  await run.close();
  random.uninstall();
  model.dispose();
  return { ...outcome, losses };
}

/** Whether another thread is writing a checkpoint, or is about to. */
async function isSaving(directory) {
  const until = performance.now() + 200;
  do {
    if (readdirSync(directory).some((name) => name.startsWith('.tmp-') && !name.startsWith('.tmp-delete-'))) return true;
    await new Promise(setImmediate);
  } while (performance.now() < until);
  return false;
}

async function fitCase(tf, run, name, args) {
  const { x, y, shape, size, classes } = makeSamples(name, SAMPLES + 6);
  const tensors = [tf.tensor(x, [SAMPLES + 6, ...shape]), tf.tensor(y, [SAMPLES + 6, classes])];
  const parts = tensors.flatMap((tensor) => tf.split(tensor, [SAMPLES, 6]));
  const [trainX, validX, trainY, validY] = parts;
  const validationData = [validX, validY];
  const made = [...tensors, ...parts];
  try {
    if (name.endsWith('array')) return await run.fit(trainX, trainY, { ...args, batchSize: BATCH, validationData });
    const rows = Array.from({ length: SAMPLES }, (_, i) => ({
      xs: x.slice(i * size, (i + 1) * size),
      ys: y.slice(i * classes, (i + 1) * classes),
    }));
    const data = tf.data
      .array(rows)
      // Draws from the pipeline's own random numbers.
      .map(({ xs, ys }) => ({ xs: tf.tidy(() => tf.tensor(xs, shape).add(tf.randomUniform(shape, 0, 0.01))), ys: tf.tensor1d(ys) }))
      .shuffle(7, 'shuffled')
      .batch(BATCH)
      .prefetch(2);
    return await run.fitDataset(data, { ...args, validationData });
  } finally {
    tf.dispose(made);
  }
}

function stateOf(model) {
  const weights = Object.fromEntries(model.weights.map((weight) => [weight.originalName, hex(weight.read().dataSync())]));
  const optimizer = Object.fromEntries(Object.entries(model.optimizer).map(([field, value]) => [field, look(value)]));
  return { weights, optimizer };
}

/** Found by looking, not from a list. */
function look(value) {
  if (Array.isArray(value)) return value.map(({ variable }) => hex(variable.dataSync()));
  return typeof value === 'object' && value !== null && 'dataSync' in value ? hex(value.dataSync()) : value;
}

function hex({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
}

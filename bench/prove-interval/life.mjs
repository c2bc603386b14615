// One life of a training run: goes on from the newest checkpoint and trains until it is killed. Started by ../prove-interval.mjs.
import { writeSync } from 'node:fs';
import { auto, CheckpointManager, every, keep } from '../../dist/index.js';
import { restoreVariables, stepVariables } from '../../dist/tfjs/index.js';
import { loadTf } from '../lib/tfjs.mjs';
import { seededRandom } from './schedule.mjs';

const { directory, policy, backend, mode, stateMb, prior_s, maxInterval_s } = JSON.parse(process.argv[2]);
const say = (event) => writeSync(1, `${JSON.stringify(event)}\n`);

/** Sizes of the network: steps of some ten milliseconds with one core. */
const INPUT = 256;
const HIDDEN = 192;
const BATCH = 16;

function triggerOf() {
  if (policy.kind === 'fixed') return every.seconds(policy.seconds);
  if (policy.kind === 'auto') return auto({ prior: { mtbf: { seconds: prior_s } }, maxInterval: { seconds: maxInterval_s } });
  // To see what a step takes: none within a life.
  return every.seconds(1e6);
}

const tf = await loadTf(backend);
const manager = await CheckpointManager.open(directory, { trigger: triggerOf(), keep: keep.last(1) });

const random = seededRandom(7);
const initial = (...shape) =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => (random() - 0.5) / 8),
    shape,
  );
// A memory of past inputs goes with the weights, as in reinforcement learning: each step replaces some of it.
const rows = Math.max(1, Math.round((stateMb * 1e6) / 4 / INPUT));
const variables = {
  w1: tf.variable(initial(INPUT, HIDDEN), true, 'w1'),
  b1: tf.variable(tf.zeros([HIDDEN]), true, 'b1'),
  w2: tf.variable(initial(HIDDEN, INPUT), true, 'w2'),
  b2: tf.variable(tf.zeros([INPUT]), true, 'b2'),
};
const memory = new Float32Array(rows * INPUT);
for (let i = 0; i < memory.length; i++) memory[i] = random() - 0.5;
const optimizer = tf.train.adam(0.001);
const trained = Object.values(variables);

/** One step on inputs that follow from its number: an autoencoder. */
function train(step) {
  const draw = seededRandom(step);
  const x = new Float32Array(BATCH * INPUT);
  for (let row = 0; row < BATCH; row++) {
    const from = Math.floor(draw() * rows) * INPUT;
    x.set(memory.subarray(from, from + INPUT), row * INPUT);
  }
  return tf.tidy(() => {
    const inputs = tf.tensor(x, [BATCH, INPUT]);
    const loss = () => {
      const hidden = inputs.matMul(variables.w1).add(variables.b1).relu();
      return hidden.matMul(variables.w2).add(variables.b2).sub(inputs).square().mean();
    };
    return optimizer.minimize(loss, true, trained).dataSync()[0];
  });
}

const stored = tf.variable(tf.tensor(memory, [rows, INPUT]), false, 'memory');
const all = { ...variables, memory: stored };
const restored = await restoreVariables(manager, all, 'latest', { optimizer });
const first = restored?.step ?? 0;
say({ event: 'restored', step: first });
let loss = 0;
for (let step = first + 1; ; step++) {
  const began = performance.now();
  loss = train(step);
  const seconds = (performance.now() - began) / 1000;
  if (step === first + 1) say({ event: 'training' });
  if (policy.kind === 'none') say({ event: 'step', seconds });
  const { due, pending } = await stepVariables(manager, all, { step, optimizer, metrics: { loss } });
  if (due && mode === 'sync') {
    const { name } = await pending.committed;
    say({ event: 'saved', step, name });
  } else if (due) {
    pending.committed.then(({ name }) => say({ event: 'saved', step, name }));
  }
  // Signals and what is saved in the background have their turn.
  if (step % 4 === 0) await new Promise(setImmediate);
}

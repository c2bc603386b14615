/** A run's random numbers: what TensorFlow.js draws follows from the seed, and goes on from a saved state. */
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { installRandom, type RunRandom } from '../../../src/tfjs/index.js';
import { thrown } from '../../helpers/errors.js';

const original = Math.random;
const installed: RunRandom[] = [];

function install(seed: string | number): RunRandom {
  const random = installRandom(seed);
  installed.push(random);
  return random;
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

afterEach(() => {
  for (const random of installed.splice(0).reverse()) random.uninstall();
  expect(Math.random).toBe(original);
});

function draw(count: number): number[] {
  return Array.from({ length: count }, () => Math.random());
}

/** What TensorFlow.js draws without a seed: initializers, a shuffle, dropout, noise, samples. */
function drawWithTf(): number[] {
  return tf.tidy(() => {
    const kernel = tf.layers.dense({ units: 3, inputShape: [2] });
    kernel.build([null, 2]);
    const order = [1, 2, 3, 4, 5, 6, 7, 8];
    tf.util.shuffle(order);
    const tensors = [
      kernel.getWeights()[0] as tf.Tensor,
      tf.dropout(tf.ones([20]), 0.5),
      tf.randomUniform([3]),
      tf.truncatedNormal([3]),
      tf.layers.gaussianNoise({ stddev: 1 }).apply(tf.zeros([2, 2]), { training: true }) as tf.Tensor,
      tf.multinomial(tf.tensor1d([0.1, 0.2, 0.3]), 5),
    ];
    return [...order, ...tensors.flatMap((tensor) => [...tensor.dataSync()])];
  });
}

describe('installRandom', () => {
  test('Math.random gives what follows from the seed, and a number is its text', () => {
    const random = install('a run');
    const first = draw(5);
    expect(new Set(first).size).toBe(5);
    expect(first.every((value) => value >= 0 && value < 1)).toBe(true);
    random.uninstall();
    install('a run');
    expect(draw(5)).toEqual(first);
    install(7);
    const seven = draw(5);
    install('7');
    expect(draw(5)).toEqual(seven);
    expect(seven).not.toEqual(first);
  });

  test('everything that TensorFlow.js draws goes on from a state that went through JSON', () => {
    const random = install(1);
    draw(100);
    const state = JSON.parse(JSON.stringify(random.state));
    const drawn = drawWithTf();
    expect(drawWithTf()).not.toEqual(drawn);
    random.uninstall();
    const other = install('another run');
    other.restore(state);
    expect(other.state).toEqual(state);
    expect(drawWithTf()).toEqual(drawn);
  });

  test('next is the same sequence', () => {
    const random = install('a');
    const numbers = [random.next(), Math.random(), random.next()];
    random.uninstall();
    install('a');
    expect(draw(3)).toEqual(numbers);
  });

  test('the one installed last counts, and they are uninstalled in the opposite order', () => {
    const outer = install('outer');
    const expected = draw(2);
    outer.uninstall();
    const again = install('outer');
    expect(Math.random()).toBe(expected[0]);
    const inner = install('inner');
    draw(3);
    expect(thrown(() => again.uninstall(), 'ERR_RANDOM').message).toMatch(/opposite order/);
    inner.uninstall();
    inner.uninstall();
    expect(Math.random()).toBe(expected[1]);
    again.uninstall();
    expect(Math.random).toBe(original);
  });

  test('what somebody else has put there is not taken away', () => {
    const random = install('a');
    const ours = Math.random;
    const theirs = () => 0.5;
    Math.random = theirs;
    thrown(() => random.uninstall(), 'ERR_RANDOM');
    expect(Math.random).toBe(theirs);
    Math.random = ours;
  });

  test.each([undefined, null, '', Number.NaN, Number.POSITIVE_INFINITY, {}])('%j is no seed', (seed) => {
    expect(thrown(() => installRandom(seed as never), 'ERR_INVALID_ARGUMENT').message).toMatch(/installRandom needs a seed/);
  });

  const good = { kind: 'alea', c: 1, s0: 0.5, s1: 0.25, s2: 0 };
  test.each([null, 3, 'alea', [], {}, { ...good, kind: 'xor128' }, { ...good, c: 0.5 }, { ...good, s0: 1 }, { ...good, s2: '0' }])(
    '%j is no state, and nothing changes',
    (state) => {
      const random = install('a');
      const before = random.state;
      thrown(() => random.restore(state), 'ERR_STATE');
      expect(random.state).toEqual(before);
      random.restore(good);
      expect(random.state).toEqual(good);
    },
  );
});

/** The order of an epoch can be made again of the random numbers that it was drawn from. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { installRandom } from '../../../src/tfjs/index.js';
import { drawsFor, orderFrom, packState, shuffle, unpackState } from '../../../src/tfjs/resume/order.js';
import { Alea } from '../../../src/tfjs/resume/random.js';

function sorted(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

test('shuffling is that of tf.util.shuffle, epoch for epoch', () => {
  const random = installRandom('a');
  onTestFinished(() => random.uninstall());
  const theirs = sorted(1000);
  const states = [1, 2, 3].map(() => {
    const { state } = random;
    tf.util.shuffle(theirs);
    return state;
  });
  const { order, after } = orderFrom(1000, states);
  expect([...order]).toEqual(theirs);
  expect(after).toEqual(random.state);
});

test('tf.util.shuffle makes any order of the numbers that are drawn for it', () => {
  const original = Math.random;
  onTestFinished(() => {
    Math.random = original;
  });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), fc.string(), (count, seed) => {
      const alea = new Alea(`a${seed}`);
      const target = Int32Array.from(sorted(count));
      shuffle(target, () => alea.next());
      const draws = drawsFor(target);
      expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true);
      let drawn = 0;
      Math.random = () => draws[drawn++] as number;
      const order = sorted(count);
      tf.util.shuffle(order);
      expect(order).toEqual([...target]);
      expect(drawn).toBe(count);
    }),
  );
});

test('a million indices, too', () => {
  const alea = new Alea('many');
  const target = Int32Array.from(sorted(1_000_000));
  shuffle(target, () => alea.next());
  const draws = drawsFor(target);
  let drawn = 0;
  const order = Int32Array.from(sorted(1_000_000));
  shuffle(order, () => draws[drawn++] as number);
  expect(Buffer.compare(Buffer.from(order.buffer), Buffer.from(target.buffer))).toBe(0);
});

test('a state is packed without loss, also through JSON', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 0, max: 50 }), (seed, draws) => {
      const alea = new Alea(`a${seed}`);
      for (let i = 0; i < draws; i++) alea.next();
      expect(unpackState(JSON.parse(JSON.stringify(packState(alea.state))))).toEqual(alea.state);
    }),
  );
});

/** What a step takes, where steps are not all alike. */
import { describe, expect, it } from 'vitest';
import { StepTime } from '../../src/interval/step-time.js';
import { random32 } from '../helpers/random.js';

/** Of so many steps, each as long as `secondsOf` says, in blocks of `length` from half of them on. */
function timeOf(steps: number, secondsOf: (step: number) => number, length?: number): number | undefined {
  const time = new StepTime();
  for (let step = 0; step < steps; step++) {
    time.add(secondsOf(step), 1);
    if (length !== undefined && step === steps >> 1) time.setLength(length);
  }
  return time.seconds;
}

/** Log-normal with the mean 1: a few of them are many times as long as most. */
function lognormal(): () => number {
  const next = random32(3);
  const uniform = () => (next() + 0.5) / 2 ** 32;
  return () => Math.exp(Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()) - 0.5);
}

describe('the time of a step', () => {
  it('is unknown before there were three', () => {
    expect(timeOf(2, () => 1)).toBeUndefined();
    expect(timeOf(3, () => 1)).toBe(1);
  });

  it('is the mean of all that comes again and again: an accumulated gradient, a validation', () => {
    expect(timeOf(1000, (step) => (step % 5 === 4 ? 0.06 : 0.005))).toBeCloseTo(0.016, 3);
    expect(timeOf(2000, (step) => (step % 10 === 9 ? 11 : 1), 100)).toBeCloseTo(2, 9);
  });

  it('is the mean where most are shorter', () => {
    const seconds = lognormal();
    const found = timeOf(20_000, seconds, 500) as number;
    // The median of that distribution is 0.61.
    expect(Math.abs(found - 1)).toBeLessThan(0.1);
  });

  it('is not changed by a pause now and then', () => {
    expect(timeOf(1000, (step) => (step % 400 === 7 ? 3600 : 1))).toBe(1);
    expect(timeOf(1000, (step) => (step % 400 === 7 ? 3600 : 1), 50)).toBe(1);
  });

  it('follows training that becomes slower', () => {
    const time = new StepTime();
    for (let step = 0; step < 100; step++) time.add(1, 1);
    time.setLength(10);
    for (let step = 0; step < 60; step++) time.add(2, 1);
    expect(time.seconds).toBe(2);
  });

  it('of blocks whose length goes up and down a little follows as soon, and is known all the time', () => {
    const time = new StepTime();
    let joined = 0;
    for (let step = 0; step < 300; step++) {
      time.setLength(step % 2 === 0 ? 9 : 10);
      time.add(step < 200 ? 1 : 2, 1);
      if (step > 50 && step < 200) expect(time.seconds).toBe(1);
      if (step >= 260 && time.seconds !== 2) joined++;
    }
    expect(joined).toBe(0);
  });

  it('of blocks longer than all there was is the mean of that, once it is a quarter of one', () => {
    const time = new StepTime();
    for (let step = 0; step < 10; step++) time.add(step < 5 ? 1 : 3, 1);
    time.setLength(40);
    expect(time.seconds).toBe(2);
    time.setLength(50);
    expect(time.seconds).toBeUndefined();
    time.add(14, 3);
    expect(time.seconds).toBeCloseTo(34 / 13, 12);
  });

  it('is forgotten when it is of long ago', () => {
    const time = new StepTime();
    time.setLength(5);
    for (let step = 0; step < 10; step++) time.add(1, 1);
    time.age(2);
    for (let step = 0; step < 5; step++) time.add(2, 1);
    time.age(2);
    expect(time.seconds).toBe(1);
    time.age(2);
    expect(time.seconds).toBe(2);
    time.age(2);
    expect(time.seconds).toBeUndefined();
  });
});

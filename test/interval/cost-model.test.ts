/** What saves cost as a function of their bytes, and how sure that is. */
import { describe, expect, it } from 'vitest';
import { estimateMean, fitCost } from '../../src/interval/index.js';
import { thrown } from '../helpers/errors.js';

const MB = 1e6;
const line = (fixed: number, perMb: number, noise: readonly number[] = [0]) =>
  [1, 10, 100, 1000].flatMap((size) => noise.map((share) => ({ bytes: size * MB, seconds: (fixed + perMb * size) * (1 + share) })));

describe('a fit', () => {
  it('finds the line that is there', () => {
    const model = fitCost(line(0.2, 0.001));
    expect(model.fixed_s).toBeCloseTo(0.2, 9);
    expect(model.perByte_s * MB).toBeCloseTo(0.001, 12);
    expect(model.predict(500 * MB).value).toBeCloseTo(0.7, 9);
  });

  it('is as sure as its measurements agree, and less so far from them', () => {
    const model = fitCost(line(0.2, 0.001, [-0.1, 0, 0.1]));
    const [near, far] = [model.predict(100 * MB), model.predict(10_000 * MB)];
    expect(near.low).toBeLessThan(0.3);
    expect(near.high).toBeGreaterThan(0.3);
    expect(near.high - near.low).toBeLessThan(0.1);
    expect(far.high - far.low).toBeGreaterThan(2 * (near.high - near.low));
    const surer = fitCost(
      line(
        0.2,
        0.001,
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 0.1 : -0.1)),
      ),
    ).predict(100 * MB);
    expect(surer.high - surer.low).toBeLessThan(near.high - near.low);
  });

  it('of one size is proportional, and of one measurement not sure of anything', () => {
    expect(fitCost([{ bytes: 100 * MB, seconds: 0.5 }]).predict(200 * MB)).toEqual({ value: 1, low: 1, high: 1, samples: 1 });
    const same = fitCost([0.4, 0.5, 0.6].map((seconds) => ({ bytes: 100 * MB, seconds })));
    const { value, low, high } = same.predict(100 * MB);
    expect(value).toBeGreaterThan(0.4);
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value);
  });

  it('never makes a larger save cheaper, nor one of no bytes cost less than nothing', () => {
    const falling = fitCost([
      { bytes: MB, seconds: 1 },
      { bytes: 10 * MB, seconds: 0.5 },
    ]);
    expect(falling.perByte_s).toBe(0);
    const steep = fitCost([
      { bytes: MB, seconds: 0.001 },
      { bytes: 10 * MB, seconds: 1 },
    ]);
    expect(steep.fixed_s).toBeGreaterThanOrEqual(0);
    expect(steep.predict(0).value).toBeGreaterThanOrEqual(0);
    expect(fitCost([{ bytes: 0, seconds: 0 }]).predict(5)).toMatchObject({ value: 0 });
  });

  it.each([
    [[], 'there are no measurements'],
    [[{ bytes: -1, seconds: 1 }], 'bytes must be'],
    [[{ bytes: 1, seconds: Number.NaN }], 'seconds must be'],
  ])('refuses %j', (samples, what) => {
    expect(thrown(() => fitCost(samples), 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });
});

describe('a mean', () => {
  it('has the interval of Student', () => {
    // Mean 3, standard deviation √2.5, 4 degrees of freedom.
    const { value, low, high, samples } = estimateMean([1, 2, 3, 4, 5]);
    expect([value, samples]).toEqual([3, 5]);
    expect(high - value).toBeCloseTo(2.776 * Math.sqrt(2.5 / 5), 9);
    expect(low).toBeCloseTo(6 - high, 9);
  });

  it('of one is itself; of many the normal one; of none an error', () => {
    expect(estimateMean([7])).toEqual({ value: 7, low: 7, high: 7, samples: 1 });
    const many = estimateMean(Array.from({ length: 1000 }, (_, i) => i % 2));
    expect(many.high - many.value).toBeCloseTo(1.9623 * Math.sqrt(0.25025 / 1000), 4);
    expect(thrown(() => estimateMean([]), 'ERR_INVALID_ARGUMENT').message).toContain('no measurements');
  });
});

/** What saves cost as a function of their bytes, and how sure that is. */
import { describe, expect, it } from 'vitest';
import { estimateMean, fitCost } from '../../src/interval/index.js';
import { thrown } from '../helpers/errors.js';
import { random32 } from '../helpers/random.js';

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
    const one = fitCost([{ bytes: 100 * MB, seconds: 0.5 }]);
    expect(one).toMatchObject({ shape: 'proportional', fixed_s: 0, samples: 1, confidence: { fixed_s: null, perByte_s: null } });
    expect(one.predict(200 * MB)).toEqual({ value: 1, low: 1, high: 1, samples: 1, degrees: 0, single: [1, 1] });
    const same = fitCost([0.4, 0.5, 0.6].map((seconds) => ({ bytes: 100 * MB, seconds })));
    const { value, low, high } = same.predict(100 * MB);
    expect(value).toBeCloseTo(0.5, 12);
    // 2 degrees of freedom, a standard deviation of 0.1.
    expect([low, high].map((end) => Math.abs(end - 0.5))).toEqual([0, 1].map(() => expect.closeTo((4.3026527 * 0.1) / Math.sqrt(3), 6)));
    // Twice the size, twice the cost, and twice as unsure.
    const twice = same.predict(200 * MB);
    expect([twice.value, twice.high - twice.low]).toEqual([expect.closeTo(1, 12), expect.closeTo(2 * (high - low), 9)]);
  });

  it('of sizes that hardly differ is that of one size', () => {
    const seconds = [0.5, 0.55, 0.45, 0.6, 0.4];
    for (const part of [1e-9, 0.005]) {
      const nearly = fitCost(seconds.map((each, i) => ({ bytes: 100 * MB * (1 + part * i * 0.1), seconds: each })));
      expect([part, nearly.shape]).toEqual([part, 'proportional']);
      expect(nearly.predict(200 * MB).value).toBeCloseTo(1, 2);
    }
  });

  it('of two measurements is the line through them, and does not say how sure it is', () => {
    const model = fitCost([
      { bytes: 10 * MB, seconds: 0.2 },
      { bytes: 110 * MB, seconds: 0.3 },
    ]);
    expect(model).toMatchObject({ shape: 'line', confidence: { fixed_s: null, perByte_s: null } });
    expect([model.fixed_s, model.perByte_s * MB]).toEqual([expect.closeTo(0.19, 9), expect.closeTo(0.001, 12)]);
    expect(model.predict(60 * MB)).toMatchObject({ degrees: 0, value: expect.closeTo(0.25, 12) });
  });

  it('has the intervals of weighted least squares', () => {
    const seconds = [0.21, 0.19, 0.22, 0.28, 0.33, 1.25];
    const model = fitCost([1, 1, 10, 100, 100, 1000].map((size, i) => ({ bytes: size * MB, seconds: seconds[i] as number })));
    // By mpmath with 40 digits; the table of Student's t has eight.
    const near = (value: number) => expect.closeTo(value, 6);
    expect(model).toMatchObject({ shape: 'line', fixed_s: expect.closeTo(0.2018611035332332, 12), samples: 6 });
    expect(model.perByte_s * MB).toBeCloseTo(0.001045795243755498, 12);
    expect(model.confidence.fixed_s).toEqual([near(0.1802032), near(0.223519)]);
    expect(model.confidence.perByte_s?.map((value) => value * MB * 1000)).toEqual([near(0.8206292), near(1.2709613)]);
    const { value, low, high, degrees, single } = model.predict(500 * MB);
    expect([value, low, high, degrees]).toEqual([near(0.7247587), near(0.6176142), near(0.8319033), 4]);
    expect(single).toEqual([near(0.5468237), near(0.9026938)]);
  });

  it('tells the truth about how sure it is: 95 of 100 intervals hold it', () => {
    const random = random32(7);
    const normal = () => Math.sqrt(-2 * Math.log((random() + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * random()) / 2 ** 32);
    const held = { mean: 0, single: 0, fixed: 0, perByte: 0 };
    const runs = 1500;
    const holds = (range: readonly number[] | null, value: number) =>
      Number(range !== null && value >= (range[0] ?? 0) && value <= (range[1] ?? 0));
    for (let run = 0; run < runs; run++) {
      const noisy = (size: number) => ({ bytes: size * MB, seconds: (0.2 + 0.001 * size) * (1 + 0.1 * normal()) });
      const model = fitCost([10, 10, 30, 100, 100, 300, 1000, 1000].map(noisy));
      const { low, high, single } = model.predict(500 * MB);
      held.mean += holds([low, high], 0.7);
      held.single += holds(single, noisy(500).seconds);
      held.fixed += holds(model.confidence.fixed_s, 0.2);
      held.perByte += holds(model.confidence.perByte_s, 0.001 / MB);
    }
    // Of 1500 runs, three standard errors of 95 % are 1.7 %.
    const shares = Object.values(held).map((count) => count / runs);
    expect(shares.filter((share) => share < 0.93 || share > 0.97)).toEqual([]);
  });

  it('never makes a larger save cheaper, nor one of no bytes cost less than nothing', () => {
    const falling = fitCost([
      { bytes: MB, seconds: 1 },
      { bytes: 10 * MB, seconds: 0.5 },
    ]);
    expect(falling).toMatchObject({ shape: 'constant', perByte_s: 0, confidence: { perByte_s: null } });
    const steep = fitCost([
      { bytes: MB, seconds: 0.001 },
      { bytes: 10 * MB, seconds: 1 },
    ]);
    expect(steep).toMatchObject({ shape: 'proportional', fixed_s: 0, confidence: { fixed_s: null } });
    expect(steep.predict(0).value).toBeGreaterThanOrEqual(0);
    expect(fitCost([{ bytes: 0, seconds: 0 }]).predict(5)).toMatchObject({ value: 0 });
  });

  it.each([
    [[], 'there are no measurements'],
    [[{ bytes: -1, seconds: 1 }], 'bytes must be'],
    [[{ bytes: 1, seconds: Number.NaN }], 'seconds must be'],
    [
      [
        { bytes: 1, seconds: 1 },
        { bytes: 1, seconds: '1' },
      ],
      'measurement 1: seconds must be',
    ],
    [[null], 'measurement 0'],
    [undefined, 'there are no measurements'],
  ])('refuses %j', (samples, what) => {
    expect(thrown(() => fitCost(samples as never), 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });
});

describe('a mean', () => {
  it('has the interval of Student', () => {
    // Mean 3, standard deviation √2.5, 4 degrees of freedom.
    const { value, low, high, samples } = estimateMean([1, 2, 3, 4, 5]);
    expect([value, samples]).toEqual([3, 5]);
    expect(high - value).toBeCloseTo(2.7764451 * Math.sqrt(2.5 / 5), 7);
    expect(low).toBeCloseTo(6 - high, 9);
  });

  it('of one is itself; of many the normal one; of none an error', () => {
    expect(estimateMean([7])).toEqual({ value: 7, low: 7, high: 7, samples: 1, degrees: 0 });
    const many = estimateMean(Array.from({ length: 1000 }, (_, i) => i % 2));
    expect(many.high - many.value).toBeCloseTo(1.9623415 * Math.sqrt((0.25 * 1000) / 999 / 1000), 8);
    // 31 degrees of freedom: the first beyond the table.
    const beyond = estimateMean(Array.from({ length: 32 }, (_, i) => i % 2));
    expect(beyond.high - beyond.value).toBeCloseTo(2.0395134 * Math.sqrt((0.25 * 32) / 31 / 32), 6);
    expect(thrown(() => estimateMean([]), 'ERR_INVALID_ARGUMENT').message).toContain('no measurements');
  });
});

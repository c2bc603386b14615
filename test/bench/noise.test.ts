/** What chance does to a ratio of medians, and who stands where in a comparison. */
import { describe, expect, test } from 'vitest';
import { toComparison } from '../../src/bench/comparison.js';
import type { Contender, Measured } from '../../src/bench/contender.js';
import { noiseBetween, withinNoise } from '../../src/bench/noise.js';
import type { RowKind } from '../../src/bench/report.js';
import { seededRandom } from '../../src/bench/seeded.js';
import { summarizeTraining } from '../../src/bench/train/train.js';

describe('the interval of a ratio', () => {
  test('is a point where nothing varies', () => {
    expect(noiseBetween([2, 2, 2], [1, 1, 1])).toEqual({ low: 2, high: 2 });
  });

  test('is the same every time, and holds the true ratio', () => {
    const random = seededRandom(3);
    const draw = (mean: number) => Array.from({ length: 40 }, () => mean * (0.8 + 0.4 * random()));
    const [a, b] = [draw(3), draw(2)];
    const interval = noiseBetween(a, b);
    expect(noiseBetween(a, b)).toEqual(interval);
    const { low = 0, high = 0 } = interval ?? {};
    expect(low).toBeLessThan(1.5);
    expect(high).toBeGreaterThan(1.5);
    expect(high - low).toBeLessThan(0.5);
    expect(low).toBeGreaterThan(1);
  });

  test('becomes narrower with more runs', () => {
    const random = seededRandom(4);
    const width = (length: number) => {
      const draw = () => Array.from({ length }, () => 1 + random());
      const { low = 0, high = 0 } = noiseBetween(draw(), draw()) ?? {};
      return high - low;
    };
    expect(width(200)).toBeLessThan(width(8));
  });

  test('is known of two runs at least', () => {
    expect(noiseBetween([1], [1, 2])).toBeNull();
    expect(noiseBetween([], [])).toBeNull();
  });

  test('counts in both directions', () => {
    const noise = { low: 0.9, high: 1.2 };
    expect(withinNoise(1.19, noise)).toBe(true);
    expect(withinNoise(1 / 1.19, noise)).toBe(true);
    expect(withinNoise(1.21, noise)).toBe(false);
    expect(withinNoise(0.8, noise)).toBe(false);
  });
});

function contender(name: string, kind: RowKind, bytes = 100, note?: string): Contender {
  return { name, kind, bytes, note } as unknown as Contender;
}

function runs(seconds: readonly number[], more: Partial<Measured> = {}): Measured[] {
  return seconds.map((value) => ({ seconds: value, cpuSeconds: null, maxRssBytes: null, ...more }));
}

describe('a comparison', () => {
  const facts = { bytes: 100, tensors: 1, runs: 2 };

  test('has ours first, the limit second, and ratios per byte', () => {
    const { rows, ratios, noise } = toComparison(
      new Map([
        [contender('tfjs-node', 'peer', 50, 'half'), runs([3, 5], { cpuSeconds: 1, maxRssBytes: 7 })],
        [contender('fs.writeFile', 'peer'), runs([3, 3])],
        [contender('fio', 'limit'), runs([1, 1, 1, 1])],
        [contender('holdfast', 'ours'), runs([2, 2])],
      ]),
      facts,
    );
    expect(rows.map(({ name }) => name)).toEqual(['holdfast', 'fio', 'fs.writeFile', 'tfjs-node']);
    expect(ratios).toEqual({ fio: 0.5, 'fs.writeFile': 1.5, 'tfjs-node': 4 });
    expect(noise).toEqual({ low: 1, high: 1 });
    expect(rows[3]).toEqual({
      name: 'tfjs-node',
      kind: 'peer',
      bytes: 50,
      secondsMedian: 4,
      secondsMin: 3,
      secondsMax: 5,
      bytesPerSecond: 12.5,
      cpuSeconds: 1,
      maxRssBytes: 7,
      seconds: [3, 5],
      note: 'half',
    });
    expect(rows[0]).toMatchObject({ cpuSeconds: null, maxRssBytes: null });
  });

  test('takes the better of the two ways of fio for the limit, whichever was calibrated', () => {
    const { rows, ratios } = toComparison(
      new Map([
        [contender('holdfast', 'ours'), runs([2, 2])],
        [contender('fio', 'limit'), runs([2, 2, 2, 2])],
        [contender('fio-threads', 'peer'), runs([1, 1])],
      ]),
      facts,
    );
    expect(rows.map(({ name, kind, secondsMedian }) => [name, kind, secondsMedian])).toEqual([
      ['holdfast', 'ours', 2],
      ['fio', 'limit', 1],
      ['fio-io_uring', 'peer', 2],
    ]);
    expect(ratios).toEqual({ fio: 0.5, 'fio-io_uring': 1 });
  });

  test('knows no noise without a limit', () => {
    expect(toComparison(new Map([[contender('holdfast', 'ours'), runs([2])]]), facts)).toMatchObject({ noise: null, ratios: {} });
  });
});

test('training is compared with the mean of both runs alone of its round', () => {
  const run = (stepsPerSecond: number) => ({ stepsPerSecond, seconds: 2, cpuSeconds: 3 });
  const round = { alone: run(90), again: run(110), holdfast: run(80), 'holdfast-low': run(100), buffered: run(50) };
  const { rows, runs: count, noise, aloneStepsPerSecond } = summarizeTraining([round]);
  expect({ count, noise, aloneStepsPerSecond }).toEqual({ count: 1, noise: null, aloneStepsPerSecond: 100 });
  expect(rows.map(({ name, kind, speedMedian }) => [name, kind, speedMedian])).toEqual([
    ['holdfast', 'ours', 0.8],
    ['holdfast-low', 'ours', 1],
    ['buffered', 'peer', 0.5],
  ]);
  expect(rows[2]).toMatchObject({ lostSecondsMedian: 1, secondsMedian: 2, cpuSeconds: 3 });
});

/** When simulated jobs fail: distributions, drifts, traces, and the numbers that it all is made of. */
import { describe, expect, test } from 'vitest';
import { FailureTimes } from '../../src/interval/simulate/failure-times.js';
import { type Failures, fixed, formula, simulate, simulateRuns } from '../../src/interval/simulate/index.js';
import { RandomStream } from '../../src/interval/simulate/random.js';

/** The first failure times of a run. */
function times(failures: Failures, count: number, { seed = 1, run = 0 } = {}): number[] {
  const all = new FailureTimes(failures);
  all.turnTo(seed, run);
  return Array.from({ length: count }, (_, i) => all.at(i));
}

function gaps(moments: readonly number[]): number[] {
  return moments.map((moment, i) => moment - (moments[i - 1] ?? 0));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Largest distance between the distribution of `values` and `cumulative` (Kolmogorov and Smirnov), times √n: above 1.95 in 1 of 1000. */
function distance(values: readonly number[], cumulative: (value: number) => number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  return Math.sqrt(n) * Math.max(...sorted.map((value, i) => Math.max((i + 1) / n - cumulative(value), cumulative(value) - i / n)));
}

describe('chance', () => {
  test('is the same everywhere and for ever', () => {
    const stream = new RandomStream(1, 0);
    expect(Array.from({ length: 4 }, () => stream.next())).toMatchInlineSnapshot(`
      [
        4146991893,
        3813229601,
        1410283693,
        1846164407,
      ]
    `);
  });

  test('is uniform, above 0 and up to 1, to the last of 53 bits', () => {
    const stream = new RandomStream(3, 5);
    const values = Array.from({ length: 50_000 }, () => stream.uniform());
    expect(values.every((value) => value > 0 && value <= 1)).toBe(true);
    expect(distance(values, (value) => value)).toBeLessThan(1.95);
    // Also what is behind the first 32 bits.
    const low = values.map((value) => (value * 2 ** 32) % 1);
    expect(distance(low, (value) => value)).toBeLessThan(1.95);
    expect(values.some((value) => (value * 2 ** 53) % 2 === 1)).toBe(true);
  });

  test('of neighbouring runs and seeds has nothing in common', () => {
    const firsts = Array.from({ length: 20_000 }, (_, run) => new RandomStream(1, run).uniform());
    expect(distance(firsts, (value) => value)).toBeLessThan(1.95);
    const product = mean(firsts.slice(1).map((value, i) => (value - 0.5) * ((firsts[i] as number) - 0.5)));
    expect(Math.abs(product) * 12 * Math.sqrt(firsts.length)).toBeLessThan(3.9);
    const seeds = Array.from({ length: 20_000 }, (_, each) => new RandomStream(each, 1).uniform());
    expect(distance(seeds, (value) => value)).toBeLessThan(1.95);
    expect(new Set([...firsts, ...seeds]).size).toBe(39_999 + (firsts[1] === seeds[1] ? 0 : 1));
    expect(new RandomStream(2 ** 40, 0).next()).not.toBe(new RandomStream(0, 0).next());
  });
});

describe('failures', () => {
  test('of Poisson come after exponential times', () => {
    const found = gaps(times({ kind: 'poisson', mtbf_s: 700 }, 20_000));
    expect(distance(found, (gap) => -Math.expm1(-gap / 700))).toBeLessThan(1.95);
  });

  test.each([0.5, 0.7, 1, 2.5])('of Weibull with shape %d have the mean that was asked for', (shape) => {
    const found = gaps(times({ kind: 'weibull', mtbf_s: 700, shape }, 40_000));
    expect(Math.abs(mean(found) / 700 - 1)).toBeLessThan(0.04);
    // The scale is the mean by Γ(1 + 1/shape).
    const gamma = { 0.5: 2, 0.7: 1.2658235060572833, 1: 1, 2.5: 0.8872638175030754 }[shape] as number;
    expect(distance(found, (gap) => -Math.expm1(-(((gap * gamma) / 700) ** shape)))).toBeLessThan(1.95);
  });

  test('drift: as many as the integral of 1/M says', () => {
    const end_s = 1e6;
    const drift = { start: 1000, end: 100, over_s: end_s };
    const all = times({ kind: 'poisson', mtbf_s: drift }, 8000);
    const expected = (at: number) => (end_s / (1000 * Math.log(0.1))) * (1 - 0.1 ** (-at / end_s));
    const within = all.filter((time) => time < end_s);
    expect(Math.abs(within.length - expected(end_s)) / Math.sqrt(expected(end_s))).toBeLessThan(3.9);
    expect(distance(within, (time) => expected(time) / expected(end_s))).toBeLessThan(1.95);
    // Then it stays.
    const after = gaps(all.filter((time) => time >= end_s)).slice(1);
    expect(distance(after, (gap) => -Math.expm1(-gap / 100))).toBeLessThan(1.95);
  });

  test('a drift by a factor of 1 is none', () => {
    const same = times({ kind: 'poisson', mtbf_s: { start: 50, end: 50, over_s: 10 } }, 100);
    expect(same).toEqual(times({ kind: 'poisson', mtbf_s: 50 }, 100));
  });

  test('steps: another rate from each moment on', () => {
    const mtbf_s = {
      start: 100,
      steps: [
        { from_s: 200_000, value: 1000 },
        { from_s: 400_000, value: 20 },
      ],
    };
    const all = times({ kind: 'poisson', mtbf_s }, 4000);
    const between = (from: number, to: number) => gaps(all.filter((time) => time >= from && time < to)).slice(1);
    expect(distance(between(0, 200_000), (gap) => -Math.expm1(-gap / 100))).toBeLessThan(1.95);
    expect(distance(between(200_000, 400_000), (gap) => -Math.expm1(-gap / 1000))).toBeLessThan(1.95);
    expect(distance(between(400_000, 1e9), (gap) => -Math.expm1(-gap / 20))).toBeLessThan(1.95);
  });

  test('of a trace are those of the trace', () => {
    expect(times({ kind: 'trace', times_s: [1, 5, 6] }, 5)).toEqual([1, 5, 6, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  test('of a trace from a random start go round', () => {
    const trace = { kind: 'trace', times_s: [10, 15, 16], period_s: 20, randomStart: true } as const;
    const starts = new Set<number>();
    for (let run = 0; run < 50; run++) {
      const all = times(trace, 9, { run });
      const start = all[0] as number;
      starts.add(start);
      expect(start).toBeLessThanOrEqual(14);
      for (const time of all) expect(all.some((other) => Math.abs(other - time - 20) < 1e-9) || time > 28).toBe(true);
      expect(all.slice(1).every((time, i) => time >= (all[i] as number))).toBe(true);
    }
    expect(starts.size).toBe(50);
  });
});

test('every policy meets the same failures, and the number of runs before plays no part', () => {
  const job = { wall_s: 1e6, stall_s: 5, persist_s: 20, restart_s: 30, failures: { kind: 'weibull', mtbf_s: 3000, shape: 0.7 } } as const;
  const policies = [fixed(100), fixed(5000), formula('young')];
  const all = simulateRuns(job, policies, { seed: 11, from: 0, count: 20 });
  expect(new Set(all.map(({ sums }) => sums.failures)).size).toBe(1);
  const later = simulateRuns(job, policies, { seed: 11, from: 10, count: 10 });
  for (const [i, { usefulFraction }] of later.entries()) expect(usefulFraction).toEqual(all[i]?.usefulFraction.slice(10));
  for (const [i, policy] of policies.entries()) {
    expect(simulate(job, policy, { seed: 11, run: 13 }).usefulFraction).toBe(all[i]?.usefulFraction[13]);
  }
});

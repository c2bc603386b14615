/** The simulator and the closed forms agree within the simulator's own confidence interval, and formulas that are wrong lie outside of it. */
import { describe, expect, test } from 'vitest';
import { usefulFraction, wallPerWork } from '../../src/interval/expected.js';
import { exactInterval_s } from '../../src/interval/optimal.js';
import {
  completeJob,
  fixed,
  predictedFraction,
  SCENARIOS,
  type SimulatedJob,
  simulate,
  simulateRuns,
} from '../../src/interval/simulate/index.js';

/** Standard errors of a mean: 99.99 %, as there are dozens of comparisons here. The seeds make that the same every time. */
const Z = 3.9;

/** The interval of the mean of `values`. */
function intervalOf(values: readonly number[]): { low: number; high: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  const half = Z * Math.sqrt(variance / values.length);
  return { low: mean - half, high: mean + half };
}

function fractions(job: SimulatedJob, interval_s: number, count: number): number[] {
  return [...(simulateRuns(job, [fixed(interval_s)], { seed: 7, from: 0, count })[0]?.usefulFraction ?? [])];
}

function expectInside({ low, high }: { low: number; high: number }, value: number): void {
  expect(value).toBeGreaterThan(low);
  expect(value).toBeLessThan(high);
}

function expectOutside({ low, high }: { low: number; high: number }, value: number): void {
  expect(value < low || value > high, `${value} lies within ${low} to ${high}`).toBe(true);
}

/** c, M, R in seconds. */
const SYNCHRONOUS = [
  [300, 86_400, 600],
  [300, 21_600, 600],
  [300, 900, 600],
  [60, (54 * 86_400) / 419, 300],
  [0.1, 300, 0],
  [1, 1, 0],
] as const;

describe.each(SYNCHRONOUS)('synchronous saves of %d s, M = %d s, R = %d s', (cost_s, mtbf_s, restart_s) => {
  test.each([0.3, 1, 3])('wall time by work is M·e^(R/M)·(e^((τ+c)/M) − 1)/τ at %d times the best τ', (times) => {
    const interval_s = times * exactInterval_s({ cost_s, mtbf_s });
    // A job of whole intervals, so that the mean is that of the formula without any edge.
    const job = { work_s: 50 * interval_s, limit_s: 1e12, stall_s: cost_s, restart_s, failures: { kind: 'poisson', mtbf_s } } as const;
    const found = intervalOf(fractions(job, interval_s, 8000).map((fraction) => 1 / fraction));
    expectInside(found, wallPerWork({ interval_s, cost_s, mtbf_s, restart_s }));
    // Restarts that fail do not come free, nor does the save.
    if (restart_s > 0) expectOutside(found, wallPerWork({ interval_s, cost_s, mtbf_s, restart_s: 0 }));
    expectOutside(found, wallPerWork({ interval_s, cost_s: cost_s / 2, mtbf_s, restart_s }));
  });
});

/** c, P, R, M in seconds. */
const ASYNCHRONOUS = [
  [1, 60, 120, 11_135],
  [0.78, 67, 120, 11_135],
  [5, 120, 300, 11_135],
  [30, 30, 120, 3600],
  [10, 200, 60, 1800],
] as const;

describe.each(ASYNCHRONOUS)('asynchronous saves: c = %d s, P = %d s, R = %d s, M = %d s', (stall_s, persist_s, restart_s, mtbf_s) => {
  test.each([1, 2])('the useful fraction is (τ/M)·e^(−(R+P)/M)/(e^((τ+c)/M) − 1) at %d times the best τ', (times) => {
    // At least P: of saves that wait for their turn the formula does not speak.
    const interval_s = times * Math.max(exactInterval_s({ cost_s: stall_s, mtbf_s }), persist_s);
    const job = { wall_s: 300 * mtbf_s, stall_s, persist_s, restart_s, failures: { kind: 'poisson', mtbf_s } } as const;
    const found = intervalOf(fractions(job, interval_s, 400));
    const costs = { interval_s, stall_s, restart_s, mtbf_s };
    expectInside(found, usefulFraction({ ...costs, persist_s }));
    expectOutside(found, usefulFraction({ ...costs, persist_s: persist_s / 2 }));
    expectOutside(found, usefulFraction({ ...costs, persist_s: 0 }));
    expect(predictedFraction(completeJob(job), interval_s)).toBe(usefulFraction({ ...costs, persist_s }));
  });
});

describe('slowdown while persisting', () => {
  const [stall_s, persist_s, restart_s, mtbf_s, slowdown, interval_s] = [2, 100, 60, 4000, 0.2, 250];
  const job = { wall_s: 300 * mtbf_s, stall_s, persist_s, restart_s, slowdown, failures: { kind: 'poisson', mtbf_s } } as const;
  const found = intervalOf(fractions(job, interval_s, 400));

  test('costs σP for every save but the first after a restart', () => {
    const first_s = interval_s + stall_s;
    const cycle_s = first_s + slowdown * persist_s;
    // Snapshots that are durable, per failure: Σ e^(−(R + P + first + (n − 1)·cycle)/M).
    const saves = Math.exp(-(restart_s + persist_s + first_s) / mtbf_s) / -Math.expm1(-cycle_s / mtbf_s);
    expectInside(found, (saves * interval_s) / mtbf_s);
    expectOutside(found, usefulFraction({ interval_s, stall_s, persist_s, restart_s, mtbf_s }));
  });

  test('is predicted, where a save slows down but the segment after it', () => {
    expectInside(found, predictedFraction(completeJob(job), interval_s) ?? 0);
    // With c + σP for c it would be too little, and that is seen.
    expectOutside(found, usefulFraction({ interval_s, stall_s: stall_s + slowdown * persist_s, persist_s, restart_s, mtbf_s }));
    const shortest_s = (1 - slowdown) * persist_s;
    expectInside(intervalOf(fractions(job, shortest_s, 400)), predictedFraction(completeJob(job), shortest_s) ?? 0);
    expect(predictedFraction(completeJob({ ...job, maxInFlight: 3 }), 0.99 * shortest_s)).toBeUndefined();
    // Training that waits for its saves is not slower meanwhile.
    const waiting = { ...job, synchronous: true };
    expectInside(intervalOf(fractions(waiting, interval_s, 400)), predictedFraction(completeJob(waiting), interval_s) ?? 0);
  });
});

test('every scenario without a warning comes out as it is predicted', () => {
  for (const { name, job } of SCENARIOS.filter((each) => (each.job.failures.warning_s ?? 0) === 0)) {
    const interval_s = 1.5 * exactInterval_s({ cost_s: 100, mtbf_s: 10_000 });
    const predicted = predictedFraction(completeJob(job), interval_s);
    expect(predicted, name).toBeGreaterThan(0.3);
    expectInside(intervalOf(fractions(job, interval_s, 300)), predicted ?? 0);
  }
});

test('a saved hour more or less is seen: the best interval is the best of those beside it', () => {
  const { job } = SCENARIOS[0] as (typeof SCENARIOS)[number];
  const best = exactInterval_s({ cost_s: 5, mtbf_s: (54 * 86_400) / 419 });
  const found = [0.25, 1, 4].map((times) => simulate(job, fixed(times * best), { seed: 3 }).usefulFraction);
  expect(found[1]).toBeGreaterThan(Math.max(found[0] ?? 1, found[2] ?? 1));
});

test('the closed forms are not used where they do not hold', () => {
  const job = { stall_s: 1, persist_s: 60, failures: { kind: 'poisson', mtbf_s: 3600 } } as const;
  const predicted = (more: Partial<SimulatedJob>, interval_s = 100) => predictedFraction(completeJob({ ...job, ...more }), interval_s);
  expect(predicted({})).toBeGreaterThan(0.9);
  // The mean of work/wall of such jobs is another one.
  expect(predicted({ work_s: 1000 })).toBeUndefined();
  // Saves that wait for their turn.
  expect(predicted({}, 50)).toBeUndefined();
  expect(predicted({ maxInFlight: 2 }, 50)).toBeGreaterThan(0.9);
  expect(predicted({ stall_s: { start: 1, end: 2, over_s: 100 } })).toBeUndefined();
  expect(predicted({ failures: { kind: 'poisson', mtbf_s: { start: 1, steps: [] } } })).toBeUndefined();
  expect(predicted({ failures: { kind: 'poisson', mtbf_s: 3600, warning_s: 60 } })).toBeGreaterThan(0.9);
  // Announced in time, nothing is lost.
  expect(predicted({ failures: { kind: 'poisson', mtbf_s: 3600, warning_s: 61 } })).toBeUndefined();
  expect(predicted({ failures: { kind: 'trace', times_s: [] } })).toBeUndefined();
  expect(predicted({ synchronous: true })).toBe(usefulFraction({ interval_s: 100, stall_s: 61, persist_s: 0, restart_s: 0, mtbf_s: 3600 }));
});

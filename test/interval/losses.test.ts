/** Where time goes, and how sure a count is: against sums that are made without the formulas. */
import { describe, expect, test } from 'vitest';
import { countedMtbf_s, expectedAt, lostPerFailure_s, overheadParts } from '../../src/interval/index.js';

/** The mean of min(t, τ) over failures that come within τ + c, by the midpoint rule. */
function lostBySum(interval_s: number, cost_s: number, mtbf_s: number, pieces = 200_000): number {
  const length = interval_s + cost_s;
  let [weights, lost] = [0, 0];
  for (let i = 0; i < pieces; i++) {
    const t = ((i + 0.5) / pieces) * length;
    const weight = Math.exp(-t / mtbf_s);
    weights += weight;
    lost += weight * Math.min(t, interval_s);
  }
  return lost / weights;
}

describe('lostPerFailure_s', () => {
  test.each([
    [7001, 300, 86_400],
    [3600, 1800, 3600],
    [10, 1, 1e6],
    [1, 1, 2e5],
    [20 * 3600, 5, 3600],
  ])('%d s of work, saves of %d s, a failure every %d s', (interval_s, cost_s, mtbf_s) => {
    const expected = lostBySum(interval_s, cost_s, mtbf_s);
    expect(lostPerFailure_s(interval_s, { cost_s, mtbf_s }) / expected).toBeCloseTo(1, 4);
    expect(lostPerFailure_s(interval_s, { cost_s, mtbf_s, persist_s: 60 })).toBeCloseTo(
      lostPerFailure_s(interval_s, { cost_s, mtbf_s }) + 60,
      6,
    );
  });

  test('never more than the mean time between failures, and no jump where another formula takes over', () => {
    expect(lostPerFailure_s(1e12, { cost_s: 1, mtbf_s: 3600 })).toBeCloseTo(3600, 6);
    const [below, above] = [0.999e-5, 1.001e-5].map((ratio) => lostPerFailure_s(ratio / 2, { cost_s: ratio / 2, mtbf_s: 1 }) / ratio);
    expect(below).toBeCloseTo(above as number, 5);
    expect(lostPerFailure_s(1e-9, { cost_s: 1e-12, mtbf_s: 1e9 })).toBeCloseTo(0.5e-9, 11);
  });

  test.each([
    [0, { cost_s: 1, mtbf_s: 1 }],
    [1, { cost_s: 0, mtbf_s: 1 }],
    [1, { cost_s: 1, mtbf_s: Number.NaN }],
    [1, { cost_s: 1, mtbf_s: 1, persist_s: -1 }],
  ])('refuses %d, %j', (interval_s, costs) => {
    expect(() => lostPerFailure_s(interval_s, costs)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});

describe('overheadParts', () => {
  test.each([
    [7001, { cost_s: 300, mtbf_s: 86_400 }],
    [330, { cost_s: 5, mtbf_s: 11_135, persist_s: 120, restart_s: 300 }],
    [60, { cost_s: 600, mtbf_s: 60, persist_s: 1, restart_s: 1 }],
    [1e9, { cost_s: 1, mtbf_s: 1, persist_s: 1, restart_s: 1 }],
  ])('of %d s, %j, are at least 0 and add up', (interval_s, costs) => {
    const { saving, rework, persisting, restarts } = overheadParts(interval_s, costs);
    for (const part of [saving, rework, persisting, restarts]) expect(part).toBeGreaterThanOrEqual(0);
    expect((saving + rework + persisting + restarts) / expectedAt(interval_s, costs).overheadFraction).toBeCloseTo(1, 9);
  });

  test('what there is none of takes nothing, and a restart takes R at every failure', () => {
    expect(overheadParts(100, { cost_s: 1, mtbf_s: 1e6 })).toMatchObject({ persisting: 0, restarts: 0 });
    const { restarts, rework } = overheadParts(100, { cost_s: 1, mtbf_s: 1e6, restart_s: 10 });
    // One failure in 1e6 s of 101 s for 100 s of work: 10 s of restart, and half of the 101 s.
    expect(restarts * 1e6).toBeCloseTo(10 * 1.01, 1);
    expect(rework * 1e6).toBeCloseTo(50.5 * 1.01, 1);
  });
});

describe('countedMtbf_s', () => {
  /** The share of Poisson counts of at most `count` with that mean, term by term. */
  const atMost = (count: number, mean: number) => {
    let term = Math.exp(-mean);
    let sum = term;
    for (let n = 1; n <= count; n++) {
      term *= mean / n;
      sum += term;
    }
    return sum;
  };

  test.each([1, 2, 10, 100, 419])('%d failures: at either end so many or more extreme ones have a probability of 2.5 %%', (failures) => {
    const [low_s, high_s] = countedMtbf_s({ failures, during_s: 1000 });
    expect(atMost(failures, 1000 / low_s)).toBeCloseTo(0.025, 8);
    expect(1 - atMost(failures - 1, 1000 / high_s)).toBeCloseTo(0.025, 8);
  });

  test('of very many, as of as many less one', () => {
    const [few, many] = [10_000, 10_001].map((failures) => countedMtbf_s({ failures, during_s: failures }));
    for (const end of [0, 1]) expect(few?.[end]).toBeCloseTo(many?.[end] as number, 5);
    expect(countedMtbf_s({ failures: 1e9, during_s: 1e9 })).toEqual([expect.closeTo(1, 3), expect.closeTo(1, 3)]);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d failures', (failures) => {
    expect(() => countedMtbf_s({ failures, during_s: 1 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});

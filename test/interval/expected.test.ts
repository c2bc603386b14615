/** What an interval is expected to cost: against values of many digits, in its parts, as a curve, and for numbers of any size. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  availabilityInterval_s,
  budgetFloor_s,
  dalyFirstInterval_s,
  dalyHigherInterval_s,
  effectiveCost_s,
  exactInterval_s,
  expectedAt,
  expectedCurve,
  inFlightFloor_s,
  pccheckFrequency,
  usefulFraction,
  wallPerWork,
  withinShare_s,
  youngInterval_s,
} from '../../src/interval/index.js';
import { thrown } from '../helpers/errors.js';

/** A length of time with a reasonable relation to others. */
const time = (min: number, max: number) => fc.double({ min, max, noNaN: true }).map((exponent) => 10 ** exponent);

describe('overhead', () => {
  // c, M, R, P, τ; wall/work − 1 and its part that failures take, by mpmath with 60 digits.
  it.each([
    [1e-9, 1, 0, 0, 4e-5, 4.5001266701834125e-5, 2.0001266701834124e-5],
    [1e-12, 1, 0, 0, 1.4e-6, 1.4142870409535524e-6, 7.000013266678382e-7],
    [300, 86_400, 600, 0, 7001.4, 0.09576356491387195, 0.05291499177135758],
    [1, 11_135, 120, 60, 148.565, 0.03003960791602938, 0.02330854743745098],
    [1e-6, 1e6, 1e-3, 0, 1.4, 1.4152870423683395e-6, 7.010013280826251e-7],
    [5, 2.5, 0, 0, 2.4, 18.060387245315376, 15.97705391198204],
    [100, 1, 0, 0, 1, 7.307059979368067e43, 7.307059979368067e43],
    [1, 1e9, 0, 0, 0.01, 100.000000051005, 5.100500001717168e-8],
    [1, 1, 0, 0, 714, 4.643616535919908e307, 4.643616535919908e307],
  ])(
    'is right to thirteen digits: c = %f, M = %f, R = %f, P = %f, τ = %f s',
    (cost_s, mtbf_s, restart_s, persist_s, interval_s, overhead, lost) => {
      const point = expectedAt(interval_s, { cost_s, mtbf_s, restart_s, persist_s });
      expect(Math.abs(point.overheadFraction / overhead - 1)).toBeLessThan(1e-13);
      expect(Math.abs(point.lost / lost - 1)).toBeLessThan(1e-13);
      expect(point.saving).toBe(cost_s / interval_s);
    },
  );

  it('is what saves take and what failures take, and goes with the useful fraction', () => {
    fc.assert(
      fc.property(time(-6, 2), time(-3, 2), time(0, 6), time(-2, 3), (cost_s, interval_s, mtbf_s, restart_s) => {
        const { overheadFraction, saving, lost, ettr } = expectedAt(interval_s, { cost_s, mtbf_s, restart_s, persist_s: 2 });
        fc.pre(overheadFraction < 1e12);
        expect((saving + lost) / overheadFraction).toBeCloseTo(1, 12);
        expect((1 + overheadFraction) * ettr).toBeCloseTo(1, 10);
        const synchronous = expectedAt(interval_s, { cost_s, mtbf_s, restart_s });
        expect((1 + synchronous.overheadFraction) / wallPerWork({ interval_s, cost_s, mtbf_s, restart_s })).toBeCloseTo(1, 10);
        expect(usefulFraction({ interval_s, stall_s: cost_s, persist_s: 0, restart_s, mtbf_s })).toBe(synchronous.ettr);
      }),
    );
  });

  it('is c/τ + (τ + c)/2M to first order, half for saving and half for lost work at the optimum', () => {
    const [cost_s, mtbf_s] = [1e-6, 1];
    const { saving, lost, overheadFraction } = expectedAt(exactInterval_s({ cost_s, mtbf_s }), { cost_s, mtbf_s });
    expect(saving / lost).toBeCloseTo(1, 2);
    expect(overheadFraction / Math.sqrt(2 * cost_s)).toBeCloseTo(1, 2);
  });

  it('of an interval that is off by a factor of two is a quarter more, without restarts', () => {
    const costs = { cost_s: 1e-6, mtbf_s: 1 };
    const best_s = exactInterval_s(costs);
    const overhead = (factor: number) => expectedAt(best_s * factor, costs).overheadFraction;
    for (const factor of [0.5, 2]) expect(overhead(factor) / overhead(1)).toBeCloseTo(1.25, 2);
  });

  it('loses all of the time until a checkpoint is durable, not half of it', () => {
    const given = { interval_s: 100, stall_s: 1, restart_s: 0, mtbf_s: 1000 };
    expect(usefulFraction({ ...given, persist_s: 50 }) / usefulFraction({ ...given, persist_s: 0 })).toBeCloseTo(Math.exp(-0.05), 12);
  });
});

describe('the range around the optimum', () => {
  // c, M, share; its ends by mpmath with 60 digits.
  it.each([
    [300, 86_400, 0.01, 4270.564300231041, 11402.60389572555],
    [60, 11_135, 0.01, 714.8888283167499, 1731.5542110471013],
    [1, 1, 0.01, 0.7190401946767084, 0.9780829811120235],
    [100, 1, 0.01, 0.8654843867366269, 1.147779788393318],
    [2000, 1, 0.1, 0.6244896383722148, 1.502322272145336],
    [1e-12, 1, 0.01, 9.998571897929877e-11, 0.019870586789123356],
    [1e-12, 1, 1e-6, 4.5757647489759284e-7, 4.370847040375544e-6],
  ])('is right to eleven digits: c = %f, M = %f s, share %f', (cost_s, mtbf_s, share, low, high) => {
    const range = withinShare_s({ cost_s, mtbf_s }, share);
    expect(Math.abs(range[0] / low - 1)).toBeLessThan(1e-11);
    expect(Math.abs(range[1] / high - 1)).toBeLessThan(1e-11);
  });

  it('ends where the run takes 1 % longer, whatever R and P are', () => {
    fc.assert(
      fc.property(time(-12, 1), time(-3, 9), time(-3, 0), (x, mtbf_s, part) => {
        const costs = { cost_s: x * mtbf_s, mtbf_s };
        const other = { restart_s: part * mtbf_s, persist_s: (part * mtbf_s) / 3 };
        const wall = (interval_s: number) => 1 + expectedAt(interval_s, { ...costs, ...other }).overheadFraction;
        const best_s = exactInterval_s(costs);
        const range = withinShare_s({ ...costs, ...other });
        expect(range).toEqual(withinShare_s(costs));
        expect(range[0]).toBeLessThan(best_s);
        expect(range[1]).toBeGreaterThan(best_s);
        for (const end of range) expect(wall(end) / wall(best_s)).toBeCloseTo(1.01, 9);
      }),
    );
  });
});

describe('the curve', () => {
  const costs = { cost_s: 300, mtbf_s: 86_400, restart_s: 600 };

  it('goes from one end to the other in even ratios, down to the best and up again', () => {
    const curve = expectedCurve(costs);
    const best_s = exactInterval_s(costs);
    expect(curve.map(({ interval_s }) => interval_s / best_s)).toSatisfy((ratios: number[]) =>
      ratios.every((ratio, i) => Math.abs(ratio / 2 ** (i / 8 - 4) - 1) < 1e-12),
    );
    const overheads = curve.map(({ overheadFraction }) => overheadFraction);
    const least = overheads.indexOf(Math.min(...overheads));
    expect(least).toBe(32);
    for (const [i, value] of overheads.entries()) if (i > 0) expect(value - (overheads[i - 1] as number) > 0).toBe(i > least);
  });

  it('has the points that are asked for, and the very ends', () => {
    const curve = expectedCurve(costs, { points: 7, from_s: 0.1, to_s: 12_345.6 });
    expect(curve.map(({ interval_s }) => interval_s)).toMatchObject({ length: 7, 0: 0.1, 6: 12_345.6 });
    expect(expectedCurve(costs, { points: 1, from_s: 5, to_s: 9 })).toEqual([expectedAt(5, costs)]);
    expect(expectedCurve(costs, { points: 3, from_s: 5, to_s: 5 }).map(({ interval_s }) => interval_s)).toEqual([5, 5, 5]);
  });
});

describe('numbers of any size', () => {
  const SIZES = [Number.MIN_VALUE, 1e-308, 1e-300, 1e-150, 1e-9, 1, 1e9, 1e150, 1e300, Number.MAX_VALUE];
  const isTime = (value: number) => Number.isFinite(value) && value > 0;

  it('give intervals that are lengths of time', () => {
    for (const cost_s of SIZES) {
      for (const mtbf_s of SIZES) {
        const given = { cost_s, mtbf_s };
        const all = [youngInterval_s, dalyHigherInterval_s, exactInterval_s].map((formula) => formula(given));
        const first = dalyFirstInterval_s(given);
        const [low, high] = withinShare_s(given);
        const exact = exactInterval_s(given);
        const isRight = all.every(isTime) && Number.isFinite(first) && first >= 0 && exact <= mtbf_s;
        // At the ends of what numbers there are, there is none below or above.
        const isInside = exact > 1e-300 && exact < 1e300;
        const isAround = isInside ? low < exact && high > exact : low <= exact && high >= exact;
        expect(isRight && isTime(low) && isAround && isTime(high), JSON.stringify([given, all, low, high])).toBe(true);
        expect(isTime(availabilityInterval_s({ save_s: cost_s, failure_s: mtbf_s, recovery_s: mtbf_s }))).toBe(true);
        expect(isTime(budgetFloor_s({ cost_s, maxOverhead: 1e-300 }))).toBe(true);
        expect(Number.isFinite(effectiveCost_s({ stall_s: cost_s, slowdown: 1, persist_s: mtbf_s }))).toBe(true);
        expect(Number.isFinite(inFlightFloor_s({ stall_s: cost_s, persist_s: mtbf_s, maxInFlight: 1 }))).toBe(true);
        const steps = pccheckFrequency({ write_s: cost_s, step_s: mtbf_s, slowdownFactor: 1.05, maxInFlight: 1 });
        expect(Number.isSafeInteger(steps) && steps >= 1).toBe(true);
      }
    }
  });

  it('give shares from 0 to 1, and overheads that are numbers', () => {
    const wrong: unknown[] = [];
    for (const cost_s of SIZES) {
      for (const mtbf_s of SIZES) {
        for (const interval_s of SIZES) {
          for (const restart_s of [0, 1, Number.MAX_VALUE]) {
            const costs = { cost_s, mtbf_s, restart_s, persist_s: restart_s };
            const { overheadFraction, ettr, saving, lost } = expectedAt(interval_s, costs);
            const wall = wallPerWork({ interval_s, cost_s, mtbf_s, restart_s });
            const isSum = Math.abs((saving + lost) / overheadFraction - 1) < 1e-12 || overheadFraction === 0;
            const isRight = isSum && [overheadFraction, saving, lost].every((value) => Number.isFinite(value) && value >= 0);
            if (!(isRight && ettr >= 0 && ettr <= 1 && wall >= 1 && Number.isFinite(wall))) wrong.push([interval_s, costs]);
          }
        }
        for (const point of expectedCurve({ cost_s, mtbf_s }, { points: 3 })) {
          if (!(isTime(point.interval_s) && Number.isFinite(point.overheadFraction))) wrong.push(point);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('where nothing is ever done: 0 of the time is useful, and the overhead is the largest number', () => {
    const hopeless = { interval_s: 1e9, mtbf_s: 1, restart_s: 1e9 };
    expect(usefulFraction({ ...hopeless, stall_s: 1e9, persist_s: 1e9 })).toBe(0);
    expect(wallPerWork({ ...hopeless, cost_s: 1e9 })).toBe(Number.MAX_VALUE);
    expect(expectedAt(1e9, { cost_s: 1e9, mtbf_s: 1 })).toMatchObject({ ettr: 0, overheadFraction: Number.MAX_VALUE, saving: 1 });
    expect(usefulFraction({ interval_s: 1e-9, stall_s: 0, persist_s: 0, restart_s: 0, mtbf_s: 1e300 })).toBe(1);
  });

  it('grow steadily to the largest one', () => {
    const overhead = (interval_s: number) => expectedAt(interval_s, { cost_s: 1, mtbf_s: 1 }).overheadFraction;
    const all = [690, 699, 700, 701, 705, 708, 709, 710, 712, 715, 717, 800].map(overhead);
    expect(all.every((value, i) => i === 0 || value > (all[i - 1] as number) || value === Number.MAX_VALUE)).toBe(true);
    expect(overhead(699.001) / overhead(699)).toBeCloseTo(Math.exp(0.001), 5);
    expect(overhead(701.001) / overhead(701)).toBeCloseTo(Math.exp(0.001), 5);
  });
});

describe('what is no number', () => {
  const whole = { interval_s: 1, cost_s: 1, stall_s: 1, persist_s: 0, restart_s: 0, mtbf_s: 1 };
  const bad = [-1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, '5', null];
  const calls: Record<string, (given: typeof whole) => unknown> = {
    wallPerWork: ({ interval_s, cost_s, mtbf_s, restart_s }) => wallPerWork({ interval_s, cost_s, mtbf_s, restart_s }),
    usefulFraction: ({ interval_s, stall_s, persist_s, restart_s, mtbf_s }) =>
      usefulFraction({ interval_s, stall_s, persist_s, restart_s, mtbf_s }),
    expectedAt: ({ interval_s, cost_s, mtbf_s, restart_s, persist_s }) => expectedAt(interval_s, { cost_s, mtbf_s, restart_s, persist_s }),
    withinShare_s: ({ cost_s, mtbf_s, restart_s, persist_s }) => withinShare_s({ cost_s, mtbf_s, restart_s, persist_s }),
    expectedCurve: ({ cost_s, mtbf_s, restart_s, persist_s }) => expectedCurve({ cost_s, mtbf_s, restart_s, persist_s }),
  };
  const takes: Record<string, readonly (keyof typeof whole)[]> = {
    wallPerWork: ['interval_s', 'cost_s', 'mtbf_s', 'restart_s'],
    usefulFraction: ['interval_s', 'stall_s', 'persist_s', 'restart_s', 'mtbf_s'],
    expectedAt: ['interval_s', 'cost_s', 'mtbf_s', 'restart_s', 'persist_s'],
    withinShare_s: ['cost_s', 'mtbf_s', 'restart_s', 'persist_s'],
    expectedCurve: ['cost_s', 'mtbf_s', 'restart_s', 'persist_s'],
  };

  it.each(Object.entries(calls))('%s refuses it, and says of which one', (name, call) => {
    for (const key of takes[name] ?? []) {
      const zero = ['interval_s', 'mtbf_s'].includes(key) ? [0] : [];
      for (const value of [...bad, ...zero]) {
        expect(thrown(() => call({ ...whole, [key]: value }), 'ERR_INVALID_ARGUMENT').message).toMatch(
          new RegExp(`^${name}: ${key} must be a finite number .+, in seconds, not `),
        );
      }
    }
  });

  it.each([
    ['share', () => withinShare_s({ cost_s: 1, mtbf_s: 1 }, 0)],
    ['share', () => withinShare_s({ cost_s: 1, mtbf_s: 1 }, 1)],
    ['cost_s', () => withinShare_s({ cost_s: 0, mtbf_s: 1 })],
    ['points', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, { points: 0 })],
    ['points', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, { points: 2.5 })],
    ['at most 100000', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, { points: 1e9 })],
    ['from_s must be at most to_s', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, { from_s: 5, to_s: 1 })],
    ['to_s', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, { to_s: Number.NaN })],
    ['takes its numbers by name', () => wallPerWork(undefined as never)],
    ['takes its numbers by name', () => usefulFraction(5 as never)],
    ['takes its numbers by name', () => expectedAt(5, null as never)],
    ['takes its numbers by name', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, 65 as never)],
  ])('%s', (what, call) => {
    expect(thrown(call, 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });

  it.each([
    ['expectedAt', 'restart', () => expectedAt(1, { cost_s: 1, mtbf_s: 1, restart: 5 } as never)],
    ['withinShare_s', 'persist', () => withinShare_s({ cost_s: 1, mtbf_s: 1, persist: 5 } as never)],
    ['expectedCurve', 'from', () => expectedCurve({ cost_s: 1, mtbf_s: 1 }, { from: 5 } as never)],
  ])('%s has no option "%s"', (name, option, call) => {
    expect(thrown(call, 'ERR_UNKNOWN_OPTION').message).toContain(`${name} has no option "${option}".`);
  });
});

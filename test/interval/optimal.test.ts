/** The mathematics of the interval: the values of the papers, and what must hold of every value. */
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
  inFlightFloor_s,
  mtbfOf_s,
  pccheckFrequency,
  usefulFraction,
  wallPerWork,
  youngInterval_s,
} from '../../src/interval/index.js';
import { thrown } from '../helpers/errors.js';

const MIN = 60;
const YEAR = 365.25 * 86_400;

describe('the published cases', () => {
  // Minutes; the first three from Daly's paper, which gives 117, 57 and 9.1.
  it.each([
    ['c=5, M=1440', 5, 1440, 120, 115, 116.6898, 116.6901],
    ['c=5, M=360', 5, 360, 60, 55, 56.713, 56.714],
    ['c=5, M=15', 5, 15, 12.2474, 7.2474, 9.1409, 9.1665],
    ['c=1, M=1', 1, 1, Math.SQRT2, 0.4142, 0.8261, 0.8414],
    ['c=5, M=2.5', 5, 2.5, 5, 0, 2.5, 2.3688],
  ])('%s', (_, c, m, young, first, higher, exact) => {
    const given = { cost_s: c * MIN, mtbf_s: m * MIN };
    expect(youngInterval_s(given) / MIN).toBeCloseTo(young, 4);
    expect(dalyFirstInterval_s(given) / MIN).toBeCloseTo(first, 4);
    expect(dalyHigherInterval_s(given) / MIN).toBeCloseTo(higher, 4);
    expect(exactInterval_s(given) / MIN).toBeCloseTo(exact, 4);
  });

  it('64 nodes that fail once a year each, c = 2 min', () => {
    const given = { cost_s: 120, mtbf_s: mtbfOf_s({ nodes: 64, nodeMtbf_s: YEAR }) };
    const minutes = [youngInterval_s, dalyFirstInterval_s, dalyHigherInterval_s, exactInterval_s].map((formula) => formula(given) / MIN);
    expect(minutes.map((value) => Number(value.toFixed(2)))).toEqual([181.31, 179.31, 179.98, 179.98]);
  });

  it('Llama 3: 419 failures in 54 days, c = 60 s', () => {
    const given = { cost_s: 60, mtbf_s: mtbfOf_s({ expectedFailures: 419, during_s: 54 * 86_400 }) };
    const minutes = [youngInterval_s, dalyFirstInterval_s, dalyHigherInterval_s, exactInterval_s].map((formula) => formula(given) / MIN);
    expect(minutes.map((value) => Number(value.toFixed(4)))).toEqual([19.2658, 18.2658, 18.6049, 18.6049]);
  });

  it.each([
    [1440, 1.0958],
    [360, 1.2204],
    [15, 5.0083],
  ])('wall per work at the optimum, c = 5 min, R = 10 min, M = %d min', (m, expected) => {
    const given = { cost_s: 5 * MIN, mtbf_s: m * MIN };
    expect(wallPerWork({ ...given, interval_s: exactInterval_s(given), restart_s: 10 * MIN })).toBeCloseTo(expected, 4);
  });

  it.each([
    [1, 60, 120, 11_135, 148.565, 0.970836],
    [0.78, 67, 120, 11_135, 131.278, 0.971753],
    [5, 120, 300, 11_135, 330.366, 0.934413],
    [30, 30, 120, 3600, 444.977, 0.840629],
  ])('asynchronous, c = %f, P = %f, R = %f, M = %f s', (stall_s, persist_s, restart_s, mtbf_s, interval, useful) => {
    const interval_s = exactInterval_s({ cost_s: stall_s, mtbf_s });
    expect(interval_s).toBeCloseTo(interval, 3);
    expect(usefulFraction({ interval_s, stall_s, persist_s, restart_s, mtbf_s })).toBeCloseTo(useful, 6);
  });

  it('PCcheck', () => {
    const f = (maxInFlight: number) => pccheckFrequency({ write_s: 60, step_s: 0.5, slowdownFactor: 1.05, maxInFlight });
    expect([1, 2, 4].map(f)).toEqual([115, 58, 29]);
  });

  it('a probability taken for a count makes the interval too long', () => {
    const factor = (p: number) => {
      const [count, probability] = [
        { expectedFailures: p, during_s: 1000 },
        { failureProbability: p, during_s: 1000 },
      ].map(mtbfOf_s);
      return youngInterval_s({ cost_s: 1, mtbf_s: count as number }) / youngInterval_s({ cost_s: 1, mtbf_s: probability as number });
    };
    const factors = [0.01, 0.1, 0.5, 0.9].map((p) => Number(factor(p).toPrecision(4)));
    expect(factors[0]).toBeCloseTo(1.003, 3);
    expect(factors[1]).toBeCloseTo(1.026, 3);
    expect(factors[2]).toBeCloseTo(1.18, 2);
    expect(factors[3]).toBeCloseTo(1.6, 2);
  });

  it('√(2cT/p) is Young with M = T/p', () => {
    const mtbf_s = mtbfOf_s({ expectedFailures: 7, during_s: 1e6 });
    expect(youngInterval_s({ cost_s: 3, mtbf_s })).toBeCloseTo(Math.sqrt((2 * 3 * 1e6) / 7), 9);
  });

  it('a whole quotient is not rounded up by what rounding adds to it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 1000 }), (f, n, ms) => {
        const given = { step_s: ms / 1000, slowdownFactor: 1.05, maxInFlight: n };
        expect(pccheckFrequency({ ...given, write_s: f * n * 1.05 * (ms / 1000) })).toBe(f);
        expect(pccheckFrequency({ ...given, write_s: (f + 0.001) * n * 1.05 * (ms / 1000) })).toBe(f + 1);
      }),
    );
  });

  it('floors, and the cost of a save in the background', () => {
    expect(effectiveCost_s({ stall_s: 1, slowdown: 0.25, persist_s: 20 })).toBe(6);
    expect([1, 2, 100].map((maxInFlight) => inFlightFloor_s({ stall_s: 1, persist_s: 20, maxInFlight }))).toEqual([19, 9, 0]);
    expect(budgetFloor_s({ cost_s: 3, maxOverhead: 0.03 })).toBeCloseTo(100, 12);
    // T_c − T_s is Young's interval of T_f + T_r, but for T_s².
    expect(availabilityInterval_s({ save_s: 5, failure_s: 1000, recovery_s: 100 })).toBeCloseTo(5 + Math.sqrt(2 * 1100 * 5 + 25), 9);
  });
});

describe('the exact interval', () => {
  // 1 + W₀(−e^{−1−x}) by mpmath with 60 digits, by its lambertw and by Newton's method, rounded to the nearest double. 0.005 is where the series ends.
  it.each([
    [1e-40, 1.414213562373095e-20],
    [1e-30, 1.4142135623730945e-15],
    [1e-20, 1.4142135623064284e-10],
    [1e-15, 4.472135888332913e-8],
    [1e-12, 1.414212895706507e-6],
    [1e-11, 4.472129288335397e-6],
    [1e-10, 1.4142068957142852e-5],
    [1e-9, 4.4720692885813665e-5],
    [1e-8, 0.00014141468964921173],
    [1e-7, 0.0004471469313179594],
    [1e-6, 0.0014135469742886646],
    [1e-5, 0.004465471774334783],
    [1e-4, 0.014075547672763037],
    [0.001, 0.044057192259048084],
    [0.004, 0.08679616692394976],
    [0.0048, 0.09480606097121323],
    [0.0049, 0.0957555891713069],
    [0.005, 0.09669481706823782],
    [0.0051, 0.09762405234806609],
    [0.01, 0.13483475106683468],
    [0.03, 0.2253707459126364],
    [0.05, 0.2838105448306558],
    [0.1, 0.38318316820829484],
    [0.2, 0.5067605762248466],
    [0.3, 0.5888868861354236],
    [0.5, 0.698290437315664],
    [0.7, 0.7700967617230551],
    [0.99, 0.8395073917041673],
    [1, 0.8414056604369606],
    [1.01, 0.8432773042156969],
    [2, 0.9475309025422851],
    [3, 0.9813393709113166],
    [5, 0.9975150806648505],
    [7, 0.999664424780262],
    [10, 0.999983298020256],
    [20, 0.999999999241744],
    [30, 0.9999999999999656],
    [35, 0.9999999999999998],
    [1e6, 1],
    [1e300, 1],
  ])('is right to fourteen digits at c/M = %f', (x, expected) => {
    expect(Math.abs(exactInterval_s({ cost_s: x, mtbf_s: 1 }) / expected - 1)).toBeLessThan(1e-14);
  });

  const ratio = fc.double({ min: -12, max: 1, noNaN: true }).map((exponent) => 10 ** exponent);
  const scale = fc.double({ min: -3, max: 9, noNaN: true }).map((exponent) => 10 ** exponent);

  it('is where the wall time is least', () => {
    fc.assert(
      fc.property(ratio, scale, (x, mtbf_s) => {
        const cost_s = x * mtbf_s;
        const best_s = exactInterval_s({ cost_s, mtbf_s });
        const wall = (interval_s: number) => wallPerWork({ interval_s, cost_s, mtbf_s, restart_s: 0 });
        for (const factor of [0.5, 0.9, 1.1, 2]) expect(wall(best_s * factor)).toBeGreaterThanOrEqual(wall(best_s) * (1 - 1e-12));
        // Flat at the least: a thousandth to both sides costs the same.
        expect(wall(best_s * 1.001) / wall(best_s * 0.999)).toBeCloseTo(1, 6);
      }),
    );
  });

  it('is what a search for the least finds', () => {
    const golden = (Math.sqrt(5) - 1) / 2;
    fc.assert(
      fc.property(ratio, scale, (x, mtbf_s) => {
        const costs = { cost_s: x * mtbf_s, mtbf_s };
        const overhead = (logarithm: number) => expectedAt(Math.exp(logarithm), costs).overheadFraction;
        let [low, high] = [Math.log(mtbf_s * 1e-8), Math.log(mtbf_s * 10)];
        while (high - low > 1e-9) {
          const [left, right] = [high - golden * (high - low), low + golden * (high - low)];
          if (overhead(left) < overhead(right)) high = right;
          else low = left;
        }
        // Near the least the overhead changes with the square of the distance, so half of the digits are left.
        expect(Math.exp((low + high) / 2) / exactInterval_s(costs)).toBeCloseTo(1, 6);
      }),
    );
  });

  it('is what Daly’s higher order comes close to, the closer the smaller c/M is', () => {
    fc.assert(
      fc.property(ratio, (x) => {
        const given = { cost_s: x, mtbf_s: 1 };
        const off = Math.abs(dalyHigherInterval_s(given) / exactInterval_s(given) - 1);
        if (x < 1) expect(off).toBeLessThan(0.019);
        if (x < 0.5) expect(off).toBeLessThan(0.006);
        if (x < 0.01) expect(off).toBeLessThan(4e-5);
        if (x < 1e-4) expect(off).toBeLessThan(4e-7);
      }),
    );
  });

  it('lies between Daly’s and Young’s, does not depend on the unit, and grows with both', () => {
    fc.assert(
      fc.property(ratio, scale, (x, mtbf_s) => {
        const given = { cost_s: x * mtbf_s, mtbf_s };
        const exact = exactInterval_s(given);
        expect(exact).toBeLessThanOrEqual(youngInterval_s(given));
        expect(exact).toBeGreaterThanOrEqual(dalyFirstInterval_s(given) * (1 - 1e-12));
        expect(exact).toBeLessThanOrEqual(mtbf_s);
        expect(exactInterval_s({ cost_s: x * 1000, mtbf_s: 1000 }) / 1000 / (exact / mtbf_s)).toBeCloseTo(1, 13);
        expect(exactInterval_s({ ...given, cost_s: given.cost_s * 1.1 })).toBeGreaterThan(exact * (x > 5 ? 0.999 : 1));
        expect(exactInterval_s({ ...given, mtbf_s: mtbf_s * 1.1 })).toBeGreaterThan(exact);
      }),
    );
  });
});

describe('what is no number', () => {
  const bad = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, '5', null, undefined];
  const formulas = { youngInterval_s, dalyFirstInterval_s, dalyHigherInterval_s, exactInterval_s };

  it.each(Object.entries(formulas))('%s refuses it, and says which one and what to give', (name, formula) => {
    for (const value of bad) {
      const cost = thrown(() => formula({ cost_s: value as never, mtbf_s: 1 }), 'ERR_INVALID_ARGUMENT');
      expect(cost.message).toContain(`${name}: cost_s must be a finite number above 0, in seconds, not `);
      expect(thrown(() => formula({ cost_s: 1, mtbf_s: value as never }), 'ERR_INVALID_ARGUMENT').message).toContain('mtbf_s');
    }
  });

  it.each([...Object.entries({ ...formulas, availabilityInterval_s, effectiveCost_s, inFlightFloor_s, budgetFloor_s, pccheckFrequency })])(
    '%s refuses what is no object',
    (name, formula) => {
      for (const value of [undefined, null, 5, '5']) {
        expect(thrown(() => (formula as (given: unknown) => number)(value), 'ERR_INVALID_ARGUMENT').message).toContain(
          `${name} takes its numbers by name`,
        );
      }
    },
  );

  it.each([
    ['slowdown', () => effectiveCost_s({ stall_s: 1, slowdown: 1.5, persist_s: 1 })],
    ['maxInFlight', () => inFlightFloor_s({ stall_s: 1, persist_s: 1, maxInFlight: 0.5 })],
    ['maxOverhead', () => budgetFloor_s({ cost_s: 1, maxOverhead: 1 })],
    ['slowdownFactor', () => pccheckFrequency({ write_s: 1, step_s: 1, slowdownFactor: 0.05, maxInFlight: 1 })],
    ['recovery_s', () => availabilityInterval_s({ save_s: 1, failure_s: 1, recovery_s: -1 })],
  ])('%s is refused by name', (name, call) => {
    expect(thrown(call, 'ERR_INVALID_ARGUMENT').message).toContain(name);
  });

  it.each([
    [{ p: 0.5 }, 'p may be a count or a probability'],
    [{ p: 0.5, during_s: 10 }, 'say expectedFailures'],
    [{ probabilityPerInterval: 0.1 }, 'there is no best one'],
    [{ failureProbability: 1, during_s: 10 }, 'between 0 and 1'],
    [{ failureProbability: 0, during_s: 10 }, 'between 0 and 1'],
    [{ failureProbability: 1.5, during_s: 10 }, 'between 0 and 1'],
    [{ failureProbability: 0.5, expectedFailures: 3, during_s: 10 }, 'exactly once'],
    [{ mtbf_s: 3, expectedFailures: 3, during_s: 10 }, 'exactly once'],
    [{ expectedFailures: 3 }, 'expectedFailures with during_s'],
    [{ expectedFailures: 0, during_s: 10 }, 'expectedFailures must be a finite number above 0'],
    [{ expectedFailures: 3, during_s: Number.NaN }, 'during_s must be'],
    [{ nodes: 0, nodeMtbf_s: 10 }, 'nodes must be a whole number'],
    [{ nodes: 0.5, nodeMtbf_s: 10 }, 'nodes must be a whole number'],
    [{ nodes: 64, nodeMtbf_s: -10 }, 'nodeMtbf_s must be'],
    [{ nodes: 64 }, 'nodes with nodeMtbf_s'],
    [{ failureProbability: '0.5', during_s: 10 }, 'not "0.5"'],
    [{ failureProbability: 0.5, during_s: 0 }, 'during_s must be'],
    [{ expectedFailures: 1e-300, during_s: 1e300 }, 'check the units'],
    [{ expectedFailures: 1e300, during_s: 1e-300 }, 'check the units'],
    [{ failureProbability: 1e-320, during_s: 1e300 }, 'check the units'],
    [{ mtbf_s: 0 }, 'mtbf_s must be'],
    [{ mtbf: 5 }, 'there is no mtbf'],
    [{}, 'exactly once'],
    [null, 'exactly once'],
  ])('%j is no rate of failures', (rate, what) => {
    expect(thrown(() => mtbfOf_s(rate as never), 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });
});

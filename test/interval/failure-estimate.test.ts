/** How often a run fails: what it has seen outweighs what was believed, and what is long ago fades. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_PRIOR, FailureEstimate } from '../../src/interval/failure-estimate.js';
import { gammaQuantile, gammaShareBelow } from '../../src/interval/gamma.js';
import { thrown } from '../helpers/errors.js';

const seen = (gaps: readonly number[], estimate = new FailureEstimate()) => {
  for (const gap of gaps) {
    estimate.exposed(gap);
    estimate.failed();
  }
  return estimate;
};

describe('the estimate', () => {
  it('is the prior before anything has happened', () => {
    expect(new FailureEstimate().mtbf_s).toBe(DEFAULT_PRIOR.mtbf_s);
    expect(new FailureEstimate({ mtbf_s: 3600, weight: 4 }).mtbf_s).toBe(3600);
  });

  it('counts as many failures as the prior is worth along with those seen', () => {
    // (1 failure in 24 h, of which a twentieth has faded) and 1 in 2 h.
    const { mtbf_s } = seen([7200]);
    expect(mtbf_s).toBeCloseTo((86_400 * 0.95 + 7200) / (0.95 + 1), 6);
  });

  it('comes to what it sees, whatever was believed', () => {
    const gaps = Array.from({ length: 400 }, () => 300);
    for (const mtbf_s of [30, 86_400, 30 * 86_400]) {
      expect(seen(gaps, new FailureEstimate({ mtbf_s, weight: 1 })).mtbf_s).toBeCloseTo(300, 0);
    }
  });

  it('grows while nothing happens', () => {
    const estimate = seen([3600, 3600]);
    const before = estimate.mtbf_s;
    estimate.exposed(86_400 * 10);
    expect(estimate.mtbf_s).toBeGreaterThan(3 * before);
  });

  it('follows failures that become ten times as frequent within thirty of them', () => {
    const slow = seen(Array.from({ length: 100 }, () => 36_000));
    expect(
      seen(
        Array.from({ length: 30 }, () => 3600),
        slow,
      ).mtbf_s,
    ).toBeLessThan(3600 * 3.5);
    expect(
      seen(
        Array.from({ length: 60 }, () => 3600),
        slow,
      ).mtbf_s,
    ).toBeLessThan(3600 * 1.4);
  });

  it('is surer with every failure, and always finite', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 1, max: 1e7, noNaN: true }), { maxLength: 30 }), (gaps) => {
        const { mtbf_s, low_s, high_s, failures, uptime_s } = seen(gaps).estimate;
        expect(failures).toBe(gaps.length);
        expect(uptime_s).toBeCloseTo(
          gaps.reduce((sum, gap) => sum + gap, 0),
          3,
        );
        expect(0 < low_s && low_s < mtbf_s && mtbf_s < high_s && Number.isFinite(high_s)).toBe(true);
      }),
    );
    const ratio = (count: number) => {
      const { low_s, high_s } = seen(Array.from({ length: count }, () => 3600)).estimate;
      return high_s / low_s;
    };
    expect(ratio(0)).toBeGreaterThan(100);
    expect(ratio(3)).toBeGreaterThan(5);
    expect(ratio(15)).toBeLessThan(3.5);
  });
});

describe('what is no number', () => {
  it.each([
    ['mtbf_s', () => new FailureEstimate({ mtbf_s: Number.NaN, weight: 1 })],
    ['mtbf_s', () => new FailureEstimate({ mtbf_s: 0, weight: 1 })],
    ['weight', () => new FailureEstimate({ mtbf_s: 1, weight: 0 })],
    ['weight', () => new FailureEstimate({ mtbf_s: 1 } as never)],
    ['weight', () => new FailureEstimate({ mtbf_s: 1e300, weight: 1e300 })],
    ['memory', () => new FailureEstimate(DEFAULT_PRIOR, 0)],
    ['memory', () => new FailureEstimate(DEFAULT_PRIOR, Number.NaN)],
    ['seconds', () => new FailureEstimate().exposed(-1)],
    ['seconds', () => new FailureEstimate().exposed(Number.POSITIVE_INFINITY)],
  ])('%s is refused', (what, call) => {
    expect(thrown(call, 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });
});

describe('the gamma distribution', () => {
  // Of shape 1 it is the exponential one; the others from tables of chi-square (2a degrees of freedom).
  it.each([
    [1, 0.025, -Math.log(0.975)],
    [1, 0.975, -Math.log(0.025)],
    [2, 0.025, 0.484418557 / 2],
    [2, 0.975, 11.143286782 / 2],
    [5, 0.025, 3.24697278 / 2],
    [5, 0.975, 20.483177351 / 2],
    [20, 0.025, 24.433039171 / 2],
    [20, 0.975, 59.341707143 / 2],
    [0.5, 0.975, 5.023886187 / 2],
  ])('of shape %f has its quantile at %f where tables say', (a, share, expected) => {
    expect(gammaQuantile(a, share)).toBeCloseTo(expected, 7);
    expect(gammaShareBelow(a, expected)).toBeCloseTo(share, 7);
  });
});

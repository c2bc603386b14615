/** How often a run fails, from the ways in which people know it. */
import { HoldfastError } from '../errors.js';
import { assertCount, assertPositive, assertShare } from './checks.js';

/** Exactly one way to say it. */
export type FailureRate =
  /** The mean time between failures of the whole run, in seconds. */
  | { readonly mtbf_s: number }
  /** So many failures are expected in `during_s` seconds: the p of √(2cT/p). It need not be whole. */
  | { readonly expectedFailures: number; readonly during_s: number }
  /** With this probability there is at least one failure in `during_s` seconds. */
  | { readonly failureProbability: number; readonly during_s: number }
  /** The run needs all of `nodes` nodes, of which each fails on average every `nodeMtbf_s` seconds. A whole number. */
  | { readonly nodes: number; readonly nodeMtbf_s: number };

/** 365.25 days, in seconds. */
export const YEAR_S = 365.25 * 86_400;

const WAYS = [['mtbf_s'], ['expectedFailures', 'during_s'], ['failureProbability', 'during_s'], ['nodes', 'nodeMtbf_s']] as const;
const KNOWN: ReadonlySet<string> = new Set(WAYS.flat());

/**
 * M, the mean time between failures in seconds: T/p for p *expected* failures in T; −T/ln(1 − p) for a *probability* p of at least one (exponential times
 * between failures); M/n for n nodes. Taking a probability for a count would make an interval 1.03 times too long at 0.1, and 1.6 times at 0.9.
 *
 * Throws `ERR_INVALID_ARGUMENT`; also for an unnamed `p`, which may mean either, and for a probability per interval, with which what failures cost would
 * not depend on the interval at all.
 */
export function mtbfOf_s(rate: FailureRate): number {
  const mtbf_s = meanTime_s(wayOf(rate));
  if (mtbf_s > 0 && Number.isFinite(mtbf_s)) return mtbf_s;
  throw refuse('no number holds a mean time between failures that is so long or so short: check the units');
}

function meanTime_s(way: FailureRate): number {
  const where = 'mtbfOf_s';
  if ('mtbf_s' in way) {
    assertPositive(where, way);
    return way.mtbf_s;
  }
  if ('nodes' in way) {
    assertCount(where, 'nodes', way.nodes);
    assertPositive(where, { nodeMtbf_s: way.nodeMtbf_s });
    return way.nodeMtbf_s / way.nodes;
  }
  assertPositive(where, { during_s: way.during_s });
  if ('expectedFailures' in way) {
    assertPositive(where, { expectedFailures: way.expectedFailures });
    return way.during_s / way.expectedFailures;
  }
  assertShare(where, 'failureProbability', way.failureProbability);
  return -way.during_s / Math.log1p(-way.failureProbability);
}

function wayOf(rate: FailureRate): FailureRate {
  const given =
    rate !== null && typeof rate === 'object' ? Object.entries(rate).flatMap(([key, value]) => (value === undefined ? [] : [key])) : [];
  const unknown = given.filter((key) => !KNOWN.has(key));
  if (unknown.includes('p')) {
    throw refuse(
      'p may be a count or a probability: say expectedFailures for how many there will be on average, or failureProbability for whether there will be any',
    );
  }
  if (unknown.some((key) => /per_?interval/i.test(key))) {
    throw refuse(
      'with a probability of failure per interval, failures would cost the same whatever the interval, and there is no best one: say how often the run fails by time',
    );
  }
  if (unknown.length > 0) throw refuse(`there is no ${unknown.join(', ')}: give ${listWays()}`);
  const ways = WAYS.filter((keys) => keys.every((key) => given.includes(key)));
  const [keys] = ways;
  if (keys !== undefined && ways.length === 1 && given.length === keys.length) return rate;
  throw refuse(`say exactly once how often the run fails: ${listWays()}`);
}

function listWays(): string {
  return WAYS.map((keys) => keys.join(' with ')).join(', or ');
}

function refuse(what: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `mtbfOf_s: ${what}.`);
}

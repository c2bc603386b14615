/** What retention must leave, and which checkpoint is the best, written down a second time and independently. */
import { keep } from '../../src/policy/keep.js';
import type { RetentionRule } from '../../src/policy/retention.js';
import type { Attempt } from './attempt.js';
import type { Random } from './prng.js';

/** What a history opens its directory with. Of rules, 0 or false: there is none. */
export interface Policy {
  /** The newest. */
  readonly last: number;
  readonly all: boolean;
  /** Those with the best values. */
  readonly best: number;
  /** Of every so many steps the first. */
  readonly everySteps: number;
  /** A caller's own rule: steps that are multiples of it. */
  readonly multiples: number;
  readonly metric: string | undefined;
  readonly mode: 'min' | 'max' | 'auto';
}

const NO_RULES = { last: 0, all: false, best: 0, everySteps: 0, multiples: 0 } as const;

export function choosePolicy(random: Random): Policy {
  const rules = chooseRules(random);
  const monitor = random.pick([
    { metric: undefined, mode: 'auto' as const },
    { metric: 'val_loss', mode: 'auto' as const },
    { metric: 'accuracy', mode: 'auto' as const },
    { metric: 'accuracy', mode: 'min' as const },
  ]);
  return { ...rules, ...monitor };
}

/** Other rules for the same directory. */
export function otherRules(random: Random, { metric, mode }: Policy): Policy {
  return { ...chooseRules(random), metric, mode };
}

/** What stays whatever the rules say. */
export function withoutRules({ metric, mode }: Policy): Policy {
  return { ...NO_RULES, metric, mode };
}

function chooseRules(random: Random): Omit<Policy, 'metric' | 'mode'> {
  const last = random.pick([1, 1, 2, 2, 3, 4]);
  return random.pick([
    { ...NO_RULES, last },
    { ...NO_RULES, last },
    { ...NO_RULES, last },
    { ...NO_RULES, last, multiples: random.between(2, 4) },
    { ...NO_RULES, last, best: random.between(1, 3) },
    { ...NO_RULES, last, everySteps: random.between(2, 6) },
    // What stays whatever the rules say is all that there is.
    { ...NO_RULES, multiples: 1000 },
    { ...NO_RULES, best: 1 },
    { ...NO_RULES, everySteps: random.between(3, 9) },
    { ...NO_RULES, all: true },
  ]);
}

export function rulesOf({ last, all, best, everySteps, multiples }: Policy): RetentionRule[] {
  const rules: RetentionRule[] = [];
  if (last > 0) rules.push(keep.last(last));
  if (all) rules.push(keep.all());
  if (best > 0) rules.push(keep.best(best));
  if (everySteps > 0) rules.push(keep.everySteps(everySteps));
  if (multiples > 0) {
    rules.push({ description: 'multiples', keeps: (entries) => entries.filter(({ step }) => step % multiples === 0) });
  }
  return rules;
}

/** Of those that are good, the ones that must stay. */
export function mustStay(good: readonly Attempt[], policy: Policy, isTagged: (attempt: Attempt) => boolean): Set<Attempt> {
  const newestFirst = [...good].sort((a, b) => (b.sequence as number) - (a.sequence as number));
  const stay = new Set(good.filter((attempt) => policy.all || isTagged(attempt)));
  const add = (attempt: Attempt | undefined) => attempt !== undefined && stay.add(attempt);
  add(newestFirst[0]);
  add(newestFirst.find(({ contents }) => contents === 'full'));
  add(bestOf(good, policy));
  for (const contents of ['full', 'weights']) {
    const some = newestFirst.filter((attempt) => attempt.contents === contents);
    for (const attempt of some.slice(0, policy.last)) add(attempt);
    for (const attempt of ranked(some, policy).slice(0, policy.best)) add(attempt);
    if (policy.everySteps > 0) for (const attempt of firsts(some, policy.everySteps)) add(attempt);
  }
  for (const attempt of good) if (policy.multiples > 0 && attempt.step % policy.multiples === 0) add(attempt);
  return stay;
}

/** The earliest of those with the best metric. */
export function bestOf(good: readonly Attempt[], policy: Policy): Attempt | undefined {
  return ranked(good, policy, good)[0];
}

/** The best first, the earlier of equals before the later. Which metric counts depends on all that are there. */
function ranked(some: readonly Attempt[], { metric, mode }: Policy, all = some): Attempt[] {
  const name = metric ?? (all.some(({ metrics }) => 'val_loss' in metrics) ? 'val_loss' : 'loss');
  const sign = mode === 'max' || (mode === 'auto' && name === 'accuracy') ? -1 : 1;
  const rating = ({ metrics }: Attempt) => sign * (metrics[name] as number);
  const rated = some.filter(({ metrics }) => Number.isFinite(metrics[name]));
  return rated.sort((a, b) => rating(a) - rating(b) || (a.sequence as number) - (b.sequence as number));
}

/** The first at or behind each multiple of `interval`, of one step the newest. `newestFirst` says which that is. */
function firsts(newestFirst: readonly Attempt[], interval: number): Attempt[] {
  const found = new Map<number, Attempt>();
  for (const attempt of newestFirst) {
    const multiple = attempt.step - (attempt.step % interval);
    if (multiple === 0 && attempt.step !== 0) continue;
    const other = found.get(multiple);
    if (other === undefined || attempt.step < other.step) found.set(multiple, attempt);
  }
  return [...found.values()];
}

/** What retention must leave, and which checkpoint is the best, written down a second time and independently. */
import { keep } from '../../src/policy/keep.js';
import type { RetentionRule } from '../../src/policy/retention.js';
import type { Attempt } from './attempt.js';
import type { Random } from './prng.js';

/** What a history opens its directory with. */
export interface Policy {
  /** The newest of each kind of contents; 0: no such rule. */
  readonly last: number;
  readonly all: boolean;
  /** Steps that are multiples of it stay; 0: no such rule. */
  readonly every: number;
  readonly metric: string | undefined;
  readonly mode: 'min' | 'max' | 'auto';
}

export function choosePolicy(random: Random): Policy {
  const kind = random.below(10);
  return {
    last: kind < 9 ? random.pick([1, 1, 2, 2, 3, 4]) : 0,
    all: kind === 9,
    every: random.chance(0.2) ? random.between(2, 4) : 0,
    ...random.pick([
      { metric: undefined, mode: 'auto' as const },
      { metric: 'val_loss', mode: 'auto' as const },
      { metric: 'accuracy', mode: 'auto' as const },
      { metric: 'accuracy', mode: 'min' as const },
    ]),
  };
}

export function rulesOf({ last, all, every }: Policy): RetentionRule[] {
  const rules: RetentionRule[] = [];
  if (last > 0) rules.push(keep.last(last));
  if (all) rules.push(keep.all());
  if (every > 0) rules.push({ description: 'every so many steps', keeps: (entries) => entries.filter(({ step }) => step % every === 0) });
  return rules;
}

/** Of those that are good, the ones that must stay. */
export function mustStay(good: readonly Attempt[], policy: Policy): Set<Attempt> {
  const newestFirst = [...good].sort((a, b) => (b.sequence as number) - (a.sequence as number));
  const stay = new Set<Attempt>(newestFirst.slice(0, 1));
  const full = newestFirst.find(({ contents }) => contents === 'full');
  if (full !== undefined) stay.add(full);
  const best = bestOf(good, policy);
  if (best !== undefined) stay.add(best);
  for (const contents of ['full', 'weights']) {
    for (const each of newestFirst.filter((attempt) => attempt.contents === contents).slice(0, policy.last)) stay.add(each);
  }
  for (const each of good) if (policy.all || (policy.every > 0 && each.step % policy.every === 0)) stay.add(each);
  return stay;
}

/** The earliest of those with the best metric. */
export function bestOf(good: readonly Attempt[], { metric, mode }: Policy): Attempt | undefined {
  const name = metric ?? (good.some(({ metrics }) => 'val_loss' in metrics) ? 'val_loss' : 'loss');
  const sign = mode === 'max' || (mode === 'auto' && name === 'accuracy') ? -1 : 1;
  const rated = good.filter(({ metrics }) => Number.isFinite(metrics[name]));
  const least = Math.min(...rated.map(({ metrics }) => sign * (metrics[name] as number)));
  // -0 and 0 are equal to ===, and to Math.min they are not.
  const equals = rated.filter(({ metrics }) => sign * (metrics[name] as number) === least);
  return equals.sort((a, b) => (a.sequence as number) - (b.sequence as number))[0];
}

/** Which checkpoints stay in a directory that several callbacks save to: what any of them wants. */
import { keep } from '../../policy/keep.js';
import { askRule, type RetentionRule } from '../../policy/retention.js';

/** What one callback wants. */
export interface Wish {
  readonly rules: readonly RetentionRule[];
  /** Names of the checkpoints that the rules are about; undefined: all. */
  readonly owns: RegExp | undefined;
}

/** By the real path of the directory. */
const wishes = new Map<string, Set<Wish>>();

/** Adds a wish for as long as its callback saves; gives the function that takes it away. */
export function addWish(directory: string, wish: Wish): () => void {
  const there = wishes.get(directory) ?? new Set();
  wishes.set(directory, there.add(wish));
  return () => {
    there.delete(wish);
    if (there.size === 0 && wishes.get(directory) === there) wishes.delete(directory);
  };
}

/**
 * The one rule that the manager of such a callback is opened with; `directory` is asked for when a save was made. A checkpoint that is nobody's,
 * because everybody's rules are about certain names, stays.
 */
export function ruleOf(wish: Wish, directory: () => string | undefined): RetentionRule {
  return {
    description: wish.rules.map(({ description }) => description).join(', '),
    keeps: (entries, context) => {
      const all = [...(wishes.get(directory() ?? '') ?? [wish])];
      const wanted = new Set(
        all.flatMap(({ rules, owns }) => {
          const own = owns === undefined ? entries : entries.filter(({ name }) => owns.test(name));
          return rules.flatMap((rule) => askRule(rule, own, context));
        }),
      );
      return entries.filter((entry) => wanted.has(entry) || all.every(({ owns }) => owns !== undefined && !owns.test(entry.name)));
    },
  };
}

/** Everything stays. */
export const KEEP_ALL: readonly RetentionRule[] = [keep.all()];

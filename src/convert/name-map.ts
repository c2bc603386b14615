/** Renaming tensors: a map of names, in which `*` stands for anything. Pure. */
import { HoldfastError } from '../errors.js';

/** A source's name of a tensor, and the target's. With `*` in both, what it stood for is put into the other, in order. */
export type NameMap = Readonly<Record<string, string>>;

/** A tensor that was renamed. */
export interface RenamedTensor {
  readonly from: string;
  readonly to: string;
}

/** Gives the new name of each of `names` that gets one. Throws `ERR_CONVERT` for an entry of the map that is about no tensor, `ERR_INVALID_ARGUMENT`. */
export function mapNames(names: readonly string[], map: NameMap): Map<string, string> {
  const rules = Object.entries(map).map(([from, to]) => new Rule(from, to));
  const exact = new Map(rules.filter(({ isPattern }) => !isPattern).map((rule) => [rule.from, rule]));
  const patterns = rules.filter(({ isPattern }) => isPattern);
  const renamed = new Map<string, string>();
  for (const name of names) {
    // A name of its own goes before patterns, and among these the first.
    const fitting = patterns.filter((each) => each.matches(name));
    for (const each of fitting) each.used = true;
    const rule = exact.get(name) ?? fitting[0];
    if (rule !== undefined) renamed.set(name, rule.apply(name));
  }
  const unused = rules.filter((rule) => !rule.used);
  if (unused.length === 0) return renamed;
  const lines = unused.map(({ from, isPattern }) => `  ${JSON.stringify(from)}${isPattern ? ' matches nothing' : hint(from, names)}`);
  throw new HoldfastError('ERR_CONVERT', `The map renames tensors that the source does not have:\n${lines.join('\n')}`, {
    tensors: unused.map(({ from }) => from),
  });
}

class Rule {
  readonly isPattern: boolean;
  used = false;
  private readonly pattern: RegExp;

  constructor(
    readonly from: string,
    private readonly to: string,
  ) {
    if (typeof to !== 'string' || to === '' || from === '') {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `The map must give names for names; for ${JSON.stringify(from)} it gives ${JSON.stringify(to)}.`,
      );
    }
    const stars = from.split('*').length - 1;
    this.isPattern = stars > 0;
    if (to.split('*').length - 1 > stars) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `The map has more "*" in ${JSON.stringify(to)} than in ${JSON.stringify(from)}.`);
    }
    this.pattern = globPattern(from);
  }

  matches(name: string): boolean {
    return this.pattern.test(name);
  }

  apply(name: string): string {
    this.used = true;
    if (!this.isPattern) return this.to;
    const found = (this.pattern.exec(name) ?? []).slice(1);
    let next = 0;
    return this.to.replace(/\*/g, () => found[next++] ?? '');
  }
}

/** Matches whole names; each `*` is a group. */
export function globPattern(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  return new RegExp(`^${parts.join('(.*?)')}$`, 's');
}

const MOST_HINTS = 3;

/** Names that may have been meant. */
function hint(wanted: string, names: readonly string[]): string {
  const near = names
    .map((name) => ({ name, distance: distanceOf(wanted, name) }))
    .filter(({ name, distance }) => distance <= Math.max(2, Math.min(wanted.length, name.length) / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST_HINTS);
  return near.length === 0 ? '' : `, perhaps ${near.map(({ name }) => JSON.stringify(name)).join(' or ')}`;
}

const LONGEST = 200;

/** Levenshtein's distance: characters to be put in, taken out or exchanged. */
function distanceOf(a: string, b: string): number {
  if (a.length > LONGEST || b.length > LONGEST) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const exchanged = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(exchanged, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

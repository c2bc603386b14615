/** Options by their names, checked: a misspelled one throws, as it would do nothing. */
import { HoldfastError } from './errors.js';

/** Throws `ERR_UNKNOWN_OPTION` for a property that is not in `known`, `ERR_INVALID_ARGUMENT` for what is no object. */
export function assertKnown(where: string, options: unknown, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${where} takes an object of options, not ${options === null ? 'null' : Array.isArray(options) ? 'a list' : typeof options}.`,
    );
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const meant = known.find((name) => isNear(key, name));
    const suggestion = meant === undefined ? '' : ` Did you mean "${meant}"?`;
    throw new HoldfastError('ERR_UNKNOWN_OPTION', `${where} has no option "${key}".${suggestion} It takes ${known.join(', ')}.`);
  }
}

/** Whether `given` may be `name` misspelled: in the letters' case, with underscores as in Python, or by at most two letters. */
function isNear(given: string, name: string): boolean {
  const [a, b] = [given, name].map((each) => each.toLowerCase().replaceAll('_', '')) as [string, string];
  // Two letters more or less make another word of a short one.
  return a === b || distance(a, b) <= Math.min(2, Math.floor(b.length / 4));
}

/** How many letters have to be put in, taken out or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** What callers give to rules, triggers and calls, checked. A misspelled option throws: it would do nothing. */
import { HoldfastError } from '../errors.js';

/** Throws `ERR_UNKNOWN_OPTION` for a property that is not in `known`, `ERR_INVALID_ARGUMENT` for what is no object. */
export function assertKnown(where: string, options: unknown, known: readonly string[]): void {
  if (options === null || typeof options !== 'object') {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${where} takes an object of options, not ${options === null ? 'null' : typeof options}.`,
    );
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw new HoldfastError('ERR_UNKNOWN_OPTION', `${where} has no option "${key}". It takes ${known.join(', ')}.`);
  }
}

/** Steps from what a caller gave. Throws `ERR_INVALID_ARGUMENT` unless they are whole numbers of at least 0, and at least one. */
export function toSteps(where: string, steps: Iterable<number>): readonly number[] {
  const given = typeof steps === 'object' && steps !== null && Symbol.iterator in steps ? [...steps] : [];
  if (given.length > 0 && given.every((step) => Number.isSafeInteger(step) && step >= 0)) return given;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} needs a list of steps, whole numbers of at least 0.`);
}

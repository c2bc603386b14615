/** What callers give to rules and triggers, checked. */
import { HoldfastError } from '../errors.js';

/** Steps from what a caller gave. Throws `ERR_INVALID_ARGUMENT` unless they are whole numbers of at least 0, and at least one. */
export function toSteps(where: string, steps: Iterable<number>): readonly number[] {
  const given = typeof steps === 'object' && steps !== null && Symbol.iterator in steps ? [...steps] : [];
  if (given.length > 0 && given.every((step) => Number.isSafeInteger(step) && step >= 0)) return given;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} needs a list of steps, whole numbers of at least 0.`);
}

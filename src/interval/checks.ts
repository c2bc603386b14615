/** What the mathematics takes: numbers of a kind, or an error that says which one is wrong, of which unit, and what to give. */
import { HoldfastError } from '../errors.js';

/** Gives back what was given. Throws `ERR_INVALID_ARGUMENT` unless it is an object, which holds numbers by their names. */
export function assertObject<T>(where: string, given: T): T {
  if (given !== null && typeof given === 'object') return given;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} takes its numbers by name, in an object, not ${describe(given)}.`);
}

/** Throws `ERR_INVALID_ARGUMENT` unless each is a finite number above 0. */
export function assertPositive(where: string, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!(isNumber(value) && value > 0)) throw refuse(where, name, value, 'a finite number above 0');
  }
}

/** Throws `ERR_INVALID_ARGUMENT` unless each is a finite number of at least 0. */
export function assertNotNegative(where: string, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!(isNumber(value) && value >= 0)) throw refuse(where, name, value, 'a finite number of at least 0');
  }
}

/** Throws `ERR_INVALID_ARGUMENT` unless it is a share between 0 and 1, both exclusive. */
export function assertShare(where: string, name: string, value: number): void {
  if (!(isNumber(value) && value > 0 && value < 1)) throw refuse(where, name, value, 'between 0 and 1, both exclusive');
}

/** Throws `ERR_INVALID_ARGUMENT` unless it is a whole number of at least 1. */
export function assertCount(where: string, name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1)) throw refuse(where, name, value, 'a whole number of at least 1');
}

/** What is larger than any number is the largest one, so that nothing is ever infinite. */
export function finite(value: number): number {
  return Math.min(Number.MAX_VALUE, value);
}

/** The error that says that `name` must be `what`. */
export function refuse(where: string, name: string, value: unknown, what: string): HoldfastError {
  const unit = name.endsWith('_s') ? ', in seconds' : '';
  return new HoldfastError('ERR_INVALID_ARGUMENT', `${where}: ${name} must be ${what}${unit}, not ${describe(value)}.`);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

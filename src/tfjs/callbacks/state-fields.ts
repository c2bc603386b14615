/** Numbers in the state of a callback: JSON has no NaN, no infinities and no −0, and an older or foreign state may hold anything. */
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';

const NAMES: readonly string[] = ['NaN', 'Infinity', '-Infinity', '-0'];

/** A number as JSON that comes back as it was. */
export function toJson(value: number): Json {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The number that {@link toJson} made `value` of; undefined for anything else. */
export function toNumber(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && NAMES.includes(value) ? Number(value) : undefined;
}

/** The fields of a state that a callback gave. */
export class StateFields {
  private readonly fields: { readonly [key: string]: Json };

  /** Throws `ERR_STATE` unless it is an object. */
  constructor(
    private readonly who: string,
    state: Json,
  ) {
    if (typeof state !== 'object' || state === null || Array.isArray(state)) throw this.refuse('is not an object');
    this.fields = state as { readonly [key: string]: Json };
  }

  /** Throws `ERR_STATE` unless the field is a number. */
  number(name: string): number {
    const value = toNumber(this.get(name));
    if (value === undefined) throw this.refuse(`has no number ${name}`);
    return value;
  }

  /** The same for a whole number of at least 0. */
  count(name: string): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < 0) throw this.refuse(`has ${value} for ${name}`);
    return value;
  }

  /** Undefined where the field is null. Throws as {@link number}. */
  numberOrNone(name: string): number | undefined {
    return this.get(name) === null ? undefined : this.number(name);
  }

  get(name: string): Json | undefined {
    return Object.hasOwn(this.fields, name) ? this.fields[name] : undefined;
  }

  refuse(what: string): HoldfastError {
    return new HoldfastError('ERR_STATE', `The state of ${this.who} ${what}: it is not one that ${this.who} has given.`);
  }
}

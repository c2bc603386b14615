/**
 * The order in which `fit` goes through arrays. TensorFlow.js shuffles one list of indices at every epoch's begin, each time from where it was, so an epoch's
 * order follows from the random numbers of all epochs up to it, and a new `fit` begins with the sorted list.
 */
import type { Json } from '../../format/state.js';
import { Alea } from './random.js';

/** As `tf.util.shuffle` does it. */
export function shuffle(order: Int32Array, next: () => number): void {
  for (let left = order.length; left > 0; left--) swap(order, left - 1, Math.trunc(next() * left));
}

/** The sorted order, shuffled once from each state; and the state after the last time. */
export function orderFrom(samples: number, states: readonly Json[]): { order: Int32Array; after: Json } {
  const order = sorted(samples);
  const alea = new Alea('');
  for (const state of states) {
    alea.restore(state);
    shuffle(order, () => alea.next());
  }
  return { order, after: alea.state };
}

/** Numbers that, drawn by {@link shuffle}, make `target` of the sorted order. */
export function drawsFor(target: Int32Array): Float64Array {
  const order = sorted(target.length);
  const places = sorted(target.length);
  const draws = new Float64Array(target.length);
  for (let left = target.length; left > 0; left--) {
    const last = left - 1;
    const place = places[target[last] as number] as number;
    // In the middle of what is rounded to this place.
    draws[target.length - left] = (place + 0.5) / left;
    swap(order, last, place);
    places[order[place] as number] = place;
    places[order[last] as number] = last;
  }
  return draws;
}

/** A state of the generator as four whole numbers: one is kept of every epoch. */
export function packState(state: Json): readonly number[] {
  const { c, s0, s1, s2 } = state as { readonly [name: string]: number };
  // Fractions of alea are multiples of 2^-32.
  return [c as number, ...[s0, s1, s2].map((part) => (part as number) * 2 ** 32)];
}

/** What `packState` was given. */
export function unpackState([c = 0, s0 = 0, s1 = 0, s2 = 0]: readonly number[]): Json {
  return { kind: 'alea', c, s0: s0 / 2 ** 32, s1: s1 / 2 ** 32, s2: s2 / 2 ** 32 };
}

function sorted(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

function swap(list: Int32Array, a: number, b: number): void {
  const kept = list[a] as number;
  list[a] = list[b] as number;
  list[b] = kept;
}

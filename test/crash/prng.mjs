// A small seeded generator (mulberry32), so that contents and crash states follow from printed numbers.

/** Mixes any number of integers into one 32-bit seed; the order matters. */
export function mix(...numbers) {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    hash = Math.imul(hash ^ (number >>> 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** A generator of unsigned 32-bit integers, with the few distributions that the harness needs. */
export function makeRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    next,
    /** An integer in [0, limit). */
    below: (limit) => next() % limit,
    /** True with this probability. */
    chance: (probability) => next() / 2 ** 32 < probability,
    pick: (items) => items[next() % items.length],
  };
}

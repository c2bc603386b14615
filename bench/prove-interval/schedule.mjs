// When processes are killed: the same times for every policy, and whose turn it is. Pure.

/** Numbers from 0 (included) to 1 (excluded), the same for the same seed: mulberry32. */
export function seededRandom(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Seconds from the start of each life until it is killed, exponential with mean `mtbf_s`, until they add up to `total_s`. */
export function killTimes(seed, mtbf_s, total_s) {
  const random = seededRandom(seed);
  const times = [];
  for (let sum = 0; sum < total_s; ) {
    const time = -mtbf_s * Math.log1p(-random());
    times.push(time);
    sum += time;
  }
  return times;
}

/** In which order the policies live their k-th life: each is first, second, … equally often. */
export function orderOf(count, life) {
  return Array.from({ length: count }, (_, i) => (i + life) % count);
}

/** Intervals for a grid: `count` of them, each `factor` times the one before, with `middle_s` in their middle. */
export function gridAround(middle_s, count, factor) {
  return Array.from({ length: count }, (_, i) => middle_s * factor ** (i - (count - 1) / 2));
}

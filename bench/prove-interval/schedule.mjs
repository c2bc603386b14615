// When lives end, and who lives where and when. Pure: the same for the same seed.
import { seededRandom, shuffled } from '../../dist/bench/seeded.js';

/** By how much the times may be more in all than was asked for. */
const EXCESS = 0.02;

/**
 * Seconds after which each life is killed, `total_s` or up to 2 % more in all. Exponential with mean `mtbf_s`, drawn by stratified sampling (one life from each n-th of the
 * distribution, in an order that chance decides), and drawn again until their sum is that: the mean of n independent ones would be off by 1/√n, and with it
 * every policy from what is expected of it. `total_s` must be at least 2 `mtbf_s`.
 */
export function killTimes({ seed, mtbf_s, total_s }) {
  const random = seededRandom(seed);
  if (!(total_s >= 2 * mtbf_s)) throw new RangeError(`killTimes needs a total of at least twice ${mtbf_s} s, not ${total_s} s.`);
  const lives = Math.round(total_s / mtbf_s);
  for (;;) {
    const times = Array.from({ length: lives }, (_, i) => -mtbf_s * Math.log1p(-(i + random()) / lives));
    const all_s = sum(times);
    if (all_s >= total_s && all_s <= (1 + EXCESS) * total_s) return shuffled(times, random);
  }
}

/**
 * Which policies live at the same time, `lanes` of them, life by life: policies take turns, in another order in every life, so that neighbours change as
 * well. Those of one turn are started and killed together. Who gets which lane is chosen so that each policy spends about as much time in each.
 */
export function planTurns({ seed, policies, times, lanes }) {
  const random = seededRandom(seed + 1);
  const spent_s = Array.from({ length: policies }, () => new Array(lanes).fill(0));
  return times.flatMap((time_s, life) => {
    const order = shuffled([...Array(policies).keys()], random);
    const turns = [];
    for (let at = 0; at < policies; at += lanes) {
      const places = fairest(order.slice(at, at + lanes), time_s, spent_s, lanes);
      for (const { policy, lane } of places) spent_s[policy][lane] += time_s;
      turns.push({ life, time_s, places });
    }
    return turns;
  });
}

/** Of all rotations over the lanes, the one after which those policies have spent the most equal times in them. */
function fairest(group, time_s, spent_s, lanes) {
  const rotations = Array.from({ length: lanes }, (_, shift) => group.map((policy, i) => ({ policy, lane: (i + shift) % lanes })));
  const unfairness = (places) =>
    sum(places.flatMap(({ policy, lane }) => spent_s[policy].map((seconds, each) => (seconds + (each === lane ? time_s : 0)) ** 2)));
  return rotations.reduce((best, places) => (unfairness(places) < unfairness(best) ? places : best));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

// How far a figure of several policies could be off by chance: percentile bootstrap over lives. Pure, and the same for the same seed.
import { seededRandom } from '../../dist/bench/seeded.js';

const CONFIDENCE = 0.95;

/**
 * The 95 % interval of what `statistic` makes of the lives of all policies, one list each, of the same length. Life k of every policy was killed after the
 * same time, so all policies are drawn the same lives (a paired bootstrap: Efron and Tibshirani, 1993): what a life's length does to all of them alike
 * is no difference between them. Lives are drawn as if they were independent, though their lengths are stratified: the interval is rather too wide.
 */
export function pairedInterval(policies, statistic, { resamples = 10_000, seed = 1 } = {}) {
  const random = seededRandom(seed);
  const lives = policies[0].length;
  const values = new Float64Array(resamples);
  const drawn = new Uint32Array(lives);
  for (let i = 0; i < resamples; i++) {
    for (let at = 0; at < lives; at++) drawn[at] = Math.floor(random() * lives);
    values[i] = statistic(policies.map((list) => Array.from(drawn, (each) => list[each])));
  }
  values.sort();
  const outside = Math.floor(((1 - CONFIDENCE) / 2) * resamples);
  return { low: values[outside], high: values[resamples - 1 - outside] };
}

// What of the time was useful, and how sure that is. Pure.
import { seededRandom } from './schedule.mjs';

/**
 * The useful fraction that was realised: (net steps · reference step time) / wall time. The net steps of a life are those from the checkpoint that it went
 * on from to the checkpoint that the next one goes on from: what was lost is not in them. The wall time of a life is all of it: starting the process,
 * loading, restoring, training, saving, and what the kill cost.
 *
 * `lives`: `{ restoredStep, nextStep, wall_s }`. `step_s`: what a step takes in a process that saves nothing.
 */
export function usefulFraction(lives, step_s) {
  const wall_s = lives.reduce((sum, life) => sum + life.wall_s, 0);
  const steps = lives.reduce((sum, life) => sum + life.nextStep - life.restoredStep, 0);
  return wall_s > 0 ? (steps * step_s) / wall_s : 0;
}

/**
 * The 95 % interval of what `statistic` makes of all policies' lives. Lives are drawn again by their number, the same for all policies: they were killed
 * after the same times, and that is what they have in common.
 */
export function bootstrap(livesOf, statistic, { resamples = 4000, seed = 1 } = {}) {
  const random = seededRandom(seed);
  const count = Math.min(...Object.values(livesOf).map((lives) => lives.length));
  const values = [];
  for (let i = 0; i < resamples; i++) {
    const drawn = Array.from({ length: count }, () => Math.floor(random() * count));
    values.push(statistic(Object.fromEntries(Object.entries(livesOf).map(([name, lives]) => [name, drawn.map((which) => lives[which])]))));
  }
  values.sort((a, b) => a - b);
  const outside = Math.floor(resamples * 0.025);
  return { low: values[outside], high: values[resamples - 1 - outside] };
}

/** `auto` against the best of the others. */
export function ratioToBest(livesOf, step_s, auto) {
  const others = Object.entries(livesOf).filter(([name]) => name !== auto);
  const best = Math.max(...others.map(([, lives]) => usefulFraction(lives, step_s)));
  return best > 0 ? usefulFraction(livesOf[auto], step_s) / best : 0;
}

/** The middle of a list; 0 of none. */
export function median(values) {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

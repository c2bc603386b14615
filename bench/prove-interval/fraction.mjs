// How much of the time was useful, realised and expected. Pure.

/** Steps of a life that are not lost: from the step it went on from to the step that the next one goes on from. Less than none is lost twice. */
export function netSteps({ fromStep, durableStep }) {
  return durableStep - fromStep;
}

/**
 * The realised useful fraction: (net steps of all lives × what a step takes while nothing is saved) / (seconds from the start of each process to its
 * kill). Saves, restarts and steps that were done again are in the time, not in the steps.
 */
export function realisedFraction(lives, step_s) {
  const steps = lives.reduce((sum, life) => sum + netSteps(life), 0);
  const wall_s = lives.reduce((sum, life) => sum + life.wall_s, 0);
  return (steps * step_s) / wall_s;
}

/**
 * What the model of the formula gives for these very kill times instead of on average: a life restarts for `restart_s`, then works for `interval_s`, saves for
 * `cost_s`, and so on; of each life the work counts that is durable at its end, `persist_s` after its save.
 */
export function replayedFraction({ interval_s, cost_s, restart_s, persist_s }, times) {
  const work_s = times.map((time_s) => interval_s * Math.max(0, Math.floor((time_s - restart_s - persist_s) / (interval_s + cost_s))));
  return work_s.reduce((sum, each) => sum + each, 0) / times.reduce((sum, each) => sum + each, 0);
}

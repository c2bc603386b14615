/** What keeps an interval from being the optimum: how short and how long it may be. */

/** What decided an interval: the optimum itself, or a limit. */
export type Binding = 'optimum' | 'inFlight' | 'maxOverhead' | 'minInterval' | 'maxInterval';

/** What each limit asks for, in seconds; `null` where there is none. */
export type IntervalLimits = Readonly<Record<Exclude<Binding, 'optimum'>, number | null>>;

/** The optimum, raised to the highest floor. The longest interval wins over all of them: work must not go on and on without a checkpoint. */
export function keepWithin(optimum_s: number, { maxInterval, ...floors }: IntervalLimits): [interval_s: number, binding: Binding] {
  let found: [number, Binding] = [optimum_s, 'optimum'];
  for (const [name, floor] of Object.entries(floors) as [Binding, number | null][]) {
    if (floor !== null && floor > found[0]) found = [floor, name];
  }
  return maxInterval !== null && found[0] > maxInterval ? [maxInterval, 'maxInterval'] : found;
}

/** An interval in steps of `step_s` seconds: the nearest number, or the nearest that keeps to the limit which has decided. At least 1. */
export function inSteps(interval_s: number, step_s: number, binding: Binding | 'firstSave'): number {
  const steps = interval_s / step_s;
  const nearest = Math.round(steps);
  // A quotient that should be whole may be off by rounding.
  const isWhole = Math.abs(steps - nearest) < 1e-9 * steps;
  const round = isWhole || binding === 'optimum' ? Math.round : binding === 'maxInterval' ? Math.floor : Math.ceil;
  return Math.max(1, round(steps));
}

/** A range of intervals without those below a floor, where there are others: training would wait there. */
export function aboveFloor([low_s, high_s]: readonly [number, number], floor_s: number): [low_s: number, high_s: number] {
  return floor_s < high_s ? [Math.max(low_s, floor_s), high_s] : [low_s, high_s];
}

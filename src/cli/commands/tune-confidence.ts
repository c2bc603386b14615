/** What it means for a recommendation that costs and failures are not known exactly. */
import { wallPerWork } from '../../interval/expected.js';
import { type Recommendation, recommendInterval } from '../../interval/recommend.js';
import type { Range } from './tune-estimates.js';
import type { TunePlan } from './tune-options.js';

export interface RecommendationConfidence {
  /** What would be recommended at the ends of the 95 % intervals of the cost and of the mean time between failures. */
  readonly recommended_s: Range;
  /** How much longer than with the best interval the run takes at most with the recommended one, wherever in them both really are; a share. */
  readonly beyondBest: number;
}

/** `null` where nothing was estimated. */
export function confidenceOf({ given, confidence }: TunePlan, found: Recommendation): RecommendationConfidence | null {
  if (confidence.cost_s === null && confidence.mtbf_s === null) return null;
  const costs = confidence.cost_s ?? [found.cost_s, found.cost_s];
  const mtbfs = confidence.mtbf_s ?? [given.mtbf_s, given.mtbf_s];
  const corners = costs.flatMap((cost) =>
    mtbfs.map((mtbf_s) => {
      // A save that takes no time at all is one that was not measured well enough.
      const cost_s = Math.max(cost, found.cost_s * 1e-3);
      const stall_s = Math.max(0, given.stall_s + cost_s - found.cost_s);
      const other = recommendInterval({ ...given, stall_s, mtbf_s });
      const wall = (interval_s: number) => wallPerWork({ interval_s, cost_s: other.cost_s, mtbf_s, restart_s: 0 });
      return {
        interval_s: other.interval.recommended_s,
        beyond: wall(found.interval.recommended_s) / wall(other.interval.recommended_s) - 1,
      };
    }),
  );
  const intervals = corners.map(({ interval_s }) => interval_s);
  return {
    recommended_s: [Math.min(...intervals), Math.max(...intervals)],
    beyondBest: Math.max(0, ...corners.map(({ beyond }) => beyond)),
  };
}

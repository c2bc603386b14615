/** What saves were measured to cost, from a result of a benchmark: for the advice on intervals. */
import { HoldfastError } from '../errors.js';
import type { Comparison, Report } from './report.js';

/** One measured save. */
export interface MeasuredCost {
  readonly bytes: number;
  /** How long training was blocked. */
  readonly stall_s: number;
  /** From then to the durable checkpoint; 0 where it was blocked for all of it. */
  readonly persist_s: number;
}

/** Saves of this library in a result, of whatever size. Throws `ERR_INVALID_ARGUMENT` for a result without any. */
export function saveCostsOf(report: Report, file: string): MeasuredCost[] {
  const costs = costsIn(report);
  if (costs.length > 0) return costs;
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `${file} is a result of "holdfast bench ${report.scenario}", in which nothing tells what a save costs. Give one of save, size, small, many or stall.`,
    { path: file },
  );
}

function costsIn(report: Report): MeasuredCost[] {
  switch (report.scenario) {
    case 'save':
      return ofComparison(report);
    case 'size':
    case 'small':
    case 'many':
      return report.points.flatMap(ofComparison);
    case 'stall':
      return report.rows.flatMap(({ bytes, stallMsMedian, stallsMs = [stallMsMedian], persistBytesPerSecond }) =>
        stallsMs.map((ms) => ({ bytes, stall_s: ms / 1000, persist_s: bytes / persistBytesPerSecond })),
      );
    default:
      return [];
  }
}

/** The loop waits for a save of a comparison: it is blocked for all of it. */
function ofComparison({ rows }: Comparison): MeasuredCost[] {
  const ours = rows.filter(({ kind }) => kind === 'ours').sort((a, b) => a.secondsMedian - b.secondsMedian)[0];
  if (ours === undefined) return [];
  const { bytes, seconds, secondsMedian } = ours;
  const measured = Array.isArray(seconds) && seconds.length > 0 ? seconds : [secondsMedian];
  return measured.map((stall_s) => ({ bytes, stall_s, persist_s: 0 }));
}

/** What saves were measured to cost, from results of benchmarks: for the advice on intervals. */
import { HoldfastError } from '../errors.js';
import type { Comparison, Report, StallReport, TrainReport } from './report.js';
import type { StallSource } from './sources.js';

/** One measured save. */
export interface MeasuredCost {
  readonly bytes: number;
  /** How long training was blocked. */
  readonly stall_s: number;
  /** From then to the durable checkpoint; 0 where it was blocked for all of it. */
  readonly persist_s: number;
}

/** What a result tells of saves. */
export interface BenchCosts {
  /** Saves that training waits for. */
  readonly waited: readonly MeasuredCost[];
  /** Saves behind training, of one kind of memory. */
  readonly behind: readonly MeasuredCost[];
  /** Which that was; `null` where there were none. */
  readonly source: StallSource | null;
  /** What saves behind training took from it in all: c + σ·P, in `persist_s` seconds. */
  readonly lost: readonly { readonly bytes: number; readonly lost_s: number; readonly persist_s: number }[];
  /** Loads alone. */
  readonly loads: readonly { readonly bytes: number; readonly seconds: number }[];
  /** The saves differ by more than their bytes. */
  readonly isMixed: boolean;
}

/** Memory that a training loop goes on changing, as a rule. */
const USUAL_SOURCES: readonly StallSource[] = ['copied', 'pinned', 'stream'];

/**
 * What this library's saves and loads cost in `report`, of whatever size. Saves of different kinds of memory are not comparable: of a result of `stall`
 * those of `source` are taken, by default `copied` where it is there. Throws `ERR_INVALID_ARGUMENT` for a result without any, or without that source.
 */
export function saveCostsOf(report: Report, file: string, source?: StallSource): BenchCosts {
  const none: BenchCosts = { waited: [], behind: [], source: null, lost: [], loads: [], isMixed: false };
  switch (report.scenario) {
    case 'save':
      return { ...none, waited: ofComparison(report) };
    case 'size':
    case 'small':
    case 'many':
      return { ...none, waited: report.points.flatMap(ofComparison), isMixed: report.scenario === 'many' && report.points.length > 1 };
    case 'stall':
      return { ...none, ...ofStall(report, file, source) };
    case 'train':
      return { ...none, lost: ofTrain(report) };
    case 'load':
      return { ...none, loads: ofComparison(report).map(({ bytes, stall_s }) => ({ bytes, seconds: stall_s })) };
    default:
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `${file} is a result of "holdfast bench ${report.scenario}", in which nothing tells what a save costs. Give one of save, size, small, many or stall, and beside it train or load.`,
        { path: file },
      );
  }
}

function ofStall({ rows }: StallReport, file: string, wanted?: StallSource): Pick<BenchCosts, 'behind' | 'source'> {
  const source = wanted ?? USUAL_SOURCES.find((each) => rows.some((row) => row.source === each));
  const own = rows.filter((row) => row.source === source);
  if (source === undefined || own.length === 0) {
    const there = [...new Set(rows.map((row) => row.source))].join(', ');
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${file} has no saves of "${wanted ?? 'copied'}". It has ${there}.`, { path: file });
  }
  const behind = own.flatMap(({ bytes, stallMsMedian, stallsMs = [stallMsMedian], persistBytesPerSecond }) =>
    stallsMs.map((ms) => ({ bytes, stall_s: ms / 1000, persist_s: bytes / persistBytesPerSecond })),
  );
  return { behind, source };
}

function ofTrain({ bytes, rows }: TrainReport): BenchCosts['lost'] {
  const ours = rows.find(({ kind }) => kind === 'ours');
  if (ours === undefined) return [];
  return ours.speeds.map((speed, i) => {
    const persist_s = ours.seconds[i] ?? ours.secondsMedian;
    return { bytes, lost_s: (1 - speed) * persist_s, persist_s };
  });
}

/** The loop waits for a save of a comparison: it is blocked for all of it. */
function ofComparison({ rows }: Comparison): MeasuredCost[] {
  const ours = rows.filter(({ kind }) => kind === 'ours').sort((a, b) => a.secondsMedian - b.secondsMedian)[0];
  if (ours === undefined) return [];
  const { bytes, seconds, secondsMedian } = ours;
  const measured = Array.isArray(seconds) && seconds.length > 0 ? seconds : [secondsMedian];
  return measured.map((stall_s) => ({ bytes, stall_s, persist_s: 0 }));
}

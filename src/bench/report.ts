/** The result of a benchmark: what `--json` prints, `--out` stores, `compare` and the interval tuner read. */
import type { Environment } from './environment.js';
import type { StallSource } from './sources.js';
import type { StallRow, StallTrial } from './stall-trial.js';

/** Whose work a row shows: this library's, another's, or the bare disk's. */
export type RowKind = 'ours' | 'peer' | 'limit';

/** One contender over all rounds. Times in seconds, memory and sizes in bytes. */
export interface Row {
  readonly name: string;
  readonly kind: RowKind;
  /** Bytes of one run; others than the report's only for a peer that cannot take as many: its times are then those of its bytes. */
  readonly bytes: number;
  readonly secondsMedian: number;
  readonly secondsMin: number;
  readonly secondsMax: number;
  /** `bytes / secondsMedian`. */
  readonly bytesPerSecond: number;
  /** Processor time of one run, all threads of its process, user and system; the median. `null` where it cannot be told. */
  readonly cpuSeconds: number | null;
  /** The most resident memory of its process in any run. `null` where it cannot be told. */
  readonly maxRssBytes: number | null;
  /** Seconds of every run, in order: one a round, and two a round for the limit. */
  readonly seconds: readonly number[];
  /** What a reader must know to judge the row, in one sentence. */
  readonly note?: string;
}

/** A contender that was asked for and is not here. */
export interface LeftOut {
  readonly name: string;
  /** Why, and how to get it. */
  readonly why: string;
}

/** The 95 % bootstrap interval of the ratio of two medians of the limit, measured twice in every round: what chance alone does. */
export interface Noise {
  readonly low: number;
  readonly high: number;
}

/** One set of interleaved rounds with the same bytes. */
export interface Comparison {
  /** Bytes of all tensors together. */
  readonly bytes: number;
  readonly tensors: number;
  /** Rounds measured: fewer than were asked for where it was interrupted. */
  readonly runs: number;
  /** `null` where there is no limit to measure. */
  readonly noise: Noise | null;
  readonly rows: readonly Row[];
  /** Of each row that is not ours: its median seconds / ours, per byte where the bytes differ. Above 1: we are faster. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** What all scenarios say. */
export interface ReportHeader {
  readonly scenario: string;
  readonly environment: Environment;
  /** How it was measured, one sentence each. */
  readonly rules: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** What makes the figures doubtful, such as a directory that is not on a disk. */
  readonly warnings: readonly string[];
  /** Interrupted: what was measured by then. */
  readonly partial: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Scenarios with one comparison: `save`, `load`, `verify`. */
export interface ComparisonReport extends ReportHeader, Comparison {
  readonly scenario: 'save' | 'load' | 'verify';
}

/** Scenarios with one comparison per size or number of tensors: `small`, `size`, `many`. */
export interface SweepReport extends ReportHeader {
  readonly scenario: 'small' | 'size' | 'many';
  readonly points: readonly Comparison[];
}

export interface StallSettings extends Omit<StallTrial, 'source' | 'bytes'> {
  /** Bytes of all tensors together, one row per source and size. */
  readonly sizes: readonly number[];
  readonly sources: readonly StallSource[];
  /** An existing directory; a new one in it is used, and removed. */
  readonly directory: string;
}

/** `stall`: one row per source and size. */
export interface StallReport extends Omit<ReportHeader, 'settings'> {
  readonly scenario: 'stall';
  readonly rows: readonly StallRow[];
  readonly settings: StallSettings;
}

/** What went on beside training, and what training lost by it. Every list has one value per round. */
export interface TrainRow {
  readonly name: string;
  readonly kind: RowKind;
  /** Steps per second, as a share of the speed alone in the same round: 1 is no loss. */
  readonly speedMedian: number;
  readonly speedMin: number;
  readonly speedMax: number;
  /** From the call until the checkpoint is durable. */
  readonly secondsMedian: number;
  readonly secondsMin: number;
  readonly secondsMax: number;
  /** Training time that one save costs: (1 - speed) × seconds. */
  readonly lostSecondsMedian: number;
  readonly lostSecondsMin: number;
  readonly lostSecondsMax: number;
  /** Processor time of the process while it was written, training included; the median. */
  readonly cpuSeconds: number;
  readonly speeds: readonly number[];
  readonly seconds: readonly number[];
}

/** `train`: how much slower a training loop is while a checkpoint is written behind it. */
export interface TrainReport extends ReportHeader {
  readonly scenario: 'train';
  readonly bytes: number;
  readonly tensors: number;
  readonly runs: number;
  /** `tfjs`: real steps on the cpu backend; `plain`: a multiplication of matrices in JavaScript. */
  readonly loop: 'tfjs' | 'plain';
  readonly aloneStepsPerSecond: number;
  /** Of the speed alone against itself. */
  readonly noise: Noise | null;
  readonly rows: readonly TrainRow[];
}

export type Report = ComparisonReport | SweepReport | StallReport | TrainReport;

/** What the process that trains and the one that started it say to each other. */
import type { EngineName } from '../../index.js';
import type { PostedFailure } from '../messages.js';
import type { TensorShape } from '../workload.js';

/** What is written beside training; `alone` and `again` are training with nothing beside it. */
export const VARIANTS = ['alone', 'holdfast', 'again', 'holdfast-low', 'buffered'] as const;

export type Variant = (typeof VARIANTS)[number];

export interface TrainTrial {
  readonly tensors: readonly TensorShape[];
  readonly runs: number;
  readonly engine: EngineName | 'auto';
  /** Where checkpoints go. */
  readonly directory: string;
}

/** One variant in one round. */
export interface TrainRun {
  readonly stepsPerSecond: number;
  /** Until what is beside training is done. */
  readonly seconds: number;
  /** Of all threads of the process. */
  readonly cpuSeconds: number;
}

export type TrainRound = Readonly<Record<Variant, TrainRun>>;

export type LoopName = 'tfjs' | 'plain';

export type ToTrain = { readonly type: 'run'; readonly trial: TrainTrial };

export type FromTrain =
  | { readonly type: 'loop'; readonly loop: LoopName }
  /** `round` 0 warms up. */
  | { readonly type: 'turn'; readonly round: number; readonly variant: Variant }
  | { readonly type: 'round'; readonly round: TrainRound }
  | { readonly type: 'done' }
  | { readonly type: 'failure'; readonly failure: PostedFailure };

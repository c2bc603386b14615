/** What the process of a contender and the one that started it say to each other. */
import type { EngineName } from '../../index.js';
import type { Measured } from '../contender.js';
import type { PostedFailure } from '../messages.js';
import type { TensorShape } from '../workload.js';

/** What a process can do; one does one of them. */
export const JOB_NAMES = [
  'holdfast-save',
  'holdfast-load',
  'holdfast-load-fresh',
  'holdfast-verify',
  'fs-save',
  'fs-load',
  'bare-save',
  'tfjs-save',
] as const;

export type JobName = (typeof JOB_NAMES)[number];

/** What a job is given. */
export interface JobSettings {
  readonly tensors: readonly TensorShape[];
  /** An existing directory of its own; what reads a checkpoint of ours shares it. */
  readonly directory: string;
  readonly engine: EngineName | 'auto';
  /** Calls in one run, whose mean counts: what takes a millisecond is measured more than once. */
  readonly repeats: number;
}

export type ToHost =
  | { readonly type: 'start'; readonly job: JobName; readonly settings: JobSettings }
  | { readonly type: 'run'; readonly round: number };

export type FromHost =
  | { readonly type: 'started' }
  /** `warnings`: what makes its figures doubtful, all of it so far. */
  | { readonly type: 'ran'; readonly measured: Measured; readonly warnings: readonly string[] }
  | { readonly type: 'failure'; readonly failure: PostedFailure };

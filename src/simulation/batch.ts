/** What a worker is given, and what it gives back. */
import type { ErrorCode } from '../errors.js';
import type { SimulatedJob } from '../interval/simulate/job.js';
import type { PolicySpec } from '../interval/simulate/registry.js';
import type { PolicyRuns } from '../interval/simulate/simulate.js';

/** Runs number `from` to `from + count - 1`. */
export interface Batch {
  readonly job: SimulatedJob;
  readonly policies: readonly PolicySpec[];
  readonly seed: number;
  readonly from: number;
  readonly count: number;
}

export type BatchReply =
  | { readonly runs: readonly PolicyRuns[]; readonly error?: undefined }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

/** What runs in the process of a contender. */
import type { JobSettings } from './messages.js';

export interface Job {
  /** What makes its figures doubtful. */
  readonly warnings?: readonly string[];
  /** Gets ready for a run; not measured. */
  before?(round: number): Promise<void>;
  /** One call, measured; `call` differs from call to call. */
  run(call: number): Promise<void>;
  /** Removes what a call has left and the next one does not need, or waits until it is removed; not measured. */
  after?(call: number): Promise<void>;
  close?(): Promise<void>;
}

/** Makes its data and gets everything ready. */
export type MakeJob = (settings: JobSettings) => Promise<Job>;

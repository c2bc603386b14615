/** What `holdfast tune` knows from somewhere: numbers, how sure they are, and what to say of them. */
import type { CostSample } from '../../interval/cost-model.js';
import { UsageError } from '../exit.js';

/** An estimate's 95 % interval. */
export type Range = readonly [low: number, high: number];

/** What was measured of saves and restarts, for one size. What was not is `undefined`. */
export interface Estimates {
  readonly bytes: number | undefined;
  /** Which kind of memory a benchmark has saved; `null` where that is not known. */
  readonly memory: string | null;
  readonly stall_s: number | undefined;
  readonly persist_s: number | undefined;
  readonly slowdown: number | undefined;
  readonly restart_s: number | undefined;
  readonly step_s: number | undefined;
  /** Of c + σ·P; `null` where a single measurement says nothing of it. */
  readonly cost_s: Range | null;
  /** Every save that was measured: what it cost training. */
  readonly samples: readonly CostSample[];
  readonly warnings: readonly string[];
}

export function usage(message: string): UsageError {
  return new UsageError('ERR_INVALID_ARGUMENT', message);
}

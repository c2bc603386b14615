/** What a manager tells. */
import type { PreemptionDecision } from '../policy/preemption.js';
import type { SaverEvents } from '../saver/events.js';
import type { IntervalChange } from './interval.js';
import type { SaveResult } from './save.js';

/** What was chosen when a signal arrived, and why. */
export interface PreemptionReport extends PreemptionDecision {
  readonly directory: string;
  readonly signal: NodeJS.Signals;
  readonly deadlineMs: number;
  readonly savesInFlight: number;
}

/** A manager's events. */
export type ManagerEvents = SaverEvents<SaveResult, PreemptionReport, IntervalChange>;

/** What `saveAsync` gives: a save that goes on in the background. */
import type { Progress } from '../engine/progress.js';
import { HoldfastError } from '../errors.js';
import type { QueuedSave } from './queue.js';

/** A save whose snapshot is taken: training may go on, and change everything. */
export interface AcceptedSave<Result> {
  readonly status: 'accepted';
  /** Milliseconds from the call until it resolved: the snapshot, and with `whenBusy: 'wait'` the wait for saves in flight. */
  readonly stallMs: number;
  /**
   * Resolves when the checkpoint is durable; rejects with why there is none. Reading this property counts as listening: a failure is then
   * not thrown by the next call. It never becomes an unhandled rejection by itself.
   */
  readonly committed: Promise<Result>;
  /** Where it is right now. */
  readonly progress: Progress;
  /** Asks it to stop. Resolves, when it is settled, to true if nothing was committed, and to false if it was too late. Never rejects. */
  cancel(): Promise<boolean>;
}

/** A save that was left out because others were in flight: nothing was captured. */
export interface SkippedSave {
  readonly status: 'skipped';
  readonly stallMs: number;
  /** Resolves to null. */
  readonly committed: Promise<null>;
  readonly progress: Progress;
  /** Resolves to true: nothing was committed. */
  cancel(): Promise<boolean>;
}

export type PendingSaveOf<Result> = AcceptedSave<Result> | SkippedSave;

/** A pending save's outcome, and whether anybody listens for it. */
export class Pending<Result> implements AcceptedSave<Result> {
  readonly status = 'accepted';
  /** Whether `committed` was ever read. */
  heard = false;
  stallMs = 0;
  progress: Progress;

  constructor(
    private readonly queued: QueuedSave<Result>,
    totalBytes: number,
  ) {
    this.progress = { phase: 'queue', bytes: 0, totalBytes };
  }

  get committed(): Promise<Result> {
    this.heard = true;
    return this.queued.outcome;
  }

  cancel(): Promise<boolean> {
    this.queued.cancel(new HoldfastError('ERR_ABORTED', 'The save was cancelled. Nothing of it was committed.'));
    return this.queued.outcome.then(
      () => false,
      () => true,
    );
  }
}

export function skippedSave(stallMs: number): SkippedSave {
  return {
    status: 'skipped',
    stallMs,
    committed: Promise.resolve(null),
    progress: { phase: 'queue', bytes: 0, totalBytes: 0 },
    cancel: () => Promise.resolve(true),
  };
}

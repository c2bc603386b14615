/** Sharing the event loop with the training that it belongs to. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonicMs } from '../system.js';

/** What may always be taken of a turn, and never more than that, in milliseconds. */
const LEAST_MS = 4;
const MOST_MS = 50;
/** Share of the time that others use the event loop for. */
const SHARE = 0.1;

/**
 * Lets others have the event loop as soon as a slice of time is used up. The slice follows how long the others take: beside steps of a second a
 * few milliseconds per turn would take minutes for a large model, whose memory is held meanwhile; beside an idle loop they
 * are enough.
 */
export class TurnSharing {
  private began = monotonicMs();
  private sliceMs = LEAST_MS;

  /** Resolves at once while the slice lasts, else in the next turn. */
  async pause(): Promise<void> {
    const now = monotonicMs();
    if (now - this.began < this.sliceMs) return;
    await nextTurn();
    this.began = monotonicMs();
    this.sliceMs = Math.min(MOST_MS, Math.max(LEAST_MS, SHARE * (this.began - now)));
  }
}

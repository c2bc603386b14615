/** What can still be saved before a deadline: pure. */

/** What is known when a signal arrives. Bytes and seconds. */
export interface PreemptionFacts {
  readonly deadlineSeconds: number;
  /** Bytes that saves in flight have still to write. */
  readonly bytesInFlight: number;
  readonly savesInFlight: number;
  /** The newest measured save: its size, and seconds from the call to the acknowledgement without waiting for others. */
  readonly measured: { readonly bytes: number; readonly seconds: number } | undefined;
  /** Whether there is somebody to make a last save. */
  readonly canSave: boolean;
}

/** What to do about it. */
export interface PreemptionDecision {
  /** `save`: finish what is in flight, then make a last save. `finish`: finish what is in flight. `exit`: there is nothing to do. */
  readonly choice: 'save' | 'finish' | 'exit';
  readonly reason: string;
  /** How long that should take, in seconds; `null` where nothing has been measured. */
  readonly expectedSeconds: number | null;
}

/** A disk under other load is slower than it was: what is measured must fit this many times. */
const SAFETY = 1.5;

/**
 * Finishing what is in flight is always right: it loses nothing. A last save is made if, at the measured speed and with a margin,
 * both fit before the deadline, or if nothing was measured: an attempt that does not finish leaves the checkpoints before it as they are.
 */
export function decidePreemption(facts: PreemptionFacts): PreemptionDecision {
  const { deadlineSeconds, measured, savesInFlight, canSave } = facts;
  const finish = savesInFlight > 0 ? 'finish' : 'exit';
  if (!canSave) {
    const rest = savesInFlight > 0 ? remainingSeconds(facts) : 0;
    return { choice: finish, reason: 'no function for a last save was given', expectedSeconds: rest };
  }
  if (measured === undefined) {
    return {
      choice: 'save',
      reason: 'no save has been measured yet; an attempt that does not finish harms nothing',
      expectedSeconds: null,
    };
  }
  const rest = remainingSeconds(facts) ?? 0;
  const expectedSeconds = rest + measured.seconds;
  const speed = `${formatSeconds(measured.seconds)} for ${measured.bytes} bytes in the newest save`;
  const need = `${formatSeconds(expectedSeconds)} expected (${speed}${rest > 0 ? `, and ${formatSeconds(rest)} for what is in flight` : ''}), times ${SAFETY} for safety`;
  if (expectedSeconds * SAFETY <= deadlineSeconds) {
    return { choice: 'save', reason: `${need}, fit into ${formatSeconds(deadlineSeconds)}`, expectedSeconds };
  }
  return { choice: finish, reason: `${need}, do not fit into ${formatSeconds(deadlineSeconds)}`, expectedSeconds: rest };
}

function remainingSeconds({ bytesInFlight, measured }: PreemptionFacts): number | null {
  if (measured === undefined) return null;
  return measured.bytes === 0 ? 0 : (bytesInFlight / measured.bytes) * measured.seconds;
}

function formatSeconds(seconds: number): string {
  return seconds < 0.1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(1)} s`;
}

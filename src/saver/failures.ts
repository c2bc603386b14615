/** Background failures that nobody has heard of yet. */
import { writeSync } from 'node:fs';
import { HoldfastError } from '../errors.js';

/** A failed save, and whether somebody has come to listen since. */
interface Failure {
  readonly step: number;
  readonly error: HoldfastError;
  readonly isHeard: () => boolean;
}

/** Those with failures left: their last chance is the end of the process. */
const unheard = new Set<UnheardFailures>();

export class UnheardFailures {
  private failures: Failure[] = [];

  add(failure: Failure): void {
    this.failures.push(failure);
    if (unheard.size === 0) process.once('exit', tellAtExit);
    unheard.add(this);
  }

  /** Throws the oldest failure that nobody has heard of, as the cause of `ERR_SAVE_FAILED`, and forgets it. */
  throwOldest(): void {
    const [oldest, ...rest] = this.take();
    if (oldest === undefined) return;
    for (const failure of rest) this.add(failure);
    throw toError([oldest]);
  }

  /** Throws all of them, where there will be no next call. */
  throwAll(): void {
    const failures = this.take();
    if (failures.length > 0) throw toError(failures);
  }

  /** Forgets all failures; gives those that nobody has heard of. */
  take(): Failure[] {
    const failures = this.failures.filter(({ isHeard }) => !isHeard());
    this.failures = [];
    unheard.delete(this);
    if (unheard.size === 0) process.off('exit', tellAtExit);
    return failures;
  }
}

function toError(failures: readonly Failure[]): HoldfastError {
  const steps = failures.map(({ step }) => step).join(', ');
  const [first] = failures as [Failure];
  const cause =
    failures.length === 1
      ? first.error
      : new AggregateError(
          failures.map(({ error }) => error),
          `The saves of steps ${steps} failed.`,
        );
  return new HoldfastError(
    'ERR_SAVE_FAILED',
    `${failures.length === 1 ? `The asynchronous save of step ${steps}` : `The asynchronous saves of steps ${steps}`} failed: ${first.error.message} Checkpoints saved before are untouched. (Said here because nobody listened: await "committed", or listen to "saveFailed".)`,
    { cause },
  );
}

/** A process that ends without another call must not look as if everything had been saved. */
function tellAtExit(): void {
  for (const failures of [...unheard]) {
    for (const { step, error } of failures.take()) {
      try {
        writeSync(2, `holdfast: the asynchronous save of step ${step} failed, and nobody listened: ${error.code}: ${error.message}\n`);
      } catch {
        // Standard error is gone; there is nobody left to tell.
      }
    }
  }
}

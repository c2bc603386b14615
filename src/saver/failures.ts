/** Background failures that nobody has heard of yet. */
import { HoldfastError } from '../errors.js';

/** A failed save, and whether somebody has come to listen since. */
interface Failure {
  readonly step: number;
  readonly error: HoldfastError;
  readonly isHeard: () => boolean;
}

export class UnheardFailures {
  private failures: Failure[] = [];

  add(failure: Failure): void {
    this.failures.push(failure);
  }

  /** Throws the oldest failure that nobody has heard of, as the cause of `ERR_SAVE_FAILED`, and forgets it. */
  throwOldest(): void {
    const failure = this.take();
    if (failure !== undefined) throw failure;
  }

  private take(): HoldfastError | undefined {
    this.failures = this.failures.filter(({ isHeard }) => !isHeard());
    const failure = this.failures.shift();
    if (failure === undefined) return undefined;
    const { step, error } = failure;
    return new HoldfastError(
      'ERR_SAVE_FAILED',
      `The asynchronous save of step ${step} failed: ${error.message} Checkpoints saved before are untouched. (Said here because nobody listened: await "committed", or listen to "saveFailed".)`,
      { cause: error },
    );
  }
}

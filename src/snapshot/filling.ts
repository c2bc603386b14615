/** How far the copies of a snapshot are: one thread makes them, another may be writing the first ones already. */
import { HoldfastError } from '../errors.js';

const FAILED = -1;
/** More runs than there can be. */
const FINISHED = 2 ** 31 - 1;

export class Filling {
  /** The runs that are there, in memory that every thread sees. */
  private readonly runs: Int32Array;

  /** With the `counter` of another thread's, whoever has it may wait. */
  constructor(readonly counter: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.runs = new Int32Array(counter);
  }

  /** Runs are there up to and with the `runs`th. */
  reach(runs: number): void {
    Atomics.store(this.runs, 0, runs);
    Atomics.notify(this.runs, 0);
  }

  finish(): void {
    this.reach(FINISHED);
  }

  /** Nothing more is coming. */
  fail(): void {
    this.reach(FAILED);
  }

  get isFinished(): boolean {
    return Atomics.load(this.runs, 0) === FINISHED;
  }

  /** Blocks this thread until the `runs`th run is there. Throws `ERR_SOURCE_CHANGED` if it is not going to be. */
  wait(runs: number): void {
    for (;;) {
      const now = Atomics.load(this.runs, 0);
      if (now >= runs) return;
      if (now === FAILED) throw new HoldfastError('ERR_SOURCE_CHANGED', 'The memory of a tensor changed before it could be copied.');
      Atomics.wait(this.runs, 0, now);
    }
  }
}

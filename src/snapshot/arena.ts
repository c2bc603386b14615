/**
 * Memory for copied snapshots, kept between saves: fresh memory costs a page fault per page, which is slower than the copy itself.
 */
import type { CopyArena, Engine } from '../engine/contract.js';
import { HoldfastError } from '../errors.js';

/** Arenas that are kept while no snapshot uses them: one being written and one being filled take turns. */
const MAX_IDLE = 2;
/** Sizes are rounded up, so that snapshots that grow a little do not need a new arena each. */
const GRANULE_BYTES = 2 * 2 ** 20;

/** Lends arenas to snapshots. */
export class ArenaPool {
  private idle: CopyArena[] = [];
  private lentBytes = 0;
  private closed = false;

  constructor(private readonly engine: Engine) {}

  /**
   * An arena of at least `bytes` bytes. Throws `ERR_MEMORY_BUDGET` if copies would then hold more than `budget` bytes, and
   * `ERR_RESOURCES` where there is no memory.
   */
  take(bytes: number, budget: number): CopyArena {
    if (this.lentBytes + bytes > budget) throw this.overBudget(bytes, budget);
    const fitting = this.idle.filter((arena) => arena.bytes >= bytes).sort((a, b) => a.bytes - b.bytes)[0];
    const arena = fitting ?? this.create(bytes);
    this.idle = this.idle.filter((other) => other !== arena);
    this.lentBytes += arena.bytes;
    return arena;
  }

  /** Bytes that snapshots hold. */
  get lent(): number {
    return this.lentBytes;
  }

  /** Gives an arena back; the largest ones are kept. */
  give(arena: CopyArena): void {
    this.lentBytes -= arena.bytes;
    this.idle.push(arena);
    this.idle.sort((a, b) => b.bytes - a.bytes);
    for (const spare of this.idle.splice(this.closed ? 0 : MAX_IDLE)) spare.release();
  }

  /** Gets memory for snapshots of `bytes` bytes ready, page faults included. */
  async reserve(bytes: number, budget: number): Promise<void> {
    if (bytes === 0) return;
    const arena = this.take(bytes, budget);
    try {
      await arena.prefault();
    } finally {
      this.give(arena);
    }
  }

  /** Lets go what nobody uses, now and in future. */
  close(): void {
    this.closed = true;
    for (const arena of this.idle.splice(0)) arena.release();
  }

  private create(bytes: number): CopyArena {
    // What is too small for this snapshot would be for the next one.
    for (const arena of this.idle.splice(0)) arena.release();
    return this.engine.createArena(Math.max(1, Math.ceil(bytes / GRANULE_BYTES)) * GRANULE_BYTES);
  }

  private overBudget(bytes: number, budget: number): HoldfastError {
    return new HoldfastError(
      'ERR_MEMORY_BUDGET',
      `A copy of the ${bytes} bytes to be saved would exceed the memory budget of ${budget} bytes, of which saves under way hold ${this.lentBytes}. ` +
        'Raise memoryBudgetBytes, wait for earlier saves, skip saves while one is under way (whenBusy: "skip"), promise "stable" for tensors that do not change, or pass streams.',
      { expected: budget, actual: this.lentBytes + bytes },
    );
  }
}

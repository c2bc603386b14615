/**
 * A snapshot: the bytes of every tensor as they were when the save was called. Memory that is promised
 * stable is held where it is; other memory is copied into an arena before the call returns to the
 * event loop; streams are read later, while they are written.
 */
import {
  bytesOfRuns,
  COPY_ALIGNMENT,
  type CopyArena,
  type CopyPlan,
  type Engine,
  type HeldMemory,
  type MemoryRange,
} from '../engine/contract.js';
import { isResizable } from '../engine/is-resizable.js';
import { HoldfastError } from '../errors.js';
import type { TensorSpec } from '../format/layout.js';
import type { ArenaPool } from './arena.js';
import { type CapturedSegment, type PlannedRun, SegmentList } from './captured-file.js';
import { feedMemory } from './feed-memory.js';
import { Filling } from './filling.js';
import { type SourceData, type Sources, StreamSource } from './source.js';

/** What a file is captured from: per tensor, in the order of the file, its number in the sources. */
export interface FileSources {
  readonly sources: Sources;
  readonly order: Uint32Array;
}

/** A captured file. */
export interface CapturedFile {
  /** In the order of the file. */
  readonly segments: readonly CapturedSegment[];
  /** CRC32C per tensor when the snapshot was taken; only of held memory, with `verifyPinned`, else NaN. Empty: of none. */
  readonly expected: Float64Array;
}

export interface SnapshotOptions {
  readonly engine: Engine;
  readonly arenas: ArenaPool;
  /** Most bytes that all copies together may hold. */
  readonly budget: number;
  /** Take a checksum of memory that is held, so that a broken promise is found when it is written. */
  readonly verifyPinned: boolean;
}

/** Memory that is held or fed where it is. */
interface Pinned {
  readonly file: number;
  /** Its number in the file. */
  readonly index: number;
  readonly name: string;
  readonly range: MemoryRange;
  readonly held: HeldMemory;
}

/**
 * Holding a tensor in place costs the same for any length, and more than copying a short one. So where there are many, short ones are copied
 * although they are stable: up to a limit, and never beyond the budget.
 */
const MANY_TENSORS = 256;
const SHORT_BYTES = 16 * 2 ** 10;
const MAX_SHORT_COPIES = 256 * 2 ** 20;

export class Snapshot {
  /** How much of the copies is there; another thread may wait for it. */
  readonly filling = new Filling();
  /** `performance.now()` when everything was captured. */
  filledAt = Number.NaN;
  private captured: readonly CapturedFile[] = [];
  private readonly pinned: Pinned[] = [];
  private readonly releases: (() => void)[] = [];
  private lease: CopyArena | undefined;
  private copies: CopyPlan | undefined;
  private failed: Error | undefined;
  /** Bytes that may still be copied although they are stable. */
  private room = 0;

  private constructor(private readonly options: SnapshotOptions) {}

  /**
   * Captures everything but the copies, which {@link tryFill} makes: it must be called before anybody else's code runs.
   */
  static take(files: readonly FileSources[], options: SnapshotOptions): Snapshot {
    const snapshot = new Snapshot(options);
    try {
      snapshot.capture(files);
    } catch (error) {
      snapshot.refuse();
      throw error;
    }
    return snapshot;
  }

  /** Makes the copies; false if memory was detached or resized since it was looked at: {@link failure} says so, and nobody can write this. */
  tryFill(): boolean {
    try {
      this.copies?.fill((runs) => this.filling.reach(runs));
      this.filling.finish();
    } catch (error) {
      this.failed = error as Error;
      this.filling.fail();
    }
    this.filledAt = performance.now();
    return this.failed === undefined;
  }

  /** Why the copies could not be made. */
  get failure(): Error | undefined {
    return this.failed;
  }

  /** Lets all memory go, but not what streams read from: that is still its caller's. */
  refuse(): void {
    this.releases.length = 0;
    this.release();
  }

  private capture(files: readonly FileSources[]): void {
    this.room = roomForShortCopies(files, this.options);
    const lists = files.map((file, number) => this.captureFile(file, number));
    this.planCopies(lists.flatMap(({ runs }) => runs));
    const expected = files.map(({ order }) =>
      this.options.verifyPinned ? new Float64Array(order.length).fill(Number.NaN) : new Float64Array(),
    );
    this.captured = lists.map(({ segments }, file) => ({ segments, expected: expected[file] as Float64Array }));
    if (!this.options.verifyPinned) return;
    const checksums = this.options.engine.checksums(this.pinned.map(({ range }) => range));
    this.pinned.forEach(({ file, index }, i) => {
      (expected[file] as Float64Array)[index] = checksums[i] as number;
    });
  }

  private captureFile({ sources: { specs, bytes, data, stable }, order }: FileSources, file: number): SegmentList {
    const list = new SegmentList();
    for (let index = 0; index < order.length; index++) {
      const number = order[index] as number;
      const source = data[number] as SourceData;
      const length = bytes[number] as number;
      if (source instanceof StreamSource) {
        list.stream(index, source.stream, source.chunks);
        if (source.release !== undefined) this.releases.push(source.release);
      } else if (stable[number] === 0 || this.isShort(length)) list.copy(source, length);
      else {
        const { name } = specs[number] as TensorSpec;
        if (source.byteLength !== length) throw detached(name);
        if (!this.pin(list, { file, index, name, range: source })) list.copy(source, length);
      }
    }
    return list;
  }

  private isShort(bytes: number): boolean {
    if (bytes > SHORT_BYTES || bytes > this.room) return false;
    this.room -= bytes;
    return true;
  }

  /** Leaves stable memory where it is; false if it must be copied, as what may be resized under a reader. */
  private pin(list: SegmentList, what: Omit<Pinned, 'held'>): boolean {
    const { engine } = this.options;
    const { index, range } = what;
    let held = engine.tryHold(range);
    if (held !== undefined) list.hold(held);
    else if (engine.unholdable === 'feed' && !isResizable(range.buffer)) {
      held = engine.hold(range);
      list.stream(index, feedMemory(range), 'reused');
    } else return false;
    this.pinned.push({ ...what, held });
    return true;
  }

  private planCopies(runs: readonly PlannedRun[]): void {
    if (runs.length === 0) return;
    this.lease = this.options.arenas.take(bytesOfRuns(runs), this.options.budget);
    this.copies = this.lease.plan(runs);
    const { held } = this.copies;
    runs.forEach((run, i) => {
      run.settle(held[i] as HeldMemory, i + 1);
    });
  }

  /** What was captured, in the order in which it was given. */
  get files(): readonly CapturedFile[] {
    return this.captured;
  }

  /** Whether any memory is a caller's, so that {@link assertIntact} has something to look at. */
  get isPinned(): boolean {
    return this.pinned.length > 0;
  }

  /** Throws `ERR_SOURCE_CHANGED` if memory that was promised stable was detached or resized meanwhile. */
  assertIntact(): void {
    const changed = this.pinned.filter(({ held }) => !held.isIntact()).map(({ name }) => name);
    if (changed.length === 0) return;
    throw new HoldfastError(
      'ERR_SOURCE_CHANGED',
      `The memory of ${changed.map((name) => JSON.stringify(name)).join(', ')} was detached, transferred or resized during the save, although it was promised stable. Nothing was saved. Keep it until the save resolves, or leave out "stable".`,
      { tensors: changed },
    );
  }

  /** Lets all memory go. */
  release(): void {
    for (const { held } of this.pinned.splice(0)) held.release();
    if (this.lease !== undefined) this.options.arenas.give(this.lease);
    this.lease = undefined;
    for (const release of this.releases.splice(0)) {
      try {
        release();
      } catch (error) {
        process.emitWarning(`release() of a stream threw, and is ignored: ${String(error)}`, 'HoldfastWarning');
      }
    }
  }
}

function detached(name: string): HoldfastError {
  return new HoldfastError(
    'ERR_SOURCE_CHANGED',
    `The memory of tensor ${JSON.stringify(name)} was detached or resized while the save was called. Save before transferring, or pass a copy.`,
    { tensors: [name] },
  );
}

/** What must be copied comes first. */
function roomForShortCopies(files: readonly FileSources[], { arenas, budget }: SnapshotOptions): number {
  const count = files.reduce((sum, { order }) => sum + order.length, 0);
  if (count < MANY_TENSORS) return 0;
  let needed = 0;
  for (const { bytes, data, stable } of new Set(files.map(({ sources }) => sources))) {
    for (let i = 0; i < data.length; i++) if (stable[i] === 0 && !(data[i] instanceof StreamSource)) needed += bytes[i] as number;
  }
  // At worst every copy is a run of its own.
  return Math.min(MAX_SHORT_COPIES, budget - arenas.lent - needed - count * COPY_ALIGNMENT);
}

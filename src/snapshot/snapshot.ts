/**
 * A snapshot: the bytes of every tensor as they were when the save was called. Memory that is promised
 * stable is held where it is; other memory is copied into an arena before the call returns to the
 * event loop; streams are read later, while they are written.
 */
import { alignCopy, COPY_ALIGNMENT, type CopyArena, type Engine, type HeldMemory, type MemoryRange } from '../engine/contract.js';
import { isResizable } from '../engine/is-resizable.js';
import { HoldfastError } from '../errors.js';
import type { ArenaPool } from './arena.js';
import { type CapturedSegment, type CopyRun, SegmentList } from './captured-file.js';
import { feedMemory } from './feed-memory.js';
import type { MemorySource, Source } from './source.js';

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
  private captured: readonly CapturedFile[] = [];
  private readonly pinned: Pinned[] = [];
  private readonly releases: (() => void)[] = [];
  private lease: CopyArena | undefined;
  /** Bytes that may still be copied although they are stable. */
  private room = 0;

  private constructor(private readonly options: SnapshotOptions) {}

  /** Captures everything synchronously: for each file its tensors, in the order of the file. */
  static take(files: readonly (readonly Source[])[], options: SnapshotOptions): Snapshot {
    const snapshot = new Snapshot(options);
    try {
      snapshot.capture(files);
    } catch (error) {
      // The call is going to be refused: what streams read from is still its caller's.
      snapshot.releases.length = 0;
      snapshot.release();
      throw error;
    }
    return snapshot;
  }

  private capture(files: readonly (readonly Source[])[]): void {
    this.room = roomForShortCopies(files, this.options);
    const lists = files.map((tensors, file) => this.captureFile(tensors, file));
    this.copy(lists.flatMap(({ runs }) => runs));
    const expected = files.map(({ length }) =>
      this.options.verifyPinned ? new Float64Array(length).fill(Number.NaN) : new Float64Array(),
    );
    this.captured = lists.map(({ segments }, file) => ({ segments, expected: expected[file] as Float64Array }));
    if (!this.options.verifyPinned) return;
    const checksums = this.options.engine.checksums(this.pinned.map(({ range }) => range));
    this.pinned.forEach(({ file, index }, i) => {
      (expected[file] as Float64Array)[index] = checksums[i] as number;
    });
  }

  private captureFile(tensors: readonly Source[], file: number): SegmentList {
    const list = new SegmentList();
    for (let index = 0; index < tensors.length; index++) {
      const { name, data } = tensors[index] as Source;
      if (data.kind === 'stream') {
        list.stream(index, data.stream, data.chunks);
        if (data.release !== undefined) this.releases.push(data.release);
      } else if (!data.stable || this.isShort(data) || !this.pin(list, { file, index, name, range: data })) list.copy(data);
    }
    return list;
  }

  private isShort({ byteLength }: MemorySource): boolean {
    if (byteLength > SHORT_BYTES || byteLength > this.room) return false;
    this.room -= byteLength;
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

  private copy(runs: readonly CopyRun[]): void {
    if (runs.length === 0) return;
    const lengths = runs.map(({ ranges }) => ranges.reduce((sum, { byteLength }) => sum + byteLength, 0));
    this.lease = this.options.arenas.take(
      lengths.reduce((sum, bytes) => sum + alignCopy(bytes), 0),
      this.options.budget,
    );
    const copies = this.lease.copy(runs.map(({ ranges }) => ranges));
    runs.forEach((run, i) => {
      run.copy = copies[i] as HeldMemory;
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

/** What must be copied comes first. */
function roomForShortCopies(files: readonly (readonly Source[])[], { arenas, budget }: SnapshotOptions): number {
  if (files.reduce((sum, { length }) => sum + length, 0) < MANY_TENSORS) return 0;
  let needed = 0;
  let runs = 0;
  for (const tensors of files) {
    for (const { data } of tensors) {
      if (data.kind === 'memory' && !data.stable) needed += data.byteLength;
      runs++;
    }
  }
  // At worst every copy is a run of its own.
  return Math.min(MAX_SHORT_COPIES, budget - arenas.lent - needed - runs * COPY_ALIGNMENT);
}

/**
 * A snapshot: the bytes of every tensor as they were when the save was called. Memory that is promised
 * stable is held where it is; other memory is copied into an arena before the call returns to the
 * event loop; streams are read later, while they are written.
 */
import type { CopyArena, Engine, HeldMemory, MemoryRange } from '../engine/contract.js';
import { isResizable } from '../engine/is-resizable.js';
import { HoldfastError } from '../errors.js';
import type { TensorRole } from '../format/layout.js';
import type { ArenaPool } from './arena.js';
import { feedMemory } from './feed-memory.js';
import type { Chunks, MemorySource, Source } from './source.js';

/** A tensor whose bytes can be written now or later. */
export type Captured =
  | { readonly kind: 'memory'; readonly held: HeldMemory }
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Uint8Array>; readonly chunks: Chunks };

const TENSOR_ROLES: readonly TensorRole[] = ['model', 'optimizer'];

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
  readonly role: TensorRole;
  readonly name: string;
  readonly range: MemoryRange;
  readonly held: HeldMemory;
}

interface ToCopy {
  /** Where the copy belongs. */
  readonly captured: Map<string, Captured>;
  readonly name: string;
  readonly memory: MemoryRange;
}

export class Snapshot {
  private readonly captured: Readonly<Record<TensorRole, Map<string, Captured>>> = { model: new Map(), optimizer: new Map() };
  private readonly pinned: Pinned[] = [];
  private readonly checksums: Readonly<Record<TensorRole, Map<string, number>>> = { model: new Map(), optimizer: new Map() };
  private readonly releases: (() => void)[] = [];
  private lease: CopyArena | undefined;

  private constructor(private readonly options: SnapshotOptions) {}

  /** Captures everything synchronously. A tensor's name is unique within its role. */
  static take(sourcesByRole: Readonly<Record<TensorRole, readonly Source[]>>, options: SnapshotOptions): Snapshot {
    const snapshot = new Snapshot(options);
    try {
      snapshot.capture(sourcesByRole);
    } catch (error) {
      // The call is going to be refused: what streams read from is still its caller's.
      snapshot.releases.length = 0;
      snapshot.release();
      throw error;
    }
    return snapshot;
  }

  private capture(sourcesByRole: Readonly<Record<TensorRole, readonly Source[]>>): void {
    const toCopy: ToCopy[] = [];
    for (const role of TENSOR_ROLES) {
      const captured = this.captured[role];
      for (const { name, data } of sourcesByRole[role]) {
        if (data.kind === 'stream') {
          const { stream, chunks, release } = data;
          captured.set(name, { kind: 'stream', stream, chunks });
          if (release !== undefined) this.releases.push(release);
        } else if (!data.stable || !this.pin(role, name, data)) toCopy.push({ captured, name, memory: data.memory });
      }
    }
    this.copy(toCopy);
    if (!this.options.verifyPinned) return;
    const checksums = this.options.engine.checksums(this.pinned.map(({ range }) => range));
    this.pinned.forEach(({ role, name }, i) => {
      this.checksums[role].set(name, checksums[i] as number);
    });
  }

  /** Leaves stable memory where it is; false if it must be copied, as what may be resized under a reader. */
  private pin(role: TensorRole, name: string, { memory }: MemorySource): boolean {
    const { engine } = this.options;
    let held = engine.tryHold(memory);
    if (held !== undefined) this.captured[role].set(name, { kind: 'memory', held });
    else if (engine.unholdable === 'feed' && !isResizable(memory.buffer)) {
      held = engine.hold(memory);
      this.captured[role].set(name, { kind: 'stream', stream: feedMemory(memory), chunks: 'reused' });
    } else return false;
    this.pinned.push({ role, name, range: memory, held });
    return true;
  }

  private copy(toCopy: readonly ToCopy[]): void {
    const bytes = toCopy.reduce((sum, { memory }) => sum + align(memory.byteLength), 0);
    if (toCopy.length === 0) return;
    this.lease = this.options.arenas.take(bytes, this.options.budget);
    const pieces = this.lease.copy(toCopy.map(({ memory }) => memory));
    toCopy.forEach(({ captured, name }, i) => {
      captured.set(name, { kind: 'memory', held: pieces[i] as HeldMemory });
    });
  }

  /** The bytes of the tensor of that name. */
  get(role: TensorRole, name: string): Captured {
    const captured = this.captured[role].get(name);
    if (captured === undefined) throw new HoldfastError('ERR_INVALID_ARGUMENT', `The snapshot has no tensor ${JSON.stringify(name)}.`);
    return captured;
  }

  get hasChecksums(): boolean {
    return this.options.verifyPinned;
  }

  /** CRC32C of the tensor's bytes when the snapshot was taken; only of held memory, with `verifyPinned`. */
  checksum(role: TensorRole, name: string): number | undefined {
    return this.checksums[role].get(name);
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

/** Arenas keep tensors apart by whole cache lines. */
function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

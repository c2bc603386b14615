/**
 * A snapshot: the bytes of every tensor as they were when the save was called. Memory that is promised
 * stable is held where it is; other memory is copied into an arena before the call returns to the
 * event loop; streams are read later, while they are written.
 */
import type { CopyArena, Engine, HeldMemory, MemoryRange } from '../engine/contract.js';
import { HoldfastError } from '../errors.js';
import type { ArenaPool } from './arena.js';
import { feedMemory } from './feed-memory.js';
import type { MemorySource, Source } from './source.js';

/** A tensor whose bytes can be written now or later. */
export type Captured =
  | { readonly kind: 'memory'; readonly held: HeldMemory }
  /** `fresh`: chunks need not be copied. */
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Uint8Array>; readonly fresh: boolean };

/** Which set of tensors: names are unique within one. */
export type TensorRole = 'model' | 'optimizer';

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
  readonly key: string;
  readonly range: MemoryRange;
  readonly held: HeldMemory;
}

export class Snapshot {
  private readonly byKey = new Map<string, Captured>();
  private readonly pinned: Pinned[] = [];
  private readonly checksums = new Map<string, number>();
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
    const toCopy: { key: string; memory: MemoryRange }[] = [];
    for (const role of TENSOR_ROLES) {
      for (const { name, data } of sourcesByRole[role]) {
        const key = keyOf(role, name);
        if (data.kind === 'stream') {
          const { stream, fresh, release } = data;
          this.byKey.set(key, { kind: 'stream', stream, fresh });
          if (release !== undefined) this.releases.push(release);
        } else if (!data.stable || !this.pin(key, data)) toCopy.push({ key, memory: data.memory });
      }
    }
    this.copy(toCopy);
    if (!this.options.verifyPinned) return;
    const checksums = this.options.engine.checksums(this.pinned.map(({ range }) => range));
    this.pinned.forEach(({ key }, i) => {
      this.checksums.set(key, checksums[i] as number);
    });
  }

  /** Leaves stable memory where it is; false if it must be copied. */
  private pin(key: string, { memory }: MemorySource): boolean {
    const { engine } = this.options;
    let held = engine.tryHold(memory);
    if (held !== undefined) this.byKey.set(key, { kind: 'memory', held });
    else if (engine.unholdable === 'feed') {
      held = engine.hold(memory);
      this.byKey.set(key, { kind: 'stream', stream: feedMemory(memory), fresh: false });
    } else return false;
    this.pinned.push({ key, range: memory, held });
    return true;
  }

  private copy(toCopy: readonly { readonly key: string; readonly memory: MemoryRange }[]): void {
    const bytes = toCopy.reduce((sum, { memory }) => sum + align(memory.byteLength), 0);
    if (toCopy.length === 0) return;
    this.lease = this.options.arenas.take(bytes, this.options.budget);
    const pieces = this.lease.copy(toCopy.map(({ memory }) => memory));
    toCopy.forEach(({ key }, i) => {
      this.byKey.set(key, { kind: 'memory', held: pieces[i] as HeldMemory });
    });
  }

  /** The bytes of the tensor of that name. */
  get(role: TensorRole, name: string): Captured {
    const captured = this.byKey.get(keyOf(role, name));
    if (captured === undefined) throw new HoldfastError('ERR_INVALID_ARGUMENT', `The snapshot has no tensor ${JSON.stringify(name)}.`);
    return captured;
  }

  get hasChecksums(): boolean {
    return this.checksums.size > 0;
  }

  /** CRC32C of the tensor's bytes when the snapshot was taken; only of held memory, with `verifyPinned`. */
  checksum(role: TensorRole, name: string): number | undefined {
    return this.checksums.get(keyOf(role, name));
  }

  /** Whether any memory is a caller's, so that {@link assertIntact} has something to look at. */
  get isPinned(): boolean {
    return this.pinned.length > 0;
  }

  /** Throws `ERR_SOURCE_CHANGED` if memory that was promised stable was detached or resized meanwhile. */
  assertIntact(): void {
    const changed = this.pinned.filter(({ held }) => !held.isIntact()).map(({ key }) => key.slice(key.indexOf('/') + 1));
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

function keyOf(role: TensorRole, name: string): string {
  return `${role}/${name}`;
}

/** Arenas keep tensors apart by whole cache lines. */
function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

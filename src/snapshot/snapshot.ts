/**
 * A snapshot: the bytes of every tensor as they were when the save was called. Memory that is promised
 * stable is held where it is; other memory is copied into an arena before the call returns to the
 * event loop; streams are read later, while they are written.
 */
import type { Engine, HeldMemory, MemoryRange } from '../engine/contract.js';
import { HoldfastError } from '../errors.js';
import type { Arena } from './arena.js';
import type { Source } from './source.js';

/** A tensor whose bytes can be written now or later. */
export type Captured =
  | { readonly kind: 'memory'; readonly held: HeldMemory }
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Uint8Array> };

/** Which set of tensors: names are unique within one. */
export type TensorRole = 'model' | 'optimizer';

const TENSOR_ROLES: readonly TensorRole[] = ['model', 'optimizer'];

function keyOf(role: TensorRole, name: string): string {
  return `${role}/${name}`;
}

export class Snapshot {
  private constructor(
    private readonly byKey: ReadonlyMap<string, Captured>,
    private readonly lease: ArrayBuffer | undefined,
    private readonly arena: Arena,
  ) {}

  /** Captures everything synchronously. A tensor's name is unique within its role. */
  static take(sourcesByRole: Readonly<Record<TensorRole, readonly Source[]>>, engine: Engine, arena: Arena): Snapshot {
    const captured = new Map<string, Captured>();
    let lease: ArrayBuffer | undefined;
    try {
      const toCopy: { key: string; memory: MemoryRange }[] = [];
      for (const role of TENSOR_ROLES) {
        for (const { name, data } of sourcesByRole[role]) {
          const key = keyOf(role, name);
          if (data.kind === 'stream') captured.set(key, data);
          else if (data.stable && engine.canHold(data.memory)) captured.set(key, { kind: 'memory', held: engine.hold(data.memory) });
          else toCopy.push({ key, memory: data.memory });
        }
      }
      lease = arena.take(toCopy.reduce((sum, { memory }) => sum + align(memory.byteLength), 0));
      let at = 0;
      for (const { key, memory } of toCopy) {
        const target = { buffer: lease, byteOffset: at, byteLength: memory.byteLength };
        copyRange(memory, target);
        captured.set(key, { kind: 'memory', held: engine.hold(target) });
        at += align(memory.byteLength);
      }
    } catch (error) {
      new Snapshot(captured, lease, arena).release();
      throw error;
    }
    return new Snapshot(captured, lease, arena);
  }

  /** The bytes of the tensor of that name. */
  get(role: TensorRole, name: string): Captured {
    const captured = this.byKey.get(keyOf(role, name));
    if (captured === undefined) throw new HoldfastError('ERR_INVALID_ARGUMENT', `The snapshot has no tensor ${JSON.stringify(name)}.`);
    return captured;
  }

  /** Throws `ERR_SOURCE_CHANGED` if memory that was promised stable was detached or resized meanwhile. */
  assertIntact(): void {
    const changed: string[] = [];
    for (const [key, captured] of this.byKey) {
      if (captured.kind === 'memory' && !captured.held.isIntact()) changed.push(key.slice(key.indexOf('/') + 1));
    }
    if (changed.length === 0) return;
    throw new HoldfastError(
      'ERR_SOURCE_CHANGED',
      `The memory of ${changed.map((name) => JSON.stringify(name)).join(', ')} was detached, transferred or resized during the save, although it was promised stable. Nothing was saved. Keep it until the save resolves, or leave out "stable".`,
      { tensors: changed },
    );
  }

  /** Lets all memory go. */
  release(): void {
    for (const captured of this.byKey.values()) if (captured.kind === 'memory') captured.held.release();
    if (this.lease !== undefined) this.arena.give(this.lease);
  }
}

/** Keeps copied tensors apart by whole cache lines. */
function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** Views are limited to 2^32 elements on Node.js 20, so large ranges are copied in parts. */
const PART_BYTES = 2 ** 30;

function copyRange(from: MemoryRange, to: MemoryRange): void {
  for (let at = 0; at < from.byteLength; at += PART_BYTES) {
    const length = Math.min(PART_BYTES, from.byteLength - at);
    new Uint8Array(to.buffer, to.byteOffset + at, length).set(new Uint8Array(from.buffer, from.byteOffset + at, length));
  }
}

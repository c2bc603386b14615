/** Memory that the addon reads, by handles of its process-wide table: numbers, so that any thread can be told of it. */
import { types } from 'node:util';
import { HoldfastError } from '../../errors.js';
import type { NativeAddon } from '../../native.js';
import type { HeldMemory, MemoryRange, SharedMemory } from '../contract.js';
import { isOrdinary } from './is-ordinary.js';
import { keepInPlace, letMove } from './keep-in-place.js';

/** Bytes of one pinned view of shared memory: Node.js 20 limits views to 2^32 elements. */
const SHARED_VIEW_BYTES = 2 ** 31;

/** A part of one pinned region. */
export interface Pin {
  readonly handle: number;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What all memory of this engine has in common. */
export interface PinnedMemory extends HeldMemory {
  readonly pins: readonly Pin[];
}

/** Memory of this library's own, which nobody moves. */
export class NativeMemory implements PinnedMemory {
  readonly byteLength: number;
  private released = false;

  protected constructor(
    private readonly addon: NativeAddon,
    readonly pins: readonly Pin[],
    { byteLength }: MemoryRange,
  ) {
    this.byteLength = byteLength;
  }

  static hold(addon: NativeAddon, range: MemoryRange): NativeMemory {
    return new NativeMemory(addon, pinAll(addon, range, true), range);
  }

  isIntact(): boolean {
    return !this.released && this.pins.every(({ handle }) => this.addon.isIntact(handle));
  }

  release(discard = false): void {
    if (this.released) return;
    this.released = true;
    for (const { handle } of this.pins) this.addon.unpin(handle, discard);
    this.letGo();
  }

  protected letGo(): void {}
}

/** Memory of a caller's, which is kept from moving as well as Node.js can. */
export class CallersMemory extends NativeMemory {
  private readonly buffer: ArrayBuffer | SharedArrayBuffer;

  private constructor(addon: NativeAddon, pins: readonly Pin[], range: MemoryRange) {
    super(addon, pins, range);
    this.buffer = range.buffer;
    // Pinned first: where that fails, nothing was done to the caller's buffer.
    if (types.isArrayBuffer(this.buffer)) keepInPlace(this.buffer);
  }

  /** `undefined` for memory that may be resized or grown away. */
  static tryHold(addon: NativeAddon, range: MemoryRange): CallersMemory | undefined {
    const pins = tryPin(addon, range, false) ?? (isOrdinary(range.buffer) ? tryPin(addon, range, true) : undefined);
    return pins && new CallersMemory(addon, pins, range);
  }

  protected override letGo(): void {
    if (types.isArrayBuffer(this.buffer)) letMove(this.buffer);
  }
}

function tryPin(addon: NativeAddon, range: MemoryRange, trusted: boolean): Pin[] | undefined {
  try {
    return pinAll(addon, range, trusted);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_INVALID_ARGUMENT') return undefined;
    throw error;
  }
}

function pinAll(addon: NativeAddon, range: MemoryRange, trusted: boolean): Pin[] {
  assertAttached(range);
  const { buffer, byteOffset, byteLength } = range;
  if (types.isArrayBuffer(buffer)) return [{ handle: addon.pin(buffer, trusted), byteOffset, byteLength }];
  const pins: Pin[] = [];
  for (let at = 0; at < byteLength; at += SHARED_VIEW_BYTES) {
    const length = Math.min(SHARED_VIEW_BYTES, byteLength - at);
    pins.push({ handle: addon.pin(new Uint8Array(buffer, byteOffset + at, length), trusted), byteOffset: 0, byteLength: length });
  }
  return pins;
}

function assertAttached({ buffer, byteOffset, byteLength }: MemoryRange): void {
  if (byteOffset + byteLength <= buffer.byteLength) return;
  throw new HoldfastError('ERR_SOURCE_CHANGED', 'A tensor’s memory was detached or resized before it could be saved.');
}

/** Memory that another thread, or an arena, keeps. */
export class BorrowedMemory implements PinnedMemory {
  constructor(
    readonly pins: readonly Pin[],
    readonly byteLength: number,
  ) {}

  isIntact(): boolean {
    return true;
  }

  release(): void {}
}

/** Three numbers per pin: handle, byte offset, byte length. */
export function triplesOf(held: readonly HeldMemory[]): Float64Array {
  const numbers: number[] = [];
  for (const { pins } of held as readonly PinnedMemory[]) {
    for (const { handle, byteOffset, byteLength } of pins) numbers.push(handle, byteOffset, byteLength);
  }
  return Float64Array.from(numbers);
}

interface SharedPins {
  readonly triples: Float64Array;
  /** Pins per piece. */
  readonly counts: Uint32Array;
}

/** Two flat arrays, however many pieces: cheap to post. */
export function shareMemory(held: readonly HeldMemory[]): SharedMemory {
  const shared: SharedPins = { triples: triplesOf(held), counts: Uint32Array.from(held, (piece) => (piece as PinnedMemory).pins.length) };
  return shared;
}

export function adoptMemory(shared: SharedMemory): BorrowedMemory[] {
  const { triples, counts } = shared as SharedPins;
  let at = 0;
  return Array.from(counts, (count) => {
    const pins: Pin[] = [];
    let bytes = 0;
    for (const end = at + 3 * count; at < end; at += 3) {
      const [handle, byteOffset, byteLength] = triples.subarray(at, at + 3) as unknown as [number, number, number];
      pins.push({ handle, byteOffset, byteLength });
      bytes += byteLength;
    }
    return new BorrowedMemory(pins, bytes);
  });
}

/** The distinct buffers of `ranges`, and for each range which one. */
export function indexBuffers(ranges: readonly MemoryRange[]): { buffers: (ArrayBuffer | SharedArrayBuffer)[]; indexes: number[] } {
  const positions = new Map<ArrayBuffer | SharedArrayBuffer, number>();
  const indexes = ranges.map(({ buffer }) => {
    const known = positions.get(buffer);
    if (known !== undefined) return known;
    positions.set(buffer, positions.size);
    return positions.size - 1;
  });
  return { buffers: [...positions.keys()], indexes };
}

export function checksumsOf(addon: NativeAddon, ranges: readonly MemoryRange[]): number[] {
  for (const range of ranges) assertAttached(range);
  const { buffers, indexes } = indexBuffers(ranges);
  const numbers = new Float64Array(ranges.length * 3);
  ranges.forEach(({ byteOffset, byteLength }, i) => {
    numbers.set([indexes[i] as number, byteOffset, byteLength], i * 3);
  });
  return Array.from(addon.crc32cOfRanges(buffers, numbers));
}

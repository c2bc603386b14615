/** The tensors of one file while they are captured: neighbours whose memory is at hand become one segment. */
import type { CopyRun, HeldMemory, MemoryRange } from '../engine/contract.js';
import type { Chunks } from './source.js';

/** Where the bytes of consecutive tensors of a file come from. */
export type CapturedSegment =
  | MemorySegment
  /** One tensor, by its number in the file. */
  | { readonly kind: 'stream'; readonly index: number; readonly stream: AsyncIterable<Uint8Array>; readonly chunks: Chunks };

export interface MemorySegment {
  readonly kind: 'memory';
  readonly held: readonly HeldMemory[];
  /** Per piece, how many runs of copies must have been filled until its bytes are there: 0 for memory that is the caller's. */
  readonly after: readonly number[];
}

/** What is copied together; a longer run is several, so that the first can be written while the next ones are filled. */
const RUN_BYTES = 8 * 2 ** 20;

/** Neighbours that are copied, one behind the other: their copy is a single piece of memory. */
export class PlannedRun implements CopyRun {
  readonly ranges: MemoryRange[] = [];
  readonly lengths: number[] = [];
  bytes = 0;

  constructor(
    private readonly held: HeldMemory[],
    private readonly after: number[],
    private readonly index: number,
  ) {}

  add(range: MemoryRange, byteLength: number): void {
    this.ranges.push(range);
    this.lengths.push(byteLength);
    this.bytes += byteLength;
  }

  /** Puts the copy in its place: it is the `number`th that is filled, counted from 1. */
  settle(copy: HeldMemory, number: number): void {
    this.held[this.index] = copy;
    this.after[this.index] = number;
  }
}

/** Takes the tensors of one file, in the order of the file. */
export class SegmentList {
  readonly segments: CapturedSegment[] = [];
  readonly runs: PlannedRun[] = [];
  /** Of the last segment, if it is memory. */
  private memory: { readonly held: HeldMemory[]; readonly after: number[] } | undefined;
  /** The last piece of it, if that is to be a copy. */
  private run: PlannedRun | undefined;

  hold(memory: HeldMemory): void {
    this.run = undefined;
    const { held, after } = this.last();
    held.push(memory);
    after.push(0);
  }

  /** `byteLength` is what was found when the range was checked. */
  copy(range: MemoryRange, byteLength: number): void {
    if (this.run === undefined || (this.run.bytes > 0 && this.run.bytes + byteLength > RUN_BYTES)) {
      const { held, after } = this.last();
      this.run = new PlannedRun(held, after, held.length);
      this.runs.push(this.run);
      // Taken by the copy, before anybody looks.
      held.length++;
      after.push(0);
    }
    this.run.add(range, byteLength);
  }

  stream(index: number, stream: AsyncIterable<Uint8Array>, chunks: Chunks): void {
    this.run = undefined;
    this.memory = undefined;
    this.segments.push({ kind: 'stream', index, stream, chunks });
  }

  private last(): { readonly held: HeldMemory[]; readonly after: number[] } {
    if (this.memory === undefined) {
      this.memory = { held: [], after: [] };
      this.segments.push({ kind: 'memory', ...this.memory });
    }
    return this.memory;
  }
}

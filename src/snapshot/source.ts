/** What callers give as tensors, and what becomes of it. */
import type { MemoryRange } from '../engine/contract.js';
import type { Dtype } from '../format/dtype.js';
import type { TensorSpec } from '../format/layout.js';

/**
 * Data that is produced while it is saved: chunks of any size, `byteLength` bytes in all. It is read on the thread that called `save`, up to
 * 64 MiB ahead of the disk, for a few milliseconds per turn of the event loop. The streams of one file are read one after another, in the
 * order of the file; those of the model and of the optimizer, or of two shards, may be read at the same time.
 */
export interface StreamedData extends AsyncIterable<Uint8Array> {
  readonly byteLength: number;
  /**
   * The caller promises that nobody writes to a chunk's memory again: it is then not copied, and held until it is written.
   * Default false: the memory of a chunk may be used again as soon as the next one is asked for.
   */
  readonly fresh?: boolean | undefined;
  /**
   * The caller gives the chunks away: as `fresh`, and the memory of a chunk is freed as soon as it is written, instead of whenever
   * garbage is collected. Its ArrayBuffer is detached when it is given, unless it holds more than the chunk or may not be transferred. Default false.
   */
  readonly transfer?: boolean | undefined;
  /**
   * Called once when an accepted save is over, whatever became of it, even if the stream was never read: the place to let go what
   * the stream reads from. Not called when the request itself is refused. What it throws becomes a warning of the process.
   */
  release?(): void;
}

/** The bytes of a tensor, in little-endian order, without holes. */
export type TensorData = ArrayBufferView | ArrayBuffer | SharedArrayBuffer | StreamedData;

/** One tensor to be saved. */
export interface TensorInput {
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes per dimension; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly data: TensorData;
  /**
   * The caller promises that the bytes do not change until the save is done: they are then not copied, unless that is cheaper (at most 16 KiB, in
   * a save of 256 tensors or more) or they could be resized. The memory must not be transferred or resized meanwhile; where it is not
   * copied, its ArrayBuffer is marked untransferable, for good.
   */
  readonly stable?: boolean | undefined;
}

/**
 * Tensors to be saved: a list, or a record by name. An iterable is run to its end before any byte is captured, so a generator
 * must give every tensor memory of its own.
 */
export type TensorInputs = Iterable<TensorInput> | Readonly<Record<string, Omit<TensorInput, 'name'>>>;

/**
 * Checked tensors: what is here is what was checked, and the caller's objects are not asked again. Lists side by side instead of an object per tensor: there
 * may be a hundred thousand.
 */
export interface Sources {
  readonly specs: readonly TensorSpec[];
  /** Bytes per tensor, as in `specs`. */
  readonly bytes: readonly number[];
  readonly data: readonly SourceData[];
  /** 1 where the caller promised that the memory does not change; 0 for streams. */
  readonly stable: ArrayLike<number>;
}

/** Memory that is there (a view is a range of its own), or bytes that are asked for while they are written. */
export type SourceData = MemoryRange | StreamSource;

/** Whose the memory of a chunk is when the next one is asked for: used again, the caller's but left alone, or given away. */
export type Chunks = 'reused' | 'fresh' | 'given';

export class StreamSource {
  constructor(
    readonly byteLength: number,
    readonly stream: AsyncIterable<Uint8Array>,
    readonly chunks: Chunks,
    /** To be called once, when the save is over. */
    readonly release: (() => void) | undefined,
  ) {}
}

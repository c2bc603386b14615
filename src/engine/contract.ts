/**
 * What an engine does: stream memory into a new file and a file into memory, with checksums of every
 * chunk, span and the whole from the same pass. The native engine (C++, direct I/O) and the portable
 * one (pure TypeScript) do the same and write the same bytes.
 */
import type { DirectIo, NativeDigest } from '../native.js';

export type { DirectIo } from '../native.js';
export type EngineName = 'native' | 'portable';

/** A piece of memory: `byteLength` bytes of `buffer` from `byteOffset` on. A view is one, and best: copying a short range costs most what making a view does. */
export interface MemoryRange {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Memory that an engine may read until `release()`. */
export interface HeldMemory {
  readonly byteLength: number;
  /** False once the memory was detached, transferred or resized: what was read may not be what was meant. */
  isIntact(): boolean;
  /** With `discard` the memory, of an engine's {@link Engine.hold}, is nobody's any more, and is freed at once where the engine can. */
  release(discard?: boolean): void;
}

/**
 * Held memory in a form that can be posted to another thread of this process ({@link Engine.share}); only the engine that made it
 * knows what is inside.
 */
export type SharedMemory = unknown;

/** Copies are kept apart by whole cache lines. */
export const COPY_ALIGNMENT = 64;

/** What `runs` take in an arena. */
export function bytesOfRuns(runs: readonly CopyRun[]): number {
  return runs.reduce((sum, { bytes }) => sum + alignCopy(bytes), 0);
}

/** Where the next copy may begin. */
export function alignCopy(at: number): number {
  return Math.ceil(at / COPY_ALIGNMENT) * COPY_ALIGNMENT;
}

/** Ranges whose copies lie one behind the other. */
export interface CopyRun {
  readonly ranges: readonly MemoryRange[];
  /** Of each range when it was checked: one of another length by now has changed. */
  readonly lengths: readonly number[];
  /** Their sum. */
  readonly bytes: number;
}

/** Where the copies are going to be. */
export interface CopyPlan {
  /** One piece per run. */
  readonly held: readonly HeldMemory[];
  /**
   * Copies run after run before it returns, and says how many are there so far. Throws `ERR_SOURCE_CHANGED` for memory that was detached or
   * resized.
   */
  fill(filled?: (runs: number) => void): void;
}

/** Memory of the engine's own for copies of memory that callers may change. Every thread of the process can read it. */
export interface CopyArena {
  readonly bytes: number;
  /** Gives every run its place, at multiples of {@link COPY_ALIGNMENT} from the beginning on. */
  plan(runs: readonly CopyRun[]): CopyPlan;
  /** Makes the operating system provide the memory now, off this thread, so that the first copy does not wait for it. */
  prefault(): Promise<void>;
  /** Lets the memory go as soon as nobody reads it any more. */
  release(): void;
}

/** Checksums and figures of one pass over a file; the same from both engines. CRCs are CRC32C as unsigned 32-bit numbers. */
export type FileDigest = NativeDigest;

export interface WriterOptions {
  readonly direct: DirectIo;
  readonly chunkBytes: number;
  /** Lengths of consecutive spans, in bytes; their sum is the length of the file. */
  readonly spans: readonly number[] | Float64Array;
  /** Nothing else is written meanwhile: a thread that does nothing but save may be blocked by a short file. */
  readonly alone?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A new file being written from its first byte to its last. */
export interface FileWriter {
  /** Appends held memory; resolves when it has been taken and may be released. */
  write(pieces: readonly HeldMemory[]): Promise<void>;
  /** Writes what is left, truncates to the exact length, fsyncs and closes. */
  finish(): Promise<FileDigest>;
  /** Stops and closes; the half-written file is left to its owner. Never rejects. */
  abandon(): Promise<void>;
  /** Bytes given to the operating system so far. */
  writtenBytes(): number;
}

/** A span to be read: how many bytes, and where they go (nowhere: only the checksum is wanted). */
export interface ReadSpan {
  readonly bytes: number;
  readonly into?: MemoryRange | undefined;
}

export interface ReadOptions {
  readonly chunkBytes: number;
  /** File offset of the first span, from where chunks are counted as well. Default 0. */
  readonly offset?: number;
  readonly spans: readonly ReadSpan[];
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of a file as memory. */
export interface MappedMemory {
  readonly buffer: ArrayBuffer;
  readonly crc32c: number;
}

/** An open file. */
export interface FileReader {
  /** Length when it was opened, in bytes. */
  readonly bytes: number;
  read(options: ReadOptions): Promise<FileDigest>;
  /** Bytes read by the current `read` so far. */
  readBytes(): number;
  /**
   * Maps `bytes` > 0 bytes from `offset` on into memory, private to this process, with their CRC32C; `undefined` where that cannot be done
   * here. The file may be closed and removed afterwards.
   */
  map(offset: number, bytes: number, signal?: AbortSignal): Promise<MappedMemory | undefined>;
  close(): Promise<void>;
}

export interface Engine {
  readonly name: EngineName;
  /**
   * Holds a caller's memory where it is, until it is released; `undefined` where it cannot be kept from moving, or another thread
   * could not read it. {@link unholdable} says what to do then. Throws `ERR_SOURCE_CHANGED` if it is detached already.
   */
  tryHold(range: MemoryRange): HeldMemory | undefined;
  /** Stable memory that cannot be held is copied at once, or read piece by piece while it is written. */
  readonly unholdable: 'copy' | 'feed';
  /** Holds memory that nobody moves. Throws `ERR_SOURCE_CHANGED` if it is detached already. */
  hold(range: MemoryRange): HeldMemory;
  /** Held memory for another thread; it must stay held here for as long as it is used there. */
  share(held: readonly HeldMemory[]): SharedMemory;
  /** What another thread of this process shared. Releasing it does nothing. */
  adopt(shared: SharedMemory): HeldMemory[];
  /** Throws `ERR_RESOURCES` where there is no memory. */
  createArena(bytes: number): CopyArena;
  /** CRC32C of each range, now. */
  checksums(ranges: readonly MemoryRange[]): number[];
  /** Creates `path`, which must not exist. */
  openWriter(path: string, options: WriterOptions): Promise<FileWriter>;
  /** {@link openWriter}, one write of `pieces` and the end of it, for a short file: in one step where the engine can. */
  writeFile(path: string, options: WriterOptions, pieces: readonly HeldMemory[]): Promise<FileDigest>;
  /** Opens a regular file; symbolic links are refused. */
  openReader(path: string, direct: DirectIo): Promise<FileReader>;
  /** CRC32C of `bytes`, continuing from `seed`. */
  crc32c(bytes: Uint8Array, seed?: number): number;
  /** Renames, failing with EEXIST where `to` exists; the caller holds the directory's lock. */
  renameNoReplace(from: string, to: string): Promise<void>;
  /** Makes this thread, and those that it starts from now on, give way to others (`nice`, 0 to 19); does nothing where that cannot be. */
  lowerPriority(nice: number): void;
  /** Takes a lock on an existing file that the operating system drops when the process ends. */
  lockFile(path: string): FileLock | undefined;
}

/** A lock tied to an open file. */
export interface FileLock {
  release(): void;
}

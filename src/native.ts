/**
 * Loads the native addon. This is the only file that does; everything else asks {@link loadNative}.
 * Where there is no addon (no compiler at install time, another platform) the portable engine in
 * src/engine/portable takes over.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** O_DIRECT: fail without it, use it where the file system can, or never. */
export type DirectIo = 'required' | 'optional' | 'disabled';

/** How transfers are made: by threads with positional calls, or by threads with an io_uring each. `auto`: see {@link NativeAddon.ioUring}. */
export type NativeIo = 'auto' | 'threads' | 'io_uring';

/** What a direct-I/O probe of one path says. */
export interface NativeProbe {
  /** File system type as the kernel names it, such as `ext4` or `tmpfs`; `unknown(0x…)` otherwise. */
  readonly fileSystem: string;
  readonly directIo: {
    readonly supported: boolean;
    /** Required alignment of memory, in bytes; 0 where unsupported. */
    readonly memoryAlignment: number;
    /** Required alignment of file offsets and lengths, in bytes; 0 where unsupported. */
    readonly offsetAlignment: number;
    /** Why not, or where the alignment comes from. */
    readonly reason: string;
  };
}

/** Whether io_uring can be used, whether it is, and what for. */
export interface NativeIoUring {
  /** Whether a ring can be set up and entered. */
  readonly available: boolean;
  /** Why not, or `available`. */
  readonly reason: string;
  /** What `HOLDFAST_IO` asked for when the addon was loaded first; `auto` if nothing. */
  readonly wish: NativeIo;
  /** Its value, if it is none of the three words, and so counts as `auto`; otherwise empty. */
  readonly unknownWish: string;
  /** What transfers use that ask for nothing else. */
  readonly used: 'threads' | 'io_uring';
  /** How many transfers asked for io_uring and were given threads. */
  readonly refusals: number;
}

/** Checksums and figures of one streamed pass over a file. All CRCs are CRC32C. */
export interface NativeDigest {
  /** Bytes of the file (of the range, for a read). */
  readonly bytes: number;
  /** CRC of all of them. */
  readonly crc32c: number;
  /** CRC of every chunk of `chunkBytes`, the last may be shorter. */
  readonly chunks: Uint32Array;
  /** CRC of every span, in order; 0 for an empty one. */
  readonly spans: Uint32Array;
  /** Whether O_DIRECT was used, and if not, why. */
  readonly direct: boolean;
  readonly directReason: string;
  /** How it was transferred. `threads` where io_uring was asked for and refused. */
  readonly io: 'threads' | 'io_uring';
  /** Seconds from the first operation to the last byte written or read. */
  readonly transferSeconds: number;
  /** Seconds in fsync (0 for reads). */
  readonly syncSeconds: number;
}

export interface NativeWriterOptions {
  readonly direct: DirectIo;
  /** File mode before umask, such as 0o644. */
  readonly mode: number;
  readonly chunkBytes: number;
  /** Lengths in bytes of consecutive spans; their sum is the file's length. */
  readonly spans: Float64Array;
  /** Bytes of one write operation; a multiple of 4096. 0: the engine's default. */
  readonly operationBytes: number;
  /** Operations in flight. 0: the engine's default. */
  readonly queueDepth: number;
  /** Default `auto`. */
  readonly io?: NativeIo;
  /** From `createAbortToken`; 0: none. */
  readonly abort: number;
}

export interface NativeReadOptions {
  readonly chunkBytes: number;
  /** File offset where reading begins, from where chunks are counted as well. */
  readonly offset: number;
  /** Lengths in bytes of consecutive spans from `offset` on. */
  readonly spans: Float64Array;
  /** Two numbers per span: a pin handle (or -1: only checksum) and the byte offset inside that memory. */
  readonly destinations: Float64Array;
  readonly operationBytes: number;
  readonly queueDepth: number;
  readonly io?: NativeIo;
  readonly abort: number;
}

/** What a native call reads before it returns. Views of kinds that Node-API does not know (Float16Array) are refused. */
export type NativeMemoryLike = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/** What the addon holds at the moment, in the whole process. */
export interface NativeStats {
  /** Without the arenas. */
  readonly pins: number;
  readonly writers: number;
  readonly readers: number;
  readonly abortTokens: number;
  /** Memory that running transfers work on. */
  readonly stagingBytes: number;
  /** Memory of earlier transfers that is kept for later ones: 72 MiB at most, let go when it has lain idle or nobody uses the addon any more. */
  readonly spareStagingBytes: number;
  /** Arenas whose memory is still there, released ones included. */
  readonly arenas: number;
  /** Their address space in bytes, each rounded up to whole pages and to 2 MiB at least. */
  readonly arenaBytes: number;
  /** Bytes of files that are mapped. */
  readonly mappedBytes: number;
  readonly threads: number;
}

/**
 * What the addon exports. Sizes and offsets are numbers (safe integers, bytes); handles are positive
 * integers into process-global tables, so they can be posted to a worker. Failures are Errors with
 * `code` (`'EIO'`, `'ENOSPC'`, … or `'ERR_ABORTED'`, `'ERR_SOURCE_CHANGED'`, `'ERR_DIRECT_IO'`,
 * `'ERR_TRUNCATED'`), and `errno`, `syscall`, `path` where the operating system failed.
 */
export interface NativeAddon {
  readonly version: string;

  /** Names of the CRC32C variants that this CPU runs, the chosen one first; `portable` always last. */
  crc32cImplementations(): string[];
  crc32c(data: ArrayBufferView | ArrayBuffer, seed?: number, implementation?: string): number;
  /** CRC of A‖B from crc(A), crc(B) and the length of B in bytes. */
  crc32cCombine(first: number, second: number, secondBytes: number): number;

  /** `path` is an existing directory (or file) of the file system in question. */
  probe(path: string): NativeProbe;
  /** About io_uring, in this process. */
  ioUring(): NativeIoUring;
  /** renameat2(RENAME_NOREPLACE), off the JavaScript thread; EEXIST if `to` exists. EINVAL/ENOSYS where the file system can't. */
  renameNoReplace(from: string, to: string): Promise<void>;
  /** The same, on this thread. */
  renameNoReplaceSync(from: string, to: string): void;
  /** Opens `path` (no creation, no symlink) and takes an exclusive open-file-description lock; EAGAIN if held. */
  lockFile(path: string): number;
  unlockFile(lock: number): void;

  /**
   * Holds `memory` (fixed-length, attached) and gives a handle. Only the environment that pinned may unpin.
   * Memory that looks like a WebAssembly.Memory's is refused unless `trusted`: growing detaches it, and
   * Node-API cannot tell it from an ordinary buffer that happens to lie on a page.
   */
  pin(memory: ArrayBufferView | ArrayBuffer, trusted?: boolean): number;
  /** False once the memory was detached, transferred or moved. */
  isIntact(pin: number): boolean;
  /**
   * With `discard` an ArrayBuffer is also detached, which frees its memory at once, unless native threads still read it. Only for memory
   * that nobody else uses, by another pin either, and never of a buffer that was marked untransferable: Node.js 24 ends the process.
   */
  unpin(pin: number, discard?: boolean): void;
  /** Live counts, for leak tests. */
  stats(): NativeStats;
  /**
   * Nice value, 0 to 19, of the calling thread and of every thread that it starts from now on. EACCES or EPERM where it would
   * raise a priority that was lowered before and the process may not do that.
   */
  setThreadNice(nice: number): void;

  /**
   * Memory of the addon's own for snapshots that must be copied: anonymous, aligned to 2 MiB, of huge pages where the kernel gives
   * them, zero and not touched yet. Throws ENOMEM where the operating system does not promise as much. The handle is also a pin
   * handle: `write` in any thread of the process takes ranges of it. Only the environment that created it may use it otherwise
   * (ERR_INVALID_ARGUMENT), and it goes with it: writes that still read from it then fail with ERR_SOURCE_CHANGED.
   */
  createArena(bytes: number): number;
  /**
   * Faults every page in, on native threads, so that the first copy costs no page faults; what the arena holds stays. Rejects with
   * ERR_ABORTED once the arena is released.
   */
  prefaultArena(arena: number): Promise<void>;
  /**
   * Copies by several threads and returns when all is done. `ranges`: four numbers each: index into `buffers`, byte offset in that
   * buffer or view, byte length, byte offset in the arena; the last two must not overlap between ranges. Before the first
   * byte is copied it throws ERR_INVALID_ARGUMENT if a range reaches beyond its buffer or the arena, and ERR_SOURCE_CHANGED if any
   * of `buffers` is detached, whether a range names it or not.
   */
  copyToArena(arena: number, buffers: readonly NativeMemoryLike[], ranges: Float64Array): void;
  /** The arena as an ArrayBuffer, which must not be looked at after the release; `undefined` where the runtime takes no memory from outside. */
  arenaMemory(arena: number): ArrayBuffer | undefined;
  /**
   * Forgets the handle at once and lets the memory go as soon as no native thread uses it any more: writes that were given ranges
   * of it go on.
   */
  releaseArena(arena: number): void;
  /**
   * CRC32C of each range, by several threads, when it returns; 0 for an empty one. `ranges`: three numbers each: index into
   * `buffers`, byte offset in that buffer or view, byte length. Throws like `copyToArena`.
   */
  crc32cOfRanges(buffers: readonly NativeMemoryLike[], ranges: Float64Array): Uint32Array;

  createAbortToken(): number;
  abort(token: number): void;
  releaseAbortToken(token: number): void;

  /** Creates `path` with O_EXCL|O_NOFOLLOW|O_CLOEXEC and preallocates it. */
  openWriter(path: string, options: NativeWriterOptions): Promise<number>;
  /**
   * Appends pieces of pinned memory: triples (pin handle, byte offset, byte length). Resolves when
   * the bytes have been taken (staged): the memory may change then. Rejects with the first error.
   */
  write(writer: number, pieces: Float64Array): Promise<void>;
  /** openWriter, one write and finishWriter in one step. Pins must stay until it settles. */
  writeFile(path: string, options: NativeWriterOptions, pieces: Float64Array): Promise<NativeDigest>;
  /** The same, when it returns. */
  writeFileSync(path: string, options: NativeWriterOptions, pieces: Float64Array): NativeDigest;
  /** Writes the tail, truncates to length, fsyncs, closes. The writer is gone whatever the outcome. */
  finishWriter(writer: number): Promise<NativeDigest>;
  /** Stops operations, closes without fsync and leaves the file to its owner. */
  abandonWriter(writer: number): Promise<void>;
  /** Bytes handed to the operating system so far. */
  writtenBytes(writer: number): number;

  /** Opens `path` with O_NOFOLLOW|O_CLOEXEC; must be a regular file. */
  openReader(path: string, direct: DirectIo): Promise<{ reader: number; bytes: number; direct: boolean; directReason: string }>;
  read(reader: number, options: NativeReadOptions): Promise<NativeDigest>;
  /** Bytes read so far by the running `read`. */
  readBytes(reader: number): number;
  /**
   * Maps `bytes` > 0 bytes of the file from `offset` on: memory that is read from the file when it is touched, and private to this process when
   * it is written. Every page is brought in once, and its CRC32C taken. ENOSYS where the kernel cannot do that without risk;
   * `ERR_NO_EXTERNAL_BUFFERS_ALLOWED` where the runtime takes no such memory, or not that much.
   */
  map(reader: number, offset: number, bytes: number, abort: number): Promise<{ buffer: ArrayBuffer; crc32c: number }>;
  closeReader(reader: number): void;
}

/** Either the addon, or why there is none. */
export type NativeLoad = { readonly addon: NativeAddon; readonly path: string } | { readonly addon: undefined; readonly reason: string };

let loaded: NativeLoad | undefined;

/** Loads the addon once per thread. `HOLDFAST_ENGINE=portable` in the environment leaves it out. */
export function loadNative(): NativeLoad {
  loaded ??= load();
  return loaded;
}

function load(): NativeLoad {
  if (process.env['HOLDFAST_ENGINE'] === 'portable') {
    return { addon: undefined, reason: 'HOLDFAST_ENGINE=portable is set' };
  }
  const require = createRequire(import.meta.url);
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  try {
    const file = process.env['HOLDFAST_ADDON'] ?? (require('node-gyp-build') as { path(dir: string): string }).path(root);
    if (!existsSync(file)) return { addon: undefined, reason: `${file} does not exist` };
    return { addon: require(file) as NativeAddon, path: file };
  } catch (error) {
    const first = String((error as Error).message).split('\n')[0] ?? 'unknown reason';
    return { addon: undefined, reason: first };
  }
}

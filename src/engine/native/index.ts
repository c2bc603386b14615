/** The engine in C++: direct I/O on its own threads, checksums in hardware. */
import { types } from 'node:util';
import { HoldfastError } from '../../errors.js';
import type { DirectIo, NativeAddon } from '../../native.js';
import type {
  Engine,
  FileDigest,
  FileLock,
  FileReader,
  FileWriter,
  HeldMemory,
  MemoryRange,
  ReadOptions,
  WriterOptions,
} from '../contract.js';
import { renameUnderLock } from '../portable/rename.js';
import { abortError } from '../system-error.js';
import { keepInPlace, letMove } from './keep-in-place.js';

/** What renameat2 says where the kernel, the file system or a sandbox does not know or allow the flag. */
const NO_SUCH_FLAG: ReadonlySet<string> = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM']);

/** Bytes of one pinned view of shared memory: Node.js 20 limits views to 2^32 elements. */
const SHARED_VIEW_BYTES = 2 ** 31;

interface Pin {
  readonly handle: number;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Memory pinned in the addon's table. */
class NativeMemory implements HeldMemory {
  readonly pins: readonly Pin[];
  readonly byteLength: number;
  private readonly buffer: ArrayBuffer | SharedArrayBuffer;
  private released = false;

  constructor(
    private readonly addon: NativeAddon,
    range: MemoryRange,
  ) {
    const { buffer, byteOffset, byteLength } = range;
    if (byteOffset + byteLength > buffer.byteLength) {
      throw new HoldfastError('ERR_SOURCE_CHANGED', 'A tensor’s memory was detached or resized before it could be saved.');
    }
    this.byteLength = byteLength;
    this.buffer = buffer;
    this.pins = types.isArrayBuffer(buffer) ? [this.pinWhole(buffer, range)] : this.pinShared(buffer, range);
  }

  private pinWhole(buffer: ArrayBuffer, { byteOffset, byteLength }: MemoryRange): Pin {
    // Pinned first: where that fails, nothing was done to the caller's buffer.
    const handle = this.addon.pin(buffer, true);
    keepInPlace(buffer);
    return { handle, byteOffset, byteLength };
  }

  private pinShared(buffer: SharedArrayBuffer, { byteOffset, byteLength }: MemoryRange): Pin[] {
    const pins: Pin[] = [];
    for (let at = 0; at < byteLength; at += SHARED_VIEW_BYTES) {
      const length = Math.min(SHARED_VIEW_BYTES, byteLength - at);
      pins.push({ handle: this.addon.pin(new Uint8Array(buffer, byteOffset + at, length)), byteOffset: 0, byteLength: length });
    }
    return pins;
  }

  isIntact(): boolean {
    return !this.released && this.pins.every(({ handle }) => this.addon.isIntact(handle));
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    for (const { handle } of this.pins) this.addon.unpin(handle);
    if (types.isArrayBuffer(this.buffer)) letMove(this.buffer);
  }
}

/** Ties an AbortSignal to one of the addon's abort tokens for the time of one operation. */
class Cancellation {
  readonly token: number;
  private readonly listener = () => this.addon.abort(this.token);

  constructor(
    private readonly addon: NativeAddon,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.token = signal === undefined ? 0 : addon.createAbortToken();
    if (signal?.aborted) addon.abort(this.token);
    else signal?.addEventListener('abort', this.listener, { once: true });
  }

  /** Runs one native call, giving the signal's reason where it was the signal that stopped it. */
  async run<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (this.signal?.aborted && (error as { code?: unknown }).code === 'ERR_ABORTED') throw abortError(this.signal, what);
      throw error;
    }
  }

  end(): void {
    if (this.signal === undefined) return;
    this.signal.removeEventListener('abort', this.listener);
    this.addon.releaseAbortToken(this.token);
  }
}

class NativeWriter implements FileWriter {
  constructor(
    private readonly addon: NativeAddon,
    private readonly writer: number,
    private readonly cancellation: Cancellation,
  ) {}

  write(pieces: readonly HeldMemory[]): Promise<void> {
    const pins = pieces.flatMap((piece) => (piece as NativeMemory).pins);
    const triples = new Float64Array(pins.length * 3);
    pins.forEach(({ handle, byteOffset, byteLength }, i) => {
      triples.set([handle, byteOffset, byteLength], i * 3);
    });
    return this.cancellation.run('The save', () => this.addon.write(this.writer, triples));
  }

  async finish(): Promise<FileDigest> {
    try {
      return await this.cancellation.run('The save', () => this.addon.finishWriter(this.writer));
    } finally {
      this.cancellation.end();
    }
  }

  async abandon(): Promise<void> {
    // The file is going to be removed: an error while closing it changes nothing.
    await this.addon.abandonWriter(this.writer).catch(() => {});
    this.cancellation.end();
  }

  writtenBytes(): number {
    return this.addon.writtenBytes(this.writer);
  }
}

class NativeReader implements FileReader {
  constructor(
    private readonly addon: NativeAddon,
    private readonly reader: number,
    readonly bytes: number,
  ) {}

  async read({ chunkBytes, offset = 0, spans, signal }: ReadOptions): Promise<FileDigest> {
    const pins: number[] = [];
    const destinations = new Float64Array(spans.length * 2).fill(-1);
    const cancellation = new Cancellation(this.addon, signal);
    try {
      spans.forEach(({ into }, i) => {
        if (into === undefined || into.byteLength === 0) return;
        const handle = this.addon.pin(into.buffer as ArrayBuffer, true);
        pins.push(handle);
        destinations.set([handle, into.byteOffset], i * 2);
      });
      return await cancellation.run('The read', () =>
        this.addon.read(this.reader, {
          chunkBytes,
          offset,
          spans: Float64Array.from(spans, (span) => span.bytes),
          destinations,
          operationBytes: 0,
          queueDepth: 0,
          abort: cancellation.token,
        }),
      );
    } finally {
      for (const pin of pins) this.addon.unpin(pin);
      cancellation.end();
    }
  }

  readBytes(): number {
    return this.addon.readBytes(this.reader);
  }

  async close(): Promise<void> {
    this.addon.closeReader(this.reader);
  }
}

export class NativeEngine implements Engine {
  readonly name = 'native';

  constructor(private readonly addon: NativeAddon) {}

  canHold({ buffer }: MemoryRange): boolean {
    if (!types.isArrayBuffer(buffer)) return true;
    try {
      this.addon.unpin(this.addon.pin(buffer));
      return true;
    } catch {
      return false;
    }
  }

  hold(range: MemoryRange): HeldMemory {
    return new NativeMemory(this.addon, range);
  }

  async openWriter(path: string, { direct, chunkBytes, spans, signal }: WriterOptions): Promise<FileWriter> {
    const cancellation = new Cancellation(this.addon, signal);
    try {
      const writer = await cancellation.run('The save', () =>
        this.addon.openWriter(path, {
          direct,
          mode: 0o644,
          chunkBytes,
          spans: Float64Array.from(spans),
          operationBytes: 0,
          queueDepth: 0,
          abort: cancellation.token,
        }),
      );
      return new NativeWriter(this.addon, writer, cancellation);
    } catch (error) {
      cancellation.end();
      throw error;
    }
  }

  async openReader(path: string, direct: DirectIo): Promise<FileReader> {
    const { reader, bytes } = await this.addon.openReader(path, direct);
    return new NativeReader(this.addon, reader, bytes);
  }

  crc32c(bytes: Uint8Array, seed = 0): number {
    return this.addon.crc32c(bytes, seed);
  }

  async renameNoReplace(from: string, to: string): Promise<void> {
    try {
      this.addon.renameNoReplace(from, to);
    } catch (error) {
      const { code } = error as { code?: unknown };
      // Some file systems (NFS, some FUSE ones) do not know the flag.
      if (typeof code !== 'string' || !NO_SUCH_FLAG.has(code)) throw error;
      await renameUnderLock(from, to);
    }
  }

  lockFile(path: string): FileLock | undefined {
    const lock = this.addon.lockFile(path);
    return { release: () => this.addon.unlockFile(lock) };
  }
}

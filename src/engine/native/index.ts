/** The engine in C++: direct I/O on its own threads, checksums in hardware. */

import { constants } from 'node:buffer';
import { short } from '../../fs.js';
import type { DirectIo, NativeAddon, NativeWriterOptions } from '../../native.js';
import type {
  CopyArena,
  Engine,
  FileDigest,
  FileLock,
  FileReader,
  FileWriter,
  HeldMemory,
  MappedMemory,
  MemoryRange,
  ReadOptions,
  SharedMemory,
  WriterOptions,
} from '../contract.js';
import { renameUnderLock } from '../portable/rename.js';
import { abortError } from '../system-error.js';
import { NativeArena } from './arena.js';
import { adoptMemory, CallersMemory, checksumsOf, NativeMemory, shareMemory, triplesOf } from './memory.js';

/** What renameat2 says where the kernel, the file system or a sandbox does not know or allow the flag. */
const NO_SUCH_FLAG: ReadonlySet<string> = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM']);

/** The kernel, the file system or the runtime cannot map this file. */
const CANNOT_MAP: ReadonlySet<string> = new Set(['ENOSYS', 'ENODEV', 'EINVAL', 'EACCES', 'ERR_NO_EXTERNAL_BUFFERS_ALLOWED']);

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
    return this.cancellation.run('The save', () => this.addon.write(this.writer, triplesOf(pieces)));
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

  async map(offset: number, bytes: number, signal?: AbortSignal): Promise<MappedMemory | undefined> {
    // Node.js 20 takes no more memory at a time that is not its own, and would say so only after every page was read.
    if (bytes > constants.MAX_LENGTH) return undefined;
    const cancellation = new Cancellation(this.addon, signal);
    try {
      return await cancellation.run('The read', () => this.addon.map(this.reader, offset, bytes, cancellation.token));
    } catch (error) {
      if (CANNOT_MAP.has((error as { code?: unknown }).code as string)) return undefined;
      throw error;
    } finally {
      cancellation.end();
    }
  }

  async close(): Promise<void> {
    this.addon.closeReader(this.reader);
  }
}

export class NativeEngine implements Engine {
  readonly name = 'native';
  readonly unholdable = 'copy';

  constructor(private readonly addon: NativeAddon) {}

  tryHold(range: MemoryRange): HeldMemory | undefined {
    return CallersMemory.tryHold(this.addon, range);
  }

  hold(range: MemoryRange): HeldMemory {
    return NativeMemory.hold(this.addon, range);
  }

  share(held: readonly HeldMemory[]): SharedMemory {
    return shareMemory(held);
  }

  adopt(shared: SharedMemory): HeldMemory[] {
    return adoptMemory(shared);
  }

  createArena(bytes: number): CopyArena {
    return NativeArena.create(this.addon, bytes);
  }

  checksums(ranges: readonly MemoryRange[]): number[] {
    return checksumsOf(this.addon, ranges);
  }

  async openWriter(path: string, options: WriterOptions): Promise<FileWriter> {
    const cancellation = new Cancellation(this.addon, options.signal);
    try {
      const writer = await cancellation.run('The save', () => this.addon.openWriter(path, toNativeOptions(options, cancellation)));
      return new NativeWriter(this.addon, writer, cancellation);
    } catch (error) {
      cancellation.end();
      throw error;
    }
  }

  async writeFile(path: string, options: WriterOptions, pieces: readonly HeldMemory[]): Promise<FileDigest> {
    const { addon } = this;
    const cancellation = new Cancellation(addon, options.signal);
    const inOwnThread = addon.writeFile.bind(addon);
    const write = options.alone === true ? short(inOwnThread, addon.writeFileSync.bind(addon)) : inOwnThread;
    try {
      return await cancellation.run('The save', () => write(path, toNativeOptions(options, cancellation), triplesOf(pieces)));
    } finally {
      cancellation.end();
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
    const { addon } = this;
    const rename = short(addon.renameNoReplace.bind(addon), addon.renameNoReplaceSync.bind(addon));
    try {
      await rename(from, to);
    } catch (error) {
      const { code } = error as { code?: unknown };
      // Some file systems (NFS, some FUSE ones) do not know the flag.
      if (typeof code !== 'string' || !NO_SUCH_FLAG.has(code)) throw error;
      await renameUnderLock(from, to);
    }
  }

  lowerPriority(nice: number): void {
    try {
      this.addon.setThreadNice(nice);
    } catch {
      // A wish, not a need: the save goes on at the ordinary priority.
    }
  }

  lockFile(path: string): FileLock | undefined {
    const lock = this.addon.lockFile(path);
    return { release: () => this.addon.unlockFile(lock) };
  }
}

function toNativeOptions({ direct, chunkBytes, spans }: WriterOptions, { token }: Cancellation): NativeWriterOptions {
  const numbers = spans instanceof Float64Array ? spans : Float64Array.from(spans);
  return { direct, mode: 0o644, chunkBytes, spans: numbers, operationBytes: 0, queueDepth: 0, abort: token };
}

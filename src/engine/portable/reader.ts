/** Reads a file through the page cache, with its checksums in the same pass. */
import { constants } from 'node:fs';
import { HoldfastError } from '../../errors.js';
import { type OpenFile, open } from '../../fs.js';
import type { FileDigest, FileReader, MemoryRange, ReadOptions, ReadSpan } from '../contract.js';
import { abortError } from '../system-error.js';
import { StreamDigest } from './digest.js';
import { BUFFERED_REASON } from './writer.js';

const OPERATION_BYTES = 4 * 1024 * 1024;

export class PortableReader implements FileReader {
  private done = 0;

  private constructor(
    private readonly file: OpenFile,
    readonly bytes: number,
  ) {}

  static async open(path: string): Promise<PortableReader> {
    // O_NONBLOCK: opening a FIFO that lies in a checkpoint's place must not hang.
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    const file = await open(path, flags);
    try {
      const stat = await file.stat();
      if (stat.isFile()) return new PortableReader(file, stat.size);
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    throw new HoldfastError('ERR_MISSING_FILE', `${path} is not a regular file.`, { path });
  }

  async read({ chunkBytes, offset = 0, spans, signal }: ReadOptions): Promise<FileDigest> {
    const started = performance.now();
    const digest = new StreamDigest(
      spans.map((span) => span.bytes),
      chunkBytes,
    );
    const targets = new Scatter(spans);
    const buffer = new Uint8Array(Math.min(OPERATION_BYTES, digest.totalBytes));
    this.done = 0;
    while (this.done < digest.totalBytes) {
      if (signal?.aborted) throw abortError(signal, 'The read');
      const wanted = Math.min(buffer.length, digest.totalBytes - this.done);
      const bytesRead = await this.file.read(buffer, 0, wanted, offset + this.done);
      if (bytesRead === 0) {
        throw new HoldfastError(
          'ERR_TRUNCATED',
          `The file ended at byte ${offset + this.done}, ${digest.totalBytes - this.done} bytes early.`,
          {
            offset: offset + this.done,
          },
        );
      }
      const piece = buffer.subarray(0, bytesRead);
      digest.update(piece);
      targets.take(piece);
      this.done += bytesRead;
    }
    return {
      bytes: digest.totalBytes,
      crc32c: digest.whole,
      chunks: digest.chunks,
      spans: digest.spans,
      direct: false,
      directReason: BUFFERED_REASON,
      io: 'threads',
      transferSeconds: (performance.now() - started) / 1000,
      syncSeconds: 0,
    };
  }

  readBytes(): number {
    return this.done;
  }

  /** Node.js has no memory mapping of its own. */
  async map(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

/** Distributes a stream of bytes over the destinations of consecutive spans. */
class Scatter {
  private span = 0;
  private at = 0;

  constructor(private readonly spans: readonly ReadSpan[]) {}

  take(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const { bytes: spanBytes, into } = this.spans[this.span] as ReadSpan;
      const length = Math.min(bytes.length - from, spanBytes - this.at);
      if (into !== undefined && length > 0) copy(bytes.subarray(from, from + length), into, this.at);
      from += length;
      this.at += length;
      if (this.at === spanBytes) {
        this.span++;
        this.at = 0;
      }
    }
  }
}

function copy(bytes: Uint8Array, { buffer, byteOffset }: MemoryRange, at: number): void {
  new Uint8Array(buffer, byteOffset + at, bytes.length).set(bytes);
}

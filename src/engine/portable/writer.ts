/** Writes a file with plain positional writes through the page cache. */
import { constants } from 'node:fs';
import { HoldfastError } from '../../errors.js';
import { type OpenFile, open } from '../../fs.js';
import type { FileDigest, FileWriter, HeldMemory, WriterOptions } from '../contract.js';
import { abortError } from '../system-error.js';
import { StreamDigest } from './digest.js';
import type { PortableMemory } from './memory.js';

const OPERATION_BYTES = 4 * 1024 * 1024;
export const BUFFERED_REASON = 'the portable engine writes and reads through the page cache';

export class PortableWriter implements FileWriter {
  /** What is written is this copy, and the checksum is the copy's: the two always match. */
  private readonly staging: Uint8Array;
  private readonly started = performance.now();
  private failure: unknown;

  private constructor(
    private readonly file: OpenFile,
    private readonly options: WriterOptions,
    private readonly digest: StreamDigest,
  ) {
    this.staging = new Uint8Array(Math.min(OPERATION_BYTES, digest.totalBytes));
  }

  static async open(path: string, options: WriterOptions): Promise<PortableWriter> {
    if (options.direct === 'required') {
      throw new HoldfastError(
        'ERR_DIRECT_IO',
        'Direct I/O was required, but the portable engine cannot do it. Build the addon, or use direct: "optional".',
      );
    }
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
    const digest = new StreamDigest(options.spans, options.chunkBytes);
    return new PortableWriter(await open(path, flags, 0o644), options, digest);
  }

  async write(pieces: readonly HeldMemory[]): Promise<void> {
    // The first error poisons the file: after it nothing more is written and nothing is synced.
    if (this.failure !== undefined) throw this.failure;
    try {
      for (const piece of pieces) {
        for (const view of (piece as PortableMemory).views()) await this.writeView(view);
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  private async writeView(view: Uint8Array): Promise<void> {
    for (let at = 0; at < view.length; at += OPERATION_BYTES) {
      const { signal } = this.options;
      if (signal?.aborted) throw abortError(signal, 'The save');
      const length = Math.min(OPERATION_BYTES, view.length - at);
      const { position, totalBytes } = this.digest;
      if (position + length > totalBytes) throw lengthError(totalBytes, position + length);
      const piece = this.staging.subarray(0, length);
      piece.set(view.subarray(at, at + length));
      this.digest.update(piece);
      await writeAll(this.file, piece, position);
    }
  }

  async finish(): Promise<FileDigest> {
    try {
      if (this.failure !== undefined) throw this.failure;
      const { position, totalBytes, whole, chunks, spans } = this.digest;
      if (position !== totalBytes) throw lengthError(totalBytes, position);
      const transferred = performance.now();
      await this.file.sync();
      const synced = performance.now();
      return {
        bytes: totalBytes,
        crc32c: whole,
        chunks,
        spans,
        direct: false,
        directReason: BUFFERED_REASON,
        io: 'threads',
        transferSeconds: (transferred - this.started) / 1000,
        syncSeconds: (synced - transferred) / 1000,
      };
    } finally {
      await this.file.close();
    }
  }

  async abandon(): Promise<void> {
    // The file is going to be removed: an error while closing it changes nothing.
    await this.file.close().catch(() => {});
  }

  writtenBytes(): number {
    return this.digest.position;
  }
}

async function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const bytesWritten = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

function lengthError(expected: number, actual: number): HoldfastError {
  return new HoldfastError('ERR_SOURCE_LENGTH', `The data is ${actual} bytes long where ${expected} were announced.`, { expected, actual });
}

/** The engine in pure TypeScript: the same bytes, everywhere, through the page cache. */
import { types } from 'node:util';
import { crc32c } from '../../format/crc32c.js';
import type {
  CopyArena,
  Engine,
  FileDigest,
  FileLock,
  FileReader,
  FileWriter,
  HeldMemory,
  MemoryRange,
  SharedMemory,
  WriterOptions,
} from '../contract.js';
import { isResizable } from '../is-resizable.js';
import { PortableArena } from './arena.js';
import { PortableMemory } from './memory.js';
import { PortableReader } from './reader.js';
import { renameUnderLock } from './rename.js';
import { PortableWriter } from './writer.js';

export class PortableEngine implements Engine {
  readonly name = 'portable';

  readonly unholdable = 'feed';

  tryHold(range: MemoryRange): HeldMemory | undefined {
    // Another thread sees an ordinary ArrayBuffer only if it is given away.
    return types.isSharedArrayBuffer(range.buffer) && !isResizable(range.buffer) ? this.hold(range) : undefined;
  }

  hold(range: MemoryRange): HeldMemory {
    return new PortableMemory(range);
  }

  share(held: readonly HeldMemory[]): SharedMemory {
    return held.map((piece) => (piece as PortableMemory).range);
  }

  adopt(shared: SharedMemory): HeldMemory[] {
    return (shared as MemoryRange[]).map((range) => this.hold(range));
  }

  createArena(bytes: number): CopyArena {
    return new PortableArena(bytes);
  }

  checksums(ranges: readonly MemoryRange[]): number[] {
    return ranges.map((range) => {
      let crc = 0;
      for (const view of new PortableMemory(range).views()) crc = crc32c(view, crc);
      return crc;
    });
  }

  lowerPriority(): void {}

  openWriter(path: string, options: WriterOptions): Promise<FileWriter> {
    return PortableWriter.open(path, options);
  }

  async writeFile(path: string, options: WriterOptions, pieces: readonly HeldMemory[]): Promise<FileDigest> {
    const writer = await PortableWriter.open(path, options);
    try {
      await writer.write(pieces);
    } catch (error) {
      await writer.abandon();
      throw error;
    }
    return writer.finish();
  }

  openReader(path: string): Promise<FileReader> {
    return PortableReader.open(path);
  }

  crc32c(bytes: Uint8Array, seed = 0): number {
    return crc32c(bytes, seed);
  }

  renameNoReplace(from: string, to: string): Promise<void> {
    return renameUnderLock(from, to);
  }

  lockFile(): FileLock | undefined {
    return undefined;
  }
}

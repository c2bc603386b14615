/** The engine in pure TypeScript: the same bytes, everywhere, through the page cache. */
import { crc32c } from '../../format/crc32c.js';
import type { Engine, FileLock, FileReader, FileWriter, HeldMemory, MemoryRange, WriterOptions } from '../contract.js';
import { PortableMemory } from './memory.js';
import { PortableReader } from './reader.js';
import { renameUnderLock } from './rename.js';
import { PortableWriter } from './writer.js';

export class PortableEngine implements Engine {
  readonly name = 'portable';

  canHold(): boolean {
    return true;
  }

  hold(range: MemoryRange): HeldMemory {
    return new PortableMemory(range);
  }

  openWriter(path: string, options: WriterOptions): Promise<FileWriter> {
    return PortableWriter.open(path, options);
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

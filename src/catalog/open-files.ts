/** Opens all files of a checkpoint before the first byte is read, so that retention elsewhere cannot take it away half-way. */
import path from 'node:path';
import type { DirectIo, Engine, FileReader } from '../engine/contract.js';
import { isDamage, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { ManifestFile } from '../format/manifest.js';
import { regularFileBytes } from '../storage/local.js';
import { checkSize } from './checkpoint.js';

export interface OpenFilesOptions {
  readonly engine: Engine;
  readonly direct: DirectIo;
}

/** A file of a checkpoint: its reader, or what is wrong with it before a byte is read. */
export interface OpenedFile {
  readonly file: ManifestFile;
  readonly reader: FileReader | HoldfastError;
}

/** Opens `files`. Damage is part of the answer; what says nothing about the checkpoint is thrown. */
export async function openFiles(directory: string, files: readonly ManifestFile[], options: OpenFilesOptions): Promise<OpenedFile[]> {
  const opened: OpenedFile[] = [];
  try {
    for (const file of files) opened.push({ file, reader: await openFile(directory, file, options) });
    return opened;
  } catch (error) {
    await closeFiles(opened);
    throw error;
  }
}

/** Closes all of them. What closing says of a file that was only read changes nothing: its bytes were checked. */
export async function closeFiles(opened: readonly OpenedFile[]): Promise<void> {
  for (const { reader } of opened) if (!(reader instanceof HoldfastError)) await reader.close().catch(() => {});
}

async function openFile(directory: string, file: ManifestFile, { engine, direct }: OpenFilesOptions): Promise<FileReader | HoldfastError> {
  const target = path.join(directory, file.name);
  const checkpoint = path.basename(directory);
  try {
    const wrong = checkSize(directory, file, await regularFileBytes(target));
    if (wrong !== undefined) return wrong;
    const reader = await engine.openReader(target, direct);
    const changed = checkSize(directory, file, reader.bytes);
    if (changed === undefined) return reader;
    await reader.close();
    return changed;
  } catch (error) {
    const failure = toHoldfastError(error, `open ${checkpoint}/${file.name}`, { checkpoint, file: file.name, path: target });
    if (!isDamage(failure)) throw failure;
    return failure.code === 'ERR_NOT_FOUND' ? (checkSize(directory, file, undefined) as HoldfastError) : failure;
  }
}

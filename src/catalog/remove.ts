/** Removes a checkpoint so that a crash half-way leaves nothing that looks like one. */
import path from 'node:path';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { rename } from '../fs.js';
import { listDirectory, removeTree, syncDirectory, temporaryName } from '../storage/local.js';
import type { GoodEntry } from './checkpoint.js';

/**
 * Removes an unfinished checkpoint, whoever may still be about to rename it: of the two renames one wins. False if it is not there (any more).
 */
export async function discardTemporary(directory: string, temporary: string): Promise<boolean> {
  const grave = path.join(directory, temporaryName(`${TEMPORARY_PREFIX}delete-`));
  try {
    await rename(path.join(directory, temporary), grave);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  // As a checkpoint's: it may have had the name of one for a moment, until that could not be made durable. Where it fails, the next writer sweeps.
  await removeGraves(directory, [grave]);
  return true;
}

/** Renames the checkpoint away, makes that durable, and removes it. Throws like {@link buryCheckpoint}. */
export async function removeCheckpoint(directory: string, entry: GoodEntry): Promise<void> {
  await removeGraves(directory, [await buryCheckpoint(directory, entry)]);
}

/**
 * Renames the checkpoint away; gives what is to be removed. One that holds files which its manifest does not list is
 * left alone: they are somebody's. Throws `ERR_INVALID_ARGUMENT` naming them.
 */
export async function buryCheckpoint(directory: string, { info: { name }, record }: GoodEntry): Promise<string> {
  const listed = new Set([MANIFEST_NAME, ...record.files.map((file) => file.name)]);
  const foreign = (await listDirectory(path.join(directory, name))).filter((entry) => !listed.has(entry.name));
  if (foreign.length > 0) {
    const names = foreign.map((entry) => entry.name).join(', ');
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `it holds files that are not of the checkpoint (${names}); move them away`, {
      checkpoint: name,
    });
  }
  const grave = path.join(directory, temporaryName(`${TEMPORARY_PREFIX}delete-`));
  await rename(path.join(directory, name), grave);
  return grave;
}

/** Removes what was renamed away. */
export async function removeGraves(directory: string, graves: readonly string[]): Promise<void> {
  if (graves.length === 0) return;
  // Without this a crash could bring the name back while some of its files are gone already.
  await syncDirectory(directory);
  for (const grave of graves) await removeTree(grave);
}

/** Removes a checkpoint so that a crash half-way leaves nothing that looks like one. */

import { rename } from 'node:fs/promises';
import path from 'node:path';
import { TEMPORARY_PREFIX } from '../format/names.js';
import { removeTree, syncDirectory, temporaryName } from '../storage/local.js';

/** Renames the checkpoint away, makes that durable, and removes it. */
export async function removeCheckpoint(directory: string, name: string): Promise<void> {
  const grave = path.join(directory, temporaryName(`${TEMPORARY_PREFIX}delete-`));
  await rename(path.join(directory, name), grave);
  // Without this a crash could bring the name back while some of its files are gone already.
  await syncDirectory(directory);
  await removeTree(grave);
}

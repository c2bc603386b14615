/** Removing a directory of checkpoints that nobody needs any more. */
import { rmdir } from 'node:fs/promises';
import path from 'node:path';
import { isGood } from '../catalog/checkpoint.js';
import { MOVING_LINKS } from '../catalog/links.js';
import { removeCheckpoint, removeGraves } from '../catalog/remove.js';
import { scanDirectory } from '../catalog/scan.js';
import { selectEngine } from '../engine/select.js';
import { HISTORY_NAME, REGISTRY_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { rename } from '../fs.js';
import { listDirectory, removeFile, temporaryName } from '../storage/local.js';
import { prepareDirectory, WriterCore } from './core.js';

/**
 * Removes every checkpoint of `directory`, damaged ones too, in the order in which they were saved, so that after a crash the newest is still there; then the
 * directory, unless there is something else in it. Throws `ERR_LOCKED` while somebody writes there.
 */
export async function removeAllCheckpoints(directory: string): Promise<void> {
  const real = await prepareDirectory(directory, true);
  const core = await WriterCore.acquire(real, selectEngine('auto'));
  try {
    await core.queue.exclusive(() => removeEach(real));
  } finally {
    await core.release();
  }
  await rmdir(real).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST' && error.code !== 'ENOENT') throw error;
  });
}

async function removeEach(directory: string): Promise<void> {
  const entries = await scanDirectory(directory);
  const [good, damaged] = [entries.filter(isGood), entries.filter((entry) => !isGood(entry))];
  for (const { info } of damaged) {
    const grave = path.join(directory, temporaryName(`${TEMPORARY_PREFIX}delete-`));
    await rename(info.path, grave);
    await removeGraves(directory, [grave]);
  }
  for (const entry of good) await removeCheckpoint(directory, entry);
  for (const entry of await listDirectory(directory)) {
    const isLink = entry.isSymbolicLink() && (MOVING_LINKS as readonly string[]).includes(entry.name);
    if (isLink || entry.name === REGISTRY_NAME || entry.name === HISTORY_NAME) await removeFile(path.join(directory, entry.name));
  }
}

/** Removes what writers that died have left behind. */
import path from 'node:path';
import { TEMPORARY_PREFIX } from '../format/names.js';
import { listDirectory, removeFile, removeTree, syncDirectory } from '../storage/local.js';

/**
 * Removes every `.tmp-*` of `directory` and gives their names. The caller holds the lock, and has
 * nothing in the making: whatever carries the prefix then belongs to a writer that is dead.
 */
export async function sweepLeftovers(directory: string): Promise<string[]> {
  const leftovers = (await listDirectory(directory)).filter(({ name }) => name.startsWith(TEMPORARY_PREFIX));
  // One of them may have been a checkpoint until its writer renamed it away, and died: without this a crash could bring the name back
  // while some of its files are gone already.
  if (leftovers.some((entry) => entry.isDirectory())) await syncDirectory(directory);
  for (const entry of leftovers) {
    const leftover = path.join(directory, entry.name);
    if (entry.isDirectory()) await removeTree(leftover);
    else await removeFile(leftover);
  }
  return leftovers.map(({ name }) => name);
}

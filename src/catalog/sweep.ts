/** Removes what writers that died have left behind. */
import path from 'node:path';
import { TEMPORARY_PREFIX } from '../format/names.js';
import { listDirectory, removeFile, removeTree } from '../storage/local.js';

/**
 * Removes every `.tmp-*` of `directory` and gives their names. The caller holds the lock, and has
 * nothing in the making: whatever carries the prefix then belongs to a writer that is dead.
 */
export async function sweepLeftovers(directory: string): Promise<string[]> {
  const swept: string[] = [];
  for (const entry of await listDirectory(directory)) {
    if (!entry.name.startsWith(TEMPORARY_PREFIX)) continue;
    const leftover = path.join(directory, entry.name);
    if (entry.isDirectory()) await removeTree(leftover);
    else await removeFile(leftover);
    swept.push(entry.name);
  }
  return swept;
}

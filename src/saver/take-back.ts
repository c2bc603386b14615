/** Undoes a save whose worker died while it was publishing. */
import { isGood } from '../catalog/checkpoint.js';
import { discardTemporary, removeCheckpoint } from '../catalog/remove.js';
import { scanDirectory } from '../catalog/scan.js';

/**
 * Removes what there is of the save, under whichever name. Whether its name was durable nobody knows any more: the fsync of the directory
 * may have failed, and another one would not tell. So it must not look like a checkpoint that was acknowledged, nor like one that was not.
 */
export async function takeBack(directory: string, temporary: string, runId: string, sequence: number): Promise<void> {
  // The worker's rename may still be under way; of the two one wins.
  if (await discardTemporary(directory, temporary)) return;
  const entries = await scanDirectory(directory);
  for (const entry of entries.filter(isGood)) {
    if (entry.record.runId === runId && entry.record.sequence === sequence) await removeCheckpoint(directory, entry);
  }
}

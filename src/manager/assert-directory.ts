/** What is done to a directory of checkpoints must not be done to a checkpoint. */
import { isCheckpointDirectory, scanDirectory } from '../catalog/scan.js';
import { HoldfastError } from '../errors.js';

/**
 * Throws `ERR_INVALID_ARGUMENT` if `directory`, in which so many checkpoints were found, is one itself: a lock, a registry or links in it would be files
 * that its manifest does not list.
 */
export async function assertNoCheckpoint(directory: string, found: number, what: string): Promise<void> {
  if (found > 0 || !(await isCheckpointDirectory(directory))) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${directory} is a checkpoint itself. ${what} the directory that it is in.`, {
    path: directory,
  });
}

/** The same for a directory that is about to be written to: it is only scanned if it looks like a checkpoint. */
export async function assertNotInCheckpoint(directory: string): Promise<void> {
  if (!(await isCheckpointDirectory(directory))) return;
  await assertNoCheckpoint(directory, (await scanDirectory(directory)).length, 'Open');
}

/** What is done to a directory of checkpoints must not be done to a checkpoint. */
import { isCheckpointDirectory } from '../catalog/scan.js';
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

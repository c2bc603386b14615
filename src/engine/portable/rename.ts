/** rename(2) that does not replace, where renameat2(RENAME_NOREPLACE) cannot be had. */
import { lstat, rename } from '../../fs.js';

/**
 * Not atomic by itself: the caller holds the lock of the directory. The look beforehand is needed
 * because rename(2) silently replaces an empty directory. Fails with EEXIST where `to` exists.
 */
export async function renameUnderLock(from: string, to: string): Promise<void> {
  const taken = await lstat(to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  if (taken) throw Object.assign(new Error(`EEXIST: ${to} exists`), { code: 'EEXIST', syscall: 'rename', path: from });
  await rename(from, to);
}

/** The file-system operations that a commit is made of, each durable or atomic as its name says. */
import { constants, type Dirent } from 'node:fs';
import path from 'node:path';
import { link, lstat, mkdir, openSmall, readdir, removeAll, rename, stat, statfs, symlink, unlink } from '../fs.js';
import { randomHex } from '../system.js';

const NOFOLLOW = constants.O_NOFOLLOW ?? 0;
const NONBLOCK = constants.O_NONBLOCK ?? 0;

/** A name that nobody else uses, for something unfinished. */
export function temporaryName(prefix: string): string {
  return `${prefix}${randomHex(8)}`;
}

/**
 * Creates `directory` and what is missing above it, durably. A directory's own entry is synced before another is made in it, also if it was
 * there already: whoever made it may have died, or failed, before he came to it. Not mkdir's own `recursive`, which on a
 * read-only file system reports success or ENOENT.
 */
export async function makeDirectories(directory: string): Promise<void> {
  let parentIsDurable = true;
  try {
    await makeDirectory(directory);
    parentIsDurable = false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path.dirname(directory) !== directory) {
      await makeDirectories(path.dirname(directory));
      // Not by recursion: where mkdir says ENOENT although the parent is there, that would never end.
      await makeDirectory(directory).catch((second: NodeJS.ErrnoException) => {
        if (second.code !== 'EEXIST') throw second;
      });
    } else {
      // Some systems say EROFS or EACCES rather than EEXIST for a directory that is there.
      const found = await stat(directory).catch(() => undefined);
      if (!found?.isDirectory()) throw error;
    }
  }
  if (!parentIsDurable) await syncParent(path.dirname(directory));
  await syncParent(directory);
}

async function syncParent(directory: string): Promise<void> {
  try {
    await syncDirectory(path.dirname(directory));
  } catch (error) {
    // A parent that may be passed through but not read cannot be opened, so not synced either.
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

/** Creates one directory; EEXIST if anything has that name. */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, 0o755);
}

/** Creates a file that did not exist, writes it and fsyncs it. */
export async function writeNewFile(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await openSmall(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NOFOLLOW, 0o644);
  try {
    for (let at = 0; at < bytes.length; ) {
      const bytesWritten = await handle.write(bytes, at, bytes.length - at, at);
      at += bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes the entries of a directory durable. Windows cannot open directories and keeps its entries in
 * order by itself, so there it does nothing.
 */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await openSmall(directory, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file in one step. Not durable: for caches that can be rebuilt. */
export async function replaceFile(file: string, bytes: Uint8Array, temporaryPrefix: string): Promise<void> {
  await replaceBy(file, temporaryPrefix, async (temporary) => {
    const handle = await openSmall(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NOFOLLOW, 0o644);
    await handle.writeAll(bytes).finally(() => handle.close());
  });
}

/** Replaces a file in one step: a crash leaves the older one or the new one, whole. When it resolves, the new one survives power loss. */
export async function replaceFileDurably(file: string, bytes: Uint8Array, temporaryPrefix: string): Promise<void> {
  await replaceBy(file, temporaryPrefix, (temporary) => writeNewFile(temporary, bytes));
  await syncDirectory(path.dirname(file));
}

/** Creates a file in one step, durably. False, and nothing is changed, if anything has that name. */
export async function createFileDurably(file: string, bytes: Uint8Array, temporaryPrefix: string): Promise<boolean> {
  const temporary = path.join(path.dirname(file), temporaryName(temporaryPrefix));
  try {
    await writeNewFile(temporary, bytes);
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (!isWithoutHardLinks(error)) throw error;
      return writeNewFile(file, bytes);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await removeFile(temporary).catch(() => {});
  }
  await syncDirectory(path.dirname(file));
  return true;
}

/** Whether link(2) failed because there are no hard links here (FAT, some network file systems). */
export function isWithoutHardLinks({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS' || code === 'EMLINK';
}

/** Points the symbolic link `link` at the relative `target` in one step. */
export async function replaceSymlink(link: string, target: string, temporaryPrefix: string): Promise<void> {
  await replaceBy(link, temporaryPrefix, (temporary) => symlink(target, temporary));
}

/** Makes something under a temporary name and renames it into place; a failure leaves nothing behind. */
async function replaceBy(target: string, temporaryPrefix: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = path.join(path.dirname(target), temporaryName(temporaryPrefix));
  try {
    await make(temporary);
    await rename(temporary, target);
  } catch (error) {
    await removeFile(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Reads a regular file of at most `limit` bytes, following no symbolic link. `undefined` if it is
 * longer or not a regular file.
 */
export async function readSmallFile(file: string, limit: number): Promise<Uint8Array | undefined> {
  const handle = await openSmall(file, constants.O_RDONLY | NOFOLLOW | NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > limit) return undefined;
    return await handle.readAll();
  } finally {
    await handle.close();
  }
}

/** Length of the regular file at `file`, or `undefined` if there is none (a symbolic link is none). */
export async function regularFileBytes(file: string): Promise<number | undefined> {
  try {
    const stat = await lstat(file);
    return stat.isFile() ? stat.size : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether anything has that name. */
export async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

/** The directory's entries; ENOENT and ENOTDIR as the operating system says them. */
export function listDirectory(directory: string): Promise<Dirent[]> {
  return readdir(directory);
}

/** Removes a directory and what is in it, following no symbolic link. */
export async function removeTree(directory: string): Promise<void> {
  await removeAll(directory);
}

/** Removes a file if it is there. */
export async function removeFile(file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Bytes that an unprivileged process may still write to the file system of `directory`; `undefined` where it does not say. */
export async function freeBytes(directory: string): Promise<number | undefined> {
  const { bavail, bsize, blocks } = await statfs(directory);
  return blocks === 0 ? undefined : bavail * bsize;
}

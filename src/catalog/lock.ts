/**
 * One writer per directory. The lock is the file `.lock` with its holder's identity; it appears complete
 * in one step (written under another name, then linked). The native engine also holds an
 * open-file-description lock on it, which tells of a holder that another pid namespace hides.
 */
import path from 'node:path';
import type { Engine, FileLock } from '../engine/contract.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { LOCK_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { link, rename, statfs } from '../fs.js';
import { exists, isWithoutHardLinks, readSmallFile, removeFile, temporaryName, writeNewFile } from '../storage/local.js';
import { currentProcess, isAlive, type ProcessIdentity, parseIdentity } from './process-identity.js';

const MAX_LOCK_BYTES = 64 * 1024;
/** Guards a take-over. Whoever holds the lock sweeps it: one that is left belongs to somebody who died, or is about to see that he is late. */
const TAKEOVER_NAME = `${TEMPORARY_PREFIX}lock-takeover`;

/** File systems that one kernel mounts at a time: a holder from before a reboot is surely dead. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
]);

export class DirectoryLock {
  private constructor(
    private readonly file: string,
    private readonly identity: ProcessIdentity,
    private readonly fileLock: FileLock | undefined,
  ) {}

  /** Takes the lock of `directory`, from a dead holder if need be. Throws `ERR_LOCKED` naming the holder. */
  static async acquire(directory: string, engine: Engine): Promise<DirectoryLock> {
    const file = path.join(directory, LOCK_NAME);
    try {
      const identity = await currentProcess(temporaryName(''));
      if (!(await tryCreate(file, identity))) await takeOver(file, identity, engine);
      return new DirectoryLock(file, identity, holdOpen(engine, file));
    } catch (error) {
      throw toHoldfastError(error, `lock ${directory}`, { path: file });
    }
  }

  /** What {@link assertLockHeld} asks for, in whichever thread. */
  get claim(): LockClaim {
    return { file: this.file, token: this.identity.token };
  }

  /** Throws `ERR_LOCK_LOST` if the lock file is not this lock's any more. */
  async assertHeld(): Promise<void> {
    await assertLockHeld(this.claim);
  }

  /** Gives the lock up; removes the file only if it is still this lock's. */
  async release(): Promise<void> {
    try {
      const holder = await readHolder(this.file);
      if (holder?.token === this.identity.token) await removeFile(this.file);
    } catch (error) {
      throw toHoldfastError(error, `remove ${this.file}`, { path: this.file });
    } finally {
      this.fileLock?.release();
    }
  }
}

/** A lock that is held somewhere in this process. */
export interface LockClaim {
  readonly file: string;
  readonly token: string;
}

/** Throws `ERR_LOCK_LOST` if the lock file is not the one that is claimed. */
export async function assertLockHeld({ file, token }: LockClaim): Promise<void> {
  const holder = await readHolder(file).catch((error: unknown) => {
    throw toHoldfastError(error, `read ${file}`, { path: file });
  });
  if (holder?.token === token) return;
  throw new HoldfastError(
    'ERR_LOCK_LOST',
    `${file} was removed or taken over by another writer while this manager held it. Nothing was committed. Open the directory again, and let only one process write to it.`,
    { path: file, holder },
  );
}

/** Throws `ERR_LOCKED` naming the holder of the directory's lock, unless there is none or it is certainly dead. */
export async function assertLockFree(directory: string, engine: Engine): Promise<void> {
  await assertDead(path.join(directory, LOCK_NAME), engine);
}

/**
 * Takes the lock away from a holder of whom nobody here can tell whether it lives: of another host, from before a restart on a file system
 * that hosts may share, or unreadable. False where there is no lock. Throws `ERR_LOCKED` for a process of this machine that is running.
 */
export async function breakLock(directory: string, engine: Engine): Promise<boolean> {
  let found = false;
  for (const name of [TAKEOVER_NAME, LOCK_NAME]) {
    const file = path.join(directory, name);
    if (!(await exists(file))) continue;
    found = true;
    const holder = await readHolder(file).catch(() => undefined);
    const here = await currentProcess('');
    if (holder?.host === here.host && holder.bootId === here.bootId && (await isAlive(holder))) throw locked(file, holder);
    // Of a holder in another pid namespace, or on a file system that tells of locks elsewhere.
    if (isHeldOpen(engine, file, ['EAGAIN'])) throw locked(file, holder);
    await removeFile(file);
  }
  return found;
}

/** Puts the lock in place unless one is there. */
async function tryCreate(file: string, identity: ProcessIdentity): Promise<boolean> {
  const temporary = path.join(path.dirname(file), temporaryName(`${TEMPORARY_PREFIX}lock-`));
  const bytes = Buffer.from(`${JSON.stringify(identity)}\n`);
  await writeNewFile(temporary, bytes);
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENOENT: the holder, sweeping leftovers, took our file for one. So there is a holder.
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    // Without hard links: create the file itself, exclusively.
    if (isWithoutHardLinks(error as NodeJS.ErrnoException)) return await createExclusively(file, bytes);
    throw error;
  } finally {
    await leaveBehind(temporary);
  }
}

/**
 * Removes a file that is not needed any more. One that cannot be removed is swept by the next writer; failing for its sake would leave a lock
 * in place that nobody gives up.
 */
async function leaveBehind(file: string): Promise<void> {
  await removeFile(file).catch(() => {});
}

async function createExclusively(file: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await writeNewFile(file, bytes);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Replaces the lock of a dead holder. A second file guards this, so that of several processes which
 * all see a dead holder only one renames its lock away; every commit looks at the lock again.
 */
async function takeOver(file: string, identity: ProcessIdentity, engine: Engine): Promise<void> {
  const guard = path.join(path.dirname(file), TAKEOVER_NAME);
  await assertDead(file, engine);
  if (!(await tryCreate(guard, identity))) {
    await bury(guard, engine);
    if (!(await tryCreate(guard, identity))) throw locked(guard, await readHolder(guard));
  }
  try {
    // Under the guard the holder is looked at once more: somebody may have taken over just before.
    await bury(file, engine);
    if (!(await tryCreate(file, identity))) throw locked(file, await readHolder(file));
  } finally {
    await leaveBehind(guard);
  }
}

/**
 * Takes the lock file of a dead holder away. Between looking and renaming another process may have put its own in place: what
 * was renamed is looked at, and a living holder's is put back.
 */
async function bury(file: string, engine: Engine): Promise<void> {
  const dead = await assertDead(file, engine);
  const grave = path.join(path.dirname(file), temporaryName(`${TEMPORARY_PREFIX}lock-`));
  try {
    await rename(file, grave);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const buried = await readHolder(grave);
  if (buried?.token === dead?.token) return removeFile(grave);
  await link(grave, file).catch(() => {});
  await removeFile(grave);
  throw locked(file, buried);
}

async function readHolder(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const bytes = await readSmallFile(file, MAX_LOCK_BYTES);
    return bytes === undefined ? undefined : parseIdentity(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The holder of `file`, who is certainly dead, or undefined if he has just let go. Throws `ERR_LOCKED` otherwise. */
async function assertDead(file: string, engine: Engine): Promise<ProcessIdentity | undefined> {
  const holder = await readHolder(file);
  if (holder === undefined) {
    // Unreadable or gone. Gone is free; something that is not a lock is not ours to remove.
    const there = await readSmallFile(file, MAX_LOCK_BYTES).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
    if (there) throw locked(file, undefined);
    return undefined;
  }
  const here = await currentProcess('');
  if (holder.host !== here.host) throw locked(file, holder);
  // Where a boot id is not known, whether the process lives is all there is to go by.
  if (holder.bootId !== here.bootId && holder.bootId !== '' && here.bootId !== '') {
    // The machine was restarted since. On a file system that several hosts may share, another host
    // could carry the same name, so there only a person can decide.
    const { type } = await statfs(path.dirname(file));
    if (!LOCAL_FILE_SYSTEMS.has(type)) throw locked(file, holder);
    return holder;
  }
  if (await isAlive(holder)) throw locked(file, holder);
  if (isHeldOpen(engine, file)) throw locked(file, holder);
  return holder;
}

/** Whether some process, perhaps in another pid namespace, holds the lock file open. EACCES may also mean that nobody here may open it. */
function isHeldOpen(engine: Engine, file: string, meaning: readonly string[] = ['EAGAIN', 'EACCES']): boolean {
  try {
    engine.lockFile(file)?.release();
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Without descriptors or memory nothing is known.
    if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM') throw error;
    return meaning.includes(code ?? '');
  }
}

/** The lock that the kernel drops when the process ends; file systems without it do not matter. */
function holdOpen(engine: Engine, file: string): FileLock | undefined {
  try {
    return engine.lockFile(file);
  } catch {
    return undefined;
  }
}

function locked(file: string, holder: ProcessIdentity | undefined): HoldfastError {
  const own = holder?.pid === process.pid ? ' (this process: another thread, or another copy of the library)' : '';
  const who = holder === undefined ? 'an unknown writer' : `process ${holder.pid} on ${holder.host}${own}`;
  return new HoldfastError(
    'ERR_LOCKED',
    `${path.dirname(file)} is being written by ${who}. Wait until it closes the directory, or open with { readOnly: true }. If you are certain that it is dead, "holdfast repair --break-lock" takes the lock away.`,
    { path: file, ...(holder === undefined ? {} : { holder }) },
  );
}

/**
 * Steps 8 and 9 of the commit protocol: what was persisted under a temporary name gets its own.
 */
import path from 'node:path';
import type { Engine } from '../engine/contract.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { syncDirectory, temporaryName } from '../storage/local.js';
import { assertLockHeld, type LockClaim } from './lock.js';

/** What is to get which name. */
export interface Publication {
  readonly directory: string;
  /** Basename of the finished temporary directory. */
  readonly temporary: string;
  /** Wanted name; if it is taken, `.r<sequence>` is appended. */
  readonly name: string;
  readonly sequence: number;
}

/** Gives the finished directory its name and makes that durable; resolves to the name. When it rejects, there is no checkpoint. */
export async function publishCheckpoint(what: Publication, engine: Engine, lock: LockClaim): Promise<string> {
  const { directory } = what;
  try {
    await assertLockHeld(lock);
    return await rename(what, engine);
  } catch (error) {
    throw toHoldfastError(error, `save to ${directory}`, { path: directory });
  }
}

/** Names for a checkpoint that is wanted to have `name`, in the order in which they are tried. */
export function namesFor(name: string, sequence: number): string[] {
  return [name, `${name}.r${sequence}`];
}

async function rename({ directory, temporary: from, name, sequence }: Publication, engine: Engine): Promise<string> {
  const temporary = path.join(directory, from);
  const candidates = [...namesFor(name, sequence), temporaryName(`${name}.r${sequence}-`)];
  for (const candidate of candidates) {
    const target = path.join(directory, candidate);
    try {
      await engine.renameNoReplace(temporary, target); // 8
    } catch (error) {
      if ((error as { code?: unknown }).code === 'EEXIST') continue;
      throw error;
    }
    try {
      await syncDirectory(directory); // 9
    } catch (error) {
      // Whether the name would survive a power loss is unknown now, so it must not look like success.
      await engine.renameNoReplace(target, temporary).catch(() => {});
      throw error;
    }
    return candidate;
  }
  throw new HoldfastError('ERR_IO', `Every name for the checkpoint ${name} is taken in ${directory}.`, { path: directory });
}

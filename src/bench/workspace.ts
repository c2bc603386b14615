/** A directory for one benchmark, which is gone after it whatever happens. */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';

/** The absolute path of an existing directory. Throws `ERR_NOT_FOUND`, `ERR_PERMISSION` and the like. */
export async function resolveDirectory(directory: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    throw toHoldfastError(error, `find ${directory}`, { path: directory });
  }
}

/** Calls `work` with a new directory in `base`. Throws `ERR_PERMISSION`, `ERR_READ_ONLY_FILE_SYSTEM` and the like where none can be made. */
export async function withWorkspace<T>(base: string, work: (directory: string) => Promise<T>): Promise<T> {
  let directory: string;
  try {
    directory = await mkdtemp(path.join(base, '.holdfast-bench-'));
  } catch (error) {
    throw toHoldfastError(error, `make a directory in ${base}`, { path: base });
  }
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

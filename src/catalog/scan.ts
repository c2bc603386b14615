/** Which checkpoints a directory holds, in commit order. */
import type { Dirent } from 'node:fs';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import { listDirectory } from '../storage/local.js';
import { type CatalogEntry, inspectDirectory, isGood } from './checkpoint.js';
import type { ManifestCache } from './manifest-cache.js';

/**
 * Every checkpoint of `directory`, oldest commit first. Those whose manifest cannot be read come last: they
 * may be the newest, and whoever falls back past them must say so. `cache` spares reading manifests again. Throws `ERR_NOT_FOUND` or `ERR_NOT_A_DIRECTORY`.
 */
export async function scanDirectory(directory: string, cache?: ManifestCache): Promise<CatalogEntry[]> {
  const entries: CatalogEntry[] = [];
  for (const entry of await readEntries(directory)) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || NEVER_CHECKPOINTS.has(entry.name)) continue;
    const candidate = path.join(directory, entry.name);
    if (!(await mayBeCheckpoint(candidate))) continue;
    const found = await inspectDirectory(candidate, cache);
    // What looks damaged may only have gone away meanwhile, by the retention of a running writer.
    if (isGood(found) || (await mayBeCheckpoint(candidate))) entries.push(found);
  }
  return entries.sort(bySequence);
}

/** Directories that file systems keep at their root, readable by root only. */
const NEVER_CHECKPOINTS: ReadonlySet<string> = new Set(['lost+found', 'System Volume Information']);

/** One that cannot be read could be a checkpoint: it is listed as damaged, so that it never looks like a first run. */
async function mayBeCheckpoint(candidate: string): Promise<boolean> {
  try {
    return await isCheckpointDirectory(candidate);
  } catch (error) {
    if (error instanceof HoldfastError) return true;
    throw error;
  }
}

async function readEntries(directory: string): Promise<Dirent[]> {
  try {
    return await listDirectory(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      throw new HoldfastError('ERR_NOT_FOUND', `${directory} does not exist.`, { path: directory, cause: error });
    }
    if (code === 'ENOTDIR') {
      throw new HoldfastError('ERR_NOT_A_DIRECTORY', `${directory} is a file; a directory of checkpoints was expected.`, {
        path: directory,
        cause: error,
      });
    }
    throw toHoldfastError(error, `list ${directory}`, { path: directory });
  }
}

function isTensorFile(entry: Dirent): boolean {
  return !entry.isDirectory() && entry.name.endsWith('.safetensors') && !entry.name.startsWith('.');
}

/** True for a directory that holds `manifest.json` or a `.safetensors` file. */
export async function isCheckpointDirectory(directory: string): Promise<boolean> {
  try {
    const entries = await listDirectory(directory);
    return entries.some((entry) => entry.name === MANIFEST_NAME || isTensorFile(entry));
  } catch (error) {
    // Gone between the listing and the look, by retention of the writer: it is no checkpoint any more.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw toHoldfastError(error, `list ${directory}`, { path: directory });
  }
}

function bySequence(a: CatalogEntry, b: CatalogEntry): number {
  const sequenceA = a.info.sequence ?? Number.POSITIVE_INFINITY;
  const sequenceB = b.info.sequence ?? Number.POSITIVE_INFINITY;
  if (sequenceA !== sequenceB) return sequenceA - sequenceB;
  return a.info.name < b.info.name ? -1 : 1;
}

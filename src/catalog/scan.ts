/** Which checkpoints a directory holds, in commit order. */
import type { Dirent } from 'node:fs';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import { exists, listDirectory } from '../storage/local.js';
import { type CatalogEntry, inspectDirectory, isGood } from './checkpoint.js';
import type { ManifestCache } from './manifest-cache.js';

/** How often a directory is listed again because something went away while it was looked at. */
const MAX_ATTEMPTS = 20;

/**
 * Every checkpoint of `directory`, oldest commit first. Those whose manifest cannot be read come last: they may be the newest,
 * and whoever falls back past them must say so. `cache` spares reading manifests again. Throws `ERR_NOT_FOUND` or
 * `ERR_NOT_A_DIRECTORY`.
 */
export async function scanDirectory(directory: string, cache?: ManifestCache): Promise<CatalogEntry[]> {
  for (let attempt = 1; ; attempt++) {
    const { entries, vanished } = await scanOnce(directory, cache);
    // Retention of a running writer takes a checkpoint away only after a newer one is there: the listing was older than
    // that, and without another look the directory might even seem to be empty.
    if (!vanished || attempt >= MAX_ATTEMPTS) return entries.sort(bySequence);
  }
}

async function scanOnce(directory: string, cache: ManifestCache | undefined): Promise<{ entries: CatalogEntry[]; vanished: boolean }> {
  const entries: CatalogEntry[] = [];
  let vanished = false;
  for (const entry of await readEntries(directory)) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || NEVER_CHECKPOINTS.has(entry.name)) continue;
    const candidate = path.join(directory, entry.name);
    const found = (await mayBeCheckpoint(candidate)) ? await inspectDirectory(candidate, cache) : undefined;
    // What looks damaged, or like no checkpoint, may only have gone away meanwhile.
    if (found !== undefined && (isGood(found) || (await mayBeCheckpoint(candidate)))) entries.push(found);
    else vanished ||= !(await exists(candidate));
  }
  return { entries, vanished };
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

/** Which checkpoints a directory holds, in commit order. */
import type { Dirent } from 'node:fs';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import { exists, listDirectory } from '../storage/local.js';
import { type CatalogEntry, inspectDirectory, inspectManifest, isGood } from './checkpoint.js';
import { readTags } from './links.js';
import { firstFailure } from './parallel.js';
import type { RecordCache } from './record-cache.js';

/** Checkpoints that are looked at at a time: each look is a handful of short system calls. */
const LOOKS_AT_ONCE = 32;
/** How often a directory is listed again because something went away while it was looked at. */
const MAX_ATTEMPTS = 20;

/**
 * Every checkpoint of `directory`, oldest commit first. Those whose manifest cannot be read come last: they may be the newest,
 * and whoever falls back past them must say so. Manifests that `cache` knows are not read again, and it learns those that are. Throws
 * `ERR_NOT_FOUND` or `ERR_NOT_A_DIRECTORY`.
 */
export async function scanDirectory(directory: string, cache?: RecordCache): Promise<CatalogEntry[]> {
  return scan(directory, cache, inspectDirectory);
}

/** The same, without a look at any file but the manifests: whether the others are there is not known, and every checkpoint with a manifest is `good`. */
export async function scanManifests(directory: string, cache: RecordCache): Promise<CatalogEntry[]> {
  return scan(directory, cache, inspectManifest);
}

async function scan(directory: string, cache: RecordCache | undefined, inspect: typeof inspectDirectory): Promise<CatalogEntry[]> {
  for (let attempt = 1; ; attempt++) {
    const { entries, vanished } = await scanOnce(directory, cache, inspect);
    // Retention of a running writer takes a checkpoint away only after a newer one is there: the listing was older than
    // that, and without another look the directory might even seem to be empty.
    if (vanished && attempt < MAX_ATTEMPTS) continue;
    cache?.retain(entries.map(({ info }) => info.name));
    return entries.sort(bySequence);
  }
}

async function scanOnce(
  directory: string,
  cache: RecordCache | undefined,
  inspect: typeof inspectDirectory,
): Promise<{ entries: CatalogEntry[]; vanished: boolean }> {
  const listed = await readEntries(directory);
  const tags = await readTags(directory, listed);
  const names = listed.filter((entry) => entry.isDirectory() && mayHaveName(entry.name)).map(({ name }) => name);
  const looks = names.map((name) => async () => lookAt(path.join(directory, name), cache, inspect));
  const found = await firstFailure(undefined, LOOKS_AT_ONCE, looks);
  const entries = found.filter((look) => look !== 'vanished' && look !== 'none');
  const vanished = found.includes('vanished');
  return { entries: entries.map((entry) => withTags(entry, tags.get(entry.info.name))), vanished };
}

async function lookAt(
  candidate: string,
  cache: RecordCache | undefined,
  inspect: typeof inspectDirectory,
): Promise<CatalogEntry | 'vanished' | 'none'> {
  const entry = await inspect(candidate, cache);
  // What looks damaged may be no checkpoint at all, or have gone away meanwhile.
  if (isGood(entry) || (await mayBeCheckpoint(candidate))) return entry;
  return (await exists(candidate)) ? 'none' : 'vanished';
}

function withTags(entry: CatalogEntry, tags: readonly string[] | undefined): CatalogEntry {
  return tags === undefined ? entry : { ...entry, info: { ...entry.info, tags } };
}

function mayHaveName(name: string): boolean {
  return !name.startsWith('.') && !NEVER_CHECKPOINTS.has(name);
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

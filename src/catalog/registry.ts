/**
 * `registry.json`: a cache of what the manifests say, so that thousands of checkpoints are listed without reading each, and the highest
 * sequence is remembered even where its checkpoint is gone. Never trusted over the manifests, and never needed.
 */
import path from 'node:path';
import { REGISTRY_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { decodeRecord, encodeRecord } from '../format/record.js';
import { openSealed, sealJson } from '../format/sealed.js';
import { readSmallFile, replaceFile } from '../storage/local.js';
import type { CatalogEntry } from './checkpoint.js';
import { RecordCache, type StampedRecord } from './record-cache.js';

const MAX_REGISTRY_BYTES = 256 * 1024 * 1024;
const REGISTRY_VERSION = 2;

export interface Registry {
  readonly runId: string;
  /** The highest sequence that was ever committed here. */
  readonly highestSequence: number;
}

/** What a registry says, and the records that it holds. */
export interface StoredRegistry extends Registry {
  readonly records: ReadonlyMap<string, StampedRecord>;
}

/** The registry, or `undefined` where it is missing, damaged or of another version. */
export async function readRegistry(directory: string): Promise<StoredRegistry | undefined> {
  try {
    const bytes = await readSmallFile(path.join(directory, REGISTRY_NAME), MAX_REGISTRY_BYTES);
    if (bytes === undefined) return undefined;
    const opened = openSealed(bytes);
    return opened.ok ? decodeRegistry(JSON.parse(opened.text)) : undefined;
  } catch {
    // Whatever is wrong with a cache, the manifests know better.
    return undefined;
  }
}

/** What is remembered of the directory's manifests. */
export async function readRecords(directory: string): Promise<RecordCache> {
  return new RecordCache((await readRegistry(directory))?.records);
}

function decodeRegistry(root: unknown): StoredRegistry | undefined {
  const { format, version, runId, highestSequence, checkpoints } = root as Record<string, unknown>;
  if (format !== 'holdfast-registry' || version !== REGISTRY_VERSION || !Array.isArray(checkpoints)) return undefined;
  if (typeof runId !== 'string' || !Number.isSafeInteger(highestSequence) || (highestSequence as number) < 0) return undefined;
  const records = new Map<string, StampedRecord>();
  for (const { name, stamp, manifest } of checkpoints as Record<string, unknown>[]) {
    const record = decodeRecord(manifest);
    if (record !== undefined && typeof name === 'string' && typeof stamp === 'string') records.set(name, { stamp, record });
  }
  return { runId, highestSequence: highestSequence as number, records };
}

/** Replaces the registry. It is a cache, so it is not fsynced. */
export async function writeRegistry(
  directory: string,
  { runId, highestSequence }: Registry,
  entries: readonly CatalogEntry[],
  cache: RecordCache,
): Promise<void> {
  const checkpoints = entries.flatMap(({ info: { name } }) => {
    const known = cache.get(name);
    return known === undefined ? [] : [{ name, stamp: known.stamp, manifest: encodeRecord(known.record) }];
  });
  const bytes = sealJson({ format: 'holdfast-registry', version: REGISTRY_VERSION, runId, highestSequence, checkpoints });
  await replaceFile(path.join(directory, REGISTRY_NAME), bytes, TEMPORARY_PREFIX);
}

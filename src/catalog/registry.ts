/**
 * `registry.json`: a cache of what the manifests say, so that the highest sequence is remembered even
 * where its checkpoint is gone. Never trusted over the manifests, and never needed.
 */
import path from 'node:path';
import { parseJson } from '../format/json.js';
import { REGISTRY_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { openSealed, sealJson } from '../format/sealed.js';
import { readSmallFile, replaceFile } from '../storage/local.js';
import type { CatalogEntry } from './checkpoint.js';

const MAX_REGISTRY_BYTES = 64 * 1024 * 1024;

export interface Registry {
  readonly runId: string;
  /** The highest sequence that was ever committed here. */
  readonly highestSequence: number;
}

/** The registry, or `undefined` where it is missing, damaged or of another version. */
export async function readRegistry(directory: string): Promise<Registry | undefined> {
  try {
    const bytes = await readSmallFile(path.join(directory, REGISTRY_NAME), MAX_REGISTRY_BYTES);
    if (bytes === undefined) return undefined;
    const opened = openSealed(bytes);
    if (!opened.ok) return undefined;
    const root = parseJson(opened.text);
    if (!(root instanceof Map) || root.get('format') !== 'holdfast-registry' || root.get('version') !== 1) return undefined;
    const runId = root.get('runId');
    const highestSequence = root.get('highestSequence');
    if (typeof runId !== 'string' || typeof highestSequence !== 'number' || highestSequence < 0) return undefined;
    return { runId, highestSequence };
  } catch {
    // Whatever is wrong with a cache, the manifests know better.
    return undefined;
  }
}

/** Replaces the registry. It is a cache, so it is not fsynced. */
export async function writeRegistry(
  directory: string,
  { runId, highestSequence }: Registry,
  entries: readonly CatalogEntry[],
): Promise<void> {
  const checkpoints = entries.map(({ info: { name, status, sequence, step, epoch, bytes, createdAt, contents } }) => ({
    name,
    status,
    sequence,
    step,
    epoch,
    bytes,
    createdAt,
    contents,
  }));
  const bytes = sealJson({ format: 'holdfast-registry', version: 1, runId, highestSequence, checkpoints });
  await replaceFile(path.join(directory, REGISTRY_NAME), bytes, TEMPORARY_PREFIX);
}

/** What a directory holds, and will hold when a new checkpoint is there: looked at once per save. */
import path from 'node:path';
import { type CatalogEntry, infoOf } from '../catalog/checkpoint.js';
import { namesFor } from '../catalog/publish.js';
import { type Summary, summarize } from '../catalog/summary.js';
import { HoldfastError } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import type { Monitor } from '../policy/best.js';

export interface Survey extends Summary {
  /** Good or not, oldest first. */
  readonly entries: readonly CatalogEntry[];
  /** Of the new checkpoint. */
  readonly sequence: number;
}

/** The directory with one more checkpoint, of which nothing is known to be wrong. */
export function surveyWith(
  found: readonly CatalogEntry[],
  directory: string,
  name: string,
  manifest: Manifest,
  monitor: Monitor | undefined,
): Survey {
  const added = { info: infoOf(path.join(directory, name), manifest), manifest };
  // Behind all that were committed before, and before those of which nobody knows when.
  const at = found.findIndex(({ info }) => info.sequence === null);
  const entries = at < 0 ? [...found, added] : [...found.slice(0, at), added, ...found.slice(at)];
  return { ...summarize(entries, monitor), entries, sequence: manifest.sequence };
}

/** The name that a new checkpoint is going to have, unless something else than a checkpoint has it. */
export function freeName(found: readonly CatalogEntry[], name: string, sequence: number): string {
  const taken = new Set(found.map(({ info }) => info.name));
  return namesFor(name, sequence).find((candidate) => !taken.has(candidate)) ?? name;
}

/** Above everything that is known, and above what somebody may have copied into the directory meanwhile. */
export function nextSequence(directory: string, highestSequence: number, entries: readonly CatalogEntry[]): number {
  const highest = entries.reduce((sum, { manifest }) => Math.max(sum, manifest?.sequence ?? 0), highestSequence);
  if (highest < Number.MAX_SAFE_INTEGER) return highest + 1;
  throw new HoldfastError('ERR_UNSUPPORTED', `The commit sequence of ${directory} has reached its end; go on in a new directory.`, {
    path: directory,
  });
}

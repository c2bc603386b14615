/** What a directory holds, and will hold when a new checkpoint is there: looked at once per save. */
import path from 'node:path';
import { type CatalogEntry, infoOf } from '../catalog/checkpoint.js';
import { namesFor } from '../catalog/publish.js';
import { type Summary, summarize, toPolicyEntry } from '../catalog/summary.js';
import { HoldfastError } from '../errors.js';
import type { CheckpointRecord } from '../format/record.js';
import type { Monitor } from '../policy/best.js';
import type { Outlook, SaveJob } from './job.js';

export interface Survey extends Summary {
  /** Good or not, oldest first. */
  readonly entries: readonly CatalogEntry[];
  /** Of the new checkpoint. */
  readonly sequence: number;
}

/** A checkpoint that is about to be there. */
export interface Addition {
  readonly name: string;
  readonly record: CheckpointRecord;
  /** Links that it gets; others lose them. */
  readonly tags: readonly string[];
}

/** The directory with one more checkpoint, of which nothing is known to be wrong. */
export function surveyWith(
  found: readonly CatalogEntry[],
  directory: string,
  { name, record, tags }: Addition,
  monitor: Monitor | undefined,
): Survey {
  const added = { info: { ...infoOf(path.join(directory, name), record), tags }, record };
  const others = found.map((entry) => withoutTags(entry, tags));
  // Behind all that were committed before, and before those of which nobody knows when.
  const at = others.findIndex(({ info }) => info.sequence === null);
  const entries = at < 0 ? [...others, added] : [...others.slice(0, at), added, ...others.slice(at)];
  return { ...summarize(entries, monitor), entries, sequence: record.sequence };
}

function withoutTags(entry: CatalogEntry, moved: readonly string[]): CatalogEntry {
  const { info } = entry;
  if (!info.tags.some((tag) => moved.includes(tag))) return entry;
  return { ...entry, info: { ...info, tags: info.tags.filter((tag) => !moved.includes(tag)) } };
}

/** The links that the checkpoint of a job gets. */
export function tagsOf({ name, numbered, tags }: Pick<SaveJob, 'name' | 'numbered' | 'tags'>): readonly string[] {
  return numbered ? [name, ...tags.filter((tag) => tag !== name)] : tags;
}

/** As retention sees it. */
export function outlookOf({ good, best, monitor }: Summary): Outlook {
  return { entries: good.map(toPolicyEntry), best: best?.info.name, monitor };
}

/** The name that a new checkpoint is going to have, unless something else than a checkpoint has it. */
export function freeName(found: readonly CatalogEntry[], name: string, sequence: number): string {
  const taken = new Set(found.map(({ info }) => info.name));
  return namesFor(name, sequence).find((candidate) => !taken.has(candidate)) ?? name;
}

/** Above everything that is known, and above what somebody may have copied into the directory meanwhile. */
export function nextSequence(directory: string, highestSequence: number, entries: readonly CatalogEntry[]): number {
  const highest = entries.reduce((sum, { record }) => Math.max(sum, record?.sequence ?? 0), highestSequence);
  if (highest < Number.MAX_SAFE_INTEGER) return highest + 1;
  throw new HoldfastError('ERR_UNSUPPORTED', `The commit sequence of ${directory} has reached its end; go on in a new directory.`, {
    path: directory,
  });
}

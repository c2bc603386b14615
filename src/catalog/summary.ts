/** The directory as policies and people see it: good checkpoints, the latest, the best. */

import type { CheckpointRecord } from '../format/record.js';
import { defaultMonitor, findBest, type Monitor } from '../policy/best.js';
import type { PolicyEntry } from '../policy/entry.js';
import { type CatalogEntry, type GoodEntry, isGood } from './checkpoint.js';

export interface Summary {
  readonly good: readonly GoodEntry[];
  readonly latest: GoodEntry | undefined;
  readonly best: GoodEntry | undefined;
  readonly monitor: Monitor;
}

/**
 * Finds latest and best. Latest is the newest that training can go on from; where there is none, the newest. Without `monitor`, what the newest
 * manifest with one says decides, or the default.
 */
export function summarize(entries: readonly CatalogEntry[], monitor?: Monitor): Summary {
  const good = entries.filter(isGood);
  const chosen = monitor ?? monitorOf(good.map(({ record }) => record));
  const byRecord = new Map(good.map((entry) => [entry.record, entry]));
  const best = findBest([...byRecord.keys()], chosen);
  const latest = good.findLast(({ record }) => record.contents === 'full') ?? good.at(-1);
  return { good, latest, best: best && byRecord.get(best), monitor: chosen };
}

/** What decides which is best where the caller did not say: what the newest of `records`, oldest first, says, or the default. */
export function monitorOf(records: readonly CheckpointRecord[]): Monitor {
  const said = records.findLast(({ monitor }) => monitor !== undefined)?.monitor;
  if (said === undefined) return defaultMonitor(records);
  const { improved: _, ...monitor } = said;
  return monitor;
}

/** A good checkpoint as pure data. */
export function toPolicyEntry({ info: { name, tags, bytes }, record }: GoodEntry): PolicyEntry {
  const { sequence, step, epoch, metrics, contents, createdAt, monitor } = record;
  return { name, sequence, step, epoch, time: Date.parse(createdAt), metrics, bytes: bytes ?? 0, contents, monitor, tags };
}

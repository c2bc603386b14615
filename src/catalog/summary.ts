/** The directory as policies and people see it: good checkpoints, the latest, the best. */
import { defaultMonitor, findBest, type Monitor } from '../policy/best.js';
import type { PolicyEntry } from '../policy/entry.js';
import { type CatalogEntry, type GoodEntry, isGood } from './checkpoint.js';

export interface Summary {
  readonly good: readonly GoodEntry[];
  readonly latest: GoodEntry | undefined;
  readonly best: GoodEntry | undefined;
  readonly monitor: Monitor;
}

/** Finds latest and best. Without `monitor`, what the newest manifest with one says, or the default. */
export function summarize(entries: readonly CatalogEntry[], monitor?: Monitor): Summary {
  const good = entries.filter(isGood);
  const chosen =
    monitor ??
    good.findLast(({ manifest }) => manifest.monitor !== undefined)?.manifest.monitor ??
    defaultMonitor(good.map(({ manifest }) => manifest));
  const byManifest = new Map(good.map((entry) => [entry.manifest, entry]));
  const best = findBest([...byManifest.keys()], chosen);
  return { good, latest: good.at(-1), best: best && byManifest.get(best), monitor: chosen };
}

/** A good checkpoint as pure data. */
export function toPolicyEntry({ info, manifest }: GoodEntry): PolicyEntry {
  const { sequence, step, epoch, metrics, contents, createdAt } = manifest;
  return { name: info.name, sequence, step, epoch, time: Date.parse(createdAt), metrics, bytes: info.bytes ?? 0, contents };
}

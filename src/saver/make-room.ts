/** Where a checkpoint does not fit: retention runs before it is written, if the caller has said so. */
import { type CatalogEntry, isGood } from '../catalog/checkpoint.js';
import { assertLockHeld } from '../catalog/lock.js';
import type { RecordCache } from '../catalog/record-cache.js';
import { buryCheckpoint, removeGraves } from '../catalog/remove.js';
import { scanDirectory } from '../catalog/scan.js';
import { summarize } from '../catalog/summary.js';
import { untilAborted } from '../engine/system-error.js';
import type { CheckpointRecord } from '../format/record.js';
import { now } from '../system.js';
import type { Inbox } from './inbox.js';
import type { SaveJob } from './job.js';
import { nextSequence, outlookOf, surveyWith, tagsOf } from './survey.js';

/**
 * Removes what retention will let go once the checkpoint of `bytes` bytes is there, but nothing that must stay while it is not. Gives the names.
 * What cannot be removed is left.
 */
export async function makeRoom(job: SaveJob, inbox: Inbox, cache: RecordCache, bytes: number): Promise<string[]> {
  const { directory, monitor } = job;
  const found = await scanDirectory(directory, cache);
  const later = surveyWith(found, directory, { name: job.name, record: incomingRecord(job, found, bytes), tags: tagsOf(job) }, monitor);
  inbox.tell({ type: 'full', now: outlookOf(summarize(found, monitor)), later: outlookOf(later) });
  const names = new Set(await untilAborted(inbox.room, inbox.signal, 'The save'));
  await assertLockHeld(job.lock);
  const removed: string[] = [];
  const graves: string[] = [];
  for (const entry of found.filter(isGood)) {
    if (!names.has(entry.info.name)) continue;
    const grave = await buryCheckpoint(directory, entry).catch(() => undefined);
    if (grave === undefined) continue;
    graves.push(grave);
    removed.push(entry.info.name);
  }
  await removeGraves(directory, graves);
  return removed;
}

/** The checkpoint as it will be, as far as retention asks. */
function incomingRecord(job: SaveJob, found: readonly CatalogEntry[], bytes: number): CheckpointRecord {
  const sequence = nextSequence(job.directory, job.highestSequence, found);
  return { ...job.record, sequence, createdAt: new Date(now()).toISOString(), files: [{ name: job.name, role: 'model', bytes }] };
}

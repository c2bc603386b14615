/**
 * Steps 11 and 12 of the commit protocol: links, retention, registry. The checkpoint is durable already, so nothing that
 * fails here makes the save fail.
 */
import type { GoodEntry } from '../catalog/checkpoint.js';
import { pointLink, setTag } from '../catalog/links.js';
import type { RecordCache } from '../catalog/record-cache.js';
import { writeRegistry } from '../catalog/registry.js';
import { buryCheckpoint } from '../catalog/remove.js';
import type { SaveJob } from './job.js';
import type { Survey } from './survey.js';

export interface Settled {
  /** Names of checkpoints that retention removed. */
  readonly removed: readonly string[];
  /** Where they are now: their files are still to be removed ({@link removeGraves}), which takes longer than all of this. */
  readonly graves: readonly string[];
  readonly warnings: readonly string[];
}

/** What is to be done. */
export interface Settlement {
  readonly job: Pick<SaveJob, 'directory' | 'record'>;
  readonly survey: Survey;
  /** The new checkpoint, and the links that it gets beside `latest` and `best`. */
  readonly name: string;
  readonly tags: readonly string[];
  /** Names of the checkpoints that may go. */
  readonly removable: readonly string[];
  /** Knows the manifests of `survey`. */
  readonly cache: RecordCache;
}

/** Never rejects: what fails is a warning. */
export async function settle({ job, survey, name: saved, tags, removable, cache }: Settlement): Promise<Settled> {
  const { directory, record } = job;
  const { entries, good, latest, best, sequence } = survey;
  const warnings: string[] = [];
  const removed: string[] = [];
  const graves: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      warnings.push(`Could not ${what}: ${(error as Error).message}`);
    }
  };
  if (latest !== undefined) await attempt('update the link "latest"', () => pointLink(directory, 'latest', latest.info.name));
  if (best !== undefined) await attempt('update the link "best"', () => pointLink(directory, 'best', best.info.name));
  // Before anything is removed: what loses a tag here may go.
  for (const tag of tags) await attempt(`update the link "${tag}"`, () => setTag(directory, tag, saved));
  const byName = new Map(good.map((entry) => [entry.info.name, entry]));
  for (const name of removable) {
    await attempt(`remove ${name}`, async () => {
      graves.push(await buryCheckpoint(directory, byName.get(name) as GoodEntry));
      removed.push(name);
    });
  }
  const left = entries.filter(({ info }) => !removed.includes(info.name));
  await attempt('write registry.json', () => writeRegistry(directory, { runId: record.runId, highestSequence: sequence }, left, cache));
  return { removed, graves, warnings };
}

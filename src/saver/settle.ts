/**
 * Steps 11 and 12 of the commit protocol: registry, links, retention. The checkpoint is durable already, so nothing that
 * fails here makes the save fail.
 */
import type { CatalogEntry, GoodEntry } from '../catalog/checkpoint.js';
import { pointLink } from '../catalog/links.js';
import { writeRegistry } from '../catalog/registry.js';
import { buryCheckpoint } from '../catalog/remove.js';
import { summarize, toPolicyEntry } from '../catalog/summary.js';
import type { Inbox } from './inbox.js';
import type { SaveJob } from './job.js';

export interface Settled {
  /** Names of checkpoints that retention removed. */
  readonly removed: readonly string[];
  /** Where they are now: their files are still to be removed ({@link removeGraves}), which takes longer than all of this. */
  readonly graves: readonly string[];
  readonly warnings: readonly string[];
}

export async function settle(
  { directory, monitor, record }: SaveJob,
  sequence: number,
  scan: () => Promise<CatalogEntry[]>,
  inbox: Inbox,
): Promise<Settled> {
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
  await attempt('update the directory after the save', async () => {
    const entries = await scan();
    const { good, latest, best } = summarize(entries, monitor);
    if (latest !== undefined) await attempt('update the link "latest"', () => pointLink(directory, 'latest', latest.info.name));
    if (best !== undefined) await attempt('update the link "best"', () => pointLink(directory, 'best', best.info.name));
    const byName = new Map(good.map((entry) => [entry.info.name, entry]));
    const answer = await inbox.ask({ type: 'survey', entries: good.map(toPolicyEntry), best: best?.info.name }, 'remove');
    warnings.push(...answer.warnings);
    for (const name of answer.names) {
      await attempt(`remove ${name}`, async () => {
        graves.push(await buryCheckpoint(directory, byName.get(name) as GoodEntry));
        removed.push(name);
      });
    }
    const left = entries.filter(({ info }) => !removed.includes(info.name));
    await attempt('write registry.json', () => writeRegistry(directory, { runId: record.runId, highestSequence: sequence }, left));
  });
  return { removed, graves, warnings };
}

/** Which checkpoint is meant, and what to do when it is damaged or goes away meanwhile. */
import path from 'node:path';
import { type CatalogEntry, type CheckpointInfo, inspectDirectory, readManifest } from '../catalog/checkpoint.js';
import { readTags } from '../catalog/links.js';
import { readRecords } from '../catalog/registry.js';
import { isCheckpointDirectory, scanDirectory } from '../catalog/scan.js';
import { monitorOf } from '../catalog/summary.js';
import { isDamage } from '../engine/system-error.js';
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Contents, Manifest } from '../format/manifest.js';
import { realpath } from '../fs.js';
import { type Monitor, rankByValue } from '../policy/best.js';
import { listDirectory } from '../storage/local.js';

/** Which checkpoint: the newest that training can go on from, the best, the newest of a step, or one by name, tag or path. */
export type RestoreTarget = 'latest' | 'best' | { readonly step: number } | (string & {});

/** Retention of a running writer may take a checkpoint away under a reader; how often to choose again. */
const MAX_RESCANS = 20;

/** Where to look, and for which. */
export interface TargetContext {
  readonly directory: string;
  readonly monitor: Monitor | undefined;
  /** What it must hold; default: for `latest`, all that training needs. A checkpoint that is named is taken as it is. */
  readonly contents?: WantedContents | undefined;
}

/** What a checkpoint must hold: all that training goes on from, only weights, or either. */
export type WantedContents = Contents | 'any';

/** Takes one checkpoint. Throws damage as it finds it, and the next one is tried. */
export type UseCheckpoint<T> = (info: CheckpointInfo, manifest: Manifest, skipped: readonly SkippedCheckpoint[]) => Promise<T>;

/** Uses `target`; `null` only where `latest` or `best` is asked for and there is no checkpoint at all. */
export async function withTarget<T>(target: RestoreTarget, context: TargetContext, use: UseCheckpoint<T>): Promise<T | null> {
  if (typeof target === 'string' && target !== 'latest' && target !== 'best') return usePath(target, context, use);
  for (let attempt = 0; ; attempt++) {
    const entries = await scanDirectory(context.directory, await readRecords(context.directory));
    if (entries.length === 0 && typeof target === 'string') return null;
    const candidates = chooseCandidates(entries, target, context);
    const outcome = await useFirstGood(candidates, context, use);
    if (outcome !== GONE) return outcome;
    if (attempt >= MAX_RESCANS) {
      throw new HoldfastError(
        'ERR_NO_GOOD_CHECKPOINT',
        `The checkpoints of ${context.directory} went away faster than they could be read.`,
        {
          path: context.directory,
          skipped: [],
        },
      );
    }
  }
}

/** What to try, in order. */
function chooseCandidates(entries: readonly CatalogEntry[], target: RestoreTarget, context: TargetContext): CatalogEntry[] {
  const { directory, monitor, contents = target === 'latest' ? 'full' : 'any' } = context;
  // Of a damaged manifest nobody knows.
  const fitting = entries.filter(({ record }) => contents === 'any' || record === undefined || record.contents === contents);
  const newestFirst = fitting.toReversed();
  if (typeof target === 'object') return ofStep(newestFirst, entries, target.step, directory);
  if (fitting.length === 0) throw nothingFits(directory, contents as Contents, entries.length);
  return target === 'latest' ? newestFirst : rankByMetric(newestFirst, directory, monitor);
}

function ofStep(newestFirst: readonly CatalogEntry[], entries: readonly CatalogEntry[], step: number, directory: string): CatalogEntry[] {
  const matching = newestFirst.filter(({ info }) => info.step === step);
  if (matching.length > 0) return matching;
  const steps = [...new Set(entries.map(({ info }) => info.step).filter((s) => s !== null))];
  throw new HoldfastError(
    'ERR_NOT_FOUND',
    `${directory} has no checkpoint of step ${step}. It has ${steps.length === 0 ? 'none' : `those of ${steps.join(', ')}`}.`,
    { path: directory },
  );
}

/** It must not look like a first run: there are checkpoints, only none of the kind that is wanted. */
function nothingFits(directory: string, contents: Contents, count: number): HoldfastError {
  const there = count === 1 ? 'The one checkpoint' : `All ${count} checkpoints`;
  if (contents === 'weights') {
    return new HoldfastError('ERR_NOT_FOUND', `${there} of ${directory} can be trained on; none is of weights only. Leave out contents.`, {
      path: directory,
    });
  }
  return new HoldfastError(
    'ERR_WEIGHTS_ONLY',
    `${there} of ${directory} ${count === 1 ? 'holds' : 'hold'} weights only, and training cannot go on from that exactly. To take the weights all the same, restore with contents: "any"; to start anew, use an empty directory.`,
    { path: directory },
  );
}

/**
 * The best first. Damaged ones stay in their place, so that falling back past them is said; those whose manifest, and so
 * whose metric, cannot be read come first: one of them may be the best.
 */
function rankByMetric(newestFirst: readonly CatalogEntry[], directory: string, wanted: Monitor | undefined): CatalogEntry[] {
  const byRecord = new Map(
    newestFirst.toReversed().flatMap((entry) => (entry.record === undefined ? [] : [[entry.record, entry] as const])),
  );
  const records = [...byRecord.keys()];
  const monitor = wanted ?? monitorOf(records);
  const ranked = rankByValue(records, monitor).map((record) => byRecord.get(record) as CatalogEntry);
  const unreadable = newestFirst.filter(({ record }) => record === undefined);
  if (ranked.length + unreadable.length > 0) return [...unreadable, ...ranked];
  throw new HoldfastError(
    'ERR_NOT_FOUND',
    `No checkpoint of ${directory} has a finite value of the metric "${monitor.metric}", which decides which is best. Save with metrics, or restore "latest".`,
    { path: directory },
  );
}

/** The checkpoint went away before it could be opened. */
const GONE = Symbol('gone');

async function useFirstGood<T>(
  candidates: readonly CatalogEntry[],
  context: TargetContext,
  use: UseCheckpoint<T>,
): Promise<T | typeof GONE> {
  const skipped: SkippedCheckpoint[] = [];
  for (const { info } of candidates) {
    if (info.problem !== undefined) {
      skipped.push({ name: info.name, ...info.problem });
      continue;
    }
    try {
      return await use(info, await readManifest(info.path), skipped);
    } catch (error) {
      // What the caller asked of the checkpoint is not there: older ones are no answer.
      if (!(error instanceof HoldfastError) || !isDamage(error) || error.code === 'ERR_NOT_FOUND') throw error;
      if ((error.code === 'ERR_MISSING_FILE' || error.code === 'ERR_MISSING_MANIFEST') && !(await isCheckpointDirectory(info.path)))
        return GONE;
      skipped.push({ name: info.name, code: error.code, message: error.message });
    }
  }
  const list = skipped.map(({ name, code, message }) => `  ${name}: ${code}: ${message}`).join('\n');
  throw new HoldfastError(
    'ERR_NO_GOOD_CHECKPOINT',
    `No checkpoint of ${context.directory} can be restored: all that were tried are damaged (${skipped.length}):\n${list}\nNothing was deleted or changed. Look at them with "holdfast verify", or start anew in an empty directory.`,
    { path: context.directory, skipped },
  );
}

/** The directory that a name or path means: a checkpoint of `base` of that name, else a path as from the command line. */
export async function resolveCheckpoint(base: string, target: string): Promise<string> {
  const inside = path.join(base, target);
  const found = path.basename(target) === target && (await isCheckpointDirectory(inside)) ? inside : path.resolve(target);
  // A link is called by the name of what it points at.
  return realpath(found).catch(() => found);
}

/** Whether `target` is one that {@link restoreTarget} understands. */
export function isRestoreTarget(target: unknown): target is RestoreTarget {
  if (typeof target === 'string') return target !== '';
  if (target === null || typeof target !== 'object') return false;
  return Number.isSafeInteger((target as { step?: unknown }).step) && Object.keys(target).length === 1;
}

/** Uses the checkpoint that was named, and nothing else. */
async function usePath<T>(target: string, context: TargetContext, use: UseCheckpoint<T>): Promise<T> {
  const directory = await resolveCheckpoint(context.directory, target);
  if (!(await isCheckpointDirectory(directory))) {
    throw new HoldfastError('ERR_NOT_FOUND', `There is no checkpoint "${target}" in ${context.directory} and none at ${directory}.`, {
      path: directory,
    });
  }
  const { info } = await inspectDirectory(directory);
  if (info.problem !== undefined) {
    throw new HoldfastError(info.problem.code, info.problem.message, { checkpoint: info.name, path: directory });
  }
  const tags = await tagsOf(directory);
  return use({ ...info, tags }, await readManifest(directory), []);
}

/** As a listing of the directory that it is in gives them. */
async function tagsOf(checkpoint: string): Promise<readonly string[]> {
  const directory = path.dirname(checkpoint);
  // One may be readable in a directory that may not be listed.
  const listed = await listDirectory(directory).catch(() => []);
  return (await readTags(directory, listed)).get(path.basename(checkpoint)) ?? [];
}

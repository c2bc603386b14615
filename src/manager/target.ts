/** Which checkpoint is meant, and what to do when it is damaged or goes away meanwhile. */
import path from 'node:path';
import { type CatalogEntry, type CheckpointInfo, inspectDirectory } from '../catalog/checkpoint.js';
import { isCheckpointDirectory, scanDirectory } from '../catalog/scan.js';
import { isDamage } from '../engine/system-error.js';
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import { defaultMonitor, findBest, type Monitor } from '../policy/best.js';

/** Which checkpoint: the newest, the best, one of a step, or one by name or path. */
export type RestoreTarget = 'latest' | 'best' | { readonly step: number } | (string & {});

/** Retention of a running writer may take a checkpoint away under a reader; how often to choose again. */
const MAX_RESCANS = 20;

/** Where to look, and for which. */
export interface TargetContext {
  readonly directory: string;
  readonly monitor: Monitor | undefined;
}

/** Takes one checkpoint. Throws damage as it finds it, and the next one is tried. */
export type UseCheckpoint<T> = (info: CheckpointInfo, manifest: Manifest, skipped: readonly SkippedCheckpoint[]) => Promise<T>;

/** Uses `target`; `null` only where `latest` or `best` is asked for and there is no checkpoint at all. */
export async function withTarget<T>(target: RestoreTarget, context: TargetContext, use: UseCheckpoint<T>): Promise<T | null> {
  if (typeof target === 'string' && target !== 'latest' && target !== 'best') return usePath(target, context, use);
  for (let attempt = 0; ; attempt++) {
    const entries = await scanDirectory(context.directory);
    const candidates = chooseCandidates(entries, target, context);
    if (candidates === undefined) return null;
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

/** What to try, in order; `undefined` where there is nothing at all. */
function chooseCandidates(
  entries: readonly CatalogEntry[],
  target: RestoreTarget,
  { directory, monitor }: TargetContext,
): CatalogEntry[] | undefined {
  const newestFirst = [...entries].reverse();
  if (typeof target === 'object') {
    const { step } = target;
    const matching = newestFirst.filter(({ info }) => info.step === step);
    if (matching.length > 0) return matching;
    const steps = [...new Set(entries.map(({ info }) => info.step).filter((s) => s !== null))];
    throw new HoldfastError(
      'ERR_NOT_FOUND',
      `${directory} has no checkpoint of step ${step}. It has ${steps.length === 0 ? 'none' : `those of ${steps.join(', ')}`}.`,
      {
        path: directory,
      },
    );
  }
  if (entries.length === 0) return undefined;
  return target === 'latest' ? newestFirst : rankByMetric(newestFirst, directory, monitor);
}

/**
 * The best first. Damaged ones stay in their place, so that falling back past them is said; those whose manifest, and so
 * whose metric, cannot be read come first: one of them may be the best.
 */
function rankByMetric(entries: readonly CatalogEntry[], directory: string, wanted: Monitor | undefined): CatalogEntry[] {
  const readable = entries.flatMap((entry) => (entry.manifest === undefined ? [] : [{ entry, ...entry.manifest }]));
  const monitor = wanted ?? readable.find((item) => item.monitor !== undefined)?.monitor ?? defaultMonitor(readable);
  const ranked = entries.filter(({ manifest }) => manifest === undefined);
  let rest = readable;
  for (let best = findBest(rest, monitor); best !== undefined; best = findBest(rest, monitor)) {
    const chosen = best;
    ranked.push(chosen.entry);
    rest = rest.filter((item) => item !== chosen);
  }
  if (ranked.length > 0) return ranked;
  throw new HoldfastError(
    'ERR_NOT_FOUND',
    `No checkpoint of ${directory} has the metric "${monitor.metric}", which decides which is best. Save with metrics, or restore "latest".`,
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
  for (const { info, manifest } of candidates) {
    if (info.problem !== undefined || manifest === undefined) {
      skipped.push({ name: info.name, code: 'ERR_MANIFEST', message: 'unreadable', ...info.problem });
      continue;
    }
    try {
      return await use(info, manifest, skipped);
    } catch (error) {
      // What the caller asked of the checkpoint is not there: older ones are no answer.
      if (!(error instanceof HoldfastError) || !isDamage(error) || error.code === 'ERR_NOT_FOUND') throw error;
      if (error.code === 'ERR_MISSING_FILE' && !(await isCheckpointDirectory(info.path))) return GONE;
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
  return path.basename(target) === target && (await isCheckpointDirectory(inside)) ? inside : path.resolve(target);
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
  const { info, manifest } = await inspectDirectory(directory);
  if (info.problem !== undefined || manifest === undefined) {
    throw new HoldfastError(info.problem?.code ?? 'ERR_MANIFEST', info.problem?.message ?? `${info.name} has no readable manifest.`, {
      checkpoint: info.name,
      path: directory,
    });
  }
  return use(info, manifest, []);
}

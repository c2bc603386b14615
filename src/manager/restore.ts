/** Restoring: which checkpoint, and what to do when it is damaged or goes away meanwhile. */
import path from 'node:path';
import { type CatalogEntry, type CheckpointInfo, inspectDirectory } from '../catalog/checkpoint.js';
import { type ReadCheckpointOptions, readCheckpoint } from '../catalog/read-checkpoint.js';
import { isCheckpointDirectory, scanDirectory } from '../catalog/scan.js';
import type { RestoredTensor } from '../catalog/tensor.js';
import { isDamage } from '../engine/system-error.js';
import { type ErrorDetails, HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import type { Json, StateDocument } from '../format/state.js';
import { defaultMonitor, findBest, type Monitor } from '../policy/best.js';

/** Which checkpoint: the newest, the best, one of a step, or one by name or path. */
export type RestoreTarget = 'latest' | 'best' | { readonly step: number } | (string & {});

/** A restored checkpoint. */
export interface Restored {
  readonly info: CheckpointInfo;
  /** The model's tensors by name. */
  readonly tensors: ReadonlyMap<string, RestoredTensor>;
  /** The optimizer's tensors by name; empty where there are none. */
  readonly optimizer: ReadonlyMap<string, RestoredTensor>;
  /** What was given to `save` as `state`; undefined where nothing was. */
  readonly state: Json | undefined;
  /** State of integrations, by their name. */
  readonly extensions: Readonly<Record<string, Json>>;
  /** Attachments by name. */
  readonly attachments: ReadonlyMap<string, Uint8Array>;
  /** Checkpoints that were passed over on the way, newest first, and why. */
  readonly skipped: readonly SkippedCheckpoint[];
}

export interface RestoreContext extends Omit<ReadCheckpointOptions, 'load'> {
  readonly directory: string;
  readonly monitor: Monitor | undefined;
}

/** Retention of a running writer may take a checkpoint away under a reader; how often to choose again. */
const MAX_RESCANS = 20;

/** Restores `target`; `null` only where `latest` or `best` is asked for and there is no checkpoint at all. */
export async function restoreTarget(target: RestoreTarget, context: RestoreContext): Promise<Restored | null> {
  if (typeof target === 'string' && target !== 'latest' && target !== 'best') return restorePath(target, context);
  for (let attempt = 0; ; attempt++) {
    const entries = await scanDirectory(context.directory);
    const candidates = chooseCandidates(entries, target, context);
    if (candidates === undefined) return null;
    const outcome = await restoreFirstGood(candidates, context);
    if (outcome !== 'gone') return outcome;
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
  { directory, monitor }: RestoreContext,
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

async function restoreFirstGood(candidates: readonly CatalogEntry[], context: RestoreContext): Promise<Restored | 'gone'> {
  const skipped: SkippedCheckpoint[] = [];
  for (const { info, manifest } of candidates) {
    if (info.problem !== undefined || manifest === undefined) {
      skipped.push({ name: info.name, code: 'ERR_MANIFEST', message: 'unreadable', ...info.problem });
      continue;
    }
    try {
      return await restoreOne(info, manifest, skipped, context);
    } catch (error) {
      if (!(error instanceof HoldfastError) || !isDamage(error)) throw error;
      if (error.code === 'ERR_MISSING_FILE' && !(await isCheckpointDirectory(info.path))) return 'gone';
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

/** Restores the checkpoint that was named, and nothing else. */
async function restorePath(target: string, context: RestoreContext): Promise<Restored> {
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
  return restoreOne(info, manifest, [], context);
}

/** Reads one checkpoint whole. Throws the first problem that it finds. */
async function restoreOne(
  info: CheckpointInfo,
  manifest: Manifest,
  skipped: readonly SkippedCheckpoint[],
  context: RestoreContext,
): Promise<Restored> {
  const files = await readCheckpoint(info.path, manifest, { ...context, load: true });
  const tensors = new Map<string, RestoredTensor>();
  const optimizer = new Map<string, RestoredTensor>();
  const attachments = new Map<string, Uint8Array>();
  let state: StateDocument = { extensions: {} };
  for (const result of files) {
    const [problem] = result.problems;
    if (problem !== undefined) {
      const { code, message, ...fields } = problem;
      const known = Object.entries(fields).filter(([, value]) => value !== null);
      throw new HoldfastError(code, message, { ...(Object.fromEntries(known) as ErrorDetails), checkpoint: info.name });
    }
    const target = result.file.role === 'optimizer' ? optimizer : tensors;
    for (const [name, tensor] of result.tensors) target.set(name, tensor);
    if (result.file.role === 'attachment' && result.content !== undefined) attachments.set(result.file.name, result.content);
    state = result.state ?? state;
  }
  return { info, tensors, optimizer, state: state.user, extensions: state.extensions, attachments, skipped };
}

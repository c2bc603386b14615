/** Retention on demand: what would go by these rules, and letting it go. */
import { type CatalogEntry, isGood } from '../catalog/checkpoint.js';
import { readRecords, writeRegistry } from '../catalog/registry.js';
import { buryCheckpoint, removeGraves } from '../catalog/remove.js';
import { scanDirectory } from '../catalog/scan.js';
import { summarize, toPolicyEntry } from '../catalog/summary.js';
import { selectEngine } from '../engine/select.js';
import { throwIfAborted } from '../engine/system-error.js';
import { assertKnown } from '../known-options.js';
import type { Monitor } from '../policy/best.js';
import { checkRules } from '../policy/keep.js';
import { decideRetention, type RetentionDecision, type RetentionRule } from '../policy/retention.js';
import { now } from '../system.js';
import { assertNoCheckpoint } from './assert-directory.js';
import { prepareDirectory, WriterCore } from './core.js';
import { assertPath, assertSignalAndListener, oneOf } from './options.js';

/** A checkpoint in a plan. */
export interface PrunedCheckpoint {
  readonly name: string;
  readonly sequence: number;
  readonly step: number;
  /** Of its files. */
  readonly bytes: number;
}

/** What stays and what goes, in commit order. */
export interface PruneReport {
  readonly dryRun: boolean;
  /** With why each one stays: `newest`, `newest full`, `best`, `tag NAME`, or a rule. */
  readonly kept: readonly (PrunedCheckpoint & { readonly reasons: readonly string[] })[];
  /** What was removed, or would be. */
  readonly removed: readonly PrunedCheckpoint[];
  /** Names of damaged ones: they are never removed. */
  readonly damaged: readonly string[];
  /** Of what was removed. */
  readonly bytes: number;
  /** What could not be removed, and why; it is among `kept` then. */
  readonly warnings: readonly string[];
}

/** Options of {@link pruneDirectory}. */
export interface PruneOptions {
  /** What stays. */
  readonly keep: RetentionRule | readonly RetentionRule[];
  /** Only say what would go. No lock is taken. Default false. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Removes the checkpoints of `directory` that no rule wants. The newest, the newest full one, the best, those with a tag and damaged ones stay in
 * any case. Where there is no checkpoint, nothing is done. Throws `ERR_LOCKED` while somebody writes there, `ERR_NOT_FOUND`, `ERR_NOT_A_DIRECTORY`,
 * `ERR_INVALID_ARGUMENT` for a checkpoint instead of a directory of them, `ERR_ABORTED`.
 */
export async function pruneDirectory(directory: string, options: PruneOptions): Promise<PruneReport> {
  assertPath('pruneDirectory', directory);
  assertKnown('pruneDirectory', options, ['keep', 'dryRun', 'signal']);
  assertSignalAndListener(options);
  const { dryRun = false, signal } = options;
  oneOf('dryRun', dryRun, [true, false]);
  const rules = checkRules('keep', options.keep);
  // Nothing is created here, whatever the caller may do.
  const real = await prepareDirectory(directory, true);
  throwIfAborted(signal, 'Pruning');
  const entries = await scanDirectory(real, await readRecords(real));
  await assertNoCheckpoint(real, entries.length, 'Prune');
  // Nor is anything touched in a directory that may be somebody else's: no lock, no sweeping, no registry.
  if (dryRun || entries.length === 0)
    return toReport(entries, decide(entries, rules, undefined), { dryRun, kept: new Set(), warnings: [] });
  const core = await WriterCore.acquire(real, selectEngine('auto'));
  try {
    return await core.queue.exclusive(() => prune(core, rules, undefined, signal));
  } finally {
    await core.release();
  }
}

/** What would go. */
export async function planPrune(directory: string, rules: readonly RetentionRule[], monitor: Monitor | undefined): Promise<PruneReport> {
  const entries = await scanDirectory(directory, await readRecords(directory));
  return toReport(entries, decide(entries, rules, monitor), { dryRun: true, kept: new Set(), warnings: [] });
}

/** Lets go what no rule wants. Nothing else may be going on in the directory. */
export async function prune(
  { directory, lock, runId, highestSequence }: WriterCore,
  rules: readonly RetentionRule[],
  monitor: Monitor | undefined,
  signal: AbortSignal | undefined,
): Promise<PruneReport> {
  const cache = await readRecords(directory);
  const entries = await scanDirectory(directory, cache);
  const decision = decide(entries, rules, monitor);
  throwIfAborted(signal, 'Pruning');
  await lock.assertHeld();
  const names = new Set(decision.removed.map(({ name }) => name));
  const kept = new Set<string>();
  const warnings: string[] = [];
  const graves: string[] = [];
  for (const entry of entries.filter(isGood).filter(({ info }) => names.has(info.name))) {
    const { name } = entry.info;
    try {
      graves.push(await buryCheckpoint(directory, entry));
    } catch (error) {
      kept.add(name);
      warnings.push(`Could not remove ${name}: ${(error as Error).message}`);
    }
  }
  const left = entries.filter(({ info }) => !names.has(info.name) || kept.has(info.name));
  await removeGraves(directory, graves).catch((error: Error) => {
    warnings.push(`Some files of removed checkpoints are still there, and go when the directory is opened next: ${error.message}`);
  });
  if (graves.length > 0 || cache.isChanged) {
    await writeRegistry(directory, { runId, highestSequence }, left, cache).catch((error: Error) => {
      warnings.push(`Could not write registry.json: ${error.message}`);
    });
  }
  return toReport(entries, decision, { dryRun: false, kept, warnings });
}

function decide(entries: readonly CatalogEntry[], rules: readonly RetentionRule[], wanted: Monitor | undefined): RetentionDecision {
  const { good, best, monitor } = summarize(entries, wanted);
  const candidates = good.map(toPolicyEntry);
  return decideRetention(candidates, rules, {
    best: candidates.find(({ name }) => name === best?.info.name),
    monitor,
    now: now(),
  });
}

function toReport(
  entries: readonly CatalogEntry[],
  { kept, removed, reasons }: RetentionDecision,
  outcome: { readonly dryRun: boolean; readonly kept: ReadonlySet<string>; readonly warnings: readonly string[] },
): PruneReport {
  const shown = ({ name, sequence, step, bytes }: PrunedCheckpoint): PrunedCheckpoint => ({ name, sequence, step, bytes });
  const gone = removed.filter(({ name }) => !outcome.kept.has(name)).map(shown);
  const refused = removed.filter(({ name }) => outcome.kept.has(name));
  const staying = [
    ...kept.map((entry) => ({ ...shown(entry), reasons: reasons.get(entry) ?? [] })),
    ...refused.map((entry) => ({ ...shown(entry), reasons: ['could not be removed'] })),
  ];
  return {
    dryRun: outcome.dryRun,
    kept: staying.sort((a, b) => a.sequence - b.sequence),
    removed: gone,
    damaged: entries.filter((entry) => !isGood(entry)).map(({ info }) => info.name),
    bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0),
    warnings: outcome.warnings,
  };
}

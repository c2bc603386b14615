/** Mends a directory of checkpoints: registry, links, leftovers, and damaged checkpoints out of the way. */
import path from 'node:path';
import { pointLink, removeTag } from '../catalog/links.js';
import { assertLockFree, breakLock } from '../catalog/lock.js';
import { RecordCache } from '../catalog/record-cache.js';
import { readRecords, writeRegistry } from '../catalog/registry.js';
import { scanDirectory } from '../catalog/scan.js';
import type { EngineName } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { isHoldfastError } from '../errors.js';
import { QUARANTINE_NAME } from '../format/names.js';
import { rename } from '../fs.js';
import { makeDirectories, syncDirectory } from '../storage/local.js';
import { prepareDirectory, WriterCore } from './core.js';
import { assertKnown, assertPath, type CallOptions, checkCallOptions, oneOf } from './options.js';
import { type LeftAlone, planRepair, type RepairAction, type RepairPlanOptions } from './repair-plan.js';

/** Options of {@link repairDirectory}. */
export interface RepairOptions extends CallOptions {
  /** Only say what would be done. No lock is taken. Default false. */
  readonly dryRun?: boolean;
  /** Look at manifests and sizes only, instead of reading every byte. Default false. */
  readonly quick?: boolean;
  /** Take the lock away from a holder of whom nobody can tell whether it lives. Default false. */
  readonly breakLock?: boolean;
  readonly engine?: EngineName | 'auto';
}

/** What was mended, or would be. */
export interface RepairReport {
  /** Real path. */
  readonly directory: string;
  readonly dryRun: boolean;
  /** Whether every byte was read. */
  readonly verified: boolean;
  /** Whether a lock was taken away. */
  readonly lockBroken: boolean;
  /** With `dryRun`: who writes there, in words; what is unfinished is then his. */
  readonly locked: string | null;
  readonly actions: readonly RepairAction[];
  /** Checkpoints with problems that stay where they are. */
  readonly left: readonly LeftAlone[];
  /** What could not be done, and why. */
  readonly warnings: readonly string[];
}

/**
 * Sweeps what dead writers left, moves damaged checkpoints to `.quarantine/`, points the links at what they should, and makes the registry anew. No
 * byte of a checkpoint is changed or removed. A damaged checkpoint stays where it is if no good one would be left. Throws `ERR_LOCKED` while
 * somebody writes there, `ERR_NOT_FOUND`, `ERR_NOT_A_DIRECTORY`, `ERR_INVALID_ARGUMENT` for a checkpoint, `ERR_ABORTED`.
 */
export async function repairDirectory(directory: string, options: RepairOptions = {}): Promise<RepairReport> {
  assertPath('repairDirectory', directory);
  assertKnown('repairDirectory', options, ['dryRun', 'quick', 'breakLock', 'engine', 'signal', 'onProgress']);
  const { dryRun = false, quick = false, breakLock: mayBreak = false, engine: name = 'auto', signal, onProgress } = options;
  for (const [key, value] of Object.entries({ dryRun, quick, breakLock: mayBreak })) oneOf(key, value, [true, false]);
  oneOf('engine', name, ['auto', 'native', 'portable']);
  const engine = selectEngine(name);
  const call = checkCallOptions('repairDirectory', { signal, onProgress });
  const real = await prepareDirectory(directory, true);
  const plan: RepairPlanOptions = { engine, direct: 'optional', quick, ...call };
  const about = { directory: real, dryRun, verified: !quick };
  if (dryRun) {
    const locked = await whoLocks(() => assertLockFree(real, engine));
    const { actions, left } = await planRepair(real, plan);
    const own = locked === null ? actions : actions.filter(({ action }) => action !== 'sweep');
    return { ...about, lockBroken: false, locked, actions: own, left, warnings: [] };
  }
  const lockBroken = mayBreak && (await breakLock(real));
  // Before the lock is taken, as that sweeps and writes the registry by itself.
  const before = await planRepair(real, { ...plan, quick: true });
  const core = await WriterCore.acquire(real, engine);
  try {
    const now = await core.queue.exclusive(() => planRepair(real, plan));
    const already = before.actions.filter(({ action }) => action === 'sweep' || action === 'registry');
    const todo = now.actions.filter(({ action }) => action !== 'sweep');
    const warnings = await core.queue.exclusive(() => apply(core, todo));
    const actions = [...already.filter(({ action }) => action === 'sweep'), ...todo];
    if (!todo.some(({ action }) => action === 'registry')) actions.push(...already.filter(({ action }) => action === 'registry'));
    return { ...about, lockBroken, locked: null, actions, left: now.left, warnings };
  } finally {
    await core.release();
  }
}

async function whoLocks(ask: () => Promise<void>): Promise<string | null> {
  try {
    await ask();
    return null;
  } catch (error) {
    if (isHoldfastError(error, 'ERR_LOCKED')) return error.message;
    throw error;
  }
}

async function apply({ directory, lock, runId, highestSequence }: WriterCore, actions: readonly RepairAction[]): Promise<string[]> {
  await lock.assertHeld();
  const warnings: string[] = [];
  for (const action of actions) {
    await mend(directory, action).catch((error: Error) => warnings.push(`Could not ${describe(action)}: ${error.message}`));
  }
  const cache = actions.some(({ action }) => action === 'registry') ? new RecordCache() : await readRecords(directory);
  await writeRegistry(directory, { runId, highestSequence }, await scanDirectory(directory, cache), cache);
  return warnings;
}

async function mend(directory: string, action: RepairAction): Promise<void> {
  if (action.action === 'quarantine') {
    await makeDirectories(path.join(directory, QUARANTINE_NAME));
    await rename(path.join(directory, action.name), path.join(directory, action.to));
    await syncDirectory(path.join(directory, QUARANTINE_NAME));
    await syncDirectory(directory);
  } else if (action.action === 'link') {
    if (action.to === null) await removeTag(directory, action.name);
    else await pointLink(directory, action.name, action.to);
  }
}

function describe(action: RepairAction): string {
  switch (action.action) {
    case 'sweep':
      return `remove ${action.name}`;
    case 'quarantine':
      return `move ${action.name} to ${action.to}`;
    case 'link':
      return action.to === null ? `remove the link "${action.name}"` : `point the link "${action.name}" at ${action.to}`;
    case 'registry':
      return 'write registry.json';
  }
}

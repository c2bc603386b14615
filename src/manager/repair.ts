/** Mends a directory of checkpoints: registry, links, leftovers, and damaged checkpoints out of the way. */
import path from 'node:path';
import { pointLink, removeTag } from '../catalog/links.js';
import { assertLockFree, breakLock } from '../catalog/lock.js';
import { RecordCache } from '../catalog/record-cache.js';
import { readRecords, writeRegistry } from '../catalog/registry.js';
import { scanDirectory } from '../catalog/scan.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { toHoldfastError } from '../engine/system-error.js';
import { isHoldfastError } from '../errors.js';
import { QUARANTINE_NAME } from '../format/names.js';
import { rename } from '../fs.js';
import { assertKnown } from '../known-options.js';
import { makeDirectories, syncDirectory } from '../storage/local.js';
import { prepareDirectory, WriterCore } from './core.js';
import { assertPath, type CallOptions, checkCallOptions, oneOf } from './options.js';
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
  /** What was done, or would be: sweeping, damaged checkpoints, links, the registry. */
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
  // Before the lock is taken, as that sweeps and writes the registry by itself.
  const before = await planRepair(real, { ...plan, quick: true });
  const lockBroken = mayBreak && (await takeLockAway(real, engine));
  const core = await WriterCore.acquire(real, engine);
  const wasShared = core.isShared;
  try {
    const { now, done, warnings } = await core.queue.exclusive(async () => {
      const found = await planRepair(real, plan);
      return { now: found, ...(await apply(core, found.actions)) };
    });
    const opening = wasShared ? [] : doneByOpening(before.actions, core, now.actions);
    const actions = [...opening, ...done].sort((a, b) => ORDER[a.action] - ORDER[b.action]);
    return { ...about, lockBroken, locked: null, actions, left: now.left, warnings };
  } finally {
    await core.release();
  }
}

const ORDER: Readonly<Record<RepairAction['action'], number>> = { sweep: 0, quarantine: 1, link: 2, registry: 3 };

/** What of the plan from before was done when the directory was opened: by this call, not long ago by a manager that shares the core. */
function doneByOpening(planned: readonly RepairAction[], { swept }: WriterCore, left: readonly RepairAction[]): RepairAction[] {
  const registryIsLeft = left.some(({ action }) => action === 'registry');
  return planned.filter(
    (each) => (each.action === 'sweep' && swept.includes(each.name)) || (each.action === 'registry' && !registryIsLeft),
  );
}

async function takeLockAway(directory: string, engine: Engine): Promise<boolean> {
  try {
    return await breakLock(directory, engine);
  } catch (error) {
    throw toHoldfastError(error, `take the lock of ${directory} away`, { path: directory });
  }
}

async function whoLocks(ask: () => Promise<void>): Promise<string | null> {
  try {
    await ask();
    return null;
  } catch (error) {
    if (isHoldfastError(error, 'ERR_LOCKED')) return error.message;
    throw toHoldfastError(error, 'look at the lock');
  }
}

/** Does what it can; gives what it has done, and why not the rest. */
async function apply(core: WriterCore, actions: readonly RepairAction[]): Promise<{ done: RepairAction[]; warnings: string[] }> {
  await core.lock.assertHeld();
  const done: RepairAction[] = [];
  const warnings: string[] = [];
  /** What stands where it stood, although it was to go: links to it are not taken away. */
  const stayed = new Set<string>();
  for (const action of actions.filter((each) => each.action === 'quarantine' || each.action === 'link')) {
    if (action.action === 'link' && action.to === null && action.from !== null && stayed.has(action.from)) {
      stayed.add(action.name);
      continue;
    }
    try {
      await mend(core.directory, action);
      done.push(action);
    } catch (error) {
      stayed.add(action.name);
      warnings.push(`Could not ${describe(action)}: ${(error as Error).message}`);
    }
  }
  const registry = actions.find(({ action }) => action === 'registry');
  if (registry === undefined && !done.some(({ action }) => action === 'quarantine')) return { done, warnings };
  try {
    await makeRegistry(core, registry !== undefined);
    if (registry !== undefined) done.push(registry);
  } catch (error) {
    warnings.push(`Could not write registry.json: ${(error as Error).message}`);
  }
  return { done, warnings };
}

/** Writes the registry of what is there now; `anew` without a look at what it says. */
async function makeRegistry({ directory, runId, highestSequence }: WriterCore, anew: boolean): Promise<void> {
  const cache = anew ? new RecordCache() : await readRecords(directory);
  const entries = await scanDirectory(directory, cache);
  await writeRegistry(directory, { runId, highestSequence }, entries, cache);
}

type Mending = Extract<RepairAction, { action: 'quarantine' | 'link' }>;

async function mend(directory: string, action: Mending): Promise<void> {
  if (action.action === 'quarantine') {
    await makeDirectories(path.join(directory, QUARANTINE_NAME));
    await rename(path.join(directory, action.name), path.join(directory, action.to));
    await syncDirectory(path.join(directory, QUARANTINE_NAME));
    await syncDirectory(directory);
  } else if (action.to === null) {
    await removeTag(directory, action.name);
  } else {
    await pointLink(directory, action.name, action.to);
  }
}

function describe(action: Mending): string {
  if (action.action === 'quarantine') return `move ${action.name} to ${action.to}`;
  return action.to === null ? `remove the link "${action.name}"` : `point the link "${action.name}" at ${action.to}`;
}

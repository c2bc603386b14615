/** Which checkpoint a model is restored from. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isCheckpointDirectory } from '../catalog/scan.js';
import { isHoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import { CheckpointManager } from '../manager/manager.js';
import type { CallOptions } from '../manager/options.js';
import type { Restored } from '../manager/restore.js';
import type { RestoreTarget } from '../manager/target.js';

/**
 * Restores the newest checkpoint that training can go on from, if the optimizer is wanted. Where there is none, or it is not, weights will do: what
 * is missing of them the model finds out, and says.
 */
export async function restoreFor(
  manager: CheckpointManager,
  target: RestoreTarget,
  options: CallOptions,
  wantsOptimizer: boolean,
): Promise<Restored | null> {
  if (!wantsOptimizer || target !== 'latest') return manager.restore(target, { ...options, contents: 'any' });
  try {
    return await manager.restore(target, options);
  } catch (error) {
    if (!isHoldfastError(error, 'ERR_WEIGHTS_ONLY')) throw error;
    return manager.restore(target, { ...options, contents: 'any' });
  }
}

/** The same from a manager, a directory of checkpoints, or the directory of one; `target` is then not looked at. */
export async function restoreFrom(
  from: CheckpointManager | string,
  target: RestoreTarget,
  options: CallOptions,
  wantsOptimizer: boolean,
): Promise<Restored | null> {
  if (typeof from !== 'string') return restoreFor(from, target, options, wantsOptimizer);
  const isCheckpoint = existsSync(path.join(from, MANIFEST_NAME));
  const manager = await CheckpointManager.open(isCheckpoint ? path.dirname(path.resolve(from)) : from, { readOnly: true });
  try {
    if (isCheckpoint) return await restoreFor(manager, path.resolve(from), options, wantsOptimizer);
    const restored = await restoreFor(manager, target, options, wantsOptimizer);
    if (restored !== null || !(await isCheckpointDirectory(from))) return restored;
    // A checkpoint that has lost its manifest: it must not look like a first run.
    return await restoreFor(manager, path.resolve(from), options, wantsOptimizer);
  } finally {
    await manager.close();
  }
}

/** Which checkpoint a model is restored from. */
import { isHoldfastError } from '../errors.js';
import type { CheckpointManager } from '../manager/manager.js';
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

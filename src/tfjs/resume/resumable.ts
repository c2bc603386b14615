/** Training with TensorFlow.js that goes on bit by bit when it was killed. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { CheckpointManager } from '../../manager/manager.js';
import { assertPath, count, type OpenOptions, oneOf, WHEN_BUSY, type WhenBusy } from '../../manager/options.js';
import type { Trigger } from '../../policy/trigger.js';
import { toSeed } from './random.js';
import { ResumableRun, type StockFit } from './run.js';

/** Options of {@link resumable}. */
export interface ResumableOptions {
  /** Where the run's checkpoints are: a directory of its own. */
  readonly directory?: string | undefined;
  /** A manager of it that you have opened, instead; the run does not close it. */
  readonly manager?: CheckpointManager | undefined;
  /**
   * What all random numbers of the run follow from. Default: what `installRandom` has installed, so that initial weights can follow from it, too; else one
   * by chance. A run that goes on keeps the one it began with.
   */
  readonly seed?: string | number | undefined;
  /**
   * When a checkpoint is made, besides at the end of every fit: after each `epoch` (default), after so many batches, or by a trigger such as
   * `every.minutes(10)`. `trigger` means that of the `manager`.
   */
  readonly saveFreq?: 'epoch' | 'trigger' | number | Trigger | undefined;
  /** Which checkpoints stay, with `directory`. Default: the last 5 and the best. */
  readonly keep?: OpenOptions['keep'] | undefined;
  /** Whether training goes on while a checkpoint is written. Default true. */
  readonly async?: boolean | undefined;
  /** What to do when a checkpoint is due while another one is still written. Default: as the manager was opened. */
  readonly whenBusy?: WhenBusy | undefined;
  /** What the run was started with, as JSON; kept in every checkpoint. */
  readonly config?: Json | undefined;
}

const KEYS = [
  'directory',
  'manager',
  'seed',
  'saveFreq',
  'keep',
  'async',
  'whenBusy',
  'config',
] as const satisfies readonly (keyof ResumableOptions)[];

/**
 * Makes training of `model` a run that can be killed at any moment: called again by another process, it restores the newest good checkpoint, with the optimizer
 * and the random numbers, and its `fit` and `fitDataset` go on at the exact batch, as if nothing had been. Build and compile the model as
 * the first time. Takes the place of `Math.random` until `close`.
 *
 * Throws what `CheckpointManager.open` and `restoreModel` throw; `ERR_RUN_MISMATCH` for a directory of other checkpoints, `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_OPTION`.
 */
export async function resumable(model: LayersModel, options: ResumableOptions): Promise<ResumableRun> {
  const { directory, seed, async: isAsync, whenBusy, config } = checkOptions(options);
  // In an empty directory nothing else would look at it before the first fit.
  if (typeof model?.fit !== 'function' || typeof model.fitDataset !== 'function')
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'resumable takes the tf.LayersModel that is trained: resumable(model, { directory }).');
  const { frequency, trigger } = toFrequency(options.saveFreq, 'saveFreq');
  const keep = options.keep === undefined ? {} : { keep: options.keep };
  const manager =
    options.manager ?? (await CheckpointManager.open(directory as string, { ...keep, ...(trigger === undefined ? {} : { trigger }) }));
  const release = async () => (options.manager === undefined ? manager.close() : manager.flush());
  try {
    const stock = model as unknown as StockFit;
    return await ResumableRun.open(model, {
      manager,
      frequency,
      async: isAsync ?? true,
      whenBusy,
      config,
      savesEnd: true,
      seed,
      stock,
      release,
    });
  } catch (error) {
    if (options.manager === undefined) await manager.close();
    throw error;
  }
}

function checkOptions(options: ResumableOptions): Omit<ResumableOptions, 'seed'> & { readonly seed: string | undefined } {
  assertKnown('resumable', options, KEYS);
  const { directory, manager, seed, saveFreq, keep, async: isAsync = true, whenBusy = 'wait' } = options;
  const invalid = (message: string) => new HoldfastError('ERR_INVALID_ARGUMENT', message);
  if ((directory === undefined) === (manager === undefined)) throw invalid('resumable needs either a directory or a manager.');
  if (manager !== undefined && !(manager instanceof CheckpointManager)) throw invalid('manager must be an open CheckpointManager.');
  if (directory !== undefined) assertPath('resumable', directory);
  if (manager?.contents === 'weights')
    throw invalid('The manager saves weights only, from which no run can go on; open it without contents: "weights".');
  if (manager !== undefined && keep !== undefined) throw invalid('keep goes with directory; a manager is opened with its own.');
  if (manager !== undefined && typeof saveFreq === 'object') {
    throw invalid('A trigger goes with directory; open the manager with it, and give saveFreq: "trigger".');
  }
  if (manager === undefined && saveFreq === 'trigger') throw invalid('saveFreq: "trigger" is that of a manager; give the trigger itself.');
  oneOf('async', isAsync, [true, false]);
  oneOf('whenBusy', whenBusy, WHEN_BUSY);
  return { ...options, seed: seed === undefined ? undefined : toSeed('resumable', seed) };
}

/** How often to save, and by which trigger. Throws `ERR_INVALID_ARGUMENT`. */
export function toFrequency(
  given: ResumableOptions['saveFreq'],
  name: string,
): { frequency: 'epoch' | 'trigger' | number; trigger?: Trigger } {
  if (given === undefined || given === 'epoch') return { frequency: 'epoch' };
  if (given === 'trigger') return { frequency: 'trigger' };
  if (typeof given === 'object' && given !== null) return { frequency: 'trigger', trigger: given };
  if (typeof given === 'string') oneOf(name, given, ['epoch', 'trigger']);
  count(name, given, 1);
  return { frequency: given };
}

/** The options that all callbacks which save have in common. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { CheckpointManager } from '../../manager/manager.js';
import { assertPath, oneOf } from '../../manager/options.js';
import { checkRules } from '../../policy/keep.js';
import type { RetentionRule } from '../../policy/retention.js';
import type { Hold } from '../tensors/capture-tensor.js';

/** Where training is and what its callbacks remember, as JSON: a `TrainingState`, or anything else that can give it. */
export interface SavedState {
  toJSON(): Json;
}

/** Options of every callback that saves. */
export interface SavingOptions {
  /** Where the checkpoints go; made if need be, opened when a fit begins and closed when it ends. */
  readonly directory?: string | undefined;
  /** An open manager in place of a directory: its names, its retention, its monitor. It is not closed. */
  readonly manager?: CheckpointManager | undefined;
  /** Default true: training goes on as soon as the checkpoint is captured, and the end of the fit waits until all are durable. False: every save is waited for. */
  readonly async?: boolean | undefined;
  /** Which checkpoints stay, of those that this callback makes. What another callback of the same directory wants stays, too. */
  readonly keep?: RetentionRule | readonly RetentionRule[] | undefined;
  /** Saved with every checkpoint as `state.training`. It has to be among the callbacks of the fit. */
  readonly trainingState?: SavedState | undefined;
  /** Generators of random numbers whose state is saved, such as what `installRandom` gives; or a function that gives the JSON. */
  readonly rng?: { readonly state: Json } | (() => Json) | undefined;
  /** More of your own, saved as `state`; a function is called at every save. */
  readonly state?: Readonly<Record<string, Json>> | (() => Readonly<Record<string, Json>>) | undefined;
  /** What the run was started with. */
  readonly config?: Json | undefined;
  /** As in `saveModel`. Default true. */
  readonly stable?: boolean | undefined;
  /** As in `saveModel`. Default `device`. */
  readonly hold?: Hold | undefined;
  /** The model that is trained; needed only where TensorFlow.js is part of a bundle. */
  readonly model?: LayersModel | undefined;
}

export const SAVING_KEYS = [
  'directory',
  'manager',
  'async',
  'keep',
  'trainingState',
  'rng',
  'state',
  'config',
  'stable',
  'hold',
  'model',
] as const satisfies readonly (keyof SavingOptions)[];

/** Throws `ERR_INVALID_ARGUMENT` for what cannot be meant, when the callback is made and not hours later. */
export function checkSavingOptions(who: string, options: SavingOptions): void {
  const { directory, manager, trainingState, rng, state } = options;
  const refuse = (what: string) => new HoldfastError('ERR_INVALID_ARGUMENT', `${who}: ${what}.`);
  if (manager !== undefined && !(manager instanceof CheckpointManager)) throw refuse('manager must be an open CheckpointManager');
  if (manager !== undefined && options.keep !== undefined) throw refuse('give keep to CheckpointManager.open, not beside manager');
  if (manager !== undefined && directory !== undefined) throw refuse('give directory or manager, not both');
  if (directory !== undefined) assertPath(`${who}: directory`, directory);
  if (options.keep !== undefined) checkRules(`${who}: keep`, options.keep);
  oneOf(`${who}: async`, options.async ?? true, [true, false]);
  oneOf(`${who}: stable`, options.stable ?? true, [true, false]);
  oneOf(`${who}: hold`, options.hold ?? 'device', ['device', 'host']);
  if (trainingState !== undefined && typeof trainingState?.toJSON !== 'function') throw refuse('trainingState must be a TrainingState');
  if (rng !== undefined && typeof rng !== 'function' && !(typeof rng === 'object' && rng !== null && 'state' in rng))
    throw refuse('rng must be something with a "state", such as what installRandom gives, or a function that gives the state');
  if (state !== undefined && typeof state !== 'function' && (typeof state !== 'object' || state === null || Array.isArray(state)))
    throw refuse('state must be an object, or a function that gives one');
}

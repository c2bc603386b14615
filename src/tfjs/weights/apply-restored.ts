/** From a checkpoint that was read into weights and their optimizer. */
import type { Optimizer } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import type { TensorMatch } from '../../format/match-tensors.js';
import type { RunState } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { toRenaming } from '../../manager/expectation.js';
import { type CallOptions, oneOf } from '../../manager/options.js';
import type { Restored } from '../../manager/restore.js';
import { decodeExtension, EXTENSION_NAME, type TfjsExtension } from '../../tfjs-record/extension.js';
import { type Engine, runningEngine } from '../engine.js';
import { type OptimizerSide, prepareIfItFits, prepareIfWanted } from '../optimizer/choose.js';
import { assertPlaceable, type Placement, placeAll } from '../tensors/placement.js';
import { type MatchedWeights, matchWeights } from './match-weights.js';
import { mismatchError } from './mismatch.js';
import { type Weights, WORDS } from './weights.js';

/** Options of {@link restoreModel}. */
export interface RestoreModelOptions extends CallOptions {
  /**
   * `strict` (default): everything must fit, or nothing is restored and `ERR_MODEL_MISMATCH` lists what does not. `weak`: the weights that fit are
   * restored, the rest of the model stays as it is, and `match` tells of it; where nothing fits, it is refused all the same. The
   * optimizer is then restored only if all of its state fits and no weight that the model trains was left out; else it stays as it is, too.
   */
  readonly mode?: 'strict' | 'weak' | undefined;
  /**
   * Whether the optimizer's state is restored. Default: if the checkpoint has one or the model is compiled, and
   * then both must; with `mode: 'weak'`, if it fits. With true it must be restored, with false the weights alone are taken.
   */
  readonly includeOptimizer?: boolean | undefined;
  /** The optimizer of a training loop of your own. Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
  /**
   * How weights are matched: by `name` (default), or by `position` where the same model has other names, as
   * unnamed layers get when a process builds a model twice. Shapes and dtypes must be equal in both cases.
   */
  readonly match?: 'name' | 'position' | undefined;
  /** For weights that have other names in the checkpoint: those names, by the model's; or a function from one to the other. */
  readonly rename?: Readonly<Record<string, string>> | ((name: string) => string) | undefined;
}

/** What was restored into the model, and what else the checkpoint holds. */
export interface RestoredModel
  extends RunState,
    Pick<Restored, 'info' | 'step' | 'epoch' | 'initialEpoch' | 'metrics' | 'createdAt' | 'software' | 'state' | 'skipped'> {
  readonly optimizerRestored: boolean;
  /** Which weights were restored, and with `mode: 'weak'` what did not fit. Names are those of the weights, but in `extra` and `from`. */
  readonly match: TensorMatch;
}

const KEYS = [
  'mode',
  'includeOptimizer',
  'optimizer',
  'match',
  'rename',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof RestoreModelOptions)[];

/** Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT` for options that do not make sense. */
export function checkRestoreOptions(caller: string, options: RestoreModelOptions): RestoreModelOptions {
  assertKnown(caller, options, KEYS);
  const { match = 'name', mode = 'strict', includeOptimizer = true, rename } = options;
  oneOf('match', match, ['name', 'position']);
  oneOf('mode', mode, ['strict', 'weak']);
  oneOf('includeOptimizer', includeOptimizer, [true, false]);
  toRenaming(rename);
  if (match === 'name' || rename === undefined) return options;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', 'By position names do not matter: give either match: "position", or rename.');
}

/** How a checkpoint goes into weights and optimizer; checked, and nothing changed yet. */
interface Plan {
  readonly placements: Placement[];
  /** To be called when all are placed. */
  finish(): void;
  readonly result: Pick<RestoredModel, 'optimizerRestored' | 'match'>;
}

/**
 * Puts a checkpoint that was read into weights and optimizer; synchronous. All is checked before the first tensor is made; then
 * one after another takes its place, so that no device holds both copies. The memory that `restored` holds is taken over: its `tensors` and `optimizer` are
 * empty afterwards.
 *
 * Throws `ERR_MODEL_MISMATCH`, `ERR_MODEL`, and nothing is changed; `ERR_HALF_RESTORED` if the backend fails in the middle.
 */
export function applyToWeights(weights: Weights, restored: Restored, options: Omit<RestoreModelOptions, keyof CallOptions>): RestoredModel {
  const engine = runningEngine();
  const { placements, finish, result } = plan(weights, restored, options, engine);
  for (const tensors of [restored.tensors, restored.optimizer] as Map<string, RestoredTensor>[]) tensors.clear();
  placeAll(placements, { engine, checkpoint: restored.info.name, where: WORDS[weights.kind].name });
  finish();
  return { ...aboutRun(restored), ...result };
}

function plan(weights: Weights, restored: Restored, options: Omit<RestoreModelOptions, keyof CallOptions>, engine: Engine): Plan {
  const { name } = restored.info;
  const where = WORDS[weights.kind].name;
  const extension = decodeExtension(restored.extensions[EXTENSION_NAME], name);
  const matched = matchWeights(weights, restored, extension, options);
  const { mismatches, fitting } = matched;
  const isWeak = options.mode === 'weak';
  const hint = mismatches.length === 0 ? '' : advice(weights, restored, extension, matched, options);
  // It must not look like a success.
  if (isWeak && fitting.length === 0 && mismatches.length > 0) {
    throw mismatchError(name, mismatches, { where, hint, summary: `has no tensor that fits a weight of ${where}` });
  }
  const side: OptimizerSide = { weights, restored, record: extension?.optimizer ?? undefined, matched };
  const optimizer = isWeak ? prepareIfItFits(side, options) : prepareIfWanted(side, options);
  const all = [...(isWeak ? [] : mismatches), ...(optimizer?.mismatches ?? [])];
  if (all.length > 0) throw mismatchError(name, all, { where, hint: isWeak ? '' : hint });
  const state = optimizer?.place(engine);
  const placements = [
    // Not LayerVariable.write: that applies the weight's constraint once more, which changes bits.
    ...fitting.map(
      ({ weight: { name, variable }, tensor }): Placement => ({
        ...{ name, place: variable, stored: tensor, replaces: true },
        put: (value) => variable.assign(value),
      }),
    ),
    ...(state?.placements ?? []),
  ];
  assertPlaceable(placements);
  return { placements, finish: () => state?.finish(), result: { optimizerRestored: optimizer !== undefined, match: matched.match } };
}

/** All of a checkpoint but what went into the weights. */
function aboutRun(restored: Restored): Omit<RestoredModel, 'optimizerRestored' | 'match'> {
  const { info, step, epoch, initialEpoch, metrics, createdAt, software, state, skipped } = restored;
  const { scheduler, rng, dataPosition, config } = restored;
  return { ...{ info, step, epoch, initialEpoch, metrics, createdAt, software, state, skipped }, scheduler, rng, dataPosition, config };
}

/** How to restore nevertheless. */
function advice(
  { kind, all: weights }: Weights,
  { tensors }: Restored,
  extension: TfjsExtension | undefined,
  { match: { missing } }: MatchedWeights,
  { match = 'name', mode = 'strict' }: RestoreModelOptions,
): string {
  const samePlaces =
    match === 'name' &&
    missing.length > 0 &&
    extension?.weights.length === weights.length &&
    weights.every(({ variable }, i) => String(tensors.get(extension.weights[i] as string)?.shape) === String(variable.shape));
  const fixed = kind === 'model' ? 'give the layers fixed names ({ name: … })' : 'give the variables the names that they were saved under';
  if (samePlaces) return `By position all shapes fit: ${fixed}, or restore with match: "position".`;
  const rename = match === 'name' ? ['rename for weights that have other names in the checkpoint'] : [];
  const weak = mode === 'strict' ? [`mode: "weak" to restore what fits and leave the rest of ${WORDS[kind].name} as it is`] : [];
  const list = [...rename, ...weak].join(', and ');
  return list === '' ? '' : `${WORDS[kind].restore} takes ${list}.`;
}

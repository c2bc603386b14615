/** Looking a model over before hours of training go towards a checkpoint that will not load. */
import type { LayersModel, Optimizer } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import { bitsOf } from '../../format/dtype.js';
import { assertKnown } from '../../known-options.js';
import type { OptimizerKind } from '../../tfjs-record/optimizer-kinds.js';
import { stockWarnings } from '../../tfjs-record/weights-manifest.js';
import { captureTopology } from '../model/model-json.js';
import { captureTrainingConfig } from '../model/training-config.js';
import { slotOwners } from '../optimizer/capture.js';
import { kindOf, type OptimizerFields, type Slot } from '../optimizer/kinds.js';
import { placeOf } from '../tensors/backends.js';
import { toDtype } from '../tensors/tensors.js';
import { type Variables, weightsOfVariables } from '../variables/variables.js';
import { assertDistinct, layerVariables, type NamedWeight, toNamedWeight, trainedWeights, type Weights } from '../weights/weights.js';
import { tryLoading } from './loading.js';
import type { PreflightError, PreflightProblem, PreflightWarning } from './problem.js';
import { untrained } from './untrained.js';

/** Options of {@link preflight}. */
export interface PreflightOptions {
  /** Whether the optimizer is to be saved. Default: if there is one. */
  readonly includeOptimizer?: boolean | undefined;
  /** The optimizer of a training loop of your own. Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
  /** The global step that training is at, where it is under way: an optimizer that has not taken a step is then suspicious. Default 0. */
  readonly step?: number | undefined;
}

/** What {@link preflight} finds. */
export interface PreflightReport {
  /** Why saving throws. */
  readonly errors: readonly PreflightProblem<PreflightError>[];
  /** What loading will meet though saving does not throw. */
  readonly warnings: readonly PreflightProblem<PreflightWarning>[];
  /** Bytes of all weights. */
  readonly weightBytes: number;
  /** Bytes of the optimizer's state once it has taken a step; 0 where none is saved or it is not known. */
  readonly optimizerBytes: number;
  /** Why stock `tf.loadLayersModel` cannot read the checkpoint as it is, in a sentence each; empty if it can. */
  readonly stock: readonly string[];
}

const KEYS = ['includeOptimizer', 'optimizer', 'step'] as const satisfies readonly (keyof PreflightOptions)[];

/**
 * Looks over a model, or bare variables, and their optimizer: everything that saving would throw, and all that `loadModel` would stumble over in a new
 * process, found by trying it: each layer is made again from its configuration, and the model compiled from what will be saved of that. Call it before training
 * begins; `saveModel`, `saveModelAsync` and `stepModel` do the same with a model that was not looked over as it is compiled, which takes a fraction of a
 * millisecond per layer.
 *
 * Nothing is written, the model is left as it is, no weight is made and no random number drawn. Layers inside of a model inside of a wrapper
 * (`timeDistributed({ layer: model })`) are not tried. Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT` for options that do not make sense; whatever
 * is wrong with the model is in the report.
 */
export function preflight(subject: LayersModel | Variables, options: PreflightOptions = {}): PreflightReport {
  assertKnown('preflight', options, KEYS);
  const found = new Findings();
  const model = isModel(subject) ? subject : undefined;
  if (model === undefined && !isCollection(subject)) {
    found.errors.push({ problem: 'not-a-model', message: NOT_A_MODEL, names: [] });
    return { ...found, weightBytes: 0, optimizerBytes: 0, stock: [] };
  }
  const weights =
    model === undefined
      ? found.attempt('variables', () => weightsOfVariables(subject as Variables), variableProblem)
      : ofModel(model, found);
  if (weights === undefined) return { ...found, weightBytes: 0, optimizerBytes: 0, stock: [] };
  const bytes = weights.all.map((weight) => found.attempt('unknown-dtype', () => bytesOf(weight)) ?? 0);
  const weightBytes = sum(bytes);
  const optimizerBytes = ofOptimizer(weights, options, found);
  if (model === undefined)
    return { ...found, weightBytes, optimizerBytes, stock: ['There is no model.json in a checkpoint of variables.'] };
  const topology = found.attempt('no-topology', () => captureTopology(model));
  if (topology !== undefined) found.warnings.push(...tryLoading(model, topology, captureTrainingConfig(model)));
  return { ...found, weightBytes, optimizerBytes, stock: stockLimits(weights.all, bytes) };
}

const NOT_A_MODEL = 'Give a tf.LayersModel (one of tf.sequential, tf.model or tf.loadLayersModel), or variables as { name: tf.Variable }.';

class Findings {
  readonly errors: PreflightProblem<PreflightError>[] = [];
  readonly warnings: PreflightProblem<PreflightWarning>[] = [];

  /** What `look` gives, or undefined where it throws what saving would. */
  attempt<T>(problem: PreflightError, look: () => T, name = (_: HoldfastError) => problem): T | undefined {
    try {
      return look();
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      const { message, tensors = [] } = error;
      this.errors.push({ problem: name(error), message, names: tensors });
      return undefined;
    }
  }
}

function isModel(subject: unknown): subject is LayersModel {
  return (
    typeof subject === 'object' && subject !== null && typeof (subject as { toJSON?: unknown }).toJSON === 'function' && 'layers' in subject
  );
}

/** A list, a Map, or a plain object. */
function isCollection(subject: unknown): boolean {
  if (typeof subject !== 'object' || subject === null) return false;
  const prototype = Object.getPrototypeOf(subject);
  return Array.isArray(subject) || subject instanceof Map || prototype === Object.prototype || prototype === null;
}

function variableProblem({ code }: HoldfastError): PreflightError {
  return code === 'ERR_MODEL' ? 'disposed-weight' : 'variables';
}

function ofModel(model: LayersModel, found: Findings): Weights | undefined {
  const variables = found.attempt('no-layers', () => layerVariables(model));
  const all = variables?.map((variable) => found.attempt('disposed-weight', () => toNamedWeight(variable)));
  if (all === undefined || !all.every((weight) => weight !== undefined)) return undefined;
  found.attempt('duplicate-names', () => assertDistinct(all));
  const optimizer: Optimizer | null | undefined = model.optimizer;
  return { kind: 'model', all, trained: trainedWeights(model), optimizer: optimizer ?? undefined };
}

/** Strings are looked at, since nothing else tells their length. */
function bytesOf({ name, variable }: NamedWeight): number {
  if (variable.dtype !== 'string') return (variable.size * bitsOf(toDtype(variable.dtype, name))) / 8;
  const strings = placeOf(variable).engine.readSync(variable.dataId) as unknown as Uint8Array[];
  return sum([...strings].map(({ length }) => 4 + length));
}

function ofOptimizer(weights: Weights, { includeOptimizer, optimizer: given, step = 0 }: PreflightOptions, found: Findings): number {
  if (includeOptimizer === false) return 0;
  const optimizer = given ?? weights.optimizer;
  if (optimizer === undefined) {
    if (includeOptimizer === true) {
      const message = 'There is no optimizer to save. Compile the model, or pass the optimizer.';
      found.errors.push({ problem: 'no-optimizer', message, names: [] });
    }
    return 0;
  }
  const kind = found.attempt('unknown-optimizer', () => kindOf(optimizer));
  if (kind === undefined) return 0;
  const disposed = disposedOf(optimizer, kind);
  if (disposed.length > 0) {
    const message = `Of the optimizer ${disposed.join(', ')} ${disposed.length === 1 ? 'is' : 'are'} disposed. Compile with a new one.`;
    found.errors.push({ problem: 'disposed-optimizer', message, names: disposed });
    return 0;
  }
  const owners = found.attempt('foreign-optimizer', () => slotOwners(weights, optimizer, kind));
  found.warnings.push(...untrained(optimizer, step));
  const trained =
    owners !== undefined && owners.length > 0 ? owners : (weights.trained ?? weights.all.filter(({ variable }) => variable.trainable));
  const fields = optimizer as unknown as OptimizerFields;
  const slots = kind.slots.filter(({ suffix }) => suffix !== 'mg' || fields['centered'] === true);
  return 4 * (kind.scalars.length + slots.length * sum(trained.map(({ variable }) => variable.size)));
}

function disposedOf(optimizer: Optimizer, kind: OptimizerKind): string[] {
  const fields = optimizer as unknown as OptimizerFields;
  const scalars = kind.scalars.filter(({ field }) => (fields[field] as { isDisposed: boolean }).isDisposed).map(({ name }) => name);
  const slots = kind.slots.flatMap(({ field }) => (fields[field] as Slot[]).filter(({ variable }) => variable.isDisposed));
  return [...scalars, ...slots.map(({ originalName }) => originalName)];
}

/** A weight has at least the file to itself that it does not fit into with others. */
function stockLimits(weights: readonly NamedWeight[], bytes: readonly number[]): string[] {
  const strings = weights.filter(({ variable }) => variable.dtype === 'string').map(({ name }) => JSON.stringify(name));
  const list = strings.join(', ');
  return [
    ...(strings.length === 0
      ? []
      : [`Stock tf.loadLayersModel needs { strict: false } for the string weights ${list}, and leaves them out.`]),
    ...stockWarnings(weights.map(({ name }, i) => ({ name: `the weight ${JSON.stringify(name)}`, role: 'model', bytes: bytes[i] ?? 0 }))),
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

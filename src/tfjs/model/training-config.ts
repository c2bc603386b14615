/** How a model was compiled: what tfjs can write down of it, and compiling again from that. */
import type { LayersModel, ModelCompileArgs, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { lossFunctionsOf } from '../../tfjs-record/training-config.js';
import { readArguments, type TrialArguments } from '../preflight/trial.js';

/** A loss or metric of the caller's own. */
export type LossOrMetric = (truth: Tensor, prediction: Tensor) => Tensor;

/** Parts of a model that its types call protected. */
interface TrainingInternals {
  readonly loss: unknown;
  isOptimizerOwned: boolean;
  getTrainingConfig(): unknown;
}

/** tfjs' training configuration, or why there is none. */
export interface CapturedTraining {
  readonly config: Json;
  /** What loading needs to compile again, or why it cannot. */
  readonly warning?: string;
  /** Names of losses that are functions. */
  readonly lossFunctions: readonly string[];
}

/**
 * tfjs' training configuration, or `null` where the model is not compiled or tfjs cannot write it down. A loss given as a function, which
 * tfjs itself would save as `{}`, is written down by its name, and `warning` says so.
 */
export function captureTrainingConfig(model: LayersModel): CapturedTraining {
  if (model.optimizer === undefined || model.optimizer === null) return { config: null, lossFunctions: [] };
  const { loss } = model as unknown as TrainingInternals;
  const functions = functionsIn(loss);
  const lossFunctions = [...new Set(functions.map(({ name }) => name))];
  const advice = 'build and compile the model and use restoreModel.';
  if (functions.some(({ name }) => name === '')) {
    const warning = `The loss is a function without a name, so the checkpoint does not say how the model was compiled. Give loadModel the option "compile", or ${advice}`;
    return { config: null, warning, lossFunctions };
  }
  try {
    // Written down by an object that stands for the model, whose losses have names in the place of functions.
    const standIn = Object.create(model, { loss: { value: named(loss) } }) as TrainingInternals;
    const config = JSON.parse(JSON.stringify(standIn.getTrainingConfig())) as { [key: string]: Json };
    if (functions.length === 0) return { config, lossFunctions };
    const list = lossFunctions.join(', ');
    const warning = `The loss is a function (${list}), which no checkpoint can hold. Give it to loadModel ({ customObjects: { ${list} } }), or the option "compile", or ${advice}`;
    return { config: { ...config, lossFunctions }, warning, lossFunctions };
  } catch (error) {
    const warning = `TensorFlow.js cannot write down the training configuration (${(error as Error).message}), so the checkpoint does not say how the model was compiled. Give loadModel the option "compile", or ${advice}`;
    return { config: null, warning, lossFunctions };
  }
}

/** A loss is a name or a function, or one for each output, as a list or by name. */
function functionsIn(loss: unknown): LossOrMetric[] {
  if (typeof loss === 'function') return [loss as LossOrMetric];
  return typeof loss === 'object' && loss !== null ? Object.values(loss).flatMap(functionsIn) : [];
}

function named(loss: unknown): unknown {
  if (typeof loss === 'function') return loss.name;
  if (Array.isArray(loss)) return loss.map(named);
  if (typeof loss !== 'object' || loss === null) return loss;
  return Object.fromEntries(Object.entries(loss).map(([output, each]) => [output, named(each)]));
}

/**
 * Compiles `model` as it was compiled when it was saved, with losses and metrics of the caller's own by their names; false where a loss is
 * missing, and nothing is compiled then. Throws `ERR_MODEL` if tfjs cannot.
 */
export function applyTrainingConfig(model: LayersModel, config: Json, functions: Readonly<Record<string, LossOrMetric>> = {}): boolean {
  const lossFunctions = lossFunctionsOf(config);
  const found = (name: unknown) => (typeof name === 'string' ? own(functions, name) : undefined) ?? name;
  if (!lossFunctions.every((name) => own(functions, name) !== undefined)) return false;
  try {
    const { loss, metrics, optimizer } = readArguments(model, config as object);
    const losses =
      lossFunctions.length === 0 ? loss : replaced(loss, (name) => (lossFunctions.some((each) => alike(each, name)) ? found(name) : name));
    model.compile({ loss: losses, metrics: replaced(metrics, found), optimizer } as ModelCompileArgs);
    // Nobody else has this optimizer, so it goes with model.dispose().
    (model as unknown as TrainingInternals).isOptimizerOwned = true;
    return true;
  } catch (cause) {
    throw new HoldfastError(
      'ERR_MODEL',
      `The model cannot be compiled as it was when it was saved: ${(cause as Error).message} If a loss or metric is your own, give it to loadModel by its name ({ customObjects: { myMetric } }); if the optimizer is, give the option "compile".`,
      { cause },
    );
  }
}

function replaced(names: TrialArguments['loss'], find: (name: string) => unknown): unknown {
  if (typeof names === 'string') return find(names);
  if (Array.isArray(names)) return names.map((each) => replaced(each, find));
  if (typeof names !== 'object' || names === null) return names;
  return Object.fromEntries(Object.entries(names).map(([output, each]) => [output, replaced(each, find)]));
}

function own(functions: Readonly<Record<string, LossOrMetric>>, name: string): LossOrMetric | undefined {
  return Object.entries(functions).find(([key]) => alike(key, name))?.[1];
}

/** tfjs writes names down as snake_case and reads camelCase from that, which need not be what it was. */
function alike(a: string, b: string): boolean {
  const plain = (name: string) => name.replaceAll('_', '').toLowerCase();
  return plain(a) === plain(b);
}

/**
 * The state of an optimizer in stock files of TensorFlow.js, and in checkpoints. Stock tfjs lists it by position: the number of iterations, then
 * for each kind of slot those of all trained weights. Its names are those of the engine's variables, which may carry a number to be unique
 * (`dense/kernel_1/m`), and what follows from the configuration is left out. Pure.
 */
import { HoldfastError } from '../errors.js';
import type { Json } from '../format/state.js';
import type { OptimizerRecord } from '../tfjs-record/extension.js';
import { findKind, type OptimizerKind } from '../tfjs-record/optimizer-kinds.js';
import { lossFunctionsOf } from '../tfjs-record/training-config.js';
import type { SourceTensor, Training } from './contents.js';
import { formatError, isObject, type ManifestSpec, type ModelDocument } from './model-document.js';

/** What stock files say of an optimizer, as checkpoints keep it. */
export interface FromStock {
  readonly record: OptimizerRecord;
  /** Of the slots, in the order of the file. */
  readonly names: readonly string[];
  /** What stock files leave out. */
  readonly scalars: readonly SourceTensor[];
  readonly warnings: readonly string[];
}

/** Reads the record of an optimizer out of tfjs' own. Throws `ERR_CONVERT` where it cannot be told what belongs to which weight. */
export function fromStockOptimizer(
  trainingConfig: Json,
  iterations: number,
  slots: readonly { readonly spec: ManifestSpec }[],
  { weights }: ModelDocument,
  file: string,
): FromStock {
  const { className, config } = optimizerConfig(trainingConfig, file);
  const kind = findKind(className);
  const refuse = (what: string) =>
    new HoldfastError('ERR_CONVERT', `${file}: ${what}. To leave the optimizer out, use --no-optimizer.`, { path: file });
  if (kind === undefined) throw refuse(`the state of the optimizer ${className} is not known`);
  const hyperparameters = Object.fromEntries(
    kind.hyperparameters.map((name) => {
      const value = config[name];
      if (typeof value === 'number' || typeof value === 'boolean') return [name, value];
      throw refuse(`the configuration of the optimizer ${className} does not say ${name}`);
    }),
  );
  const suffixes = suffixesOf(kind, hyperparameters['centered'] === true);
  const count = suffixes.length === 0 ? 0 : slots.length / suffixes.length;
  if (!Number.isInteger(count) || (suffixes.length === 0 && slots.length > 0)) {
    throw refuse(`it has ${slots.length} slots of ${className}, which has ${suffixes.length} for each weight`);
  }
  const byName = new Map(weights.map((weight) => [weight.name, weight]));
  const owners = slots.slice(0, count).map(({ spec }) => ownerOf(spec, suffixes[0] as string, byName, refuse));
  if (new Set(owners).size < owners.length) throw refuse('two slots of one kind seem to belong to one weight');
  const names = slots.map(({ spec }, i) => {
    const suffix = suffixes[Math.floor(i / count)] as string;
    const owner = owners[i % count] as string;
    if (ownerOf(spec, suffix, byName, refuse) === owner) return `${owner}/${suffix}`;
    throw refuse(`the slot ${JSON.stringify(spec.name)} is not where that of ${JSON.stringify(owner)} should be`);
  });
  return {
    record: { className, iterations, hyperparameters, slots: owners },
    names,
    scalars: stockScalars(className, iterations, hyperparameters).map(([name, value]) => scalarTensor(name, value)),
    warnings: className === 'Adam' && iterations > 0 ? [ADAM_IN] : [],
  };
}

const ADAM_IN =
  'A stock model.json does not have the running products of beta1 and beta2 of Adam: they were computed from the number of iterations, as tfjs does when it loads it, so training goes on with a difference of about 1e-7 to one that was not interrupted.';
const ADAM_OUT =
  'A stock model.json has no place for the running products of beta1 and beta2 of Adam: tfjs computes them anew when it loads it, so training goes on with a difference of about 1e-7 to one that was not interrupted.';

/** tfjs writes its names in camel case, Keras's converter in snake case. */
function optimizerConfig(trainingConfig: Json, file: string): { className: string; config: Readonly<Record<string, Json>> } {
  const optimizer = isObject(trainingConfig) ? (trainingConfig['optimizer_config'] ?? trainingConfig['optimizerConfig']) : undefined;
  const className = isObject(optimizer) ? (optimizer['class_name'] ?? optimizer['className']) : undefined;
  const config = isObject(optimizer) ? optimizer['config'] : undefined;
  if (typeof className !== 'string' || !isObject(config)) {
    throw formatError(file, 'has a trainingConfig that does not say which optimizer it is and how it is configured');
  }
  const camel = (name: string) => name.replace(/_+(\w|$)/g, (_, letter: string) => letter.toUpperCase());
  return { className, config: Object.fromEntries(Object.entries(config).map(([name, value]) => [camel(name), value])) };
}

function suffixesOf({ slots }: OptimizerKind, centered: boolean): string[] {
  return slots.map(({ suffix }) => suffix).filter((suffix) => suffix !== 'mg' || centered);
}

function ownerOf(
  { name, shape, dtype }: ManifestSpec,
  suffix: string,
  weights: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  refuse: (what: string) => HoldfastError,
): string {
  const end = `/${suffix}`;
  const variable = name.endsWith(end) ? name.slice(0, -end.length) : undefined;
  if (variable === undefined) throw refuse(`the slot ${JSON.stringify(name)} is not one of "${suffix}"`);
  const owner = [variable, variable.replace(/_\d+$/, '')].find((each) => String(weights.get(each)?.shape) === String(shape));
  if (owner === undefined || !weights.has(owner) || dtype !== 'float32') {
    throw refuse(`it cannot be told which weight the slot ${JSON.stringify(name)} belongs to`);
  }
  return owner;
}

/** The scalars of an optimizer that stock tfjs makes of its configuration and the number of iterations. */
function stockScalars(
  className: string,
  iterations: number,
  settings: Readonly<Record<string, number | boolean>>,
): (readonly [name: string, value: number])[] {
  const setting = (name: string) => Number(settings[name]);
  // As tfjs' pow of two float32 scalars.
  const power = (beta: number) => Math.fround(Math.fround(beta) ** Math.fround(iterations + 1));
  switch (className) {
    case 'SGD':
      return [['negative_learning_rate', -setting('learningRate')]];
    case 'Momentum':
      return [
        ['negative_learning_rate', -setting('learningRate')],
        ['momentum', setting('momentum')],
      ];
    case 'Adam':
      return [
        ['accBeta1', power(setting('beta1'))],
        ['accBeta2', power(setting('beta2'))],
      ];
    case 'Adamax':
      return [
        ['accBeta1', power(setting('beta1'))],
        ['iteration', iterations],
      ];
    default:
      return [];
  }
}

function scalarTensor(name: string, value: number): SourceTensor {
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  return { name, role: 'optimizer', dtype: 'F32', shape: [], byteLength: 4, read: () => once(bytes) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

/** The optimizer's part of a stock model, or why there is none. */
export interface ToStock {
  /** In the order that tfjs' setWeights of this class expects; the names are tfjs' own. */
  readonly tensors: readonly { readonly name: string; readonly tensor: SourceTensor }[];
  readonly warnings: readonly string[];
}

/** Lists the state of an optimizer as stock tfjs does. `weights`: the names of the model's weights, which share a table with these. */
export async function toStockOptimizer(
  training: Training,
  optimizer: readonly SourceTensor[],
  weights: ReadonlySet<string>,
): Promise<ToStock> {
  const { optimizer: record, trainingConfig } = training;
  if (record === null) return { tensors: [], warnings: [] };
  const { className, iterations, slots } = record;
  const left = (why: string): ToStock => ({ tensors: [], warnings: [`The state of the optimizer is left out: ${why}.`] });
  if (trainingConfig === null) return left('the source does not say how the model was compiled, and without that tfjs does not load it');
  const [lossFunction] = lossFunctionsOf(trainingConfig);
  if (lossFunction !== undefined) return left(`stock tfjs cannot compile the model again, whose loss is a function (${lossFunction})`);
  if (className === 'Adamax') return left('stock tfjs cannot load that of Adamax');
  const kind = findKind(className);
  if (kind === undefined) return left(`${className} is not known`);
  const compiled = classOf(trainingConfig);
  if (compiled !== className) return left(`the model was compiled with ${compiled ?? 'another one'}, and it is of ${className}`);
  const byName = new Map(optimizer.map((tensor) => [tensor.name, tensor]));
  const names = suffixesOf(kind, record.hyperparameters['centered'] === true).flatMap((suffix) => slots.map((slot) => `${slot}/${suffix}`));
  const missing = names.filter((name) => !byName.has(name));
  if (missing.length > 0) {
    throw new HoldfastError('ERR_CONVERT', `The source lacks slots of its optimizer: ${missing.join(', ')}. Use --no-optimizer.`, {
      tensors: missing,
    });
  }
  // tfjs loads weights and optimizer through one table of names.
  const taken = ['iter', ...names].find((name) => weights.has(name));
  if (taken !== undefined) return left(`a weight has the name ${JSON.stringify(taken)} that tfjs uses for it`);
  const iter = { ...scalarTensor('iter', 0), dtype: 'I32' as const, read: () => once(new Uint8Array(Int32Array.of(iterations).buffer)) };
  return {
    tensors: [{ name: 'iter', tensor: iter }, ...names.map((name) => ({ name, tensor: byName.get(name) as SourceTensor }))],
    warnings: className === 'Adam' && iterations > 0 ? [ADAM_OUT] : await changedScalars(record, byName),
  };
}

function classOf(trainingConfig: Json): string | undefined {
  const optimizer = isObject(trainingConfig) ? trainingConfig['optimizer_config'] : undefined;
  const name = isObject(optimizer) ? optimizer['class_name'] : undefined;
  return typeof name === 'string' ? name : undefined;
}

/** What tfjs will make of the configuration, where it is not what the optimizer had. */
async function changedScalars(record: OptimizerRecord, stored: ReadonlyMap<string, SourceTensor>): Promise<string[]> {
  const warnings: string[] = [];
  for (const [name, value] of stockScalars(record.className, record.iterations, record.hyperparameters)) {
    const bytes: Uint8Array[] = [];
    for await (const piece of stored.get(name)?.read(undefined) ?? []) bytes.push(piece);
    const there = Buffer.concat(bytes);
    if (there.length !== 4 || there.readFloatLE(0) === Math.fround(value)) continue;
    warnings.push(`The optimizer goes on with ${name} = ${value} in tfjs, as its configuration says; it was ${there.readFloatLE(0)}.`);
  }
  return warnings;
}

/** What is going to be written: the tensors of a source, chosen, renamed and in the precision that was asked for. */
import { HoldfastError } from '../errors.js';
import { bitsOf, type Dtype } from '../format/dtype.js';
import { describeMatch, isComplete, matchTensors } from '../format/match-tensors.js';
import { assertTensorName } from '../format/names.js';
import type { Json } from '../format/state.js';
import { DTYPE_OF_TFJS } from '../tfjs-record/dtypes.js';
import type { OptimizerRecord } from '../tfjs-record/extension.js';
import type { WeightSpec } from '../tfjs-record/weights-manifest.js';
import { castDtype, castOf, type FloatDtype } from './cast.js';
import { elementsOf, wholeElements, wholeStrings } from './chunks.js';
import { OPTIMIZER_PREFIX, type RunFacts, type SourceContents, type SourceTensor, type Training } from './contents.js';
import type { ModelDocument, ModelFile } from './model-document.js';
import { globPattern, mapNames, type NameMap, type RenamedTensor } from './name-map.js';

/** What of a source is wanted, and how. */
export interface PlanOptions {
  readonly only: readonly string[];
  readonly map: NameMap | undefined;
  readonly dtype: FloatDtype | undefined;
  /** A model that takes the place of the source's. */
  readonly topology: ModelFile | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a target is made of. */
export interface Plan {
  readonly tensors: readonly SourceTensor[];
  readonly optimizer: readonly SourceTensor[];
  readonly model: ModelDocument | undefined;
  readonly order: readonly string[];
  readonly training: Training | undefined;
  readonly run: RunFacts | undefined;
  readonly renamed: readonly RenamedTensor[];
  /** Whether any tensor gets another dtype. */
  readonly isCast: boolean;
  /** Asked when all is written. */
  overflows(): string[];
}

/** Plans a conversion. Throws `ERR_CONVERT`, `ERR_MODEL_MISMATCH`, `ERR_INVALID_NAME`. */
export function planConversion(source: SourceContents, options: PlanOptions): Plan {
  const { dtype, topology } = options;
  const chosen = choose(source.tensors, options.only);
  const names = mapNames(
    chosen.map(({ name }) => name),
    options.map ?? {},
  );
  const rename = (name: string) => names.get(name) ?? name;
  const overflowed = new Map<string, number>();
  const strings = new Map(topology?.document.weights.filter((each) => each.dtype === 'string').map((each) => [each.name, each.shape]));
  const tensors = chosen
    .map((tensor) => ({ ...tensor, name: rename(tensor.name) }))
    .map((tensor) => checkStrings({ ...tensor, strings: tensor.strings ?? (tensor.dtype === 'U8' ? strings.get(tensor.name) : undefined) }))
    .map((tensor) => castTensor(tensor, dtype, overflowed));
  assertNames(
    tensors,
    [...names].map(([from, to]) => ({ from, to })),
  );
  const model = modelOf(source, options, names.size > 0);
  const optimizer = source.optimizer.map((tensor) => ({ ...tensor, name: renameSlot(tensor.name, rename) }));
  return {
    ...{ tensors, optimizer, model },
    order: topology?.document.weights.map(({ name }) => name) ?? (source.order ?? chosen.map(({ name }) => name)).map(rename),
    training: trainingOf(source, topology, rename),
    run: source.run,
    renamed: [...names].filter(([from, to]) => from !== to).map(([from, to]) => ({ from, to })),
    isCast: chosen.some((tensor) => castDtype(tensor.dtype, dtype) !== tensor.dtype),
    overflows: () =>
      [...overflowed].map(
        ([name, count]) =>
          `${JSON.stringify(name)}: ${count} finite ${count === 1 ? 'number' : 'numbers'} became infinite as ${String(dtype)}.`,
      ),
  };
}

function choose(tensors: readonly SourceTensor[], only: readonly string[]): readonly SourceTensor[] {
  if (only.length === 0) return tensors;
  const patterns = only.map((glob) => ({ glob, pattern: globPattern(glob) }));
  const idle = patterns.filter(({ pattern }) => !tensors.some(({ name }) => pattern.test(name)));
  if (idle.length > 0) {
    throw new HoldfastError(
      'ERR_CONVERT',
      `The source has no tensor that fits ${idle.map(({ glob }) => JSON.stringify(glob)).join(', ')}.`,
    );
  }
  return tensors.filter(({ name }) => patterns.some(({ pattern }) => pattern.test(name)));
}

function assertNames(tensors: readonly SourceTensor[], renamed: readonly RenamedTensor[]): void {
  const names = new Set<string>();
  for (const { name } of tensors) {
    assertTensorName(name);
    if (names.has(name)) {
      const from = renamed.filter(({ to }) => to === name).map((each) => JSON.stringify(each.from));
      throw new HoldfastError(
        'ERR_CONVERT',
        `Two tensors would be named ${JSON.stringify(name)}${from.length === 0 ? '' : `: ${from.join(', ')}${from.length === 1 ? ' and the one that has the name already' : ''}`}.`,
        { tensors: [name] },
      );
    }
    names.add(name);
  }
}

/** Bytes that are said to be strings are strings, or the conversion fails. */
function checkStrings(tensor: SourceTensor): SourceTensor {
  const { strings, name } = tensor;
  if (strings === undefined) return tensor;
  return { ...tensor, read: (signal) => wholeStrings(tensor.read(signal), elementsOf(strings), name) };
}

function castTensor(tensor: SourceTensor, wanted: FloatDtype | undefined, overflowed: Map<string, number>): SourceTensor {
  const { name, dtype, byteLength } = tensor;
  const to = castDtype(dtype, wanted);
  if (to === dtype) return tensor;
  const cast = castOf(dtype, to as FloatDtype);
  return {
    ...tensor,
    dtype: to,
    byteLength: (byteLength / bitsOf(dtype)) * bitsOf(to),
    read: async function* (signal) {
      for await (const piece of wholeElements(tensor.read(signal), bitsOf(dtype) / 8, name)) {
        const result = cast(piece);
        if (result.overflowed > 0) overflowed.set(name, (overflowed.get(name) ?? 0) + result.overflowed);
        yield result.bytes;
      }
    },
  };
}

/** A slot is called after its weight, `<weight>/<slot>`. */
function renameSlot(name: string, rename: (name: string) => string): string {
  const cut = name.lastIndexOf('/');
  return cut < 0 ? name : `${rename(name.slice(0, cut))}${name.slice(cut)}`;
}

/** The source's own model is left behind where its weights are not all there, under their names. */
function modelOf(source: SourceContents, { topology, only }: PlanOptions, isRenamed: boolean): ModelDocument | undefined {
  if (topology !== undefined) return topology.document;
  return only.length > 0 || isRenamed ? undefined : source.model;
}

function trainingOf({ training }: SourceContents, topology: ModelFile | undefined, rename: (name: string) => string): Training | undefined {
  const trainingConfig: Json = training?.trainingConfig ?? topology?.trainingConfig ?? null;
  if (training === undefined) return trainingConfig === null ? undefined : { trainingConfig, optimizer: null };
  const { optimizer } = training;
  const record: OptimizerRecord | null = optimizer && { ...optimizer, slots: optimizer.slots.map(rename) };
  return { trainingConfig, optimizer: record };
}

/** Throws `ERR_MODEL_MISMATCH` unless `tensors` are the weights of the model: the same names, and what tfjs can load as their dtypes. */
export function assertFits(model: ModelDocument, tensors: readonly SourceTensor[], target: string): void {
  const kindOf = (strings: boolean, dtype: Dtype, shape: readonly number[]) => ({
    dtype: strings ? ('U8' as const) : dtype,
    shape,
    strings,
  });
  const expected = new Map(
    model.weights.map((spec: WeightSpec) => [spec.name, kindOf(spec.dtype === 'string', DTYPE_OF_TFJS[spec.dtype] as Dtype, spec.shape)]),
  );
  const stored = new Map(tensors.map(({ name, dtype, shape, strings }) => [name, kindOf(strings !== undefined, dtype, strings ?? shape)]));
  const match = matchTensors(
    expected,
    stored,
    (name) => name,
    (a, b) => {
      return (
        a.strings === b.strings && String(a.shape) === String(b.shape) && (a.dtype === b.dtype || (a.dtype === 'F32' && b.dtype === 'F16'))
      );
    },
  );
  if (isComplete(match)) return;
  const lines = describeMatch(match);
  const shown = lines.slice(0, 20).map((line) => `  ${line}`);
  if (lines.length > shown.length) shown.push(`  … and ${lines.length - shown.length} more`);
  throw new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `The tensors are not the weights of the model that ${target} would describe; nothing was written.\n${shown.join('\n')}\nRename them with --map, choose with --only, convert numbers with --dtype f32.`,
    { tensors: [...match.missing, ...match.wrong.map(({ name }) => name), ...match.extra] },
  );
}

/** All tensors in one list, those of the optimizer under their prefix: for files that know of no optimizer. */
export function inOneList({ tensors, optimizer }: Plan): readonly SourceTensor[] {
  const all = [...tensors, ...optimizer.map((tensor) => ({ ...tensor, name: `${OPTIMIZER_PREFIX}${tensor.name}` }))];
  assertNames(all, []);
  return all;
}

/** Bytes of all tensors. */
export function bytesOf(tensors: readonly SourceTensor[]): number {
  return tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A stock directory of TensorFlow.js as a source: model.json and the files of weights beside it. */
import path from 'node:path';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { bitsOf, byteLengthOf, type Dtype } from '../format/dtype.js';
import { realpath, stat } from '../fs.js';
import { DTYPE_OF_QUANTIZED, DTYPE_OF_TFJS } from '../tfjs-record/dtypes.js';
import { elementsOf, fileBytes, StringWalk, wholeElements } from './chunks.js';
import type { OpenSourceOptions, SourceContents, SourceTensor, Training } from './contents.js';
import { dequantizerOf } from './dequantize.js';
import { formatError, type ManifestSpec, type ModelFile, readModelFile, type WeightGroup } from './model-document.js';
import { fromStockOptimizer } from './stock-optimizer.js';

/** Opens the directory of a model.json, or that file. Throws `ERR_FORMAT`, `ERR_TRUNCATED`, `ERR_EXTENDED`, `ERR_NOT_FOUND`, `ERR_CONVERT`. */
export async function openTfjs(target: string, options: OpenSourceOptions): Promise<SourceContents> {
  const { file, model } = await readModelFile(target);
  const placed: PlacedTensor[] = [];
  for (const group of model.groups) placed.push(...(await placeGroup(file, group, options.signal)));
  const tensors = placed.filter(({ spec }) => spec.group !== 'optimizer').map((place) => toTensor(place));
  const optimizer = await openOptimizer(file, model, placed, options);
  return {
    kind: 'tfjs',
    path: path.dirname(file),
    tensors,
    optimizer: optimizer?.tensors ?? [],
    model: model.document,
    order: model.document.weights.map(({ name }) => name),
    training:
      model.trainingConfig === null ? undefined : (optimizer?.training ?? { trainingConfig: model.trainingConfig, optimizer: null }),
    run: optimizer === undefined ? undefined : { step: optimizer.training.optimizer?.iterations ?? 0, contents: 'full' },
    warnings: optimizer?.warnings ?? [],
    close: async () => {},
  };
}

/** Where the bytes of a weight are, in the stream that the files of its group are. */
interface PlacedTensor {
  readonly spec: ManifestSpec;
  readonly files: readonly WeightFile[];
  readonly offset: number;
  /** As they are stored. */
  readonly bytes: number;
}

interface WeightFile {
  readonly path: string;
  /** Where it begins in the stream. */
  readonly begin: number;
  readonly bytes: number;
}

async function placeGroup(modelJson: string, group: WeightGroup, signal: AbortSignal | undefined): Promise<PlacedTensor[]> {
  const files = await lookAtFiles(modelJson, group);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const placed: PlacedTensor[] = [];
  let offset = 0;
  for (const spec of group.weights) {
    throwIfAborted(signal, 'The conversion');
    const bytes = spec.dtype === 'string' ? await stringBytes(files, offset, spec, signal) : storedBytes(spec);
    placed.push({ spec, files, offset, bytes });
    offset += bytes;
  }
  const names = group.paths.join(', ');
  if (offset === total) return placed;
  const [code, what] = offset > total ? (['ERR_TRUNCATED', 'shorter'] as const) : (['ERR_EXTENDED', 'longer'] as const);
  throw new HoldfastError(
    code,
    `The weights in ${names} are ${total} bytes, ${what} than the ${offset} bytes that ${modelJson} describes.`,
    {
      path: modelJson,
      expected: offset,
      actual: total,
    },
  );
}

async function lookAtFiles(modelJson: string, group: WeightGroup): Promise<WeightFile[]> {
  const files: WeightFile[] = [];
  let begin = 0;
  for (const name of group.paths) {
    const where = path.join(path.dirname(modelJson), name);
    const look = async () => {
      const real = await realpath(where);
      return { real, found: await stat(real) };
    };
    const { real, found } = await look().catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw toHoldfastError(error, `look at ${where}`, { path: where });
      throw new HoldfastError('ERR_MISSING_FILE', `${modelJson} names ${name}, which is not there.`, { path: where, cause: error });
    });
    if (!found.isFile()) throw new HoldfastError('ERR_MISSING_FILE', `${where} is not a regular file.`, { path: where });
    files.push({ path: real, begin, bytes: found.size });
    begin += found.size;
  }
  return files;
}

function storedBytes({ dtype, shape, quantization }: ManifestSpec): number {
  const stored = quantization === undefined ? DTYPE_OF_TFJS[dtype] : DTYPE_OF_QUANTIZED[quantization.dtype];
  return byteLengthOf(stored as Dtype, shape) as number;
}

/** Only the strings themselves say how long they are. */
async function stringBytes(
  files: readonly WeightFile[],
  offset: number,
  { name, shape }: ManifestSpec,
  signal: AbortSignal | undefined,
): Promise<number> {
  const count = elementsOf(shape);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const walk = new StringWalk();
  let bytes = 0;
  if (count > 0) {
    for await (const chunk of streamBytes(files, offset, Math.max(0, total - offset), signal)) {
      bytes += walk.take(chunk, count);
      if (walk.ended === count) break;
    }
  }
  if (walk.ended === count) return bytes;
  throw new HoldfastError('ERR_TRUNCATED', `The files end inside the strings of the weight ${JSON.stringify(name)}.`, { tensors: [name] });
}

/** Bytes of the stream that the files are one after another. */
async function* streamBytes(
  files: readonly WeightFile[],
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const end = offset + length;
  for (const { path: file, begin, bytes } of files) {
    const from = Math.max(offset, begin);
    const to = Math.min(end, begin + bytes);
    if (from < to) yield* fileBytes(file, from - begin, to - from, signal);
  }
}

function toTensor({ spec, files, offset, bytes }: PlacedTensor, name = spec.name, role: SourceTensor['role'] = 'model'): SourceTensor {
  const { quantization } = spec;
  const dtype = DTYPE_OF_TFJS[spec.dtype] as Dtype;
  const stored = (signal: AbortSignal | undefined) => streamBytes(files, offset, bytes, signal);
  if (spec.dtype === 'string') {
    return { name, role, dtype, shape: [bytes], strings: spec.shape, byteLength: bytes, read: stored };
  }
  const byteLength = byteLengthOf(dtype, spec.shape) as number;
  if (quantization === undefined) return { name, role, dtype, shape: spec.shape, byteLength, read: stored };
  const dequantize = dequantizerOf(quantization, dtype === 'I32');
  const size = bitsOf(DTYPE_OF_QUANTIZED[quantization.dtype] as Dtype) / 8;
  return {
    ...{ name, role, dtype, shape: spec.shape, byteLength },
    read: async function* (signal) {
      for await (const piece of wholeElements(stored(signal), size, name)) yield dequantize(piece);
    },
  };
}

interface StockOptimizer {
  readonly tensors: readonly SourceTensor[];
  readonly training: Training;
  readonly warnings: readonly string[];
}

/** As tfjs loads it: only with a trainingConfig, which says whose state it is. */
async function openOptimizer(
  file: string,
  model: ModelFile,
  placed: readonly PlacedTensor[],
  { optimizer, signal }: OpenSourceOptions,
): Promise<StockOptimizer | undefined> {
  const slots = placed.filter(({ spec }) => spec.group === 'optimizer');
  const { trainingConfig } = model;
  if (optimizer === false) return undefined;
  if (trainingConfig === null || slots.length === 0) {
    if (optimizer !== true) return undefined;
    throw new HoldfastError('ERR_CONVERT', `${file} has no state of an optimizer. Leave out --optimizer.`, { path: file });
  }
  const [first, ...rest] = slots as [PlacedTensor, ...PlacedTensor[]];
  if (first.spec.dtype !== 'int32' || elementsOf(first.spec.shape) !== 1 || first.spec.quantization !== undefined) {
    throw formatError(file, 'has optimizer weights that do not begin with the number of iterations', [first.spec.name]);
  }
  const iterations = await readInt32(first, signal);
  const { record, names, scalars, warnings } = fromStockOptimizer(trainingConfig, iterations, rest, model.document, file);
  const tensors = rest.map((place, i) => toTensor(place, names[i] as string, 'optimizer'));
  return { tensors: [...scalars, ...tensors], training: { trainingConfig, optimizer: record }, warnings };
}

async function readInt32({ files, offset }: PlacedTensor, signal: AbortSignal | undefined): Promise<number> {
  const bytes = new Uint8Array(4);
  let at = 0;
  for await (const piece of streamBytes(files, offset, 4, signal)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return new DataView(bytes.buffer).getInt32(0, true);
}

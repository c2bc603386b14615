/** A `model.json` of TensorFlow.js: what it says of the model, and where it says that the weights are. Pure but for reading it. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { Json } from '../format/state.js';
import { realpath } from '../fs.js';
import { readSmallFile } from '../storage/local.js';
import { DTYPE_OF_TFJS } from '../tfjs-record/dtypes.js';
import { MODEL_JSON, type WeightSpec } from '../tfjs-record/weights-manifest.js';

/** A model without its weights. */
export interface ModelDocument {
  readonly format: 'layers-model' | 'graph-model';
  /** The members of model.json but for `weightsManifest` and `trainingConfig`. */
  readonly fields: Readonly<Record<string, Json>>;
  /** The weights of the model, without those of an optimizer. */
  readonly weights: readonly WeightSpec[];
}

/** How the numbers of a weight were made smaller. */
export interface Quantization {
  readonly dtype: 'uint8' | 'uint16' | 'float16';
  readonly min: number;
  readonly scale: number;
}

/** A weight as a weightsManifest lists it. */
export interface ManifestSpec extends WeightSpec {
  readonly group: string | undefined;
  readonly quantization: Quantization | undefined;
}

/** Files that are one stream of bytes, and the weights that lie in it one after another. */
export interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly ManifestSpec[];
}

/** All of a model.json. */
export interface ModelFile {
  readonly document: ModelDocument;
  readonly trainingConfig: Json;
  readonly groups: readonly WeightGroup[];
}

const MAX_BYTES = 512 * 2 ** 20;

/** Reads the model.json at `target`, or in it if it is a directory. Throws `ERR_FORMAT`, `ERR_NOT_FOUND`. */
export async function readModelFile(target: string): Promise<{ file: string; model: ModelFile }> {
  const file = await findModelFile(target).catch((error: unknown) => {
    throw toHoldfastError(error, `look at ${target}`, { path: target });
  });
  const bytes = await readSmallFile(file, MAX_BYTES).catch((error: unknown) => {
    throw toHoldfastError(error, `read ${file}`, { path: file });
  });
  if (bytes === undefined) throw formatError(file, `is no regular file of at most ${MAX_BYTES} bytes`);
  return { file, model: parseModelFile(bytes, file) };
}

async function findModelFile(target: string): Promise<string> {
  const inside = (await stat(target)).isDirectory() ? path.join(target, MODEL_JSON) : target;
  return realpath(inside);
}

/** Decodes a model.json. Throws `ERR_FORMAT`. */
export function parseModelFile(bytes: Uint8Array, file: string): ModelFile {
  const root = parseJsonObject(bytes, file);
  const { weightsManifest, trainingConfig = null, ...fields } = root;
  const topology = fields['modelTopology'];
  if (!isObject(topology)) throw formatError(file, 'has no modelTopology object');
  const format = fields['format'] ?? ('node' in topology ? 'graph-model' : 'layers-model');
  if (format !== 'layers-model' && format !== 'graph-model') throw formatError(file, `is of the unknown format ${JSON.stringify(format)}`);
  if (!Array.isArray(weightsManifest)) throw formatError(file, 'has no weightsManifest list: it is a topology without weights');
  const groups = (weightsManifest as readonly Json[]).map((group) => parseGroup(group, file));
  const trained = trainingConfig !== null;
  const weights = groups.flatMap((group) => group.weights).filter(({ group }) => group !== 'optimizer');
  assertDistinct(weights, file);
  if (trained && !isObject(trainingConfig)) throw formatError(file, 'has a trainingConfig that is no object');
  return {
    document: { format, fields, weights: weights.map(({ name, dtype, shape }) => ({ name, dtype, shape })) },
    trainingConfig,
    groups,
  };
}

type JsonObject = { readonly [key: string]: Json };

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses a document that others have written. Throws `ERR_FORMAT` for what is no object, and for what cannot be written again. */
export function parseJsonObject(bytes: Uint8Array, file: string): JsonObject {
  let root: Json;
  try {
    root = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
    // Nested too deeply it could be read, but not written. And -0 is 0 from here on.
    root = JSON.parse(JSON.stringify(root)) as Json;
  } catch (error) {
    throw formatError(file, `is not JSON that can be read: ${(error as Error).message.slice(0, 200)}`);
  }
  if (!isObject(root)) throw formatError(file, 'is JSON, but no object');
  return root;
}

export function formatError(file: string, what: string, tensors?: readonly string[]): HoldfastError {
  return new HoldfastError('ERR_FORMAT', `${file} ${what}.`, { path: file, ...(tensors === undefined ? {} : { tensors }) });
}

function parseGroup(group: Json, file: string): WeightGroup {
  if (!isObject(group)) throw formatError(file, 'has a weightsManifest entry that is no object');
  const { paths, weights } = group;
  if (!Array.isArray(paths) || !paths.every(isInside)) {
    throw formatError(file, 'has a weightsManifest entry whose paths are no list of names of files beside it');
  }
  if (!Array.isArray(weights)) throw formatError(file, 'has a weightsManifest entry without a list of weights');
  return { paths: paths as string[], weights: (weights as readonly Json[]).map((spec) => parseSpec(spec, file)) };
}

/** No model.json may make anybody read files elsewhere. */
function isInside(name: Json): boolean {
  if (typeof name !== 'string' || name === '' || name.includes('\0') || path.isAbsolute(name)) return false;
  return !name.split(/[\\/]/).includes('..');
}

function parseSpec(spec: Json, file: string): ManifestSpec {
  if (!isObject(spec)) throw formatError(file, 'lists a weight that is no object');
  const { name, dtype, shape, group, quantization } = spec;
  if (typeof name !== 'string' || name === '') throw formatError(file, 'lists a weight without a name');
  const refuse = (what: string) => formatError(file, `lists the weight ${JSON.stringify(name)} with ${what}`, [name]);
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_OF_TFJS, dtype))
    throw refuse(`the dtype ${JSON.stringify(dtype)}, which tfjs does not know`);
  const sizes = Array.isArray(shape) ? (shape as readonly Json[]) : undefined;
  if (sizes === undefined || !sizes.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)) {
    throw refuse('a shape that is no list of sizes');
  }
  const elements = (sizes as readonly number[]).reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(elements * 8)) throw refuse('a shape that is too large to count');
  return {
    name,
    dtype,
    shape: sizes as readonly number[],
    group: typeof group === 'string' ? group : undefined,
    quantization: quantization === undefined || quantization === null ? undefined : parseQuantization(quantization, dtype, refuse),
  };
}

function parseQuantization(value: Json, weightDtype: string, refuse: (what: string) => HoldfastError): Quantization {
  if (!isObject(value)) throw refuse('a quantization that is no object');
  const { dtype, min, scale } = value;
  if (dtype === 'float16') {
    if (weightDtype !== 'float32') throw refuse(`a quantization to float16, which is for float32 and not for ${weightDtype}`);
    return { dtype, min: 0, scale: 1 };
  }
  if (dtype !== 'uint8' && dtype !== 'uint16') throw refuse(`the unknown quantization ${JSON.stringify(dtype)}`);
  if (weightDtype !== 'float32' && weightDtype !== 'int32') throw refuse(`a quantization that ${weightDtype} cannot have`);
  if (typeof min !== 'number' || typeof scale !== 'number') throw refuse('a quantization without numbers min and scale');
  return { dtype, min, scale };
}

function assertDistinct(weights: readonly WeightSpec[], file: string): void {
  const names = new Set<string>();
  for (const { name } of weights) {
    if (names.has(name))
      throw formatError(file, `lists two weights named ${JSON.stringify(name)}, of which tfjs would load one only`, [name]);
    names.add(name);
  }
}

/** What this integration keeps in state.json, under `extensions.tfjs`. */
import { HoldfastError } from '../errors.js';
import type { Json } from '../format/state.js';

export const EXTENSION_NAME = 'tfjs';
const EXTENSION_VERSION = 1;

/** The optimizer, but for its tensors. */
export interface OptimizerRecord {
  readonly className: string;
  readonly iterations: number;
  readonly hyperparameters: Readonly<Record<string, number | boolean>>;
  /** Names of the weights that have slots, in the optimizer's order. */
  readonly slots: readonly string[];
}

export interface TfjsExtension {
  /** Names of the weights in the model's order; the tensor file has an order of its own. */
  readonly weights: readonly string[];
  /** Shapes of string weights, whose tensors are plain bytes. */
  readonly strings: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly optimizer: OptimizerRecord | null;
  /** tfjs' own record of loss, metrics and optimizer; never in model.json, where stock tfjs would misread it. */
  readonly trainingConfig: Json;
}

export function encodeExtension(extension: TfjsExtension): Json {
  return { version: EXTENSION_VERSION, ...extension } as unknown as Json;
}

/**
 * Reads the record back; `undefined` where the checkpoint has none, because something else wrote it. Throws
 * `ERR_UNSUPPORTED_VERSION` or `ERR_STATE`.
 */
export function decodeExtension(value: Json | undefined, checkpoint: string): TfjsExtension | undefined {
  if (value === undefined) return undefined;
  const damaged = () => new HoldfastError('ERR_STATE', `extensions.tfjs in state.json of ${checkpoint} is malformed.`, { checkpoint });
  if (!isObject(value)) throw damaged();
  const { version, weights, strings, optimizer, trainingConfig } = value;
  if (version !== EXTENSION_VERSION) {
    throw new HoldfastError(
      'ERR_UNSUPPORTED_VERSION',
      `extensions.tfjs of ${checkpoint} has version ${JSON.stringify(version)}; this holdfast reads version ${EXTENSION_VERSION}.`,
      { checkpoint },
    );
  }
  const sound =
    isNames(weights) && Array.isArray(strings) && strings.every(isStringEntry) && (optimizer === null || isOptimizer(optimizer));
  if (!sound || trainingConfig === undefined) throw damaged();
  return { weights, strings, optimizer, trainingConfig } as unknown as TfjsExtension;
}

type JsonObject = { readonly [key: string]: Json };

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNames(value: Json | undefined): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function isStringEntry(value: Json): boolean {
  if (!isObject(value) || typeof value['name'] !== 'string') return false;
  const { shape } = value;
  return Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function isOptimizer(value: Json | undefined): boolean {
  if (!isObject(value)) return false;
  const { className, iterations, hyperparameters, slots } = value;
  if (typeof className !== 'string' || !Number.isSafeInteger(iterations) || !isNames(slots) || !isObject(hyperparameters)) return false;
  return Object.values(hyperparameters).every((field) => typeof field === 'number' || typeof field === 'boolean');
}

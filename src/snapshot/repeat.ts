/** Tensors that are those of an earlier save again but for their bytes, as in every save of a training run but its first. */
import { viewFits } from '../format/dtype.js';
import type { KnownSpecs } from '../format/layout-cache.js';
import type { Sources, TensorInput } from './source.js';

/** What a tensor may be given with. */
export const KEYS: ReadonlySet<string> = new Set(['name', 'dtype', 'shape', 'data', 'stable']);

/** The first of its own properties that nobody knows. */
export function unknownKey(input: object): string | undefined {
  // Not Object.keys, which makes a list.
  for (const key in input) if (!KEYS.has(key) && Object.hasOwn(input, key)) return key;
  return undefined;
}

/**
 * The sources of `list` if it has the tensors that are known, each with memory that a view gives. `undefined` for any other list, be it good or
 * bad. Nothing is made per tensor.
 */
export function repeatSources(list: readonly TensorInput[], { specs, signature }: KnownSpecs): Sources | undefined {
  const { names, dtypes, shapes, bytes } = signature;
  if (list.length !== names.length) return undefined;
  const views = new Array<ArrayBufferView<ArrayBuffer>>(list.length);
  const promises = new Uint8Array(list.length);
  let at = 0;
  for (let i = 0; i < list.length; i++) {
    const input = list[i] as TensorInput;
    if (input === null || typeof input !== 'object' || unknownKey(input) !== undefined) return undefined;
    const { name, dtype, shape, data, stable = false } = input;
    if (name !== names[i] || dtype !== dtypes[i] || typeof stable !== 'boolean') return undefined;
    if (!Array.isArray(shape) || shape.length !== shapes[at++]) return undefined;
    for (let k = 0; k < shape.length; k++) if (shape[k] !== shapes[at++]) return undefined;
    if (!ArrayBuffer.isView(data) || !viewFits(dtype, data) || data.byteLength !== bytes[i]) return undefined;
    // Detached memory has no bytes, so only where there are none it cannot be told by their number.
    if (data.byteLength === 0 && data.buffer.byteLength === 0) return undefined;
    views[i] = data as ArrayBufferView<ArrayBuffer>;
    if (stable) promises[i] = 1;
  }
  return { specs, bytes, data: views, stable: promises };
}

/** Checks what callers give as tensors, and brings it into one form. */
import { types } from 'node:util';
import { HoldfastError } from '../errors.js';
import { assertViewFits, DTYPES, isDtype } from '../format/dtype.js';
import type { TensorSpec } from '../format/layout.js';
import type { KnownSpecs } from '../format/layout-cache.js';
import { KEYS, repeatSources, unknownKey } from './repeat.js';
import {
  type Chunks,
  type SourceData,
  type Sources,
  type StreamedData,
  StreamSource,
  type TensorData,
  type TensorInput,
  type TensorInputs,
} from './source.js';

/**
 * Checks every tensor; throws `ERR_INVALID_TENSOR`, `ERR_INVALID_ARGUMENT` or `ERR_UNKNOWN_OPTION`. Where they are those of an earlier save again,
 * but for their bytes, that is all there is to find out ({@link repeatSources}): training waits for this.
 */
export function toSources(tensors: TensorInputs, known?: KnownSpecs): Sources {
  if (tensors === null || typeof tensors !== 'object') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `tensors must be a list of tensors or a record by name, not ${typeOf(tensors)}.`);
  }
  const sources = new SourceList();
  if (Symbol.iterator in tensors) {
    // A list is run to its end first: a generator may use what it gives again.
    const list = [...tensors];
    const repeated = known && repeatSources(list, known);
    if (repeated !== undefined) return repeated;
    list.forEach((tensor, index) => {
      sources.add(tensor, tensor?.name, index);
    });
    return sources;
  }
  for (const [index, [name, tensor]] of Object.entries(tensors).entries()) {
    if (tensor === null || typeof tensor !== 'object' || ArrayBuffer.isView(tensor)) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `tensors[${JSON.stringify(name)}] must be { dtype, shape, data }, not ${typeOf(tensor)}.`,
      );
    }
    sources.add(tensor, name, index);
  }
  return sources;
}

class SourceList implements Sources {
  readonly specs: TensorSpec[] = [];
  readonly bytes: number[] = [];
  readonly data: SourceData[] = [];
  readonly stable: number[] = [];

  add(input: Omit<TensorInput, 'name'>, name: string, index: number): void {
    if (input === null || typeof input !== 'object' || Array.isArray(input)) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `tensors[${index}] must be { name, dtype, shape, data }, not ${typeOf(input)}.`);
    }
    const { dtype, shape, data, stable = false } = input;
    // Made only for messages: this runs for every tensor.
    const label = () => (typeof name === 'string' && name !== '' ? JSON.stringify(name) : `number ${index}`);
    const unknown = unknownKey(input);
    if (unknown !== undefined) {
      throw new HoldfastError(
        'ERR_UNKNOWN_OPTION',
        `Tensor ${label()} has the unknown property "${unknown}"; known are ${[...KEYS].join(', ')}.`,
      );
    }
    if (!isDtype(dtype)) {
      throw invalid(
        label,
        name,
        `has the dtype ${typeof dtype === 'string' ? JSON.stringify(dtype) : String(dtype)}; known are ${DTYPES.join(', ')}`,
      );
    }
    if (typeof stable !== 'boolean') throw invalid(label, name, `has stable: ${String(stable)}; give true or false`);
    const dimensions = toDimensions(shape, label, name);
    if (ArrayBuffer.isView(data)) assertViewFits(name, dtype, data);
    const source = toData(data, label, name);
    this.specs.push({ name, dtype, shape: dimensions, byteLength: source.byteLength });
    this.bytes.push(source.byteLength);
    this.data.push(source);
    this.stable.push(stable && !(source instanceof StreamSource) ? 1 : 0);
  }
}

/** A copy: what is checked is what is used. */
function toDimensions(shape: readonly number[], label: Label, name: string): number[] {
  if (!Array.isArray(shape)) throw invalid(label, name, `has the shape ${String(shape)}, which is not a list of non-negative integers`);
  const dimensions: number[] = [];
  for (let i = 0; i < shape.length; i++) {
    const size: unknown = shape[i];
    if (!Number.isSafeInteger(size) || (size as number) < 0) {
      const sizes = Array.from(shape, String).join(', ');
      throw invalid(label, name, `has the shape [${sizes}], which is not a list of non-negative integers`);
    }
    dimensions.push(size as number);
  }
  return dimensions;
}

/** How a message calls the tensor. */
type Label = () => string;

function toData(data: TensorData, label: Label, name: string): SourceData {
  if (ArrayBuffer.isView(data)) {
    assertAttached(data.buffer, label, name);
    return data;
  }
  if (types.isAnyArrayBuffer(data)) {
    assertAttached(data, label, name);
    return { buffer: data, byteOffset: 0, byteLength: data.byteLength };
  }
  if (data !== null && typeof data === 'object' && Symbol.asyncIterator in data) {
    const { byteLength } = data;
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw invalid(label, name, 'is an AsyncIterable without a byteLength; give the number of bytes that it will produce');
    }
    return new StreamSource(byteLength, data, chunksOf(data, label, name), releaseOf(data, label, name));
  }
  throw invalid(
    label,
    name,
    `has data that is ${typeOf(data)}; give an ArrayBuffer, a view of one, or an AsyncIterable of chunks with a byteLength`,
  );
}

function chunksOf({ fresh = false, transfer = false }: StreamedData, label: Label, name: string): Chunks {
  for (const [key, value] of Object.entries({ fresh, transfer })) {
    if (typeof value !== 'boolean') throw invalid(label, name, `has data with ${key}: ${String(value)}; give true or false`);
  }
  if (transfer) return 'given';
  return fresh ? 'fresh' : 'reused';
}

function releaseOf(data: StreamedData, label: Label, name: string): (() => void) | undefined {
  const { release } = data;
  if (release === undefined) return undefined;
  if (typeof release !== 'function') throw invalid(label, name, 'has data whose release is not a function');
  return () => release.call(data);
}

function assertAttached(buffer: ArrayBufferLike, label: Label, name: string): void {
  // Uint8Array.prototype.byteOffset of a detached view is 0 and its buffer is empty.
  if (buffer.byteLength === 0 && (buffer as { detached?: boolean }).detached === true) {
    throw new HoldfastError(
      'ERR_SOURCE_CHANGED',
      `The memory of tensor ${label()} is detached: it was transferred away. Save before transferring, or pass a copy.`,
      {
        tensors: [name],
      },
    );
  }
}

function invalid(label: Label, name: unknown, what: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_TENSOR', `Tensor ${label()} ${what}.`, typeof name === 'string' ? { tensors: [name] } : {});
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return value === undefined ? 'undefined' : `a ${typeof value}`;
  const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'object';
  return `${/^[AEIOU]/i.test(name) && !/^U/.test(name) ? 'an' : 'a'} ${name}`;
}

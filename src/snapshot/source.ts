/** What callers give as tensors, checked and brought into one form. */
import { types } from 'node:util';
import type { MemoryRange } from '../engine/contract.js';
import { HoldfastError } from '../errors.js';
import { assertViewFits, DTYPES, type Dtype, isDtype } from '../format/dtype.js';
import type { TensorSpec } from '../format/layout.js';

/**
 * Data that is produced while it is saved: chunks of any size, `byteLength` bytes in all. It is read on the thread that called `save`, up to
 * 64 MiB ahead of the disk, for a few milliseconds per turn of the event loop. The streams of one file are read one after another, in the
 * order of the file; those of the model and of the optimizer, or of two shards, may be read at the same time.
 */
export interface StreamedData extends AsyncIterable<Uint8Array> {
  readonly byteLength: number;
  /**
   * The caller promises that nobody writes to a chunk's memory again: it is then not copied, and held until it is written.
   * Default false: the memory of a chunk may be used again as soon as the next one is asked for.
   */
  readonly fresh?: boolean | undefined;
  /**
   * The caller gives the chunks away: as `fresh`, and the memory of a chunk is freed as soon as it is written, instead of whenever
   * garbage is collected. Its ArrayBuffer is detached when it is given, unless it holds more than the chunk or may not be transferred. Default false.
   */
  readonly transfer?: boolean | undefined;
  /**
   * Called once when an accepted save is over, whatever became of it, even if the stream was never read: the place to let go what
   * the stream reads from. Not called when the request itself is refused. What it throws becomes a warning of the process.
   */
  release?(): void;
}

/** The bytes of a tensor, in little-endian order, without holes. */
export type TensorData = ArrayBufferView | ArrayBuffer | SharedArrayBuffer | StreamedData;

/** One tensor to be saved. */
export interface TensorInput {
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes per dimension; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly data: TensorData;
  /**
   * The caller promises that the bytes do not change until the save is done: they are then not copied, unless that is cheaper (at most 16 KiB, in
   * a save of 256 tensors or more) or they could be resized. The memory must not be transferred or resized meanwhile; where it is not
   * copied, its ArrayBuffer is marked untransferable, for good.
   */
  readonly stable?: boolean | undefined;
}

/**
 * Tensors to be saved: a list, or a record by name. An iterable is run to its end before any byte is captured, so a generator
 * must give every tensor memory of its own.
 */
export type TensorInputs = Iterable<TensorInput> | Readonly<Record<string, Omit<TensorInput, 'name'>>>;

/** A checked tensor; everything that was asked of the caller's objects was asked once. */
export interface Source extends TensorSpec {
  readonly data: MemorySource | StreamSource;
}

/** Memory that is there. One object is all: there may be a hundred thousand. */
export interface MemorySource extends MemoryRange {
  readonly kind: 'memory';
  readonly stable: boolean;
}

/** Whose the memory of a chunk is when the next one is asked for: used again, the caller's but left alone, or given away. */
export type Chunks = 'reused' | 'fresh' | 'given';

export interface StreamSource {
  readonly kind: 'stream';
  readonly byteLength: number;
  readonly stream: AsyncIterable<Uint8Array>;
  readonly chunks: Chunks;
  /** To be called once, when the save is over. */
  readonly release: (() => void) | undefined;
}

const KEYS: ReadonlySet<string> = new Set(['name', 'dtype', 'shape', 'data', 'stable']);

/**
 * Checks every tensor; throws `ERR_INVALID_TENSOR`, `ERR_INVALID_ARGUMENT` or `ERR_UNKNOWN_OPTION`. Training waits for this, so nothing
 * is made per tensor but what is kept.
 */
export function toSources(tensors: TensorInputs): Source[] {
  if (tensors === null || typeof tensors !== 'object') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `tensors must be a list of tensors or a record by name, not ${typeOf(tensors)}.`);
  }
  // A list is run to its end first: a generator may use what it gives again.
  if (Symbol.iterator in tensors) return [...tensors].map((tensor, index) => toSource(tensor, tensor?.name, index));
  return Object.entries(tensors).map(([name, tensor], index) => {
    if (tensor !== null && typeof tensor === 'object' && !ArrayBuffer.isView(tensor)) return toSource(tensor, name, index);
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `tensors[${JSON.stringify(name)}] must be { dtype, shape, data }, not ${typeOf(tensor)}.`,
    );
  });
}

function toSource(input: Omit<TensorInput, 'name'>, name: string, index: number): Source {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `tensors[${index}] must be { name, dtype, shape, data }, not ${typeOf(input)}.`);
  }
  const { dtype, shape, data, stable = false } = input;
  // Made only for messages: this runs for every tensor of every save.
  const label = () => (typeof name === 'string' && name !== '' ? JSON.stringify(name) : `number ${index}`);
  // Not Object.keys, which makes a list.
  for (const key in input) {
    if (KEYS.has(key) || !Object.hasOwn(input, key)) continue;
    throw new HoldfastError(
      'ERR_UNKNOWN_OPTION',
      `Tensor ${label()} has the unknown property "${key}"; known are ${[...KEYS].join(', ')}.`,
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
  const source = toData(data, stable, label, name);
  return { name, dtype, shape: dimensions, data: source, byteLength: source.byteLength };
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

function toData(data: TensorData, stable: boolean, label: Label, name: string): Source['data'] {
  if (ArrayBuffer.isView(data)) {
    const { buffer, byteOffset, byteLength } = data;
    return memory(data, buffer as ArrayBuffer, byteOffset, byteLength, stable, label, name);
  }
  if (types.isAnyArrayBuffer(data)) return memory(undefined, data, 0, data.byteLength, stable, label, name);
  if (data !== null && typeof data === 'object' && Symbol.asyncIterator in data) {
    const { byteLength } = data;
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw invalid(label, name, 'is an AsyncIterable without a byteLength; give the number of bytes that it will produce');
    }
    return { kind: 'stream', stream: data, chunks: chunksOf(data, label, name), release: releaseOf(data, label, name), byteLength };
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

function memory(
  view: ArrayBufferView | undefined,
  buffer: ArrayBuffer | SharedArrayBuffer,
  byteOffset: number,
  byteLength: number,
  stable: boolean,
  label: Label,
  name: string,
): MemorySource {
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
  return { kind: 'memory', buffer, byteOffset, byteLength, view, stable };
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

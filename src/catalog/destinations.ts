/** Where restored bytes go: memory of the caller's, or new memory. */
import type { MemoryRange } from '../engine/contract.js';
import { isResizable } from '../engine/is-resizable.js';
import { HoldfastError } from '../errors.js';
import { arrayClassOf } from '../format/dtype.js';
import type { TensorRole } from '../format/layout.js';
import type { TensorEntry } from '../format/safetensors.js';
import { RestoredTensor } from './tensor.js';

/** Memory that a tensor is read into. */
export type TensorMemory = ArrayBuffer | ArrayBufferView | RestoredTensor;

/** A tensor that is about to be read. */
export interface WantedTensor {
  readonly name: string;
  /** Of the model or of the optimizer. */
  readonly role: TensorRole;
  /** Of all its elements together. */
  readonly byteLength: number;
}

/** Gives the memory for a tensor, or `undefined` for new memory. */
export type ChooseMemory = (tensor: WantedTensor) => TensorMemory | undefined;

/** New memory, for those who have none of their own. */
export function newMemory(bytes: number): MemoryRange {
  try {
    return whole(new ArrayBuffer(bytes));
  } catch (cause) {
    throw new HoldfastError('ERR_RESOURCES', `There is no memory for a tensor of ${bytes} bytes. Read it in slices, or map it.`, { cause });
  }
}

/** The memory for `tensor`. Throws `ERR_INVALID_ARGUMENT` for memory that does not fit it. */
export function memoryFor(tensor: WantedTensor, choose: ChooseMemory | undefined): MemoryRange {
  const memory = choose?.(tensor);
  return memory === undefined ? newMemory(tensor.byteLength) : checkedMemory(memory, tensor);
}

/** Throws `ERR_INVALID_ARGUMENT` where two tensors would be read into the same bytes. */
export function assertDisjoint(targets: readonly { readonly name: string; readonly range: MemoryRange }[]): void {
  const ends = new Map<MemoryRange['buffer'], { readonly end: number; readonly name: string }>();
  for (const { name, range } of [...targets].sort((a, b) => a.range.byteOffset - b.range.byteOffset)) {
    if (range.byteLength === 0) continue;
    const before = ends.get(range.buffer);
    if (before !== undefined && before.end > range.byteOffset) throw refusal(name, `overlaps that of ${JSON.stringify(before.name)}`);
    ends.set(range.buffer, { end: range.byteOffset + range.byteLength, name });
  }
}

/** A restored tensor in `range`. Throws `ERR_INVALID_ARGUMENT` where its elements would not lie at multiples of their size. */
export function restoredAt({ name, dtype, shape }: Pick<TensorEntry, 'name' | 'dtype' | 'shape'>, range: MemoryRange): RestoredTensor {
  const size = arrayClassOf(dtype).BYTES_PER_ELEMENT;
  if (range.byteOffset % size !== 0) {
    throw refusal(name, `begins at byte ${range.byteOffset} of its buffer, which is no multiple of ${size}, the element size of ${dtype}`);
  }
  return new RestoredTensor(dtype, shape, range.buffer as ArrayBuffer, range.byteOffset, range.byteLength);
}

function checkedMemory(memory: TensorMemory, { name, byteLength }: WantedTensor): MemoryRange {
  const range = rangeOf(memory);
  if (range === undefined) throw refusal(name, 'is neither an ArrayBuffer nor a view of one');
  if (range.byteLength !== byteLength) throw refusal(name, `has ${range.byteLength} bytes, and the tensor has ${byteLength}`);
  if (isResizable(range.buffer)) throw refusal(name, 'can be resized');
  return range;
}

function rangeOf(memory: TensorMemory): MemoryRange | undefined {
  if (memory instanceof RestoredTensor || ArrayBuffer.isView(memory)) {
    const { buffer, byteOffset, byteLength } = memory;
    return { buffer: buffer as ArrayBuffer, byteOffset, byteLength };
  }
  return memory instanceof ArrayBuffer ? whole(memory) : undefined;
}

function whole(buffer: ArrayBuffer): MemoryRange {
  return { buffer, byteOffset: 0, byteLength: buffer.byteLength };
}

function refusal(name: string, what: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `The memory for tensor ${JSON.stringify(name)} ${what}.`, { tensors: [name] });
}

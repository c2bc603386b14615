/** The dtypes of safetensors 0.8 and what they are in JavaScript. */
import { HoldfastError } from '../errors.js';

/** Bits per element, by safetensors name. Sub-byte types pack; their tensors fill whole bytes. */
const DTYPE_BITS = {
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
  F32: 32,
  I32: 32,
  U32: 32,
  F16: 16,
  BF16: 16,
  I16: 16,
  U16: 16,
  I8: 8,
  U8: 8,
  BOOL: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
} as const;

/** A safetensors dtype name. */
export type Dtype = keyof typeof DTYPE_BITS;

/** Every dtype, largest element first. */
export const DTYPES: readonly Dtype[] = Object.freeze(Object.keys(DTYPE_BITS) as Dtype[]);

/** The array classes in which restored data is given; 16-bit floats come as their bit patterns. */
export type TensorArray =
  | Float64Array
  | Float32Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array;

interface TensorArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TensorArray;
}

const ARRAYS: Partial<Record<Dtype, TensorArrayConstructor>> = {
  F64: Float64Array,
  F32: Float32Array,
  C64: Float32Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
};

/** The array class that restored data of `dtype` is given in (complex numbers interleaved). */
export function arrayClassOf(dtype: Dtype): TensorArrayConstructor {
  return ARRAYS[dtype] ?? Uint8Array;
}

/** True for the names in {@link DTYPES}. */
export function isDtype(value: unknown): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BITS, value);
}

/** Bits of one element. */
export function bitsOf(dtype: Dtype): number {
  return DTYPE_BITS[dtype];
}

/**
 * Bytes that a tensor of `dtype` and `shape` fills, or why it has none.
 * Products are checked: beyond 2^53 - 1 elements or bytes is an overflow.
 */
export function byteLengthOf(dtype: Dtype, shape: readonly number[]): number | 'overflow' | 'partial byte' {
  let elements = 1;
  let empty = false;
  for (const size of shape) {
    if (size === 0) empty = true;
    // The reference multiplies with overflow checks from left to right, zeros included.
    else if (elements > Number.MAX_SAFE_INTEGER / size) return 'overflow';
    else elements *= size;
  }
  if (empty) elements = 0;
  const bits = DTYPE_BITS[dtype];
  if (bits >= 8) {
    const bytes = elements * (bits / 8);
    return Number.isSafeInteger(bytes) ? bytes : 'overflow';
  }
  const total = elements * bits;
  if (!Number.isSafeInteger(total)) return 'overflow';
  return total % 8 === 0 ? total / 8 : 'partial byte';
}

/** Array classes that hold elements of a definite kind; bytes and DataViews fit every dtype. */
const CLASS_DTYPES: Readonly<Record<string, readonly Dtype[]>> = {
  Float64Array: ['F64'],
  Float32Array: ['F32', 'C64'],
  Float16Array: ['F16'],
  BigInt64Array: ['I64'],
  BigUint64Array: ['U64'],
  Int32Array: ['I32'],
  Uint32Array: ['U32'],
  Int16Array: ['I16'],
  Uint16Array: ['U16', 'F16', 'BF16'],
  Int8Array: ['I8'],
};

function kindOf(view: ArrayBufferView): string {
  return (view as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? '';
}

/** Whether `view`'s elements can be of `dtype`. */
export function viewFits(dtype: Dtype, view: ArrayBufferView): boolean {
  // By far the most common, and by far the fastest to ask for.
  if (view instanceof Float32Array && dtype === 'F32') return true;
  return CLASS_DTYPES[kindOf(view)]?.includes(dtype) ?? true;
}

/** Throws `ERR_INVALID_TENSOR` if `view`'s elements cannot be of `dtype` (a Float64Array as F32). */
export function assertViewFits(name: string, dtype: Dtype, view: ArrayBufferView): void {
  if (viewFits(dtype, view)) return;
  const kind = kindOf(view);
  const fitting = CLASS_DTYPES[kind] ?? [];
  throw new HoldfastError(
    'ERR_INVALID_TENSOR',
    `Tensor "${name}" is declared ${dtype}, but its data is of class ${kind}, which holds ${fitting.join(' or ')}. ` +
      'Give the matching dtype, or pass the raw bytes as a Uint8Array.',
    { tensors: [name], expected: fitting.join('|'), actual: dtype },
  );
}

/** Elements of tensors as ordinary numbers, for those dtypes whose elements a double holds exactly. */
import type { Dtype } from './dtype.js';

/** Decodes as many numbers as `into` is long from the beginning of `bytes`, little-endian. A complex number is two. */
export type Decoder = (bytes: Uint8Array, into: Float64Array) => void;

interface NumericArray extends ArrayLike<number> {
  readonly BYTES_PER_ELEMENT: number;
}

interface NumericArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericArray;
}

const PLAIN: Partial<Record<Dtype, NumericArrayConstructor>> = {
  F64: Float64Array,
  F32: Float32Array,
  C64: Float32Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** A small floating-point format: sign, exponent, mantissa. */
interface SmallFloat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /**
   * What is no ordinary number. `ieee`: the largest exponent stands for infinities and NaN. `fn`: only all ones are NaN. `fnuz`: only the sign
   * alone is NaN, so that there is no −0. In the last two there are no infinities.
   */
  readonly special: 'ieee' | 'fn' | 'fnuz';
}

const SMALL_FLOATS: Partial<Record<Dtype, SmallFloat>> = {
  F16: { exponentBits: 5, mantissaBits: 10, bias: 15, special: 'ieee' },
  BF16: { exponentBits: 8, mantissaBits: 7, bias: 127, special: 'ieee' },
  F8_E4M3: { exponentBits: 4, mantissaBits: 3, bias: 7, special: 'fn' },
  F8_E5M2: { exponentBits: 5, mantissaBits: 2, bias: 15, special: 'ieee' },
  F8_E4M3FNUZ: { exponentBits: 4, mantissaBits: 3, bias: 8, special: 'fnuz' },
  F8_E5M2FNUZ: { exponentBits: 5, mantissaBits: 2, bias: 16, special: 'fnuz' },
};

const decoders = new Map<Dtype, Decoder | undefined>();

/** The decoder of `dtype`; `undefined` for 64-bit integers, which a double cannot hold, and for elements that do not fill bytes. */
export function decoderOf(dtype: Dtype): Decoder | undefined {
  if (!decoders.has(dtype)) decoders.set(dtype, makeDecoder(dtype));
  return decoders.get(dtype);
}

function makeDecoder(dtype: Dtype): Decoder | undefined {
  const plain = PLAIN[dtype];
  if (plain !== undefined) return (bytes, into) => into.set(viewOf(plain, bytes, into.length));
  const table = tableOf(dtype);
  if (table === undefined) return undefined;
  return (bytes, into) => {
    const codes = table.length > 256 ? viewOf(Uint16Array, bytes, into.length) : bytes;
    for (let i = 0; i < into.length; i++) into[i] = table[codes[i] as number] as number;
  };
}

/** `bytes` as an array of `length` elements; copied where they do not lie at a multiple of their size. */
export function viewOf<T extends NumericArray>(
  ArrayClass: { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBufferLike, byteOffset: number, length: number): T },
  bytes: Uint8Array,
  length: number,
): T {
  const { buffer, byteOffset } = bytes.byteOffset % ArrayClass.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new ArrayClass(buffer, byteOffset, length);
}

/** The value of every code of a dtype that has few enough of them. */
function tableOf(dtype: Dtype): Float64Array | undefined {
  // Nothing but an exponent: powers of two, and one code for NaN.
  if (dtype === 'F8_E8M0') return Float64Array.from({ length: 256 }, (_, code) => (code === 255 ? Number.NaN : 2 ** (code - 127)));
  const format = SMALL_FLOATS[dtype];
  if (format === undefined) return undefined;
  return Float64Array.from({ length: 2 ** (1 + format.exponentBits + format.mantissaBits) }, (_, code) => decodeSmallFloat(code, format));
}

function decodeSmallFloat(code: number, { exponentBits, mantissaBits, bias, special }: SmallFloat): number {
  const signBit = exponentBits + mantissaBits;
  const sign = code >> signBit === 0 ? 1 : -1;
  const highest = 2 ** exponentBits - 1;
  const exponent = (code >> mantissaBits) & highest;
  const mantissa = code & (2 ** mantissaBits - 1);
  if (special === 'ieee' && exponent === highest) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (special === 'fn' && exponent === highest && mantissa === 2 ** mantissaBits - 1) return Number.NaN;
  if (special === 'fnuz' && code === 2 ** signBit) return Number.NaN;
  const scale = 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
  return sign * (exponent === 0 ? mantissa : mantissa + 2 ** mantissaBits) * scale;
}

/** Floating-point numbers in another precision: rounded to nearest, ties to even. Pure. */
import { decoderOf, viewOf } from '../format/decode-values.js';
import { bitsOf, type Dtype } from '../format/dtype.js';

/** What numbers can be converted to. */
export type FloatDtype = 'F16' | 'BF16' | 'F32';

/** Converts whole elements; gives new memory, and how many finite numbers became infinite. */
export type Cast = (bytes: Uint8Array) => { readonly bytes: Uint8Array; readonly overflowed: number };

const CONVERTED: ReadonlySet<Dtype> = new Set(['F64', 'F32', 'F16', 'BF16']);
/** Of 8 bits; they are only ever widened. */
const SMALL: ReadonlySet<Dtype> = new Set(['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ']);

/** What a tensor of `dtype` becomes: integers, booleans and complex numbers stay what they are. */
export function castDtype(dtype: Dtype, wanted: FloatDtype | undefined): Dtype {
  if (wanted === undefined) return dtype;
  return CONVERTED.has(dtype) || (wanted === 'F32' && SMALL.has(dtype)) ? wanted : dtype;
}

/** How elements of `from` become elements of `to`, which {@link castDtype} gave and is another one. */
export function castOf(from: Dtype, to: FloatDtype): Cast {
  if (from === 'F64') return to === 'F32' ? doubleToSingle : fromDoubles(to);
  const widen = widenerOf(from);
  if (to === 'F32') return (bytes) => ({ bytes: bytesOf(widen(bytes)), overflowed: 0 });
  const narrow = to === 'F16' ? toHalf : toBrain;
  return (bytes) => {
    const singles = widen(bytes);
    const result = new Uint16Array(singles.length);
    let overflowed = 0;
    for (let i = 0; i < singles.length; i++) {
      const bits = singles[i] as number;
      const code = narrow(bits);
      result[i] = code;
      if ((code & 0x7fff) === INFINITE[to] && (bits & 0x7fffffff) < 0x7f800000) overflowed++;
    }
    return { bytes: bytesOf(result), overflowed };
  };
}

/** Without their sign. */
const INFINITE = { F16: 0x7c00, BF16: 0x7f80 } as const;

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Gives the bits of single-precision numbers of the same values: exact, NaN payloads included where the format has any. */
function widenerOf(from: Dtype): (bytes: Uint8Array) => Uint32Array {
  if (from === 'F32') return (bytes) => viewOf(Uint32Array, bytes, bytes.length / 4);
  if (from === 'F16') return (bytes) => Uint32Array.from(viewOf(Uint16Array, bytes, bytes.length / 2), halfToSingle);
  if (from === 'BF16') {
    return (bytes) => Uint32Array.from(viewOf(Uint16Array, bytes, bytes.length / 2), (code) => (code << 16) >>> 0);
  }
  const decode = decoderOf(from);
  if (decode === undefined) throw new TypeError(`There is no cast from ${from}.`);
  return (bytes) => {
    const values = new Float64Array((bytes.length * 8) / bitsOf(from));
    decode(bytes, values);
    return new Uint32Array(Float32Array.from(values).buffer);
  };
}

/** Bits of a half as bits of a single. */
export function halfToSingle(code: number): number {
  const sign = (code & 0x8000) << 16;
  const exponent = (code >> 10) & 0x1f;
  const mantissa = code & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (mantissa << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
  if (mantissa === 0) return sign >>> 0;
  // Subnormal: mantissa × 2^-24, whose first bit becomes the hidden one.
  const shift = Math.clz32(mantissa) - 21;
  return (sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13)) >>> 0;
}

/** Bits of a single as bits of a half. A NaN becomes the quiet one. */
function toHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  // 65520 lies half-way between the largest number and the next, which would be even.
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size >= 0x38800000) {
    const rebiased = size - 0x38000000;
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  // At most half of the smallest number.
  if (size <= 0x33000000) return sign;
  const shift = 126 - (size >>> 23);
  const mantissa = (size & 0x7fffff) | 0x800000;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const down = mantissa >>> shift;
  return sign | (rest > half || (rest === half && (down & 1) === 1) ? down + 1 : down);
}

/** Bits of a single as bits of a bfloat16. A NaN becomes the quiet one. */
function toBrain(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) & 0x8000) | 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

const doubleToSingle: Cast = (bytes) => {
  const doubles = viewOf(Float64Array, bytes, bytes.length / 8);
  const singles = Float32Array.from(doubles);
  let overflowed = 0;
  for (let i = 0; i < singles.length; i++) {
    if (Math.abs(singles[i] as number) === Number.POSITIVE_INFINITY && Number.isFinite(doubles[i])) overflowed++;
  }
  return { bytes: bytesOf(singles), overflowed };
};

/** From doubles at once: by way of singles a number would be rounded twice. */
function fromDoubles(to: 'F16' | 'BF16'): Cast {
  const [mantissaBits, bias] = to === 'F16' ? [10, 15] : [7, 127];
  const infinite = INFINITE[to];
  return (bytes) => {
    const doubles = viewOf(Float64Array, bytes, bytes.length / 8);
    const result = new Uint16Array(doubles.length);
    let overflowed = 0;
    for (let i = 0; i < doubles.length; i++) {
      const value = doubles[i] as number;
      const code = encodeDouble(value, mantissaBits, bias, infinite);
      result[i] = code;
      if ((code & 0x7fff) === infinite && Number.isFinite(value)) overflowed++;
    }
    return { bytes: bytesOf(result), overflowed };
  };
}

const WORDS = new Uint32Array(2);
const DOUBLE = new Float64Array(WORDS.buffer);

function encodeDouble(value: number, mantissaBits: number, bias: number, infinite: number): number {
  DOUBLE[0] = value;
  const high = WORDS[1] as number;
  const sign = (high >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | infinite | (1 << (mantissaBits - 1));
  const size = Math.abs(value);
  const exponent = Math.max(((high >>> 20) & 0x7ff) - 1023, 1 - bias);
  // How many of the last place it is: scaling by a power of two is exact.
  const code = roundToEven(size * 2 ** (mantissaBits - exponent)) + (exponent + bias - 1) * 2 ** mantissaBits;
  return sign | Math.min(code, infinite);
}

function roundToEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}

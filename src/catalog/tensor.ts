/** A tensor that was read back. */
import { HoldfastError } from '../errors.js';
import { arrayClassOf, type Dtype, type TensorArray } from '../format/dtype.js';

/** Node.js 20 limits a view to 2^32 elements; beyond that a tensor comes in several views. */
const MAX_VIEW_ELEMENTS = 2 ** 32 - 1;
const PART_ELEMENTS = 2 ** 31;

/** A restored tensor. Its memory is its own, or what the caller gave. */
export class RestoredTensor {
  /** Bytes of all elements. */
  readonly byteLength: number;

  constructor(
    readonly dtype: Dtype,
    /** Sizes per dimension; `[]` is a scalar. */
    readonly shape: readonly number[],
    /** Holds its bytes, little-endian, from `byteOffset` on. */
    readonly buffer: ArrayBuffer,
    readonly byteOffset = 0,
    byteLength = buffer.byteLength - byteOffset,
  ) {
    this.byteLength = byteLength;
  }

  /**
   * The elements: F64, F32, I32, I16, I8, U32, U16, U8 in their typed arrays; F16 and BF16 as their bit
   * patterns in a Uint16Array; I64 and U64 as BigInt arrays; C64 as a Float32Array of (re, im) pairs; all others as
   * bytes. Throws `ERR_UNSUPPORTED` where one view cannot hold them: use {@link chunks}.
   */
  get data(): TensorArray {
    const { chunks } = this;
    if (chunks.length === 1) return chunks[0] as TensorArray;
    throw new HoldfastError(
      'ERR_UNSUPPORTED',
      `A tensor of ${this.byteLength} bytes has too many elements for one typed array. Use its chunks.`,
    );
  }

  /** The elements in one view, or in several where one cannot hold them. */
  get chunks(): readonly TensorArray[] {
    const ArrayClass = arrayClassOf(this.dtype);
    const size = ArrayClass.BYTES_PER_ELEMENT;
    const elements = this.byteLength / size;
    if (elements <= MAX_VIEW_ELEMENTS) return [new ArrayClass(this.buffer, this.byteOffset, elements)];
    const parts: TensorArray[] = [];
    for (let at = 0; at < elements; at += PART_ELEMENTS) {
      parts.push(new ArrayClass(this.buffer, this.byteOffset + at * size, Math.min(PART_ELEMENTS, elements - at)));
    }
    return parts;
  }
}

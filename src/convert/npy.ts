/**
 * The header of a `.npy` file: `\x93NUMPY`, a version, the header's length, and a Python dict of dtype, order and shape.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html describes it. Pure.
 */
import { HoldfastError } from '../errors.js';
import { byteLengthOf, type Dtype } from '../format/dtype.js';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Magic, version, and the header's length in its longer form. */
export const NPY_PROLOGUE_BYTES = 12;
/** A header of one array; NumPy itself refuses more than 10,000 bytes unless told otherwise. */
const MAX_HEADER_BYTES = 2 ** 20;
const ALIGNMENT = 64;
const MAX_DIMENSIONS = 64;

const TO_NUMPY: Partial<Record<Dtype, string>> = {
  F64: '<f8',
  F32: '<f4',
  F16: '<f2',
  I64: '<i8',
  I32: '<i4',
  I16: '<i2',
  I8: '|i1',
  U64: '<u8',
  U32: '<u4',
  U16: '<u2',
  U8: '|u1',
  BOOL: '|b1',
  C64: '<c8',
};

const FROM_NUMPY: ReadonlyMap<string, Dtype> = new Map(
  Object.entries(TO_NUMPY).map(([dtype, descr]) => [descr.slice(1), dtype as Dtype] as const),
);

/** What stands before the data of an array. */
export interface NpyHeader {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Bytes before the data. */
  readonly dataOffset: number;
  readonly byteLength: number;
  /** Bytes of each number whose order is to be turned; 0: none. */
  readonly swapBytes: number;
  /** First index fastest. */
  readonly fortranOrder: boolean;
}

/** NumPy's name of `dtype`, or `undefined` where it has no such type. */
export function numpyTypeOf(dtype: Dtype): string | undefined {
  return TO_NUMPY[dtype];
}

/** Encodes a header of version 1.0 for an array in C order. */
export function encodeNpyHeader(numpyType: string, shape: readonly number[]): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${numpyType}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const total = Math.ceil((MAGIC.length + 4 + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const bytes = Buffer.alloc(total, 0x20);
  bytes.set([...MAGIC, 1, 0]);
  bytes.writeUInt16LE(total - MAGIC.length - 4, MAGIC.length + 2);
  bytes.write(text, MAGIC.length + 4, 'latin1');
  bytes[total - 1] = 0x0a;
  return bytes;
}

/** Bytes before the data, from the first {@link NPY_PROLOGUE_BYTES} of the file. Throws `ERR_FORMAT`. */
export function npyDataOffset(first: Uint8Array, file: string): number {
  if (first.length < 10 || MAGIC.some((byte, i) => first[i] !== byte)) throw problem(file, 'does not begin as a .npy file does');
  const view = new DataView(first.buffer, first.byteOffset, first.length);
  const version = first[6] as number;
  if (version < 1 || version > 3) throw problem(file, `is of version ${version} of the format; known are 1 to 3`);
  if (version > 1 && first.length < NPY_PROLOGUE_BYTES) throw problem(file, 'ends inside its header');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES) throw problem(file, `says that its header is ${length} bytes long; the limit is ${MAX_HEADER_BYTES}`);
  return (version === 1 ? 10 : 12) + length;
}

/** Decodes the `head` before the data, whose length {@link npyDataOffset} gave. Throws `ERR_FORMAT`, and `ERR_CONVERT` for arrays that no tensor can be. */
export function decodeNpyHeader(head: Uint8Array, file: string): NpyHeader {
  const start = head[6] === 1 ? 10 : 12;
  const text = new TextDecoder(head[6] === 3 ? 'utf-8' : 'latin1').decode(head.subarray(start));
  const { descr, fortran_order: order, shape } = parseDict(text, file);
  if (descr === undefined || order === undefined || shape === undefined) {
    throw problem(file, "has a header without one of 'descr', 'fortran_order' and 'shape'");
  }
  const sizes = parseShape(shape, file);
  const { dtype, swapBytes } = parseType(descr, file);
  const byteLength = byteLengthOf(dtype, sizes);
  if (typeof byteLength === 'string') throw problem(file, `has a shape (${sizes.join(', ')}) that is too large to count`);
  const longSides = sizes.filter((size) => size > 1).length;
  return { dtype, shape: sizes, dataOffset: head.length, byteLength, swapBytes, fortranOrder: order === 'True' && longSides > 1 };
}

const ENTRY = /\s*(['"])(descr|fortran_order|shape)\1\s*:\s*('[^']*'|"[^"]*"|True|False|\([\d\s,L]*\)|\[[^{}]*\])\s*(,|(?=\}))/y;

function parseDict(text: string, file: string): Partial<Record<string, string>> {
  const body = text.trim();
  if (!body.startsWith('{') || !body.endsWith('}')) throw problem(file, 'has a header that is no Python dict');
  const found: Partial<Record<string, string>> = {};
  ENTRY.lastIndex = 1;
  for (;;) {
    const at = ENTRY.lastIndex;
    const match = ENTRY.exec(body);
    if (match === null) {
      if (/^\s*\}$/.test(body.slice(at))) return found;
      throw problem(file, 'has a header that is not what NumPy writes');
    }
    const [, , key = '', value = ''] = match;
    if (found[key] !== undefined) throw problem(file, `names '${key}' twice in its header`);
    found[key] = value;
  }
}

function parseShape(text: string, file: string): number[] {
  const inside = /^\((.*)\)$/s.exec(text)?.[1]?.trim();
  if (inside === undefined) throw problem(file, 'has a shape that is no tuple');
  if (inside === '') return [];
  // Python writes (3,) for one dimension; (3) would be a number. Python 2 wrote 3L.
  const sizes = inside.replace(/,$/, '').split(',');
  const numbers = sizes.map((size) => (/^\s*\d{1,16}L?\s*$/.test(size) ? Number.parseInt(size, 10) : Number.NaN));
  const sound = numbers.every(Number.isSafeInteger) && (numbers.length > 1 || inside.endsWith(','));
  if (!sound || numbers.length > MAX_DIMENSIONS) throw problem(file, 'has a shape that is no tuple of sizes');
  return numbers;
}

function parseType(text: string, file: string): { dtype: Dtype; swapBytes: number } {
  const refuse = (what: string) =>
    new HoldfastError('ERR_CONVERT', `${file} is an array of ${what}, which no tensor can hold. Save it in NumPy as numbers first.`, {
      file,
    });
  if (text.startsWith('[')) throw refuse('records (a structured dtype)');
  if (!/^['"]/.test(text)) throw problem(file, 'has a descr that is no dtype');
  const [, order = '', kind = '', bytes = ''] = /^['"]([<>|=]?)([a-zA-Z?])(\d*)['"]$/.exec(text) ?? [];
  if (kind === 'O') throw refuse('Python objects (pickled)');
  if (kind === 'U' || kind === 'S') throw refuse('strings');
  const type = kind === '?' ? 'b1' : `${kind}${bytes}`;
  const dtype = FROM_NUMPY.get(type);
  if (dtype === undefined) throw refuse(`dtype ${text}`);
  const size = Number(type.slice(1)) / (dtype === 'C64' ? 2 : 1);
  return { dtype, swapBytes: order === '>' && size > 1 ? size : 0 };
}

function problem(file: string, what: string): HoldfastError {
  return new HoldfastError('ERR_FORMAT', `${file} ${what}.`, { file });
}

/** Weights as tfjs passes them around: a list of specs, and their bytes one behind the other. */
import { HoldfastError } from '../../errors.js';
import { bitsOf, type Dtype } from '../../format/dtype.js';
import { DTYPE_OF_QUANTIZED, DTYPE_OF_TFJS } from '../../tfjs-record/dtypes.js';
import type { WeightSpec } from '../../tfjs-record/weights-manifest.js';

/** A weight's spec, of the model or of its optimizer. */
export interface StoredSpec extends WeightSpec {
  readonly group?: 'optimizer' | undefined;
}

/** A weight and its bytes, in tfjs' encoding. */
export interface StoredWeight {
  readonly spec: StoredSpec;
  readonly bytes: ByteRange;
}

/** Bytes of an ArrayBuffer; not a view, which Node.js 20 limits to 4 GiB. */
export interface ByteRange {
  readonly buffer: ArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

const STORED_AS: Readonly<Record<string, Dtype>> = { ...DTYPE_OF_TFJS, ...DTYPE_OF_QUANTIZED };

/** Bytes of a weight; undefined for strings, which say it themselves. Throws `ERR_MODEL` for a spec that tfjs does not know. */
export function bytesOfSpec({ name, dtype, shape, quantization }: StoredSpec): number | undefined {
  const stored = (quantization as { dtype?: unknown } | undefined)?.dtype ?? dtype;
  const sound = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (sound && typeof name === 'string' && dtype === 'string') return undefined;
  const isSized = typeof stored === 'string' && stored !== 'string' && Object.hasOwn(STORED_AS, stored);
  const each = isSized ? bitsOf(STORED_AS[stored] as Dtype) / 8 : undefined;
  const bytes = sound && each !== undefined ? shape.reduce((product, size) => product * size, each) : Number.NaN;
  if (Number.isSafeInteger(bytes) && typeof name === 'string') return bytes;
  throw new HoldfastError(
    'ERR_MODEL',
    `The weight ${JSON.stringify(name)} is of dtype ${JSON.stringify(stored)} and shape ${JSON.stringify(shape)}, which TensorFlow.js does not know.`,
    { tensors: [String(name)] },
  );
}

/** Up to here all weights are put into one ArrayBuffer, which is what most that takes weights expects. */
const JOINED_BYTES = 2 ** 31 - 1;

/** `weightData` of the weights, in their order: joined where that is short enough for anybody, else as {@link toBufferList} has it. */
export function toWeightData(weights: readonly StoredWeight[]): ArrayBuffer | ArrayBuffer[] {
  return totalBytes(weights) <= JOINED_BYTES ? joined(weights) : toBufferList(weights);
}

/**
 * `weightData` as a list of the very memory that the weights are in.
 *
 * tfjs takes the buffers of a list for equally long if all but the last are as long as the first, without a look at the last one, and would read
 * zeros from a longer one. An empty one in second place keeps it from that, and it looks for each byte. `Buffer.from`, with which tfjs-node
 * writes, would make one byte of each buffer: it asks for the value of what it is given first.
 */
export function toBufferList(weights: readonly StoredWeight[]): ArrayBuffer[] {
  const [first, ...rest] = weights.filter(({ bytes }) => bytes.byteLength > 0).map(({ bytes }) => wholeBuffer(bytes));
  const list = first === undefined ? [new ArrayBuffer(0)] : [first, new ArrayBuffer(0), ...rest];
  return Object.defineProperty(list, 'valueOf', { value: () => joined(weights) });
}

function totalBytes(weights: readonly StoredWeight[]): number {
  return weights.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

function joined(weights: readonly StoredWeight[]): ArrayBuffer {
  const all = new Uint8Array(totalBytes(weights));
  let at = 0;
  for (const { bytes } of weights) {
    all.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), at);
    at += bytes.byteLength;
  }
  return all.buffer;
}

/** tfjs does not look at offsets. */
function wholeBuffer({ buffer, byteOffset, byteLength }: ByteRange): ArrayBuffer {
  return byteOffset === 0 && byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}

/** What tfjs gives as `weightData`, cut into weights. Throws `ERR_MODEL` where specs and bytes do not agree. */
export function cutWeightData(specs: readonly StoredSpec[], data: unknown): StoredWeight[] {
  const pieces = toPieces(data);
  const total = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let at = 0;
  const weights = specs.map((spec) => {
    const length = bytesOfSpec(spec) ?? stringBytes(spec, pieces, at, total);
    if (at + length > total) throw tooShort(spec);
    const weight = { spec, bytes: rangeOf(pieces, at, length) };
    at += length;
    return weight;
  });
  if (at === total) return weights;
  throw new HoldfastError('ERR_MODEL', `The weights fill ${at} bytes, but ${total} were given.`, { expected: at, actual: total });
}

function toPieces(data: unknown): ByteRange[] {
  return (Array.isArray(data) ? data : [data]).map((piece: unknown) => {
    if (ArrayBuffer.isView(piece))
      return { buffer: piece.buffer as ArrayBuffer, byteOffset: piece.byteOffset, byteLength: piece.byteLength };
    if (piece instanceof ArrayBuffer) return { buffer: piece, byteOffset: 0, byteLength: piece.byteLength };
    throw new HoldfastError('ERR_MODEL', 'The weights to be saved are neither an ArrayBuffer nor a list of them.');
  });
}

/** Bytes of a string weight: per element a length and as many bytes. */
function stringBytes(spec: StoredSpec, pieces: readonly ByteRange[], start: number, total: number): number {
  const count = spec.shape.reduce((product, size) => product * size, 1);
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at + 4 > total) throw tooShort(spec);
    const { buffer, byteOffset } = rangeOf(pieces, at, 4);
    at += 4 + new DataView(buffer, byteOffset, 4).getUint32(0, true);
  }
  return at - start;
}

/** In place where one piece has all of it. */
function rangeOf(pieces: readonly ByteRange[], start: number, length: number): ByteRange {
  const parts: ByteRange[] = [];
  let at = 0;
  for (const piece of pieces) {
    const from = Math.max(start, at);
    const to = Math.min(start + length, at + piece.byteLength);
    if (from < to) parts.push({ buffer: piece.buffer, byteOffset: piece.byteOffset + from - at, byteLength: to - from });
    at += piece.byteLength;
  }
  const [only] = parts;
  if (only === undefined) return { buffer: new ArrayBuffer(0), byteOffset: 0, byteLength: 0 };
  if (parts.length === 1) return only;
  const joined = new Uint8Array(length);
  let filled = 0;
  for (const { buffer, byteOffset, byteLength } of parts) {
    joined.set(new Uint8Array(buffer, byteOffset, byteLength), filled);
    filled += byteLength;
  }
  return { buffer: joined.buffer, byteOffset: 0, byteLength: length };
}

function tooShort({ name }: StoredSpec): HoldfastError {
  return new HoldfastError('ERR_MODEL', `The weights end before ${JSON.stringify(name)} does: their specs do not belong to them.`, {
    tensors: [name],
  });
}

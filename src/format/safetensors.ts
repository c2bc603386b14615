/**
 * The header of a safetensors file: `u64 LE length | JSON padded with spaces | tensor bytes`.
 * https://github.com/huggingface/safetensors#format describes the format; docs/FORMAT.md what we
 * write within it and which files we refuse.
 */
import { type ErrorCode, HoldfastError } from '../errors.js';
import { byteLengthOf, type Dtype, isDtype } from './dtype.js';
import { JsonError, type JsonValue, parseJson } from './json.js';

/** The reference reader's limit on the header's length, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Tensor bytes begin at a multiple of this many bytes in the files that we write. */
export const DATA_ALIGNMENT = 4096;
/** Bytes before the header. */
export const LENGTH_BYTES = 8;

/** One tensor of a file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes per dimension; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** Where its bytes begin, counted from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** A decoded header. */
export interface SafetensorsHeader {
  /** Bytes before the first tensor: 8 + the header's length. */
  readonly dataOffset: number;
  /** In the order of their bytes in the file. */
  readonly tensors: readonly TensorEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

const ENCODER = new TextEncoder();

/** Encodes the head of a file whose tensors lie one after another in the order given. */
export function encodeHeader(
  tensors: readonly { readonly name: string; readonly dtype: Dtype; readonly shape: readonly number[]; readonly bytes: number }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) members.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    const end = offset + bytes;
    members.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${offset},${end}]}`);
    offset = end;
  }
  const json = `{${members.join(',')}}`;
  const total = Math.ceil((LENGTH_BYTES + Buffer.byteLength(json)) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  if (total - LENGTH_BYTES > MAX_HEADER_BYTES) {
    throw new HoldfastError(
      'ERR_INVALID_TENSOR',
      `The header of ${tensors.length} tensors would be ${total} bytes; safetensors readers refuse more than ${MAX_HEADER_BYTES}. Use a smaller maxShardBytes or shorter names.`,
    );
  }
  const head = new Uint8Array(total).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(total - LENGTH_BYTES), true);
  ENCODER.encodeInto(json, head.subarray(LENGTH_BYTES));
  return head;
}

/**
 * Reads the header's length from the first eight bytes of a file of `fileBytes` bytes and checks it.
 * Throws `ERR_TRUNCATED` or `ERR_HEADER_LENGTH`.
 */
export function decodeHeaderLength(first: Uint8Array, fileBytes: number, file: string): number {
  if (fileBytes < LENGTH_BYTES || first.length < LENGTH_BYTES) {
    throw new HoldfastError('ERR_TRUNCATED', `${file} is ${fileBytes} bytes long; a safetensors file has at least ${LENGTH_BYTES}.`, {
      file,
      expected: LENGTH_BYTES,
      actual: fileBytes,
    });
  }
  const length = new DataView(first.buffer, first.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw problem('ERR_HEADER_LENGTH', file, `says that its header is ${length} bytes long; the limit is ${MAX_HEADER_BYTES}`);
  }
  if (length > BigInt(fileBytes - LENGTH_BYTES)) {
    throw problem('ERR_HEADER_LENGTH', file, `says that its header is ${length} bytes long, but the file has only ${fileBytes} bytes`);
  }
  return Number(length);
}

/**
 * Decodes and checks a header (the JSON bytes without the length before them) of a file of
 * `fileBytes` bytes. Throws one of the `ERR_HEADER_…` codes, `ERR_TRUNCATED` or `ERR_EXTENDED`.
 */
export function decodeHeader(json: Uint8Array, fileBytes: number, file: string): SafetensorsHeader {
  const root = parseHeaderJson(json, file);
  const dataOffset = LENGTH_BYTES + json.length;
  let metadata: ReadonlyMap<string, string> = new Map();
  const tensors: TensorEntry[] = [];
  for (const [name, value] of root) {
    if (name === '__metadata__') metadata = decodeMetadata(value, file);
    else tensors.push(decodeEntry(name, value, dataOffset, file));
  }
  // Empty tensors share their offset with a neighbour: sort them before it, by their end.
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  assertContiguous(tensors, dataOffset, fileBytes, file);
  return { dataOffset, tensors, metadata };
}

function problem(code: ErrorCode, file: string, what: string, tensor?: string): HoldfastError {
  const where = tensor === undefined ? file : `${file}: tensor ${JSON.stringify(tensor)}`;
  return new HoldfastError(code, `${where} ${what}.`, { file, ...(tensor === undefined ? {} : { tensors: [tensor] }) });
}

function parseHeaderJson(json: Uint8Array, file: string): ReadonlyMap<string, JsonValue> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    throw problem('ERR_HEADER_ENCODING', file, 'has a header that is not valid UTF-8');
  }
  if (!text.startsWith('{')) throw problem('ERR_HEADER_JSON', file, 'has a header that does not begin with "{"');
  let root: JsonValue;
  try {
    root = parseJson(text, 8);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const code = error.kind === 'duplicate' ? 'ERR_HEADER_DUPLICATE' : 'ERR_HEADER_JSON';
    throw problem(code, file, `has an invalid header: ${error.message}`);
  }
  return root as ReadonlyMap<string, JsonValue>;
}

function decodeMetadata(value: JsonValue, file: string): ReadonlyMap<string, string> {
  const strings = value instanceof Map && [...value.values()].every((v) => typeof v === 'string');
  if (!strings) throw problem('ERR_HEADER_METADATA', file, 'has a __metadata__ that is not a map of strings to strings');
  return value as ReadonlyMap<string, string>;
}

function decodeEntry(name: string, value: JsonValue, dataOffset: number, file: string): TensorEntry {
  if (!(value instanceof Map)) throw problem('ERR_HEADER_FIELD', file, 'is not an object', name);
  for (const key of value.keys()) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') {
      throw problem('ERR_HEADER_FIELD', file, `has an unknown field ${JSON.stringify(key)}`, name);
    }
  }
  const dtype = value.get('dtype');
  if (typeof dtype !== 'string') throw problem('ERR_HEADER_FIELD', file, 'has no dtype string', name);
  if (!isDtype(dtype)) throw problem('ERR_HEADER_DTYPE', file, `has the unknown dtype ${JSON.stringify(dtype)}`, name);
  const shape = decodeShape(value.get('shape'), file, name);
  const [begin, end] = decodeOffsets(value.get('data_offsets'), file, name);
  const bytes = byteLengthOf(dtype, shape);
  if (typeof bytes === 'string') {
    const why = bytes === 'overflow' ? 'is too large to count' : 'does not end on a whole byte';
    throw problem('ERR_HEADER_SHAPE', file, `of dtype ${dtype} and shape [${shape.join(', ')}] ${why}`, name);
  }
  if (end - begin !== bytes) {
    throw problem(
      'ERR_HEADER_OFFSETS',
      file,
      `has data_offsets for ${end - begin} bytes, but dtype ${dtype} and shape [${shape.join(', ')}] need ${bytes}`,
      name,
    );
  }
  return { name, dtype, shape, offset: dataOffset + begin, bytes };
}

function decodeShape(value: JsonValue | undefined, file: string, name: string): number[] {
  if (!Array.isArray(value)) throw problem('ERR_HEADER_FIELD', file, 'has no shape list', name);
  for (const size of value) {
    if (typeof size !== 'number' || size < 0) {
      throw problem('ERR_HEADER_SHAPE', file, 'has a shape that is not a list of non-negative integers', name);
    }
  }
  return value as number[];
}

function decodeOffsets(value: JsonValue | undefined, file: string, name: string): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) {
    throw problem('ERR_HEADER_FIELD', file, 'does not have exactly two data_offsets', name);
  }
  const [begin, end] = value;
  if (typeof begin !== 'number' || typeof end !== 'number' || begin < 0 || end < begin) {
    throw problem('ERR_HEADER_OFFSETS', file, 'has data_offsets that are not two ascending non-negative integers', name);
  }
  return [begin, end];
}

function assertContiguous(tensors: readonly TensorEntry[], dataOffset: number, fileBytes: number, file: string): void {
  let expected = dataOffset;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== expected) {
      const what = offset > expected ? 'leaves a hole' : 'overlaps the tensor before it';
      throw problem('ERR_HEADER_OFFSETS', file, `${what}: it begins at byte ${offset}, not ${expected}`, name);
    }
    expected = offset + bytes;
  }
  if (expected === fileBytes) return;
  const [code, what] = expected > fileBytes ? (['ERR_TRUNCATED', 'shorter'] as const) : (['ERR_EXTENDED', 'longer'] as const);
  throw new HoldfastError(code, `${file} is ${fileBytes} bytes long, ${what} than the ${expected} bytes that its header describes.`, {
    file,
    expected,
    actual: fileBytes,
    offset: Math.min(expected, fileBytes),
  });
}

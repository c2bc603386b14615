/** From a list of tensors to files: which tensor lies where. Pure; no bytes are touched. */
import { randomUUID } from 'node:crypto';
import { HoldfastError } from '../errors.js';
import { bitsOf, byteLengthOf, type Dtype } from './dtype.js';
import { assertTensorName, compareUtf8 } from './names.js';
import { encodeHeader, type TensorEntry } from './safetensors.js';

/** What the layout needs to know of a tensor. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Bytes of its data. */
  readonly byteLength: number;
}

/** Which set of tensors: names are unique within one. */
export type TensorRole = 'model' | 'optimizer';

/** One safetensors file to be written. */
export interface TensorFilePlan {
  readonly name: string;
  readonly role: TensorRole;
  /** Length and padded JSON header: the file's first bytes. */
  readonly head: Uint8Array;
  /** In the order of their bytes. */
  readonly tensors: readonly TensorEntry[];
  /** Length of the whole file. */
  readonly bytes: number;
}

/** A file of a layout. */
export interface LaidOutFile extends TensorFilePlan {
  /** Per tensor, its number in the list that was laid out. */
  readonly order: Uint32Array;
  /** No other head of any process has it: what is known of this head need not be found out again. */
  readonly headId: string;
}

/** The tensor files of a checkpoint, and the Hugging Face index where one set needs several files. */
export interface TensorLayout {
  readonly files: readonly LaidOutFile[];
  /** Small files that follow from the layout. */
  readonly indexes: readonly { readonly name: string; readonly content: string }[];
}

/**
 * Files stay under 2 GiB by default: stock tfjs-node cannot read larger ones. One tensor that is
 * larger than the limit still gets a file, of its own.
 */
export const DEFAULT_MAX_SHARD_BYTES = 2 ** 31 - 2 ** 20;

/** Metadata of every tensor file; loaders of the Hugging Face ecosystem ask for `format`. */
const METADATA = { format: 'pt' };

/** Throws `ERR_INVALID_TENSOR`, `ERR_INVALID_NAME` or `ERR_DUPLICATE_TENSOR`. */
export function assertTensorSpecs(tensors: readonly TensorSpec[]): void {
  const names = new Set<string>();
  for (const { name, dtype, shape, byteLength } of tensors) {
    assertTensorName(name);
    if (names.has(name)) {
      throw new HoldfastError('ERR_DUPLICATE_TENSOR', `Two tensors are named ${JSON.stringify(name)}. Give every tensor its own name.`, {
        tensors: [name],
      });
    }
    names.add(name);
    const expected = byteLengthOf(dtype, shape);
    if (expected !== byteLength) {
      const need = typeof expected === 'number' ? `${expected} bytes` : `no whole number of bytes (${expected})`;
      throw new HoldfastError(
        'ERR_INVALID_TENSOR',
        `Tensor ${JSON.stringify(name)} has ${byteLength} bytes of data, but dtype ${dtype} and shape [${shape.join(', ')}] need ${need}.`,
        { tensors: [name], actual: byteLength, ...(typeof expected === 'number' ? { expected } : {}) },
      );
    }
  }
}

/**
 * Lays `tensors` out in `role.safetensors`, or in `role-00001-of-0000N.safetensors` files with an
 * index where they would exceed `maxShardBytes` of tensor data.
 * Inside a file: by falling dtype size, then by name, so that every tensor is naturally aligned.
 */
export function layOutTensors(role: TensorRole, tensors: readonly TensorSpec[], maxShardBytes: number): TensorLayout {
  const sorted = tensors
    .map((tensor, index) => ({ tensor, index }))
    .sort(({ tensor: a }, { tensor: b }) => bitsOf(b.dtype) - bitsOf(a.dtype) || compareUtf8(a.name, b.name));
  const shards = splitIntoShards(sorted, maxShardBytes);
  const count = String(shards.length).padStart(5, '0');
  const files = shards.map((shard, index) => {
    const name = shards.length === 1 ? `${role}.safetensors` : `${role}-${String(index + 1).padStart(5, '0')}-of-${count}.safetensors`;
    return planFile(name, role, shard);
  });
  if (files.length === 1) return { files, indexes: [] };
  return { files, indexes: [{ name: `${role}.safetensors.index.json`, content: encodeIndex(files) }] };
}

/** A tensor, and its number in the caller's list. */
interface Numbered {
  readonly tensor: TensorSpec;
  readonly index: number;
}

function splitIntoShards(sorted: readonly Numbered[], maxShardBytes: number): Numbered[][] {
  let shard: Numbered[] = [];
  const shards = [shard];
  let bytes = 0;
  for (const numbered of sorted) {
    const { byteLength } = numbered.tensor;
    if (shard.length > 0 && bytes + byteLength > maxShardBytes) {
      shard = [];
      shards.push(shard);
      bytes = 0;
    }
    shard.push(numbered);
    bytes += byteLength;
  }
  return shards;
}

function planFile(name: string, role: TensorRole, shard: readonly Numbered[]): LaidOutFile {
  // Their offsets follow from the length of the head, which names them all.
  const tensors = shard.map(({ tensor: { name, dtype, shape, byteLength } }) => ({
    name,
    dtype,
    shape: shape.slice(),
    offset: 0,
    bytes: byteLength,
  }));
  const head = shared(encodeHeader(tensors, METADATA));
  let offset = head.length;
  for (const tensor of tensors) {
    tensor.offset = offset;
    offset += tensor.bytes;
  }
  const order = Uint32Array.from(shard, ({ index }) => index);
  return { name, role, head, tensors, bytes: offset, order, headId: randomUUID() };
}

/** In memory that every thread sees: a head goes to the thread that writes with every save. */
function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** The index of the Hugging Face convention: which file holds which tensor. */
function encodeIndex(files: readonly TensorFilePlan[]): string {
  let total = 0;
  const members: string[] = [];
  // Written member by member: an object would reorder integer-like names and mishandle "__proto__".
  for (const { name, tensors } of files) {
    const file = JSON.stringify(name);
    for (const tensor of tensors) {
      total += tensor.bytes;
      members.push(`    ${JSON.stringify(tensor.name)}: ${file}`);
    }
  }
  return `{\n  "metadata": { "total_size": ${total} },\n  "weight_map": {\n${members.join(',\n')}\n  }\n}\n`;
}

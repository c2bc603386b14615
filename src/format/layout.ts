/** From a list of tensors to files: which tensor lies where. Pure; no bytes are touched. */
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

/** The tensor files of a checkpoint, and the Hugging Face index where one set needs several files. */
export interface TensorLayout {
  readonly files: readonly TensorFilePlan[];
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
  const sorted = [...tensors].sort((a, b) => bitsOf(b.dtype) - bitsOf(a.dtype) || compareUtf8(a.name, b.name));
  const shards = splitIntoShards(sorted, maxShardBytes);
  const count = String(shards.length).padStart(5, '0');
  const files = shards.map((shard, index) => {
    const name = shards.length === 1 ? `${role}.safetensors` : `${role}-${String(index + 1).padStart(5, '0')}-of-${count}.safetensors`;
    return planFile(name, role, shard);
  });
  if (files.length === 1) return { files, indexes: [] };
  return { files, indexes: [{ name: `${role}.safetensors.index.json`, content: encodeIndex(files) }] };
}

function splitIntoShards(sorted: readonly TensorSpec[], maxShardBytes: number): TensorSpec[][] {
  let shard: TensorSpec[] = [];
  const shards = [shard];
  let bytes = 0;
  for (const tensor of sorted) {
    if (shard.length > 0 && bytes + tensor.byteLength > maxShardBytes) {
      shard = [];
      shards.push(shard);
      bytes = 0;
    }
    shard.push(tensor);
    bytes += tensor.byteLength;
  }
  return shards;
}

function planFile(name: string, role: TensorRole, shard: readonly TensorSpec[]): TensorFilePlan {
  // Their offsets follow from the length of the head, which names them all.
  const tensors = shard.map(({ name, dtype, shape, byteLength }) => ({ name, dtype, shape: shape.slice(), offset: 0, bytes: byteLength }));
  const head = encodeHeader(tensors, METADATA);
  let offset = head.length;
  for (const tensor of tensors) {
    tensor.offset = offset;
    offset += tensor.bytes;
  }
  return { name, role, head, tensors, bytes: offset };
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

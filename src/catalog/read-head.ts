/** The head of a tensor file, held against the manifest. */
import { HoldfastError } from '../errors.js';
import type { ManifestFile } from '../format/manifest.js';
import {
  decodeHeader,
  decodeHeaderLength,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  type SafetensorsHeader,
  type TensorEntry,
} from '../format/safetensors.js';

/** Longest head of a tensor file that is read, in bytes. */
export const MAX_HEAD_BYTES = LENGTH_BYTES + MAX_HEADER_BYTES;

/** Whether the file holds tensors. */
export function isTensorFile({ role }: ManifestFile): boolean {
  return role === 'model' || role === 'optimizer';
}

/** Bytes before the first tensor; the whole file where there is none. */
export function headBytesOf({ tensors, bytes }: ManifestFile): number {
  return tensors?.[0]?.offset ?? bytes;
}

/** A decoded head. */
export interface FileHead {
  readonly header: SafetensorsHeader;
  /** The header's entries in the order of the manifest. */
  readonly entries: readonly TensorEntry[];
}

/**
 * Decodes the bytes before the first tensor, whose checksums were right; `undefined`: they were too many to be read. Throws
 * `ERR_HEADER_MISMATCH` unless manifest and header list the same tensors, and the codes of {@link decodeHeader}.
 */
export function decodeHead(file: ManifestFile, head: Uint8Array | undefined): FileHead {
  if (head === undefined)
    throw new HoldfastError('ERR_HEADER_LENGTH', `${file.name} has a header of more than ${MAX_HEADER_BYTES} bytes.`, { file: file.name });
  const length = decodeHeaderLength(head, file.bytes, file.name);
  if (LENGTH_BYTES + length > head.length) throw headerMismatch(file, 'the first tensor of the manifest lies inside the header');
  const header = decodeHeader(head.subarray(LENGTH_BYTES, LENGTH_BYTES + length), file.bytes, file.name);
  return { header, entries: matchHeader(file, header) };
}

function matchHeader(file: ManifestFile, header: SafetensorsHeader): TensorEntry[] {
  const listed = file.tensors ?? [];
  if (listed.length !== header.tensors.length) {
    throw headerMismatch(file, `the manifest lists ${listed.length} tensors, the header ${header.tensors.length}`);
  }
  // By name, not by place: empty tensors may share their place with others.
  const entries = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  return listed.map(({ name, offset, bytes }) => {
    const entry = entries.get(name);
    if (entry?.offset === offset && entry.bytes === bytes) return entry;
    throw headerMismatch(file, `tensor ${JSON.stringify(name)} is not where the manifest says`, name);
  });
}

function headerMismatch(file: ManifestFile, what: string, tensor?: string): HoldfastError {
  return new HoldfastError('ERR_HEADER_MISMATCH', `The header of ${file.name} does not fit the manifest: ${what}.`, {
    file: file.name,
    ...(tensor === undefined ? {} : { tensors: [tensor] }),
  });
}

/** Compares what was read with what the manifest says: the one place where checksums are compared. */
import type { FileDigest } from '../engine/contract.js';
import type { ErrorCode } from '../errors.js';
import { crcHex } from '../format/crc32c.js';
import type { ManifestFile, ManifestTensor } from '../format/manifest.js';

/** Something wrong with one file of a checkpoint. */
export interface FileProblem {
  readonly code: ErrorCode;
  readonly file: string;
  /** Where it begins and how long it is, in bytes of the file. */
  readonly offset: number | null;
  readonly bytes: number | null;
  /** Names of the tensors that are hit. */
  readonly tensors: readonly string[];
  readonly expected: string | number | null;
  readonly actual: string | number | null;
  readonly message: string;
}

/**
 * `ERR_CHECKSUM` problems of one file. `digest.spans` are the head and then the tensors in the manifest's order
 * (for a file without tensors: the whole).
 */
export function checkDigest(file: ManifestFile, digest: FileDigest): FileProblem[] {
  const hit = (file.tensors ?? []).filter((tensor, i) => crcHex(digest.spans[i + 1] as number) !== tensor.crc32c);
  const problems = checkChunks(file, digest, hit);
  if (problems.length > 0) return problems;
  // All chunks right, and yet a sum over them is not: the manifest contradicts itself.
  const whole = crcHex(digest.crc32c);
  if (whole !== file.crc32c) problems.push(mismatch(file, 0, file.bytes, [], file.crc32c, whole, 'The whole file'));
  for (const tensor of hit) {
    const actual = crcHex(digest.spans[1 + (file.tensors as readonly ManifestTensor[]).indexOf(tensor)] as number);
    problems.push(mismatch(file, tensor.offset, tensor.bytes, [tensor.name], tensor.crc32c, actual, 'A tensor'));
  }
  return problems;
}

function checkChunks(file: ManifestFile, digest: FileDigest, hit: readonly ManifestTensor[]): FileProblem[] {
  const problems: FileProblem[] = [];
  file.chunks.forEach((expected, i) => {
    const actual = crcHex(digest.chunks[i] as number);
    if (actual === expected) return;
    const begin = i * file.chunkBytes;
    const end = Math.min(begin + file.chunkBytes, file.bytes);
    const tensors = hit.filter(({ offset, bytes }) => offset < end && offset + bytes > begin).map(({ name }) => name);
    problems.push(mismatch(file, begin, end - begin, tensors, expected, actual, 'A chunk'));
  });
  return problems;
}

function mismatch(
  file: ManifestFile,
  offset: number,
  bytes: number,
  tensors: readonly string[],
  expected: string,
  actual: string,
  what: string,
): FileProblem {
  const names = tensors.length === 0 ? '' : ` Damaged: ${tensors.map((name) => JSON.stringify(name)).join(', ')}.`;
  const message = `${what} of ${file.name} (bytes ${offset} to ${offset + bytes}) has CRC32C ${actual}, not ${expected}.${names}`;
  return { code: 'ERR_CHECKSUM', file: file.name, offset, bytes, tensors, expected, actual, message };
}

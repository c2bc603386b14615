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
  const tensors = file.tensors ?? [];
  const hit = checkTensors(file, tensors, digest.spans.subarray(1));
  const names = new Set(hit.flatMap((problem) => problem.tensors));
  const problems = checkChunks(
    file,
    0,
    digest.chunks,
    tensors.filter(({ name }) => names.has(name)),
  );
  if (problems.length > 0) return problems;
  // All chunks right, and yet a sum over them is not: the manifest contradicts itself.
  const whole = crcHex(digest.crc32c);
  if (whole !== file.crc32c) problems.push(mismatch(file, 0, file.bytes, [], file.crc32c, whole, 'The whole file'));
  problems.push(...hit);
  return problems;
}

/** `ERR_CHECKSUM` problems of tensors of `file` whose CRC32Cs are `sums`. */
export function checkTensors(file: ManifestFile, tensors: readonly ManifestTensor[], sums: ArrayLike<number>): FileProblem[] {
  return tensors.flatMap((tensor, i) => {
    const actual = crcHex(sums[i] as number);
    if (actual === tensor.crc32c) return [];
    return [mismatch(file, tensor.offset, tensor.bytes, [tensor.name], tensor.crc32c, actual, 'A tensor')];
  });
}

/**
 * `ERR_CHECKSUM` problems of consecutive chunks of `file` from number `from` on, whose CRC32Cs are `sums`. Each names the tensors of `hit`, which
 * are known to differ, that overlap it; without `hit`, all that do.
 */
export function checkChunks(file: ManifestFile, from: number, sums: ArrayLike<number>, hit = file.tensors ?? []): FileProblem[] {
  const problems: FileProblem[] = [];
  let first = 0;
  for (let i = 0; i < sums.length; i++) {
    const expected = file.chunks[from + i] as string;
    const actual = crcHex(sums[i] as number);
    if (actual === expected) continue;
    const begin = (from + i) * file.chunkBytes;
    const end = Math.min(begin + file.chunkBytes, file.bytes);
    while (first < hit.length && endOf(hit[first]) <= begin) first++;
    const tensors: string[] = [];
    for (let next = first; next < hit.length; next++) {
      const tensor = hit[next] as ManifestTensor;
      if (tensor.offset >= end) break;
      if (tensor.offset + tensor.bytes > begin) tensors.push(tensor.name);
    }
    problems.push(mismatch(file, begin, end - begin, tensors, expected, actual, 'A chunk'));
  }
  return problems;
}

function endOf(tensor: ManifestTensor | undefined): number {
  return tensor === undefined ? 0 : tensor.offset + tensor.bytes;
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

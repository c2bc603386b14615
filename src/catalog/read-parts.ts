/** Reads parts of a file of a checkpoint; what is handed over was checked first. */
import type { FileReader, MemoryRange, ReadSpan } from '../engine/contract.js';
import { HoldfastError } from '../errors.js';
import { MAX_CHUNK_BYTES, type ManifestFile, type ManifestTensor } from '../format/manifest.js';
import { checkChunks, checkTensors, type FileProblem } from './check-digest.js';
import { decodeHead, type FileHead, headBytesOf, MAX_HEAD_BYTES } from './read-head.js';

/** A place to fill, for one tensor; `undefined`: only its checksum is wanted. */
export type Destination = MemoryRange | undefined;

/** Reads and checks the head of a tensor file. Throws what is wrong with it. */
export async function readHead(file: ManifestFile, reader: FileReader, signal?: AbortSignal): Promise<FileHead> {
  const bytes = headBytesOf(file);
  if (bytes > MAX_HEAD_BYTES) return decodeHead(file, undefined);
  const head = new Uint8Array(bytes);
  throwFirst(await readSlice(file, reader, 0, { buffer: head.buffer, byteOffset: 0, byteLength: bytes }, signal));
  return decodeHead(file, head);
}

/**
 * Reads tensors that lie one after another, the first of them being `file.tensors[first]`, each into its destination, with their own checksums:
 * no byte beside them is read. Gives what is wrong.
 */
export async function readTensors(
  file: ManifestFile,
  reader: FileReader,
  first: number,
  destinations: readonly Destination[],
  signal?: AbortSignal,
): Promise<FileProblem[]> {
  const tensors = (file.tensors ?? []).slice(first, first + destinations.length);
  const [{ offset } = { offset: 0 }] = tensors;
  const spans: ReadSpan[] = tensors.map(({ bytes }, i) => ({ bytes, into: destinations[i] }));
  const digest = await reader.read({ chunkBytes: MAX_CHUNK_BYTES, offset, spans, signal });
  return checkTensors(file, tensors, digest.spans);
}

/** Reads `into.byteLength` bytes from `begin` on, and the rest of the chunks that they lie in for the sake of their checksums. Gives what is wrong. */
export async function readSlice(
  file: ManifestFile,
  reader: FileReader,
  begin: number,
  into: MemoryRange,
  signal?: AbortSignal,
): Promise<FileProblem[]> {
  const { chunkBytes, bytes } = file;
  const end = begin + into.byteLength;
  const first = Math.floor(begin / chunkBytes);
  const from = first * chunkBytes;
  const to = Math.min(bytes, Math.ceil(end / chunkBytes) * chunkBytes);
  const spans: ReadSpan[] = [{ bytes: begin - from }, { bytes: end - begin, into }, { bytes: to - end }];
  const digest = await reader.read({ chunkBytes, offset: from, spans, signal });
  return checkChunks(file, first, digest.chunks);
}

/** Throws the first of `problems`, if there is one. */
export function throwFirst(problems: readonly FileProblem[], checkpoint?: string): void {
  const [problem] = problems;
  if (problem === undefined) return;
  throw toError(problem, checkpoint);
}

/** A problem as an error. */
export function toError({ code, message, ...fields }: FileProblem, checkpoint?: string): HoldfastError {
  const known = Object.entries(fields).filter(([, value]) => value !== null);
  return new HoldfastError(code, message, { ...Object.fromEntries(known), ...(checkpoint === undefined ? {} : { checkpoint }) });
}

/** Of `file.tensors`, the wanted ones as runs of neighbours. */
export function runsOf(tensors: readonly ManifestTensor[], wanted: (index: number) => boolean): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = [];
  let run: { first: number; count: number } | undefined;
  tensors.forEach((_, index) => {
    if (!wanted(index)) {
      run = undefined;
    } else if (run === undefined) {
      run = { first: index, count: 1 };
      runs.push(run);
    } else {
      run.count++;
    }
  });
  return runs;
}

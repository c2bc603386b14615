/** Writes the data files of a checkpoint into its temporary directory, with their checksums. */
import path from 'node:path';
import type { DirectIo, Engine, FileDigest, FileWriter, HeldMemory, WriterOptions } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { crc32cCombine, crcHex } from '../format/crc32c.js';
import type { FileRole, ManifestFile, ManifestTensor } from '../format/manifest.js';
import type { TensorEntry } from '../format/safetensors.js';
import { writeNewFile } from '../storage/local.js';
import type { FileHeadBytes, HeadFacts } from './file-head.js';

/** A file whose bytes are at hand. */
export interface SmallFile {
  readonly name: string;
  readonly role: FileRole;
  readonly bytes: Uint8Array;
}

export interface WriteOptions {
  readonly engine: Engine;
  readonly direct: DirectIo;
  readonly chunkBytes: number;
  /** Nothing is written beside the file. */
  readonly alone?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A written file: its entry in the manifest, but for its tensors, and the figures of its pass. */
export interface WrittenFile {
  readonly file: ManifestFile;
  readonly digest: FileDigest;
}

/** Bytes of a tensor on their way: memory that may be read until `taken` is called. */
export interface Piece {
  readonly held: HeldMemory;
  taken(): void;
}

/** Where the bytes of a file's tensors come from, in the order of the file. */
export type Segment =
  | MemorySegment
  /** One tensor, in pieces. */
  | { readonly kind: 'pieces'; readonly tensor: Pick<TensorEntry, 'name' | 'bytes'>; readonly pieces: AsyncIterable<Piece> };

/** Consecutive tensors whose memory is at hand. */
export interface MemorySegment {
  readonly kind: 'memory';
  readonly held: readonly HeldMemory[];
  /** Blocks until the bytes of a piece, by its number, are there; left out where all are. */
  readonly wait?: ((piece: number) => void) | undefined;
}

/** A safetensors file to be written. */
export interface FileContents extends FileHeadBytes, HeadFacts {
  readonly segments: readonly Segment[];
}

/** Files up to this length are written in one step where all of their bytes are at hand: nobody would see how far they are. */
const SHORT_FILE_BYTES = 8 * 2 ** 20;

/** Is told how to see how far a file is. */
type Watch = (look: () => { phase: 'write' | 'sync'; bytes: number }) => void;

/** Streams one tensor file into `directory` and fsyncs it. */
export async function writeTensorFile(
  directory: string,
  contents: FileContents,
  { engine, direct, chunkBytes, alone, signal }: WriteOptions,
  watch: Watch,
): Promise<WrittenFile> {
  const { name, head, spans, bytes, segments } = contents;
  const file = path.join(directory, name);
  const options = { direct, chunkBytes, spans, alone, signal };
  const held = engine.hold({ buffer: head.buffer, byteOffset: head.byteOffset, byteLength: head.length });
  try {
    const memory = [held, ...segments.flatMap((segment) => (segment.kind === 'memory' ? segment.held : []))];
    const isShort = bytes <= SHORT_FILE_BYTES && segments.every(({ kind }) => kind === 'memory');
    if (isShort) waitForAll(segments);
    const digest = isShort
      ? await writeAtOnce(engine, file, options, memory, bytes, watch)
      : await stream(await engine.openWriter(file, options), held, contents, watch);
    assertHead(contents, digest);
    return { file: toManifestFile(contents, chunkBytes, digest), digest };
  } catch (error) {
    throw toHoldfastError(error, `write ${name}`, { file: name });
  } finally {
    held.release();
  }
}

function waitForAll(segments: readonly Segment[]): void {
  for (const segment of segments) {
    if (segment.kind === 'memory') for (const number of segment.held.keys()) segment.wait?.(number);
  }
}

/** Writes a short file: it is not there, and then it is. */
async function writeAtOnce(
  engine: Engine,
  file: string,
  options: WriterOptions,
  memory: readonly HeldMemory[],
  bytes: number,
  watch: Watch,
): Promise<FileDigest> {
  watch(() => ({ phase: 'write', bytes: 0 }));
  const digest = await engine.writeFile(file, options, memory);
  watch(() => ({ phase: 'sync', bytes }));
  return digest;
}

/** Writes the file with as many operations in flight as the engine likes: memory is given to it in batches. */
async function stream(writer: FileWriter, head: HeldMemory, { bytes, segments }: FileContents, watch: Watch): Promise<FileDigest> {
  let finishing: Promise<FileDigest> | undefined;
  watch(() => (finishing ? { phase: 'sync', bytes } : { phase: 'write', bytes: Math.min(bytes, writer.writtenBytes()) }));
  try {
    await writer.write([head]);
    head.release();
    for (const segment of segments) {
      if (segment.kind === 'memory') await writeMemory(writer, segment);
      else await writePieces(writer, segment);
    }
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  finishing = writer.finish();
  return finishing;
}

/** Memory that is not all there yet is written in parts of this length: shorter ones would keep the engine's threads busy with waking up. */
const PART_BYTES = 8 * 2 ** 20;

async function writeMemory(writer: FileWriter, { held, wait }: MemorySegment): Promise<void> {
  if (wait === undefined) return writer.write(held);
  let part: HeldMemory[] = [];
  let bytes = 0;
  for (const [number, piece] of held.entries()) {
    wait(number);
    part.push(piece);
    bytes += piece.byteLength;
    if (bytes < PART_BYTES && number < held.length - 1) continue;
    await writer.write(part);
    part = [];
    bytes = 0;
  }
}

async function writePieces(writer: FileWriter, { tensor: { name, bytes }, pieces }: Extract<Segment, { kind: 'pieces' }>): Promise<void> {
  let taken = 0;
  const wrong = (actual: string) =>
    new HoldfastError('ERR_SOURCE_LENGTH', `The stream of tensor ${JSON.stringify(name)} gave ${actual}, but its byteLength is ${bytes}.`, {
      tensors: [name],
      expected: bytes,
      actual: taken,
    });
  for await (const piece of pieces) {
    taken += piece.held.byteLength;
    if (taken > bytes) throw wrong('more bytes');
    try {
      await writer.write([piece.held]);
    } finally {
      piece.taken();
    }
  }
  if (taken !== bytes) throw wrong(`${taken} bytes`);
}

/** What was written is the head that was found to be good, also if it was so in an earlier save. */
function assertHead({ name, headChecksum }: FileContents, { spans }: FileDigest): void {
  if (spans[0] === headChecksum) return;
  throw new HoldfastError('ERR_SOURCE_CHANGED', `The head of ${name} changed in memory while it was saved. Nothing was saved.`, {
    file: name,
  });
}

function toManifestFile(plan: FileContents, chunkBytes: number, digest: FileDigest): ManifestFile {
  return {
    name: plan.name,
    role: plan.role,
    bytes: plan.bytes,
    crc32c: crcHex(digest.crc32c),
    chunkBytes,
    chunks: Array.from(digest.chunks, crcHex),
  };
}

/** The tensors of a written file as its manifest is going to list them. */
export function toManifestTensors({ tensors }: HeadFacts, digest: FileDigest): ManifestTensor[] {
  return tensors.map(({ name, offset, bytes }, i) => ({ name, offset, bytes, crc32c: crcHex(digest.spans[i + 1] as number) }));
}

/** Writes a small file and fsyncs it. */
export async function writeSmallFile(
  directory: string,
  { name, role, bytes }: SmallFile,
  { engine, chunkBytes }: Pick<WriteOptions, 'engine' | 'chunkBytes'>,
): Promise<ManifestFile> {
  try {
    await writeNewFile(path.join(directory, name), bytes);
  } catch (error) {
    throw toHoldfastError(error, `write ${name}`, { file: name });
  }
  const chunks: string[] = [];
  let whole = 0;
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes);
    const crc = engine.crc32c(chunk);
    chunks.push(crcHex(crc));
    whole = crc32cCombine(whole, crc, chunk.length);
  }
  return { name, role, bytes: bytes.length, crc32c: crcHex(whole), chunkBytes, chunks };
}

/** Writes the data files of a checkpoint into its temporary directory, with their checksums. */
import path from 'node:path';
import type { DirectIo, Engine, FileDigest, FileWriter, HeldMemory } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { crc32cCombine, crcHex } from '../format/crc32c.js';
import type { TensorRole } from '../format/layout.js';
import type { FileRole, ManifestFile } from '../format/manifest.js';
import type { TensorEntry } from '../format/safetensors.js';
import { writeNewFile } from '../storage/local.js';

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
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A written file: its entry in the manifest, and the figures of its pass. */
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
  /** Consecutive tensors whose memory is at hand. */
  | { readonly kind: 'memory'; readonly held: readonly HeldMemory[] }
  /** One tensor, in pieces. */
  | { readonly kind: 'pieces'; readonly pieces: AsyncIterable<Piece> };

/** A safetensors file to be written. */
export interface FileContents {
  readonly name: string;
  readonly role: TensorRole;
  /** Length and header: the first bytes of the file. */
  readonly head: Uint8Array;
  readonly tensors: readonly TensorEntry[];
  /** Length of the whole file. */
  readonly bytes: number;
  readonly segments: readonly Segment[];
}

/** Streams one tensor file into `directory` and fsyncs it. */
export async function writeTensorFile(
  directory: string,
  contents: FileContents,
  { engine, direct, chunkBytes, signal }: WriteOptions,
  watch: (written: () => { phase: 'write' | 'sync'; bytes: number }) => void,
): Promise<WrittenFile> {
  const { name, head, tensors, bytes } = contents;
  const spans = [head.length, ...tensors.map((tensor) => tensor.bytes)];
  let writer: FileWriter | undefined;
  let syncing = false;
  watch(() => (syncing ? { phase: 'sync', bytes } : { phase: 'write', bytes: Math.min(bytes, writer?.writtenBytes() ?? 0) }));
  try {
    writer = await engine.openWriter(path.join(directory, name), { direct, chunkBytes, spans, signal });
    await writeBytes(engine, writer, head);
    await writeSegments(writer, contents);
    syncing = true;
    const finishing = writer.finish();
    writer = undefined;
    const digest = await finishing;
    return { file: toManifestFile(contents, chunkBytes, digest), digest };
  } catch (error) {
    await writer?.abandon();
    throw toHoldfastError(error, `write ${name}`, { file: name });
  }
}

/** All tensors of the file; memory in batches, so that the engine can keep many operations in flight. */
async function writeSegments(writer: FileWriter, { tensors, segments }: FileContents): Promise<void> {
  let next = 0;
  for (const segment of segments) {
    if (segment.kind === 'memory') {
      await writer.write(segment.held);
      next += segment.held.length;
    } else {
      await writePieces(writer, tensors[next] as TensorEntry, segment.pieces);
      next++;
    }
  }
}

async function writePieces(writer: FileWriter, { name, bytes }: TensorEntry, pieces: AsyncIterable<Piece>): Promise<void> {
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

async function writeBytes(engine: Engine, writer: FileWriter, { buffer, byteOffset, byteLength }: ArrayBufferView): Promise<void> {
  if (byteLength === 0) return;
  const held = engine.hold({ buffer: buffer as ArrayBuffer, byteOffset, byteLength });
  try {
    await writer.write([held]);
  } finally {
    held.release();
  }
}

function toManifestFile(plan: FileContents, chunkBytes: number, digest: FileDigest): ManifestFile {
  return {
    name: plan.name,
    role: plan.role,
    bytes: plan.bytes,
    crc32c: crcHex(digest.crc32c),
    chunkBytes,
    chunks: Array.from(digest.chunks, crcHex),
    tensors: plan.tensors.map(({ name, offset, bytes }, i) => ({ name, offset, bytes, crc32c: crcHex(digest.spans[i + 1] as number) })),
  };
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

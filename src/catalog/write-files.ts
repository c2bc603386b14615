/** Writes the data files of a checkpoint into its temporary directory, with their checksums. */
import path from 'node:path';
import type { DirectIo, Engine, FileDigest, FileWriter, HeldMemory } from '../engine/contract.js';
import { type Progress, withProgress } from '../engine/progress.js';
import { toHoldfastError, untilAborted } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { crc32cCombine, crcHex } from '../format/crc32c.js';
import type { TensorFilePlan } from '../format/layout.js';
import type { FileRole, ManifestFile } from '../format/manifest.js';
import type { TensorEntry } from '../format/safetensors.js';
import type { Snapshot } from '../snapshot/snapshot.js';
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

/**
 * Streams one tensor file from the snapshot into `directory` and fsyncs it. `before` and `total` place
 * its bytes within the whole save, for progress.
 */
export async function writeTensorFile(
  directory: string,
  plan: TensorFilePlan,
  snapshot: Snapshot,
  options: WriteOptions,
  before: number,
  total: number,
): Promise<WrittenFile> {
  const { engine, direct, chunkBytes, signal, onProgress } = options;
  const spans = [plan.head.length, ...plan.tensors.map(({ bytes }) => bytes)];
  let writer: FileWriter | undefined;
  let phase: Progress['phase'] = 'write';
  const measure = (): Progress => ({
    phase,
    bytes: before + (phase === 'sync' ? plan.bytes : Math.min(plan.bytes, writer?.writtenBytes() ?? 0)),
    totalBytes: total,
    file: plan.name,
  });
  try {
    const digest = await withProgress(onProgress, measure, async () => {
      writer = await engine.openWriter(path.join(directory, plan.name), { direct, chunkBytes, spans, signal });
      await writeBytes(engine, writer, plan.head);
      await writeTensors(writer, plan, snapshot, options);
      phase = 'sync';
      const finishing = writer.finish();
      writer = undefined;
      return finishing;
    });
    return { file: toManifestFile(plan, chunkBytes, digest), digest };
  } catch (error) {
    await writer?.abandon();
    throw toHoldfastError(error, `write ${plan.name}`, { file: plan.name });
  }
}

/** All tensors of the file; memory in one batch, so that the engine can keep many operations in flight. */
async function writeTensors(writer: FileWriter, plan: TensorFilePlan, snapshot: Snapshot, options: WriteOptions): Promise<void> {
  let batch: HeldMemory[] = [];
  for (const tensor of plan.tensors) {
    const captured = snapshot.get(plan.role, tensor.name);
    if (captured.kind === 'memory') {
      batch.push(captured.held);
      continue;
    }
    if (batch.length > 0) await writer.write(batch);
    batch = [];
    await writeStream(writer, tensor, captured.stream, options);
  }
  if (batch.length > 0) await writer.write(batch);
}

async function writeStream(
  writer: FileWriter,
  { name, bytes }: TensorEntry,
  stream: AsyncIterable<Uint8Array>,
  { engine, signal }: WriteOptions,
): Promise<void> {
  let taken = 0;
  const wrong = (actual: string) =>
    new HoldfastError('ERR_SOURCE_LENGTH', `The stream of tensor ${JSON.stringify(name)} gave ${actual}, but its byteLength is ${bytes}.`, {
      tensors: [name],
      expected: bytes,
      actual: taken,
    });
  for await (const chunk of guardStream(stream, name, signal)) {
    if (!ArrayBuffer.isView(chunk)) {
      throw new HoldfastError('ERR_INVALID_TENSOR', `The stream of tensor ${JSON.stringify(name)} must give Uint8Array chunks.`, {
        tensors: [name],
      });
    }
    taken += chunk.byteLength;
    if (taken > bytes) throw wrong('more bytes');
    await writeCopy(engine, writer, chunk);
  }
  if (taken !== bytes) throw wrong(`${taken} bytes`);
}

/** The caller's stream: its failures named as such, and left behind when `signal` fires, even where it never answers. */
async function* guardStream(stream: AsyncIterable<Uint8Array>, name: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  let finished = false;
  try {
    iterator = stream[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await untilAborted(iterator.next(), signal, 'The save');
      finished = done === true;
      if (finished) return;
      yield value;
    }
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError(
      'ERR_SOURCE',
      `The stream of tensor ${JSON.stringify(name)} failed: ${String((error as Error)?.message ?? error)}`,
      {
        tensors: [name],
        cause: error,
      },
    );
  } finally {
    // Not awaited: a stream that is stuck may never answer this either.
    if (!finished) void Promise.resolve(iterator?.return?.()).catch(() => {});
  }
}

/** Bytes of a chunk that are copied at a time. */
const COPY_BYTES = 4 * 1024 * 1024;

/**
 * Writes a chunk of the caller's from a copy: holding it where it is would mark its memory untransferable for good, and a stream may
 * use its memory again, or let it grow.
 */
async function writeCopy(engine: Engine, writer: FileWriter, chunk: ArrayBufferView): Promise<void> {
  for (let at = 0; at < chunk.byteLength; at += COPY_BYTES) {
    const length = Math.min(COPY_BYTES, chunk.byteLength - at);
    await writeBytes(engine, writer, new Uint8Array(chunk.buffer, chunk.byteOffset + at, length).slice());
  }
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

function toManifestFile(plan: TensorFilePlan, chunkBytes: number, digest: FileDigest): ManifestFile {
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

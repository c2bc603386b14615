/**
 * Reads a checkpoint with all its checks: sizes, checksums in the same pass as the bytes, headers against
 * the manifest. Verification and restoring are this one function.
 */
import path from 'node:path';
import type { DirectIo, Engine, FileReader, MemoryRange, ReadSpan } from '../engine/contract.js';
import { type Progress, withProgress } from '../engine/progress.js';
import { isDamage, throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { MAX_ATTACHMENT_BYTES, type Manifest, type ManifestFile } from '../format/manifest.js';
import {
  decodeHeader,
  decodeHeaderLength,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  type SafetensorsHeader,
  type TensorEntry,
} from '../format/safetensors.js';
import { decodeState, MAX_STATE_BYTES, type StateDocument } from '../format/state.js';
import { regularFileBytes } from '../storage/local.js';
import { checkDigest, type FileProblem } from './check-digest.js';
import { checkSize } from './checkpoint.js';
import { RestoredTensor } from './tensor.js';

export interface ReadCheckpointOptions {
  readonly engine: Engine;
  readonly direct: DirectIo;
  /** Keep the bytes (restore), or only check them (verify). */
  readonly load: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** One file after its pass. What was loaded is only there if nothing was wrong with the file. */
export interface ReadFile {
  readonly file: ManifestFile;
  readonly problems: readonly FileProblem[];
  readonly header?: SafetensorsHeader;
  readonly tensors: ReadonlyMap<string, RestoredTensor>;
  readonly state?: StateDocument;
  /** The bytes of an attachment or index. */
  readonly content?: Uint8Array;
}

/**
 * Opens every file of the checkpoint before the first byte is read, so that retention in another
 * process cannot take it away half-way, and then reads file by file.
 * Damage is reported. What says nothing about the checkpoint is thrown: `ERR_ABORTED`, `ERR_RESOURCES`, ….
 */
export async function readCheckpoint(directory: string, manifest: Manifest, options: ReadCheckpointOptions): Promise<ReadFile[]> {
  const opened: { file: ManifestFile; reader: FileReader | HoldfastError }[] = [];
  try {
    for (const file of manifest.files) opened.push({ file, reader: await openFile(directory, file, options) });
    const total = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const results: ReadFile[] = [];
    let before = 0;
    for (const { file, reader } of opened) {
      throwIfAborted(options.signal, 'The read');
      if (reader instanceof HoldfastError) {
        results.push({ file, problems: [toProblem(reader, file.name)], tensors: new Map() });
      } else {
        const measure = (): Progress => ({
          phase: options.load ? 'read' : 'verify',
          bytes: before + reader.readBytes(),
          totalBytes: total,
          checkpoint: path.basename(directory),
          file: file.name,
        });
        results.push(await withProgress(options.onProgress, measure, () => readFile(directory, file, reader, options)));
      }
      before += file.bytes;
    }
    return results;
  } finally {
    for (const { reader } of opened) if (!(reader instanceof HoldfastError)) await reader.close();
  }
}

/** The file's reader, or what is wrong with it before a byte is read. */
async function openFile(
  directory: string,
  file: ManifestFile,
  { engine, direct }: ReadCheckpointOptions,
): Promise<FileReader | HoldfastError> {
  const target = path.join(directory, file.name);
  const checkpoint = path.basename(directory);
  try {
    const wrong = checkSize(directory, file, await regularFileBytes(target));
    if (wrong !== undefined) return wrong;
    const reader = await engine.openReader(target, direct);
    const changed = checkSize(directory, file, reader.bytes);
    if (changed === undefined) return reader;
    await reader.close();
    return changed;
  } catch (error) {
    const failure = toHoldfastError(error, `open ${checkpoint}/${file.name}`, { checkpoint, file: file.name, path: target });
    if (!isDamage(failure)) throw failure;
    return failure.code === 'ERR_NOT_FOUND' ? (checkSize(directory, file, undefined) as HoldfastError) : failure;
  }
}

async function readFile(directory: string, file: ManifestFile, reader: FileReader, options: ReadCheckpointOptions): Promise<ReadFile> {
  const checkpoint = path.basename(directory);
  try {
    const plan = planSpans(file, options.load);
    const digest = await reader.read({ chunkBytes: file.chunkBytes, spans: plan.spans, signal: options.signal });
    const problems = checkDigest(file, digest);
    if (problems.length > 0) return { file, problems, tensors: new Map() };
    return interpret(file, plan, checkpoint, options.load);
  } catch (error) {
    const failure = toHoldfastError(error, `read ${checkpoint}/${file.name}`, { checkpoint, file: file.name });
    if (!isDamage(failure)) throw failure;
    return { file, problems: [toProblem(failure, file.name)], tensors: new Map() };
  }
}

interface SpanPlan {
  readonly spans: readonly ReadSpan[];
  /** Where the head of a tensor file, or a whole small file, goes. */
  readonly head: Uint8Array | undefined;
  /** Per tensor of the manifest. */
  readonly buffers: readonly ArrayBuffer[];
}

function planSpans(file: ManifestFile, load: boolean): SpanPlan {
  const tensors = file.tensors ?? [];
  const headBytes = tensors[0]?.offset ?? file.bytes;
  const limit = isTensorFile(file)
    ? LENGTH_BYTES + MAX_HEADER_BYTES
    : file.role === 'state'
      ? MAX_STATE_BYTES
      : load
        ? MAX_ATTACHMENT_BYTES
        : -1;
  const head = headBytes <= limit ? new Uint8Array(headBytes) : undefined;
  const buffers = load ? tensors.map(({ bytes }) => new ArrayBuffer(bytes)) : [];
  const spans: ReadSpan[] = [{ bytes: headBytes, into: head && whole(head.buffer) }];
  tensors.forEach(({ bytes }, i) => {
    const buffer = buffers[i];
    spans.push({ bytes, into: buffer && whole(buffer) });
  });
  return { spans, head, buffers };
}

function whole(buffer: ArrayBuffer): MemoryRange {
  return { buffer, byteOffset: 0, byteLength: buffer.byteLength };
}

function isTensorFile({ role }: ManifestFile): boolean {
  return role === 'model' || role === 'optimizer';
}

/** Makes sense of bytes whose checksums were right. */
function interpret(file: ManifestFile, { head, buffers }: SpanPlan, checkpoint: string, load: boolean): ReadFile {
  const result = { file, problems: [], tensors: new Map<string, RestoredTensor>() };
  if (file.role === 'state') {
    if (head === undefined)
      throw new HoldfastError('ERR_STATE', `state.json of ${checkpoint} is larger than ${MAX_STATE_BYTES} bytes.`, { file: file.name });
    return { ...result, state: decodeState(head, checkpoint) };
  }
  if (!isTensorFile(file)) {
    if (!load) return result;
    if (head !== undefined) return { ...result, content: head };
    throw new HoldfastError(
      'ERR_UNSUPPORTED',
      `${file.name} of ${checkpoint} is larger than ${MAX_ATTACHMENT_BYTES} bytes; read it with other tools.`,
      {
        file: file.name,
      },
    );
  }
  const header = decodeHead(file, head);
  const entries = matchHeader(file, header);
  buffers.forEach((buffer, i) => {
    const { name, dtype, shape } = entries[i] as TensorEntry;
    result.tensors.set(name, new RestoredTensor(dtype, shape, buffer));
  });
  return { ...result, header };
}

function decodeHead(file: ManifestFile, head: Uint8Array | undefined): SafetensorsHeader {
  if (head === undefined)
    throw new HoldfastError('ERR_HEADER_LENGTH', `${file.name} has a header of more than ${MAX_HEADER_BYTES} bytes.`, { file: file.name });
  const length = decodeHeaderLength(head, file.bytes, file.name);
  if (LENGTH_BYTES + length > head.length) throw headerMismatch(file, 'the first tensor of the manifest lies inside the header');
  return decodeHeader(head.subarray(LENGTH_BYTES, LENGTH_BYTES + length), file.bytes, file.name);
}

/** The header's entries in the manifest's order. Throws `ERR_HEADER_MISMATCH` unless both list the same. */
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

/** An error about one file, in the form in which verification reports it. */
export function toProblem(error: HoldfastError, file: string): FileProblem {
  return {
    code: error.code,
    file,
    offset: error.offset ?? null,
    bytes: error.bytes ?? null,
    tensors: error.tensors ?? [],
    expected: error.expected ?? null,
    actual: error.actual ?? null,
    message: error.message,
  };
}

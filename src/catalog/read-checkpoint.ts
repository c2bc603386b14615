/**
 * Reads a checkpoint with all its checks: sizes, checksums in the same pass as the bytes, headers against
 * the manifest. Verification and restoring are this one function.
 */
import path from 'node:path';
import type { FileReader, MemoryRange, ReadSpan } from '../engine/contract.js';
import { type Progress, withProgress } from '../engine/progress.js';
import { isDamage, throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { TensorRole } from '../format/layout.js';
import { MAX_ATTACHMENT_BYTES, type Manifest, type ManifestFile, type ManifestTensor } from '../format/manifest.js';
import type { SafetensorsHeader, TensorEntry } from '../format/safetensors.js';
import { decodeState, MAX_STATE_BYTES, type StateDocument } from '../format/state.js';
import { checkDigest, type FileProblem } from './check-digest.js';
import { assertDisjoint, type ChooseMemory, memoryFor, restoredAt, type WantedTensor } from './destinations.js';
import { closeFiles, type OpenedFile, type OpenFilesOptions, openFiles } from './open-files.js';
import { firstFailure } from './parallel.js';
import { decodeHead, headBytesOf, isTensorFile, MAX_HEAD_BYTES } from './read-head.js';
import { readHead, readTensors, runsOf } from './read-parts.js';
import type { RestoredTensor } from './tensor.js';

/** The second file fills the gaps that the beginning and the end of one leave. */
const FILES_AT_ONCE = 2;

export interface ReadCheckpointOptions extends OpenFilesOptions {
  /** What is kept (restore). Without it every byte is checked, and none is kept (verify). */
  readonly load?: LoadOptions | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** What a restore keeps, and where. */
export interface LoadOptions {
  /** Which tensors are wanted; default all. The bytes of others are not read. */
  readonly wanted?: ((tensor: WantedTensor) => boolean) | undefined;
  /** Memory for them; default new memory. */
  readonly choose?: ChooseMemory | undefined;
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
 * process cannot take it away half-way, and then reads them, some at a time.
 * Damage is reported. What says nothing about the checkpoint is thrown: `ERR_ABORTED`, `ERR_RESOURCES`, ….
 */
export async function readCheckpoint(directory: string, manifest: Manifest, options: ReadCheckpointOptions): Promise<ReadFile[]> {
  const opened = await openFiles(directory, manifest.files, options);
  try {
    const targets = chooseTargets(manifest, options.load);
    const progress = new ReadProgress(path.basename(directory), opened, options.load === undefined ? 'verify' : 'read');
    const tasks = opened.map(({ file, reader }) => async (signal: AbortSignal): Promise<ReadFile> => {
      throwIfAborted(signal, 'The read');
      if (reader instanceof HoldfastError) return { file, problems: [toProblem(reader, file.name)], tensors: new Map() };
      progress.begin(file, reader);
      return readFile(directory, file, reader, targets, { ...options, signal }).finally(() => progress.end(file));
    });
    return await withProgress(
      options.onProgress,
      () => progress.now(),
      () => firstFailure(options.signal, FILES_AT_ONCE, tasks),
    );
  } finally {
    await closeFiles(opened);
  }
}

/** How far the files of a checkpoint are, of which some are read at a time. */
class ReadProgress {
  private readonly reading = new Map<ManifestFile, FileReader>();
  private readonly totalBytes: number;
  private finished = 0;
  private last: string | undefined;

  constructor(
    private readonly checkpoint: string,
    opened: readonly OpenedFile[],
    private readonly phase: Progress['phase'],
  ) {
    this.totalBytes = opened.reduce((sum, { file }) => sum + file.bytes, 0);
  }

  begin(file: ManifestFile, reader: FileReader): void {
    this.reading.set(file, reader);
  }

  end(file: ManifestFile): void {
    this.reading.delete(file);
    this.finished += file.bytes;
    this.last = file.name;
  }

  now(): Progress {
    const { checkpoint, phase, totalBytes } = this;
    const [first] = this.reading.keys();
    const file = first?.name ?? this.last;
    const bytes = [...this.reading.values()].reduce((sum, reader) => sum + reader.readBytes(), this.finished);
    return { phase, bytes: Math.min(bytes, totalBytes), totalBytes, checkpoint, ...(file === undefined ? {} : { file }) };
  }
}

/** Gives the memory of a tensor. */
type Targets = (file: ManifestFile, tensor: ManifestTensor) => MemoryRange;

/** The caller's memory is asked for and compared before the first byte goes into any of it; new memory is made when a file's turn comes. */
function chooseTargets({ files }: Manifest, load: LoadOptions | undefined): Targets {
  const chosen = new Map<ManifestTensor, MemoryRange>();
  if (load?.choose !== undefined) {
    for (const file of files) {
      for (const tensor of file.tensors ?? []) {
        const what = wantedTensor(file, tensor);
        if (load.wanted === undefined || load.wanted(what)) chosen.set(tensor, memoryFor(what, load.choose));
      }
    }
    assertDisjoint([...chosen].map(([{ name }, range]) => ({ name, range })));
  }
  return (file, tensor) => chosen.get(tensor) ?? memoryFor(wantedTensor(file, tensor), undefined);
}

async function readFile(
  directory: string,
  file: ManifestFile,
  reader: FileReader,
  targets: Targets,
  options: ReadCheckpointOptions,
): Promise<ReadFile> {
  const checkpoint = path.basename(directory);
  const { load, signal } = options;
  try {
    if (load?.wanted !== undefined && isTensorFile(file)) return await readWanted(file, reader, load.wanted, targets, signal);
    const plan = planSpans(file, load === undefined ? undefined : targets);
    const digest = await reader.read({ chunkBytes: file.chunkBytes, spans: plan.spans, signal });
    const problems = checkDigest(file, digest);
    if (problems.length > 0) return { file, problems, tensors: new Map() };
    return interpret(file, plan, checkpoint, load !== undefined);
  } catch (error) {
    const failure = toHoldfastError(error, `read ${checkpoint}/${file.name}`, { checkpoint, file: file.name });
    if (!isDamage(failure)) throw failure;
    return { file, problems: [toProblem(failure, file.name)], tensors: new Map() };
  }
}

/** Only some of the tensors: each with its own checksum, and the head with those of its chunks. */
async function readWanted(
  file: ManifestFile,
  reader: FileReader,
  wanted: (tensor: WantedTensor) => boolean,
  targets: Targets,
  signal: AbortSignal | undefined,
): Promise<ReadFile> {
  const listed = file.tensors ?? [];
  const tensors = new Map<string, RestoredTensor>();
  const runs = runsOf(listed, (i) => wanted(wantedTensor(file, listed[i] as ManifestTensor)));
  if (runs.length === 0) return { file, problems: [], tensors };
  const { header, entries } = await readHead(file, reader, signal);
  const ranges = new Map<number, MemoryRange>();
  for (const { first, count } of runs) {
    for (let i = first; i < first + count; i++) ranges.set(i, targets(file, listed[i] as ManifestTensor));
  }
  for (const { first, count } of runs) {
    const destinations = Array.from({ length: count }, (_, i) => ranges.get(first + i));
    const problems = await readTensors(file, reader, first, destinations, signal);
    if (problems.length > 0) return { file, problems, tensors: new Map() };
  }
  for (const [i, range] of ranges) {
    const entry = entries[i] as TensorEntry;
    tensors.set(entry.name, restoredAt(entry, range));
  }
  return { file, problems: [], header, tensors };
}

function wantedTensor({ role }: ManifestFile, { name, bytes }: ManifestTensor): WantedTensor {
  return { name, role: role as TensorRole, byteLength: bytes };
}

interface SpanPlan {
  readonly spans: readonly ReadSpan[];
  /** Where the head of a tensor file, or a whole small file, goes. */
  readonly head: Uint8Array | undefined;
  /** Per tensor of the manifest. */
  readonly targets: readonly MemoryRange[];
}

function planSpans(file: ManifestFile, memory: Targets | undefined): SpanPlan {
  const tensors = file.tensors ?? [];
  const headBytes = headBytesOf(file);
  const head = headBytes <= mostHeadBytes(file, memory !== undefined) ? new Uint8Array(headBytes) : undefined;
  const targets = memory === undefined ? [] : tensors.map((tensor) => memory(file, tensor));
  const into = head && { buffer: head.buffer, byteOffset: 0, byteLength: headBytes };
  return { spans: [{ bytes: headBytes, into }, ...tensors.map(({ bytes }, i) => ({ bytes, into: targets[i] }))], head, targets };
}

/** Longer heads, or files without tensors, are not kept in memory. */
function mostHeadBytes(file: ManifestFile, load: boolean): number {
  if (isTensorFile(file)) return MAX_HEAD_BYTES;
  if (file.role === 'state') return MAX_STATE_BYTES;
  return load ? MAX_ATTACHMENT_BYTES : -1;
}

/** Makes sense of bytes whose checksums were right. */
function interpret(file: ManifestFile, { head, targets }: SpanPlan, checkpoint: string, load: boolean): ReadFile {
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
  const { header, entries } = decodeHead(file, head);
  targets.forEach((range, i) => {
    const entry = entries[i] as TensorEntry;
    result.tensors.set(entry.name, restoredAt(entry, range));
  });
  return { ...result, header };
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

/** One side of a comparison: an open checkpoint, or an open safetensors file that belongs to none. */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { checkDigest, checkTensors } from '../catalog/check-digest.js';
import { readManifest } from '../catalog/checkpoint.js';
import { closeFiles, type OpenedFile, openFiles } from '../catalog/open-files.js';
import { isTensorFile } from '../catalog/read-head.js';
import { readHead, throwFirst, toError } from '../catalog/read-parts.js';
import { isCheckpointDirectory } from '../catalog/scan.js';
import type { Engine, FileDigest, FileReader, ReadOptions } from '../engine/contract.js';
import { toHoldfastError } from '../engine/system-error.js';
import { type ErrorDetails, HoldfastError } from '../errors.js';
import type { TensorRole } from '../format/layout.js';
import { MAX_CHUNK_BYTES, type Manifest, type ManifestFile, type ManifestTensor } from '../format/manifest.js';
import { decodeHeader, decodeHeaderLength, LENGTH_BYTES, type TensorEntry } from '../format/safetensors.js';
import { decodeState, MAX_STATE_BYTES, type StateDocument } from '../format/state.js';

/** A file that tensors are read from. */
export interface SideFile {
  readonly name: string;
  /** Throws what is wrong with the file or the disk. */
  read(options: ReadOptions): Promise<FileDigest>;
  /** Throws `ERR_CHECKSUM` unless `crc` is the CRC32C of its tensor with that number; never where the file has no checksums. */
  check(index: number, crc: number): void;
}

/** A tensor of one side. */
export interface SideTensor {
  readonly role: TensorRole;
  readonly entry: TensorEntry;
  /** `null` where there is none. */
  readonly crc32c: string | null;
  readonly file: SideFile;
  /** Its number in the file. */
  readonly index: number;
}

/** What is compared with another one. Its files are open until `close()`. */
export interface Side {
  readonly path: string;
  readonly name: string;
  /** `null` for a bare file. */
  readonly manifest: Manifest | null;
  /** Whose tensors a bare file holds. */
  readonly bareRole: TensorRole | undefined;
  /** File by file, in the order of their bytes. */
  readonly tensors: readonly SideTensor[];
  readonly stateFile: ManifestFile | undefined;
  /** Reads and checks the state document; an empty one where there is none. Throws `ERR_CHECKSUM`, `ERR_STATE`. */
  readState(signal: AbortSignal | undefined): Promise<StateDocument>;
  close(): Promise<void>;
}

/**
 * Opens all files of what `target` leads to and reads their heads. Throws `ERR_NOT_FOUND` where there is no checkpoint and no file,
 * `ERR_PERMISSION`, and what is damaged.
 */
export async function openSide(target: string, engine: Engine): Promise<Side> {
  const inTarget = blaming({ path: target });
  const found = await stat(target).catch(inTarget);
  const real = await realpath(target).catch(inTarget);
  if (found.isFile()) return openBareFile(target, real, engine).catch(inTarget);
  if (!found.isDirectory()) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${target} is neither a directory nor a regular file.`, { path: target });
  }
  if (await isCheckpointDirectory(real)) return openCheckpoint(real, engine).catch(blaming({ path: real }));
  throw new HoldfastError(
    'ERR_NOT_FOUND',
    `${target} is a directory, but not a checkpoint. "holdfast ls" lists the checkpoints in a directory.`,
    { path: target },
  );
}

/** Gives what throws an error again so that it says which side it is about: names do not, as checkpoints of two runs may have the same one. */
function blaming(details: ErrorDetails & { readonly path: string }): (error: unknown) => never {
  const { path: where } = details;
  return (error) => {
    const failure = toHoldfastError(error, `read ${where}`, details);
    if (failure.code === 'ERR_ABORTED' || failure.message.includes(where)) throw failure;
    const { code, message, name: _, ...known } = failure;
    throw new HoldfastError(code, `${where}: ${message}`, { ...details, ...known, cause: failure.cause ?? failure });
  };
}

async function openCheckpoint(directory: string, engine: Engine): Promise<Side> {
  const name = path.basename(directory);
  const manifest = await readManifest(directory);
  // All of them, attachments too, before the first byte: a file that is missing or of another size is damage, whoever wants its bytes.
  const opened = await openFiles(directory, manifest.files, { engine, direct: 'optional' });
  try {
    const readers = readersOf(opened);
    const tensorFiles = manifest.files.filter(isTensorFile);
    const tensors = await Promise.all(tensorFiles.map((file) => tensorsOf(directory, file, readers.get(file) as FileReader)));
    const stateFile = manifest.files.find(({ role }) => role === 'state');
    return {
      path: directory,
      name,
      manifest,
      bareRole: undefined,
      tensors: tensors.flat(),
      stateFile,
      readState: async (signal) =>
        stateFile === undefined ? { extensions: {} } : readStateFile(directory, stateFile, readers.get(stateFile) as FileReader, signal),
      close: () => closeFiles(opened),
    };
  } catch (error) {
    await closeFiles(opened);
    throw error;
  }
}

/** The readers of `opened`. Throws the first thing that is wrong with any of the files. */
function readersOf(opened: readonly OpenedFile[]): Map<ManifestFile, FileReader> {
  const readers = new Map<ManifestFile, FileReader>();
  for (const { file, reader } of opened) {
    if (reader instanceof HoldfastError) throw reader;
    readers.set(file, reader);
  }
  return readers;
}

async function tensorsOf(directory: string, file: ManifestFile, reader: FileReader): Promise<SideTensor[]> {
  const checkpoint = path.basename(directory);
  const blame = blaming({ path: directory, checkpoint, file: file.name });
  const { entries } = await readHead(file, reader).catch(blame);
  const listed = file.tensors ?? [];
  const sideFile: SideFile = {
    name: file.name,
    read: (options) => reader.read(options).catch(blame),
    check: (index, crc) => {
      const [problem] = checkTensors(file, [listed[index] as ManifestTensor], [crc]);
      if (problem !== undefined) blame(toError(problem, checkpoint));
    },
  };
  const role = file.role as TensorRole;
  return entries.map((entry, index) => ({ role, entry, crc32c: (listed[index] as ManifestTensor).crc32c, file: sideFile, index }));
}

async function readStateFile(
  directory: string,
  file: ManifestFile,
  reader: FileReader,
  signal: AbortSignal | undefined,
): Promise<StateDocument> {
  const checkpoint = path.basename(directory);
  const read = async () => {
    if (file.bytes > MAX_STATE_BYTES) throw new HoldfastError('ERR_STATE', `${file.name} is larger than ${MAX_STATE_BYTES} bytes.`);
    const into = new Uint8Array(file.bytes);
    throwFirst(checkDigest(file, await reader.read({ chunkBytes: file.chunkBytes, spans: [{ bytes: file.bytes, into }], signal })));
    return decodeState(into, checkpoint);
  };
  return read().catch(blaming({ path: directory, checkpoint, file: file.name }));
}

async function openBareFile(target: string, real: string, engine: Engine): Promise<Side> {
  const name = path.basename(target);
  const reader = await engine.openReader(real, 'optional');
  try {
    const first = await readBytes(reader, 0, Math.min(LENGTH_BYTES, reader.bytes));
    const length = decodeHeaderLength(first, reader.bytes, name);
    const { tensors } = decodeHeader(await readBytes(reader, LENGTH_BYTES, length), reader.bytes, name);
    const blame = blaming({ path: target, file: name });
    const file: SideFile = { name, read: (options) => reader.read(options).catch(blame), check: () => {} };
    const role = roleOfFile(name);
    return {
      path: path.resolve(target),
      name,
      manifest: null,
      bareRole: role,
      tensors: tensors.map((entry, index) => ({ role, entry, crc32c: null, file, index })),
      stateFile: undefined,
      readState: async () => ({ extensions: {} }),
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function readBytes(reader: FileReader, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(bytes);
  await reader.read({ chunkBytes: MAX_CHUNK_BYTES, offset, spans: [{ bytes, into }] });
  return into;
}

/** Whose tensors a bare file holds, by the names that docs/FORMAT.md gives the files of the optimizer's role. */
function roleOfFile(name: string): TensorRole {
  return /^optimizer(-\d+-of-\d+)?\.safetensors$/.test(name) ? 'optimizer' : 'model';
}

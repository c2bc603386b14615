/**
 * Steps 2 to 7 of the commit protocol: everything that is written before a checkpoint gets its name. Runs in a worker. The numbers are those
 * of docs/DURABILITY.md, which says for every step what a reader sees after a crash there.
 */
import path from 'node:path';
import type { FileDigest } from '../engine/contract.js';
import { type ProgressListener, withProgress } from '../engine/progress.js';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { crcHex } from '../format/crc32c.js';
import { MAX_CHUNK_BYTES, type Manifest, type ManifestFile } from '../format/manifest.js';
import { encodeManifestWith } from '../format/manifest-encode.js';
import { MANIFEST_NAME } from '../format/names.js';
import { freeBytes, makeDirectory, syncDirectory, writeNewFile } from '../storage/local.js';
import { now } from '../system.js';
import { firstFailure } from './parallel.js';
import { readBack } from './read-back.js';
import {
  type FileContents,
  type SmallFile,
  toManifestTensors,
  type WriteOptions,
  type WrittenFile,
  writeSmallFile,
  writeTensorFile,
} from './write-files.js';

/** A tensor file, and what is known of its bytes beforehand. */
export interface PersistFile extends FileContents {
  /** CRC32C per tensor when the snapshot was taken; NaN where it was not. Empty: of none. */
  readonly expected: Float64Array;
}

/** What is to be persisted. */
export interface Persist {
  /** The directory of checkpoints, and the name of the temporary directory to be made in it. */
  readonly directory: string;
  readonly temporary: string;
  readonly files: readonly PersistFile[];
  readonly smallFiles: readonly SmallFile[];
  /** The manifest but for the files and the time; asked for when the files are durable. */
  readonly record: () => Promise<Omit<Manifest, 'files' | 'createdAt'>>;
}

export interface PersistOptions extends WriteOptions {
  /** Read every tensor file back, bypassing the cache where possible. */
  readonly verifyWrites: boolean;
  /** Files that are written at a time. Default {@link FILES_AT_ONCE}. */
  readonly filesAtOnce?: number | undefined;
  /** Called once where there is no room for so many bytes: it may make some. Default: the save fails. */
  readonly makeRoom?: (bytes: number) => Promise<void>;
}

/** What was written. */
export interface Persisted {
  /** As it was written, but for the tensors of the files. */
  readonly manifest: Manifest;
  readonly figures: PersistFigures;
}

/** What it took. */
export interface PersistFigures {
  readonly bytes: number;
  /** Whether every tensor file went past the page cache, and if not, why. */
  readonly direct: boolean;
  readonly directReason: string;
  /** `write` and `sync` are summed over the files, which may overlap. */
  readonly seconds: { readonly write: number; readonly sync: number; readonly verify: number };
}

/** Room that the file system needs beyond the data: manifest, directories, rounding up to blocks. */
const SPARE_BYTES = 64 * 1024;

/**
 * Tensor files that are written at a time. The second one fills the gaps that creating, preallocating and syncing a file leave;
 * more gain little for large files (bench/parallel-files.mjs), and each has 32 MiB of staging memory.
 */
const FILES_AT_ONCE = 2;
/**
 * Up to this a manifest is one write through the page cache and an fsync, which has nothing to set up. Beyond it the fsync waits for megabytes
 * that the engine, writing past the page cache with several transfers in flight, has on the disk sooner.
 */
const LONG_MANIFEST_BYTES = 2 ** 20;
/** Small files cost their fsyncs, which a file system does together, beside those of the tensor files. */
const SMALL_FILES_AT_ONCE = 4;

/** Writes everything and makes it durable under the temporary name. When it rejects, leftovers are the caller's to remove. */
export async function persistCheckpoint(what: Persist, options: PersistOptions): Promise<Persisted> {
  const { directory } = what;
  const { signal, onProgress } = options;
  const temporary = path.join(directory, what.temporary);
  const total = totalBytes(what);
  try {
    throwIfAborted(signal, 'The save');
    await findRoom(directory, total, options.makeRoom);
    await makeDirectory(temporary); // 2
    const written = await writeFiles(temporary, what, options, total); // 3, 4
    const verify = await verifyFiles(temporary, written, options); // 5
    throwIfAborted(signal, 'The save');
    onProgress?.({ phase: 'commit', bytes: total, totalBytes: total });
    const manifest: Manifest = {
      ...(await what.record()),
      createdAt: new Date(now()).toISOString(),
      files: written.map(({ file }) => file),
    };
    const lists = new Map(written.flatMap(({ file, tensors }) => (tensors === undefined ? [] : [[file.name, tensors()] as const])));
    const { bytes, decoded } = encodeManifestWith(manifest, lists, (part) => options.engine.crc32c(part));
    await writeManifest(path.join(temporary, MANIFEST_NAME), bytes, options); // 6
    await syncDirectory(temporary); // 7
    return { manifest: decoded, figures: { bytes: total, ...summarize(written), seconds: { ...secondsOf(written), verify } } };
  } catch (error) {
    throw toHoldfastError(error, `save to ${directory}`, { path: directory });
  }
}

/** The manifest of many tensors is megabytes long: the engine makes those durable faster. */
async function writeManifest(file: string, bytes: Uint8Array, { engine, direct, signal }: PersistOptions): Promise<void> {
  if (bytes.length <= LONG_MANIFEST_BYTES) return writeNewFile(file, bytes);
  const held = engine.hold({ buffer: bytes.buffer as ArrayBuffer, byteOffset: bytes.byteOffset, byteLength: bytes.length });
  try {
    const options = {
      direct: direct === 'disabled' ? direct : 'optional',
      chunkBytes: MAX_CHUNK_BYTES,
      spans: [bytes.length],
      signal,
    } as const;
    const { crc32c } = await engine.writeFile(file, options, [held]);
    if (crc32c !== engine.crc32c(bytes))
      throw new HoldfastError('ERR_SOURCE_CHANGED', 'The manifest changed in memory while it was saved.');
  } finally {
    held.release();
  }
}

function totalBytes({ files, smallFiles }: Persist): number {
  const tensors = files.reduce((sum, { bytes }) => sum + bytes, 0);
  return smallFiles.reduce((sum, { bytes }) => sum + bytes.length, tensors);
}

async function findRoom(directory: string, bytes: number, makeRoom: PersistOptions['makeRoom']): Promise<void> {
  const shortage = await findShortage(directory, bytes);
  if (shortage === undefined) return;
  if (makeRoom === undefined) throw shortage;
  await makeRoom(bytes);
  const still = await findShortage(directory, bytes);
  if (still !== undefined) throw still;
}

/** The error that a checkpoint of `bytes` bytes does not fit. */
async function findShortage(directory: string, bytes: number): Promise<HoldfastError | undefined> {
  const free = await freeBytes(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOSYS') return undefined;
    throw toHoldfastError(error, `look for free space in ${directory}`, { path: directory });
  });
  if (free === undefined || free >= bytes + SPARE_BYTES) return undefined;
  return new HoldfastError(
    'ERR_NO_SPACE',
    `A checkpoint of ${bytes} bytes does not fit: the file system of ${directory} has ${free} bytes left. Free some space, keep fewer checkpoints, or open with makeRoom: true, which lets retention run first.`,
    { path: directory, expected: bytes, actual: free },
  );
}

interface Written {
  /** Its entry in the manifest, but for its tensors. */
  readonly file: ManifestFile;
  /** The JSON of these; only of a tensor file, as the rest. */
  readonly tensors?: () => Uint8Array;
  readonly contents?: FileContents;
  readonly digest?: FileDigest;
}

/** All files, in the order of the manifest, some at a time; the first failure stops the rest. */
async function writeFiles(temporary: string, { files, smallFiles }: Persist, options: PersistOptions, total: number): Promise<Written[]> {
  const watched = new Map<string, () => { phase: 'write' | 'sync'; bytes: number }>();
  const measure = () => {
    const now = [...watched].map(([file, look]) => ({ file, ...look() }));
    const bytes = Math.min(
      total,
      now.reduce((sum, file) => sum + file.bytes, 0),
    );
    const { phase, file } = now.find((each) => each.phase === 'write') ?? now.at(-1) ?? { phase: 'write' as const, file: undefined };
    return { phase, bytes, totalBytes: total, ...(file === undefined ? {} : { file }) };
  };
  const alone = files.length + smallFiles.length === 1;
  const tensorFiles = files.map((contents) => async (signal: AbortSignal): Promise<Written> => {
    const written = await writeTensorFile(temporary, contents, { ...options, alone, signal }, (look) => watched.set(contents.name, look));
    assertUnchanged(contents, written);
    return { ...written, contents, tensors: () => contents.list.encode(written.digest.spans, 1) };
  });
  const others = smallFiles.map((small) => async (): Promise<Written> => ({ file: await writeSmallFile(temporary, small, options) }));
  return withProgress(options.onProgress as ProgressListener | undefined, measure, async () => {
    const groups = await firstFailure(options.signal, 2, [
      (signal) => firstFailure(signal, options.filesAtOnce ?? FILES_AT_ONCE, tensorFiles),
      (signal) => firstFailure(signal, SMALL_FILES_AT_ONCE, others),
    ]);
    return groups.flat();
  });
}

/** Throws `ERR_SOURCE_CHANGED` where what was written is not what the snapshot saw. */
function assertUnchanged({ tensors, expected }: PersistFile, { digest }: WrittenFile): void {
  if (expected.length === 0) return;
  const changed = tensors.filter((_, i) => {
    const checksum = expected[i] ?? Number.NaN;
    return !Number.isNaN(checksum) && checksum !== digest.spans[i + 1];
  });
  if (changed.length === 0) return;
  const index = tensors.indexOf(changed[0] as (typeof tensors)[number]);
  throw new HoldfastError(
    'ERR_SOURCE_CHANGED',
    `The memory of ${changed.map((tensor) => JSON.stringify(tensor.name)).join(', ')} was written to between the snapshot and the save, although it was promised stable. Nothing was saved. Leave it alone until the save is done, or leave out "stable".`,
    {
      tensors: changed.map((tensor) => tensor.name),
      expected: crcHex(expected[index] as number),
      actual: crcHex(digest.spans[index + 1] as number),
    },
  );
}

async function verifyFiles(temporary: string, written: readonly Written[], options: PersistOptions): Promise<number> {
  if (!options.verifyWrites) return 0;
  const started = performance.now();
  const files = written.flatMap(({ file, contents, digest }) =>
    contents === undefined || digest === undefined ? [] : [{ ...file, tensors: toManifestTensors(contents, digest) }],
  );
  await readBack(temporary, files, options);
  return (performance.now() - started) / 1000;
}

function summarize(written: readonly Written[]): { direct: boolean; directReason: string } {
  const digests = written.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  const notDirect = digests.find(({ direct }) => !direct);
  return { direct: digests.length > 0 && notDirect === undefined, directReason: (notDirect ?? digests.at(-1))?.directReason ?? '' };
}

function secondsOf(written: readonly Written[]): { write: number; sync: number } {
  const seconds = { write: 0, sync: 0 };
  for (const { digest } of written) {
    seconds.write += digest?.transferSeconds ?? 0;
    seconds.sync += digest?.syncSeconds ?? 0;
  }
  return seconds;
}

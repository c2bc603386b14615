/**
 * The commit protocol: from a snapshot to a checkpoint that survives power loss. The numbers are those
 * of docs/DURABILITY.md, which says for every step what a reader sees after a crash there.
 */
import path from 'node:path';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { TensorFilePlan } from '../format/layout.js';
import { encodeManifest, type Manifest, type ManifestFile } from '../format/manifest.js';
import { MANIFEST_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { freeBytes, makeDirectory, removeTree, syncDirectory, temporaryName, writeNewFile } from '../storage/local.js';
import type { DirectoryLock } from './lock.js';
import { readBack } from './read-back.js';
import { type SmallFile, type WriteOptions, writeSmallFile, writeTensorFile } from './write-files.js';

/** What is to be committed. */
export interface Commit {
  /** Wanted name of the checkpoint; if it is taken, `.r<sequence>` is appended. */
  readonly name: string;
  readonly tensorFiles: readonly TensorFilePlan[];
  readonly smallFiles: readonly SmallFile[];
  readonly snapshot: Snapshot;
  /** The manifest but for the files and the time of the commit. */
  readonly record: Omit<Manifest, 'files' | 'createdAt'>;
}

export interface CommitOptions extends WriteOptions {
  readonly directory: string;
  readonly lock: DirectoryLock;
  /** Read every tensor file back, bypassing the cache where possible, before committing. */
  readonly verifyWrites: boolean;
}

/** A durable checkpoint, and what it took. Seconds. */
export interface Committed {
  readonly name: string;
  readonly path: string;
  readonly manifest: Manifest;
  readonly bytes: number;
  /** Whether every tensor file went past the page cache, and if not, why. */
  readonly direct: boolean;
  readonly directReason: string;
  readonly seconds: { readonly write: number; readonly sync: number; readonly verify: number; readonly commit: number };
}

/** Room that the file system needs beyond the data: manifest, directories, rounding up to blocks. */
const SPARE_BYTES = 64 * 1024;

/** Runs steps 2 to 10. When it resolves the checkpoint is durable; when it rejects there is none. */
export async function commitCheckpoint(commit: Commit, options: CommitOptions): Promise<Committed> {
  const { directory, signal } = options;
  const total = totalBytes(commit);
  throwIfAborted(signal, 'The save');
  await assertRoom(directory, total);
  const temporary = path.join(directory, temporaryName(TEMPORARY_PREFIX));
  try {
    await makeDirectory(temporary); // 2
    const written = await writeFiles(temporary, commit, options, total); // 3, 4, 5
    commit.snapshot.assertIntact();
    const started = performance.now();
    options.onProgress?.({ phase: 'commit', bytes: total, totalBytes: total });
    const manifest: Manifest = { ...commit.record, createdAt: new Date().toISOString(), files: written.files };
    await writeNewFile(path.join(temporary, MANIFEST_NAME), encodeManifest(manifest)); // 6
    await syncDirectory(temporary); // 7
    throwIfAborted(signal, 'The save');
    await options.lock.assertHeld();
    const name = await publish(temporary, commit, options); // 8, 9
    return {
      name,
      path: path.join(directory, name),
      manifest,
      bytes: total,
      direct: written.direct,
      directReason: written.directReason,
      seconds: { ...written.seconds, commit: (performance.now() - started) / 1000 },
    };
  } catch (error) {
    // The error that made the save fail is the one to report, whatever becomes of the leftovers.
    await removeTree(temporary).catch(() => {});
    throw toHoldfastError(error, `save to ${directory}`, { path: directory });
  }
}

function totalBytes({ tensorFiles, smallFiles }: Commit): number {
  const tensors = tensorFiles.reduce((sum, { bytes }) => sum + bytes, 0);
  return smallFiles.reduce((sum, { bytes }) => sum + bytes.length, tensors);
}

async function assertRoom(directory: string, bytes: number): Promise<void> {
  const free = await freeBytes(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOSYS') return undefined;
    throw toHoldfastError(error, `look for free space in ${directory}`, { path: directory });
  });
  if (free === undefined || free >= bytes + SPARE_BYTES) return;
  throw new HoldfastError(
    'ERR_NO_SPACE',
    `A checkpoint of ${bytes} bytes does not fit: the file system of ${directory} has ${free} bytes left. Free some space or keep fewer checkpoints.`,
    { path: directory, expected: bytes, actual: free },
  );
}

interface WrittenFiles {
  readonly files: ManifestFile[];
  readonly direct: boolean;
  readonly directReason: string;
  readonly seconds: { write: number; sync: number; verify: number };
}

async function writeFiles(temporary: string, commit: Commit, options: CommitOptions, total: number): Promise<WrittenFiles> {
  const files: ManifestFile[] = [];
  const seconds = { write: 0, sync: 0, verify: 0 };
  let direct = commit.tensorFiles.length > 0;
  let directReason = '';
  let before = 0;
  for (const plan of commit.tensorFiles) {
    const { file, digest } = await writeTensorFile(temporary, plan, commit.snapshot, options, before, total);
    before += plan.bytes;
    seconds.write += digest.transferSeconds;
    seconds.sync += digest.syncSeconds;
    direct &&= digest.direct;
    directReason = digest.directReason;
    files.push(file);
  }
  const started = performance.now();
  for (const small of commit.smallFiles) files.push(await writeSmallFile(temporary, small, options));
  const written = performance.now();
  seconds.write += (written - started) / 1000;
  if (options.verifyWrites) {
    await readBack(temporary, files, options);
    seconds.verify = (performance.now() - written) / 1000;
  }
  return { files, direct, directReason, seconds };
}

/** Gives the finished directory its name and makes that durable. */
async function publish(temporary: string, { name, record }: Commit, { directory, engine }: CommitOptions): Promise<string> {
  const candidates = [name, `${name}.r${record.sequence}`, temporaryName(`${name}.r${record.sequence}-`)];
  for (const candidate of candidates) {
    const target = path.join(directory, candidate);
    try {
      await engine.renameNoReplace(temporary, target); // 8
    } catch (error) {
      if ((error as { code?: unknown }).code === 'EEXIST') continue;
      throw error;
    }
    try {
      await syncDirectory(directory); // 9
    } catch (error) {
      // Whether the name would survive a power loss is unknown now, so it must not look like success.
      await engine.renameNoReplace(target, temporary).catch(() => {});
      throw error;
    }
    return candidate;
  }
  throw new HoldfastError('ERR_IO', `Every name for the checkpoint ${name} is taken in ${directory}.`, { path: directory });
}

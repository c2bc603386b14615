/** One checkpoint directory: is it good, and what does its manifest say? */
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { type ErrorCode, HoldfastError } from '../errors.js';
import { type Contents, decodeManifest, MAX_MANIFEST_BYTES, type Manifest, type ManifestFile } from '../format/manifest.js';
import { MANIFEST_NAME } from '../format/names.js';
import { type CheckpointRecord, recordOf } from '../format/record.js';
import { readSmallFile, regularFileBytes } from '../storage/local.js';
import type { RecordCache } from './record-cache.js';

/** What is known of a checkpoint without reading its data. */
export interface CheckpointInfo {
  /** Basename of its directory. */
  readonly name: string;
  readonly path: string;
  /** `good`: the manifest is valid and every file is there with its size. Bytes are checked by `verify`. */
  readonly status: 'good' | 'damaged';
  /** Commit order. `null`, as the fields below, where the manifest cannot be read. */
  readonly sequence: number | null;
  readonly step: number | null;
  readonly epoch: number | null;
  readonly metrics: Readonly<Record<string, number>>;
  /** Sum of the files that the manifest lists. */
  readonly bytes: number | null;
  /** ISO 8601. */
  readonly createdAt: string | null;
  readonly contents: Contents | null;
  /** Names that symbolic links beside it give it, other than `latest` and `best`. As long as it has one, it is never removed. */
  readonly tags: readonly string[];
  /** Why it is damaged. */
  readonly problem?: { readonly code: ErrorCode; readonly message: string };
}

/** A checkpoint as the catalog knows it: what callers see, and what its manifest says if that is readable. */
export interface CatalogEntry {
  readonly info: CheckpointInfo;
  readonly record?: CheckpointRecord;
}

/** A checkpoint that is good as far as manifest and sizes say. */
export interface GoodEntry extends CatalogEntry {
  readonly record: CheckpointRecord;
}

export function isGood(entry: CatalogEntry): entry is GoodEntry {
  return entry.info.status === 'good';
}

/** Reads and checks `directory/manifest.json`. Throws `ERR_MISSING_MANIFEST`, `ERR_MANIFEST`, `ERR_UNSUPPORTED_VERSION`. */
export async function readManifest(directory: string): Promise<Manifest> {
  const checkpoint = path.basename(directory);
  const file = path.join(directory, MANIFEST_NAME);
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readSmallFile(file, MAX_MANIFEST_BYTES);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      throw new HoldfastError(
        'ERR_MISSING_MANIFEST',
        `${checkpoint} has no ${MANIFEST_NAME}, so it was never committed or was damaged later.`,
        {
          checkpoint,
          file: MANIFEST_NAME,
          path: file,
        },
      );
    }
    // ELOOP (EMLINK on some systems): a symbolic link stands in the manifest's place.
    if (code !== 'ELOOP' && code !== 'EMLINK') throw toHoldfastError(error, `read ${file}`, { checkpoint, path: file });
  }
  if (bytes === undefined) {
    throw new HoldfastError('ERR_MANIFEST', `The manifest of ${checkpoint} is not a regular file of sensible size.`, {
      checkpoint,
      file: MANIFEST_NAME,
      path: file,
    });
  }
  return decodeManifest(bytes, checkpoint);
}

/** The first listed file that is missing or has the wrong size, as an error; `undefined` if all fit. */
export async function findSizeProblem(directory: string, files: CheckpointRecord['files']): Promise<HoldfastError | undefined> {
  for (const file of files) {
    const problem = checkSize(directory, file, await regularFileBytes(path.join(directory, file.name)));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Compares a file's length with the manifest; `actual` is undefined where there is no regular file. */
export function checkSize(
  directory: string,
  file: Pick<ManifestFile, 'name' | 'bytes' | 'tensors'>,
  actual: number | undefined,
): HoldfastError | undefined {
  if (actual === file.bytes) return undefined;
  const checkpoint = path.basename(directory);
  const details = { checkpoint, file: file.name, path: path.join(directory, file.name) };
  if (actual === undefined) {
    return new HoldfastError('ERR_MISSING_FILE', `${checkpoint}/${file.name} is missing or not a regular file.`, details);
  }
  const [code, what] = actual < file.bytes ? (['ERR_TRUNCATED', 'cut short'] as const) : (['ERR_EXTENDED', 'too long'] as const);
  return new HoldfastError(code, `${checkpoint}/${file.name} is ${what}: ${actual} bytes instead of ${file.bytes}.`, {
    ...details,
    offset: Math.min(actual, file.bytes),
    tensors: (file.tensors ?? []).filter(({ offset, bytes }) => offset + bytes > actual).map(({ name }) => name),
    expected: file.bytes,
    actual,
  });
}

/** Looks at one checkpoint directory; what `cache` knows of it is not read again. Rejects only where the operating system refuses to say. */
export async function inspectDirectory(directory: string, cache?: RecordCache): Promise<CatalogEntry> {
  return inspect(directory, cache, (record) => findSizeProblem(directory, record.files));
}

/** The same, without a look at the other files. */
export async function inspectManifest(directory: string, cache?: RecordCache): Promise<CatalogEntry> {
  return inspect(directory, cache, () => undefined);
}

async function inspect(
  directory: string,
  cache: RecordCache | undefined,
  findProblem: (record: CheckpointRecord) => Promise<HoldfastError | undefined> | undefined,
): Promise<CatalogEntry> {
  const name = path.basename(directory);
  let record: CheckpointRecord | undefined;
  let problem: HoldfastError | undefined;
  try {
    record = cache === undefined ? recordOf(await readManifest(directory)) : await cache.read(directory, readManifest);
    problem = await findProblem(record);
  } catch (error) {
    problem = toHoldfastError(error, `inspect ${directory}`, { checkpoint: name });
  }
  const info = infoOf(directory, record, problem);
  return record === undefined ? { info } : { info, record };
}

/** What is known of the checkpoint in `directory`, whose manifest was read unless `problem` says why not. */
export function infoOf(directory: string, record: CheckpointRecord | undefined, problem?: HoldfastError): CheckpointInfo {
  return {
    name: path.basename(directory),
    path: directory,
    status: problem === undefined ? 'good' : 'damaged',
    sequence: record?.sequence ?? null,
    step: record?.step ?? null,
    epoch: record?.epoch ?? null,
    metrics: record?.metrics ?? {},
    bytes: record?.files.reduce((sum, file) => sum + file.bytes, 0) ?? null,
    createdAt: record?.createdAt ?? null,
    contents: record?.contents ?? null,
    tags: [],
    ...(problem === undefined ? {} : { problem: { code: problem.code, message: problem.message } }),
  };
}

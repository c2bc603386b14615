/** What is in a directory, a checkpoint or a file, without reading tensor data: for listings. */
import path from 'node:path';
import { type CheckpointInfo, inspectDirectory, readManifest } from '../catalog/checkpoint.js';
import { readBareHeader } from '../catalog/read-bare.js';
import { readRecords } from '../catalog/registry.js';
import { isCheckpointDirectory, scanDirectory } from '../catalog/scan.js';
import { summarize } from '../catalog/summary.js';
import { type VerifyReport, verifyTarget } from '../catalog/verify.js';
import type { EngineName } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { Dtype } from '../format/dtype.js';
import { stat } from '../fs.js';
import { assertKnown } from '../known-options.js';
import { assertPath, type CallOptions, checkCallOptions, oneOf } from './options.js';

/** A listed checkpoint. */
export interface ListedCheckpoint extends CheckpointInfo {
  readonly best: boolean;
  readonly latest: boolean;
}

/** The checkpoints of `directory` in commit order. Throws `ERR_NOT_FOUND`, `ERR_NOT_A_DIRECTORY`. */
export async function listDirectory(directory: string): Promise<ListedCheckpoint[]> {
  assertPath('listDirectory', directory);
  const absolute = path.resolve(directory);
  const entries = await scanDirectory(absolute, await readRecords(absolute));
  const { latest, best } = summarize(entries);
  return entries.map((entry) => ({ ...entry.info, best: entry === best, latest: entry === latest }));
}

/** One tensor of a checkpoint or file. */
export interface TensorDescription {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly file: string;
  /** From the start of the file, in bytes. */
  readonly offset: number;
  /** `null` in a bare file, which has no checksums. */
  readonly crc32c: string | null;
}

/** A checkpoint or a bare safetensors file; what a bare file does not have is `null`. */
export interface Description {
  readonly name: string;
  readonly sequence: number | null;
  readonly step: number | null;
  readonly epoch: number | null;
  readonly metrics: Readonly<Record<string, number>> | null;
  readonly software: Readonly<Record<string, string>> | null;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly crc32c: string | null }[];
  readonly tensors: readonly TensorDescription[];
}

/** Describes a checkpoint directory or a `.safetensors` file from its headers. */
export async function describePath(target: string): Promise<Description> {
  assertPath('describePath', target);
  const isDirectory = await stat(target).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      throw toHoldfastError(error, `look at ${target}`, { path: target });
    },
  );
  if (!isDirectory) return describeFile(target);
  if (await isCheckpointDirectory(target)) return describeCheckpoint(path.resolve(target));
  throw new HoldfastError(
    'ERR_NOT_FOUND',
    `${target} is a directory, but not a checkpoint. "holdfast ls" lists the checkpoints in a directory.`,
    { path: target },
  );
}

async function describeFile(file: string): Promise<Description> {
  const name = path.basename(file);
  const { header, fileBytes } = await readBareHeader(file).catch((error: unknown) => {
    throw toHoldfastError(error, `read ${file}`, { path: file });
  });
  return {
    name,
    sequence: null,
    step: null,
    epoch: null,
    metrics: null,
    software: null,
    files: [{ name, bytes: fileBytes, crc32c: null }],
    tensors: header.tensors.map((tensor) => ({ ...tensor, file: name, crc32c: null })),
  };
}

async function describeCheckpoint(directory: string): Promise<Description> {
  const { info } = await inspectDirectory(directory);
  if (info.problem !== undefined) {
    throw new HoldfastError(info.problem.code, info.problem.message, { path: directory, checkpoint: info.name });
  }
  const manifest = await readManifest(directory);
  const tensors: TensorDescription[] = [];
  for (const file of manifest.files) {
    if (file.role !== 'model' && file.role !== 'optimizer') continue;
    const target = path.join(directory, file.name);
    const { header } = await readBareHeader(target).catch((error: unknown) => {
      throw toHoldfastError(error, `read ${info.name}/${file.name}`, { checkpoint: info.name, file: file.name, path: target });
    });
    const sums = new Map(file.tensors?.map(({ name, crc32c }) => [name, crc32c]));
    tensors.push(...header.tensors.map((tensor) => ({ ...tensor, file: file.name, crc32c: sums.get(tensor.name) ?? null })));
  }
  const { sequence, step, epoch = null, metrics, software, files } = manifest;
  return {
    name: info.name,
    sequence,
    step,
    epoch,
    metrics,
    software,
    files: files.map(({ name, bytes, crc32c }) => ({ name, bytes, crc32c })),
    tensors,
  };
}

/** Options of {@link verifyPath}. */
export interface VerifyPathOptions extends CallOptions {
  readonly engine?: EngineName | 'auto';
}

/** Verifies a directory of checkpoints, one checkpoint, or a `.safetensors` file (structure only). */
export async function verifyPath(target: string, given: VerifyPathOptions = {}): Promise<VerifyReport> {
  assertKnown('verifyPath', given, ['engine', 'signal', 'onProgress']);
  const { engine = 'auto', ...options } = given;
  assertPath('verifyPath', target);
  oneOf('engine', engine, ['auto', 'native', 'portable']);
  return verifyTarget(target, { engine: selectEngine(engine), direct: 'optional', ...checkCallOptions('verifyPath', options) });
}

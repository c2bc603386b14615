/** Verification of a directory of checkpoints, one checkpoint, or a bare safetensors file. */
import path from 'node:path';
import type { DirectIo, Engine } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { isDamage, throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import { stat } from '../fs.js';
import { regularFileBytes } from '../storage/local.js';
import type { FileProblem } from './check-digest.js';
import { readManifest } from './checkpoint.js';
import { readBareHeader } from './read-bare.js';
import { readCheckpoint, toProblem } from './read-checkpoint.js';
import { isCheckpointDirectory, scanDirectory } from './scan.js';

/** Something wrong, and where. */
export interface Problem extends Omit<FileProblem, 'file'> {
  /** Name of the checkpoint's directory; `null` for a bare file. */
  readonly checkpoint: string | null;
  readonly file: string | null;
}

/** What a verification found. */
export interface VerifyReport {
  readonly ok: boolean;
  /** False for a bare safetensors file, which has a structure and no checksums. */
  readonly checksummed: boolean;
  readonly checked: { readonly checkpoints: number; readonly files: number; readonly tensors: number; readonly bytes: number };
  readonly problems: readonly Problem[];
  readonly seconds: number;
  readonly bytesPerSecond: number;
}

export interface VerifyOptions {
  readonly engine: Engine;
  readonly direct: DirectIo;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

interface Tally {
  checkpoints: number;
  files: number;
  tensors: number;
  bytes: number;
}

/** Verifies whatever `target` is. Throws `ERR_NOT_FOUND`, `ERR_PERMISSION` or `ERR_ABORTED`; damage is reported. */
export async function verifyTarget(target: string, options: VerifyOptions): Promise<VerifyReport> {
  const started = performance.now();
  const checked: Tally = { checkpoints: 0, files: 0, tensors: 0, bytes: 0 };
  let problems: Problem[] = [];
  const isDirectory = await isExistingDirectory(target);
  if (!isDirectory) {
    problems = await verifyBareFile(target, checked);
  } else if (await isOneCheckpoint(target)) {
    problems = await verifyCheckpoint(path.resolve(target), checked, options);
  } else {
    const entries = await scanDirectory(path.resolve(target));
    const totalBytes = entries.reduce((sum, { info }) => sum + (info.bytes ?? 0), 0);
    let before = 0;
    for (const { info } of entries) {
      throwIfAborted(options.signal, 'The verification');
      const done = before;
      const onProgress = (progress: Progress) => options.onProgress?.({ ...progress, bytes: done + progress.bytes, totalBytes });
      const found = await verifyCheckpoint(info.path, checked, { ...options, onProgress: options.onProgress && onProgress });
      // Gone meanwhile, by the retention of a running writer: it is not damaged, it is not there any more.
      if (found.length === 0 || (await isCheckpointDirectory(info.path))) problems = problems.concat(found);
      before += info.bytes ?? 0;
    }
  }
  const seconds = (performance.now() - started) / 1000;
  return {
    ok: problems.length === 0,
    checksummed: isDirectory,
    checked,
    problems,
    seconds,
    bytesPerSecond: seconds > 0 ? checked.bytes / seconds : 0,
  };
}

/** A stray safetensors file beside checkpoints does not make one checkpoint of them all. */
async function isOneCheckpoint(target: string): Promise<boolean> {
  if (!(await isCheckpointDirectory(target))) return false;
  const hasManifest = (await regularFileBytes(path.join(target, MANIFEST_NAME))) !== undefined;
  return hasManifest || (await scanDirectory(path.resolve(target))).length === 0;
}

async function isExistingDirectory(target: string): Promise<boolean> {
  try {
    return (await stat(target)).isDirectory();
  } catch (error) {
    throw toHoldfastError(error, `look at ${target}`, { path: target });
  }
}

async function verifyCheckpoint(directory: string, checked: Tally, options: VerifyOptions): Promise<Problem[]> {
  const checkpoint = path.basename(directory);
  checked.checkpoints++;
  try {
    const manifest = await readManifest(directory);
    const results = await readCheckpoint(directory, manifest, options);
    return results.flatMap(({ file, problems }) => {
      checked.files++;
      checked.tensors += file.tensors?.length ?? 0;
      checked.bytes += file.bytes;
      return problems.map((problem) => ({ ...problem, checkpoint }));
    });
  } catch (error) {
    if (!(error instanceof HoldfastError) || !isDamage(error)) throw error;
    return [{ ...toProblem(error, MANIFEST_NAME), checkpoint }];
  }
}

async function verifyBareFile(file: string, checked: Tally): Promise<Problem[]> {
  checked.files++;
  try {
    const { header, fileBytes } = await readBareHeader(file);
    checked.tensors += header.tensors.length;
    checked.bytes += fileBytes;
    return [];
  } catch (error) {
    const failure = toHoldfastError(error, `read ${file}`, { path: file });
    const { code } = failure;
    // The call's fault, not damage: nobody may read it, it is gone, or it is a device.
    if (code === 'ERR_PERMISSION' || code === 'ERR_NOT_FOUND' || code === 'ERR_INVALID_ARGUMENT') throw failure;
    return [{ ...toProblem(failure, path.basename(file)), checkpoint: null }];
  }
}

/** Converting between checkpoints, TensorFlow.js, safetensors and NumPy. */
import { endianness } from 'node:os';
import path from 'node:path';
import { type ProgressListener, withProgress } from '../engine/progress.js';
import { throwIfAborted } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { DEFAULT_MAX_SHARD_BYTES } from '../format/layout.js';
import { assertKnown } from '../known-options.js';
import { assertPath, type CallOptions, checkCallOptions, count, oneOf } from '../manager/options.js';
import type { FloatDtype } from './cast.js';
import { type ConvertKind, KINDS, type SourceContents } from './contents.js';
import { chooseTarget, findSource } from './kinds.js';
import { readModelFile } from './model-document.js';
import type { NameMap, RenamedTensor } from './name-map.js';
import { type CheckpointChoice, openCheckpoint } from './open-checkpoint.js';
import { openNpz } from './open-npz.js';
import { openSafetensors } from './open-safetensors.js';
import { openTfjs } from './open-tfjs.js';
import { bytesOf, type Plan, planConversion } from './plan.js';
import { Meter, Staging } from './staging.js';
import { writeCheckpoint } from './write-checkpoint.js';
import { type WrittenTarget, writeNpz, writeSafetensorsDirectory, writeSafetensorsFile } from './write-plain.js';
import { TFJS_SHARD_BYTES, writeTfjs } from './write-tfjs.js';

/** What floating-point numbers are converted to. */
export type ConvertDtype = 'f16' | 'bf16' | 'f32';

const FLOATS: Readonly<Record<ConvertDtype, FloatDtype>> = { f16: 'F16', bf16: 'BF16', f32: 'F32' };

/** Options of {@link convert}. */
export interface ConvertOptions extends CallOptions {
  /** What the source is. Default: found out by what is there. */
  readonly from?: ConvertKind | undefined;
  /**
   * What to make. Default: by the target's name, `.npz` and `.safetensors`; else a checkpoint, if the source is none. `safetensors` under
   * another name is a directory of files with an index.
   */
  readonly to?: ConvertKind | undefined;
  /** Which checkpoint of a directory of them: the newest good one (default), the best, or that of a step. */
  readonly checkpoint?: CheckpointChoice | undefined;
  /** New names of the model's tensors, by those that they have in the source. `*` in both stands for anything. */
  readonly map?: NameMap | undefined;
  /**
   * Converts float64, float32, float16 and bfloat16 tensors of the model, rounding to nearest even (`f32` also widens those of 8 bits). Integers, booleans, complex
   * numbers and the optimizer's tensors stay what they are.
   */
  readonly dtype?: ConvertDtype | undefined;
  /** Only tensors whose names in the source fit one of these; `*` stands for anything. The optimizer is then left out unless asked for. */
  readonly only?: string | readonly string[] | undefined;
  /**
   * Whether the optimizer's state is converted. Default: to checkpoints and tfjs where the source has it, to safetensors and npz not; there its tensors
   * are called `optimizer/…`.
   */
  readonly optimizer?: boolean | undefined;
  /** A model.json, or its directory, of the model that the tensors are the weights of: for a target of tfjs, or a checkpoint that tfjs loads. */
  readonly topology?: string | undefined;
  /** Largest amount of weights in one file, in bytes. Default: 4 MiB for tfjs, just under 2 GiB else. */
  readonly shardBytes?: number | undefined;
  /** Replace what is at the target. A checkpoint is added to those that are there, which stay. Default false: `ERR_EXISTS`. */
  readonly force?: boolean | undefined;
}

/** What was converted. */
export interface ConvertReport {
  /** Of a directory of checkpoints, the one that was chosen. */
  readonly source: string;
  /** Of a checkpoint, its own directory. */
  readonly target: string;
  readonly from: ConvertKind;
  readonly to: ConvertKind;
  /** How many were written, those of the optimizer among them, and how many bytes in all files. */
  readonly tensors: number;
  readonly bytes: number;
  readonly dtype: ConvertDtype | null;
  readonly renamed: readonly RenamedTensor[];
  /** What the target does not have of the source, or what is not as it was. */
  readonly warnings: readonly string[];
}

const OPTION_NAMES = [
  'from',
  'to',
  'checkpoint',
  'map',
  'dtype',
  'only',
  'optimizer',
  'topology',
  'shardBytes',
  'force',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof ConvertOptions)[];

const MAX_TFJS_SHARD_BYTES = 2 ** 31 - 1;

/**
 * Converts `source` into `target`: checkpoints of holdfast, stock directories of TensorFlow.js (layers and graph models), safetensors (one file, or several with an
 * index), and NumPy's `.npz`. Tensors are read and written piece by piece, whatever their size; of a checkpoint every byte is checked. The target
 * takes its place when it is whole and durable: until then, and if anything fails, what was there stays.
 *
 * Throws `ERR_NOT_FOUND`, `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_OPTION`; `ERR_EXISTS` where something is at the target; `ERR_FORMAT` and the codes of damage
 * for a source that is broken; `ERR_CONVERT` where the target's format cannot hold what the source has; `ERR_MODEL_MISMATCH` where tensors are not the weights of the
 * model; `ERR_ABORTED`.
 */
export async function convert(source: string, target: string, options: ConvertOptions = {}): Promise<ConvertReport> {
  const call = checkOptions(source, target, options);
  const { optimizer, signal } = call;
  const found = await findSource(source, options.from);
  const to = options.to ?? (await chooseTarget(target, found.kind));
  if (found.kind !== 'checkpoint' && options.checkpoint !== undefined) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `Which checkpoint is a question for a directory of them; ${source} is ${found.kind}.`);
  }
  const topology = options.topology === undefined ? undefined : (await readModelFile(options.topology)).model;
  const isPlain = to === 'safetensors' || to === 'npz';
  const wantsOptimizer = optimizer ?? (isPlain || call.only.length > 0 ? false : undefined);
  const opened = await openSource(found.kind, found.path, { optimizer: wantsOptimizer, checkpoint: options.checkpoint, signal });
  try {
    if (optimizer === true && opened.optimizer.length === 0 && opened.training?.optimizer == null) {
      throw new HoldfastError('ERR_CONVERT', `${opened.path} has no state of an optimizer. Leave out --optimizer.`, { path: opened.path });
    }
    const plan = planConversion(opened, { only: call.only, map: options.map, dtype: call.dtype, topology, signal });
    const written = await write(plan, target, to, { ...options, ...call });
    return {
      source: path.resolve(opened.path),
      target: written.path,
      ...{ from: found.kind, to, tensors: written.tensors, bytes: written.bytes, dtype: options.dtype ?? null, renamed: plan.renamed },
      warnings: [...opened.warnings, ...leftOut(opened, plan, to), ...written.warnings, ...plan.overflows()],
    };
  } finally {
    await opened.close();
  }
}

interface Checked {
  readonly optimizer: boolean | undefined;
  readonly only: readonly string[];
  readonly dtype: FloatDtype | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ProgressListener | undefined;
}

function checkOptions(source: string, target: string, options: ConvertOptions): Checked {
  assertKnown('convert', options, OPTION_NAMES);
  assertPath('convert', source);
  assertPath('convert', target);
  const { from, to, checkpoint, map, dtype, only = [], optimizer, topology, shardBytes, force } = options;
  if (from !== undefined) oneOf('from', from, KINDS);
  if (to !== undefined) oneOf('to', to, KINDS);
  if (dtype !== undefined) oneOf('dtype', dtype, Object.keys(FLOATS) as ConvertDtype[]);
  if (optimizer !== undefined) oneOf('optimizer', optimizer, [true, false]);
  if (force !== undefined) oneOf('force', force, [true, false]);
  if (topology !== undefined) assertPath('topology', topology);
  if (shardBytes !== undefined) count('shardBytes', shardBytes, 1, to === 'tfjs' ? MAX_TFJS_SHARD_BYTES : undefined);
  if (map !== undefined && (typeof map !== 'object' || map === null || Array.isArray(map))) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'map must be an object of new names by old ones.');
  }
  const globs = typeof only === 'string' ? [only] : only;
  if (!Array.isArray(globs) || globs.some((glob) => typeof glob !== 'string' || glob === '')) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'only must be names, or patterns of names with "*".');
  }
  if (checkpoint !== undefined && checkpoint !== 'latest' && checkpoint !== 'best') {
    if (typeof checkpoint !== 'object' || checkpoint === null) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', 'checkpoint must be "latest", "best" or { step: number }.');
    }
    assertKnown('checkpoint', checkpoint, ['step']);
    count('checkpoint.step', checkpoint.step, 0);
  }
  if (endianness() !== 'LE') {
    throw new HoldfastError('ERR_UNSUPPORTED', 'All these formats are little-endian, and this machine is not. There is no conversion yet.');
  }
  const { signal, onProgress } = checkCallOptions('convert', { signal: options.signal, onProgress: options.onProgress });
  throwIfAborted(signal, 'The conversion');
  return { optimizer, only: globs, dtype: dtype && FLOATS[dtype], signal, onProgress };
}

interface OpenOptions {
  readonly optimizer: boolean | undefined;
  readonly checkpoint: CheckpointChoice | undefined;
  readonly signal: AbortSignal | undefined;
}

function openSource(kind: ConvertKind, where: string, options: OpenOptions): Promise<SourceContents> {
  switch (kind) {
    case 'checkpoint':
      return openCheckpoint(where, options);
    case 'tfjs':
      return openTfjs(where, options);
    case 'safetensors':
      return openSafetensors(where, options);
    case 'npz':
      return openNpz(where, options);
  }
}

interface WriteOptions extends Pick<ConvertOptions, 'shardBytes' | 'force'> {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ProgressListener | undefined;
}

type Written = WrittenTarget & { readonly path: string };

async function write(plan: Plan, target: string, to: ConvertKind, options: WriteOptions): Promise<Written> {
  const { force = false, shardBytes, signal, onProgress } = options;
  if (to === 'checkpoint') return writeCheckpoint(plan, path.resolve(target), { force, shardBytes, signal, onProgress });
  const isFile = to === 'npz' || (to === 'safetensors' && target.endsWith('.safetensors'));
  if (isFile && shardBytes !== undefined) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${target} is one file. For several of at most so many bytes name a directory: --to safetensors DIR.`,
    );
  }
  if (to === 'tfjs' && (shardBytes ?? 0) > MAX_TFJS_SHARD_BYTES) count('shardBytes', shardBytes, 1, MAX_TFJS_SHARD_BYTES);
  const staging = await Staging.begin(target, isFile ? 'file' : 'directory', force);
  try {
    const meter = new Meter(signal);
    const totalBytes = bytesOf(plan.tensors) + bytesOf(plan.optimizer);
    const measure = () => ({ phase: 'write' as const, bytes: Math.min(meter.bytes, totalBytes), totalBytes, file: meter.file });
    const written = await withProgress(onProgress, measure, () => writeStaged(plan, staging.path, to, isFile, shardBytes, meter));
    throwIfAborted(signal, 'The conversion');
    await staging.publish();
    onProgress?.({ phase: 'done', bytes: totalBytes, totalBytes });
    return { ...written, path: path.resolve(target) };
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

function writeStaged(
  plan: Plan,
  staged: string,
  to: ConvertKind,
  isFile: boolean,
  shardBytes: number | undefined,
  meter: Meter,
): Promise<WrittenTarget> {
  if (to === 'tfjs') return writeTfjs(plan, staged, shardBytes ?? TFJS_SHARD_BYTES, meter);
  if (to === 'npz') return writeNpz(plan, staged, meter);
  return isFile
    ? writeSafetensorsFile(plan, staged, meter)
    : writeSafetensorsDirectory(plan, staged, shardBytes ?? DEFAULT_MAX_SHARD_BYTES, meter);
}

/** What of the source the target does not have, beyond what everybody expects of its format. */
function leftOut(source: SourceContents, plan: Plan, to: ConvertKind): string[] {
  const warnings: string[] = [];
  if (to === 'checkpoint' && source.model !== undefined && plan.model === undefined) {
    warnings.push(
      'The model itself (model.json) is left out, since not all of its weights are there under their names. Name another with --topology.',
    );
  }
  return warnings;
}

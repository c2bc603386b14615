/** The options of `CheckpointManager.open`, checked. Misspelled ones throw. */
import { totalmem } from 'node:os';
import type { DirectIo, EngineName } from '../engine/contract.js';
import { guardListener, type Progress } from '../engine/progress.js';
import { HoldfastError } from '../errors.js';
import { DEFAULT_MAX_SHARD_BYTES } from '../format/layout.js';
import type { Contents } from '../format/manifest.js';
import { DEFAULT_CHUNK_BYTES, MAX_CHUNK_BYTES } from '../format/manifest.js';
import { isWellFormed } from '../format/names.js';
import { type NameTemplate, parseNameTemplate } from '../format/template.js';
import { assertKnown } from '../known-options.js';
import type { MetricMode, Monitor } from '../policy/best.js';
import { checkRules, keep } from '../policy/keep.js';
import type { RetentionRule } from '../policy/retention.js';
import { checkMonitor, checkTriggers, type Trigger } from '../policy/trigger.js';

/** Options of `CheckpointManager.open`. */
export interface OpenOptions {
  /**
   * Which checkpoints stay when a new one was committed: any that one of the rules wants. The newest one, the
   * newest full one, the best one, those with a tag and damaged ones always stay. Default `[keep.last(5), keep.best(1)]`.
   */
  readonly keep?: RetentionRule | readonly RetentionRule[];
  /** The metric that decides which checkpoint is best. Default `val_loss`, or `loss` where there is none. */
  readonly monitor?: string;
  /** Whether less or more of it is better. Default `auto`: as Keras infers it from the name. */
  readonly mode?: MetricMode | 'auto';
  /** By how much a value must be better than the best to take its place, in the metric's unit. Default 0. */
  readonly minDelta?: number;
  /** What the first best has to beat, as Keras's `initial_value_threshold`. Default: anything is better than nothing. */
  readonly initialValueThreshold?: number;
  /** When `step` saves, such as `every.steps(1000)`. `save` and `saveAsync` always do. */
  readonly trigger?: Trigger;
  /** `step` saves only what is better than every checkpoint before (by `monitor`), and only when `trigger`, if there is one, says so too. */
  readonly saveBestOnly?: boolean;
  /** What a save holds that does not say so itself: `full` (default), or `weights`, which leaves the optimizer's tensors out. */
  readonly contents?: Contents;
  /**
   * Names of the checkpoints, such as `checkpoint_epoch{epoch:04d}_step{step:08d}_loss{val_loss:.4f}`: `step`, `epoch` and metrics in Python's
   * format mini-language for numbers. A name without fields is that of a link, moved from one checkpoint `NAME.<sequence>` to the next.
   */
  readonly name?: string;
  /** Where a checkpoint does not fit on the disk, let retention run before it is written instead of failing. Default false. */
  readonly makeRoom?: boolean;
  /** Look only: no lock is taken, nothing is swept, nothing can be saved. Default false. */
  readonly readOnly?: boolean;
  /** `native` (C++), `portable` (TypeScript), or `auto`: native where it loads. */
  readonly engine?: EngineName | 'auto';
  /** O_DIRECT: `required`, `optional` (default: where the file system can) or `disabled`. */
  readonly direct?: DirectIo;
  /** Largest amount of tensor data in one file, in bytes. Default just under 2 GiB. */
  readonly maxShardBytes?: number;
  /** Bytes per checksum, at most 64 MiB. Default 4 MiB. */
  readonly chunkBytes?: number;
  /** Read every tensor file back before the commit, past the page cache with the native engine. Default false. */
  readonly verifyWrites?: boolean;
  /**
   * Take a checksum of memory that is promised `stable` when the snapshot is taken, and fail the save (`ERR_SOURCE_CHANGED`) if other bytes
   * are written later. The call then blocks for one reading of all bytes. Default false.
   */
  readonly verifyPinned?: boolean;
  /** Asynchronous saves of the directory that may be in flight: accepted and not settled. They are written one after another. Default 1. */
  readonly maxInFlight?: number;
  /**
   * What `saveAsync` does when as many are in flight: `wait` (default) captures at once and resolves when there is room; `skip` captures
   * nothing and says so; `replace` takes the place of a save that has not begun to be written, which rejects with `ERR_REPLACED`.
   */
  readonly whenBusy?: WhenBusy;
  /** Most bytes that copies of tensors may hold, over all saves of the directory in flight. Default: half of the memory of this machine or container. */
  readonly memoryBudgetBytes?: number;
  /** CPU priority of the threads that write: `low` (nice 10) gives way to training. Default `normal`. */
  readonly priority?: Priority;
}

/** What `saveAsync` does when `maxInFlight` saves are in flight. */
export type WhenBusy = 'wait' | 'skip' | 'replace';

export const WHEN_BUSY: readonly WhenBusy[] = ['wait', 'skip', 'replace'];

export type Priority = 'normal' | 'low';

/** What `low` means to the operating system. */
const LOW_PRIORITY_NICE = 10;

/** The same, complete. */
export interface Settings {
  readonly keep: readonly RetentionRule[];
  readonly monitor: Monitor | undefined;
  readonly trigger: Trigger | undefined;
  readonly saveBestOnly: boolean;
  readonly contents: Contents;
  readonly name: NameTemplate | undefined;
  readonly makeRoom: boolean;
  readonly readOnly: boolean;
  readonly engine: EngineName | 'auto';
  readonly direct: DirectIo;
  readonly maxShardBytes: number;
  readonly chunkBytes: number;
  readonly verifyWrites: boolean;
  readonly verifyPinned: boolean;
  readonly maxInFlight: number;
  readonly whenBusy: WhenBusy;
  readonly memoryBudgetBytes: number;
  /** 0 to 19. */
  readonly nice: number;
}

const KEYS = [
  'keep',
  'monitor',
  'mode',
  'minDelta',
  'initialValueThreshold',
  'trigger',
  'saveBestOnly',
  'contents',
  'name',
  'makeRoom',
  'readOnly',
  'engine',
  'direct',
  'maxShardBytes',
  'chunkBytes',
  'verifyWrites',
  'verifyPinned',
  'maxInFlight',
  'whenBusy',
  'memoryBudgetBytes',
  'priority',
] as const satisfies readonly (keyof OpenOptions)[];

/** Checks `options` and fills in the defaults. Throws `ERR_UNKNOWN_OPTION` or `ERR_INVALID_ARGUMENT`. */
export function resolveSettings(options: OpenOptions): Settings {
  assertKnown('CheckpointManager.open', options, KEYS);
  const { readOnly = false, engine = 'auto', direct = 'optional', verifyWrites = false, verifyPinned = false } = options;
  const { maxShardBytes = DEFAULT_MAX_SHARD_BYTES, chunkBytes = DEFAULT_CHUNK_BYTES } = options;
  const { maxInFlight = 1, whenBusy = 'wait', memoryBudgetBytes = halfOfMemory(), priority = 'normal' } = options;
  const { saveBestOnly = false, contents = 'full', makeRoom = false } = options;
  oneOf('saveBestOnly', saveBestOnly, [true, false]);
  oneOf('contents', contents, ['full', 'weights']);
  oneOf('makeRoom', makeRoom, [true, false]);
  oneOf('engine', engine, ['auto', 'native', 'portable']);
  oneOf('direct', direct, ['required', 'optional', 'disabled']);
  oneOf('readOnly', readOnly, [true, false]);
  oneOf('verifyWrites', verifyWrites, [true, false]);
  oneOf('verifyPinned', verifyPinned, [true, false]);
  count('maxShardBytes', maxShardBytes, 1, Number.MAX_SAFE_INTEGER);
  count('chunkBytes', chunkBytes, 1, MAX_CHUNK_BYTES);
  count('maxInFlight', maxInFlight, 1);
  oneOf('whenBusy', whenBusy, WHEN_BUSY);
  count('memoryBudgetBytes', memoryBudgetBytes, 0);
  oneOf('priority', priority, ['normal', 'low']);
  return {
    keep: toRules(options.keep),
    monitor: toMonitor(options),
    trigger: options.trigger === undefined ? undefined : checkTriggers('trigger', [options.trigger])[0],
    saveBestOnly,
    contents,
    name: options.name === undefined ? undefined : parseNameTemplate(options.name),
    makeRoom,
    readOnly,
    engine,
    direct,
    maxShardBytes,
    chunkBytes,
    verifyWrites,
    verifyPinned,
    maxInFlight,
    whenBusy,
    memoryBudgetBytes,
    nice: priority === 'low' ? LOW_PRIORITY_NICE : 0,
  };
}

/** Of the machine, or of the container where that has a limit. */
function halfOfMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  const total = totalmem();
  return Math.floor((limit > 0 && limit < total ? limit : total) / 2);
}

/** Throws `ERR_INVALID_ARGUMENT` unless `value` is a path. */
export function assertPath(where: string, value: unknown): asserts value is string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} needs a path, not ${value === '' ? 'an empty string' : show(value)}.`);
}

/** A value as it stands in messages; never throws. */
export function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Throws unless `value` is one of `allowed`. */
export function oneOf<T>(name: string, value: T, allowed: readonly T[]): void {
  if (allowed.includes(value)) return;
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `${name} must be one of ${allowed.map((v) => JSON.stringify(v)).join(', ')}, not ${show(value)}.`,
  );
}

/** Throws unless `value` is a whole number in the range. */
export function count(name: string, value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} must be a whole number ${range}, not ${String(value)}.`);
}

function toRules(value: OpenOptions['keep']): readonly RetentionRule[] {
  return value === undefined ? [keep.last(5), keep.best(1)] : checkRules('keep', value);
}

function toMonitor({ monitor, mode = 'auto', minDelta, initialValueThreshold: threshold }: OpenOptions): Monitor | undefined {
  oneOf('mode', mode, ['auto', 'min', 'max']);
  if (monitor === undefined) {
    if (mode === 'auto' && minDelta === undefined && threshold === undefined) return undefined;
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'mode, minDelta and initialValueThreshold need a monitor: name the metric that they are about.',
    );
  }
  if (typeof monitor !== 'string' || monitor === '' || !isWellFormed(monitor))
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'monitor must be the name of a metric.');
  return checkMonitor('CheckpointManager.open', { monitor, mode: mode === 'auto' ? undefined : mode, minDelta, threshold });
}

/** Options of long calls. */
export interface CallOptions {
  /** Aborting rejects with `ERR_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** What it throws becomes a warning of the process; the work goes on. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** Checks the options of a long call, and guards its listener. */
export function checkCallOptions(where: string, options: CallOptions): CallOptions {
  assertKnown(where, options, ['signal', 'onProgress']);
  assertSignalAndListener(options);
  return { signal: options.signal, onProgress: guardListener(options.onProgress) };
}

/** Throws `ERR_INVALID_ARGUMENT` unless they are what they are meant to be. */
export function assertSignalAndListener({ signal, onProgress }: CallOptions): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'signal must be an AbortSignal.');
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'onProgress must be a function.');
  }
}

/** The names of the options of `CheckpointManager.open`, for calls that pass them on. */
export { KEYS as OPEN_OPTION_NAMES };

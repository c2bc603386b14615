/** The lines of the training log: what each kind says, from records to JSON and back. */
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import { count } from '../manager/options.js';

/** What a metric of the training log may be. `undefined` is left out. */
export type LogValue = number | string | boolean | null | undefined;

/** What `experiment.log` takes: a step, and metrics by name. `time` and `event` are taken. */
export interface LogRecord {
  /** Global step, a whole number. */
  readonly step: number;
  readonly epoch?: number | undefined;
  readonly [metric: string]: LogValue;
}

interface Stamped {
  /** When the line was made, ISO 8601. */
  readonly time: string;
}

/** The experiment was opened for writing. */
export interface StartedRecord extends Stamped {
  readonly event: 'started';
  readonly pid: number;
  readonly host: string;
  /** Version of this library. */
  readonly holdfast: string;
  /** Version of Node.js. */
  readonly node: string;
}

/** Training goes on from a checkpoint; name, step and epoch are null where there was none, and it begins anew. */
export interface RestoredRecord extends Stamped {
  readonly event: 'restored';
  readonly name: string | null;
  readonly step: number | null;
  readonly epoch: number | null;
  /** Checkpoints that were passed over, and why. */
  readonly skipped: readonly SkippedCheckpoint[];
}

/** What was given to `experiment.log`. */
export interface LoggedRecord extends Stamped, LogRecord {
  readonly event: 'log';
  readonly time: string;
}

/** A checkpoint is durable. */
export interface SavedRecord extends Stamped {
  readonly event: 'saved';
  readonly step: number;
  readonly epoch?: number;
  readonly name: string;
  readonly bytes: number;
  /** From the call until it was durable. */
  readonly seconds: number;
}

/** A save failed. */
export interface SaveFailedRecord extends Stamped {
  readonly event: 'saveFailed';
  readonly step: number;
  readonly epoch?: number;
  readonly code: string;
  readonly message: string;
}

/** The configuration was replaced, or the one on disk is damaged. */
export interface ConfigRecord extends Stamped {
  readonly event: 'config';
  /** JSON paths of what differs, such as `config.layers[1].units`. */
  readonly changed: readonly string[];
  /** The file of `logs/` that holds the older one; null where it was not replaced. */
  readonly kept: string | null;
  /** Why the one on disk could not be read. */
  readonly damaged?: string;
}

/** The interval controller (trigger `auto`) has chosen another interval. */
export interface IntervalRecord extends Stamped {
  readonly event: 'interval';
  /** Seconds of work between checkpoints. */
  readonly seconds: number;
  /** Why this one, what it costs and what a failure would lose. */
  readonly message: string;
}

/** The experiment was closed. */
export interface ClosedRecord extends Stamped {
  readonly event: 'closed';
}

/** One line of the training log. */
export type TrainingRecord =
  | StartedRecord
  | RestoredRecord
  | LoggedRecord
  | SavedRecord
  | SaveFailedRecord
  | ConfigRecord
  | IntervalRecord
  | ClosedRecord;

/** A record without its time. */
export type Untimed<Line> = Line extends Stamped ? Omit<Line, 'time'> : never;

/** The record of `experiment.log`, checked and as it will stand in the file. Throws `ERR_INVALID_ARGUMENT`. */
export function checkLogRecord(given: LogRecord): Untimed<LoggedRecord> {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'log takes an object: { step, epoch?, …metrics by name }.');
  }
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [name, value] of entries) assertMetric(name, value);
  const record = Object.fromEntries(entries.map(([name, value]) => [name, encodeValue(value)])) as LogRecord;
  count('step', record.step, 0);
  if (record.epoch !== undefined) count('epoch', record.epoch, 0);
  return { event: 'log', ...record };
}

function assertMetric(name: string, value: unknown): void {
  if (name === 'time' || name === 'event') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `log cannot take a metric called "${name}": every line has one of its own. Rename it.`);
  }
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) return;
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `The metric ${JSON.stringify(name)} of log is a ${typeof value}. Give a number, a string, a boolean or null.`,
  );
}

/** Numbers that JSON has no way to write, as they stand in manifests. */
const SPECIAL: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
]);

function encodeValue(value: LogValue): LogValue {
  if (typeof value !== 'number') return value;
  return Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : String(value);
}

/** A line of the file, without its end. */
export function encodeRecord(record: Untimed<TrainingRecord>, time: Date): string {
  return JSON.stringify({ time: time.toISOString(), ...record });
}

/** What a line says: `undefined` if it is torn or no line of ours, null for an event that this version does not know. */
export function decodeRecord(text: string): TrainingRecord | null | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (record === null || typeof record !== 'object') return undefined;
  const { time, event } = record as { readonly time?: unknown; readonly event?: unknown };
  if (!isString(time) || !isString(event)) return undefined;
  const shape = Object.hasOwn(SHAPES, event) ? SHAPES[event as TrainingRecord['event']] : undefined;
  if (shape === undefined) return null;
  const fields = record as Readonly<Record<string, unknown>>;
  if (!Object.entries(shape).every(([name, fits]) => fits(fields[name]))) return undefined;
  if (event !== 'log') return record as TrainingRecord;
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, SPECIAL.get(value) ?? value])) as unknown as LoggedRecord;
}

type Check = (value: unknown) => boolean;

const isString: (value: unknown) => value is string = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isList: Check = Array.isArray;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const orMissing =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

/** What a line must have to be what its event says: anybody may have edited the file. */
const SHAPES: { readonly [Event in TrainingRecord['event']]: Readonly<Record<string, Check>> } = {
  started: { pid: isCount, host: isString, holdfast: isString, node: isString },
  restored: { name: orNull(isString), step: orNull(isCount), epoch: orNull(isCount), skipped: isList },
  log: { step: isCount, epoch: orMissing(isCount) },
  saved: { step: isCount, epoch: orMissing(isCount), name: isString, bytes: isCount, seconds: isNumber },
  saveFailed: { step: isCount, epoch: orMissing(isCount), code: isString, message: isString },
  config: { changed: isList, kept: orNull(isString), damaged: orMissing(isString) },
  interval: { seconds: isNumber, message: isString },
  closed: {},
};

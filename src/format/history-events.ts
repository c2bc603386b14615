/** The lines of `.history.jsonl`: what a run's saves, restores and failures took. For estimates only; nothing depends on it. */

/** What all events have. */
interface Timed {
  /** Milliseconds since 1970, by the wall clock: for people. */
  readonly at_ms: number;
  /** Seconds since the process opened the directory, by a clock that does not jump. */
  readonly up_s: number;
}

/** A process opened the directory to write. */
export interface OpenedEvent extends Timed {
  readonly event: 'opened';
  /** `runId` of the manifests. */
  readonly run: string;
}

/** It was alive, and where. */
export interface AliveEvent extends Timed {
  readonly event: 'alive';
  /** The last step that it came to. */
  readonly step: number;
}

/** A save became durable. */
export interface SavedEvent extends Timed {
  readonly event: 'saved';
  readonly step: number;
  readonly bytes: number;
  /** How long training was blocked. */
  readonly stall_s: number;
  /** From the snapshot to the durable checkpoint; 0 where training was blocked for all of it. */
  readonly persist_s: number;
  /** By which share training was slower while the save was written, from −1 (noise, as above zero) to 1; missing where it was not to be seen. */
  readonly slowdown?: number;
  /** What a step takes while nothing is written. */
  readonly step_s?: number;
}

/** A checkpoint was restored. */
export interface RestoredEvent extends Timed {
  readonly event: 'restored';
  readonly step: number;
  /** The restore alone. */
  readonly seconds: number;
  /** From the start of the process until it could go on. */
  readonly restart_s: number;
}

/** It ended by itself: `closed`, or told to end and with its last save made, `preempted`. */
export interface EndedEvent extends Timed {
  readonly event: 'closed' | 'preempted';
  /** The last step that it came to; missing where it made none. */
  readonly step?: number;
}

/** The controller chose another interval. */
export interface IntervalEvent extends Timed {
  readonly event: 'interval';
  readonly interval_s: number;
  readonly reason: string;
}

export type HistoryEvent = OpenedEvent | AliveEvent | SavedEvent | RestoredEvent | EndedEvent | IntervalEvent;

const NUMBERS = {
  opened: [],
  alive: ['step'],
  saved: ['step', 'bytes', 'stall_s', 'persist_s'],
  restored: ['step', 'seconds', 'restart_s'],
  closed: [],
  preempted: [],
  interval: ['interval_s'],
} as const satisfies Readonly<Record<HistoryEvent['event'], readonly string[]>>;

const MOST = Number.MAX_SAFE_INTEGER;
const OPTIONAL_NUMBERS: readonly string[] = ['step_s', 'step'];
const TEXTS: Readonly<Partial<Record<HistoryEvent['event'], string>>> = { opened: 'run', interval: 'reason' };

/** One line, without its end. Numbers are cut to nine digits: nobody measures better. */
export function encodeHistoryEvent(event: HistoryEvent): string {
  return JSON.stringify(event, (key, value) =>
    key !== 'at_ms' && typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value,
  );
}

/** The event of a line; `undefined` for what is none: torn, from another version, or made by somebody else. */
export function decodeHistoryEvent(line: string): HistoryEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (value === null || typeof value !== 'object') return undefined;
  const fields = value as Record<string, unknown>;
  const kind = fields['event'];
  if (typeof kind !== 'string' || !Object.hasOwn(NUMBERS, kind)) return undefined;
  const event = kind as HistoryEvent['event'];
  // As large as a time or a size may be: sums of them stay numbers.
  const isAmount = (field: string) => Number.isFinite(fields[field]) && (fields[field] as number) >= 0 && (fields[field] as number) <= MOST;
  const text = TEXTS[event];
  // The wall clock is for people: it may show anything.
  if (!Number.isFinite(fields['at_ms']) || !['up_s', ...NUMBERS[event]].every(isAmount)) return undefined;
  if (!OPTIONAL_NUMBERS.every((field) => fields[field] === undefined || isAmount(field))) return undefined;
  // A share: more would say that training went backwards.
  const { slowdown = 0 } = fields;
  if (!(typeof slowdown === 'number' && slowdown >= -1 && slowdown <= 1)) return undefined;
  if (text !== undefined && typeof fields[text] !== 'string') return undefined;
  return value as HistoryEvent;
}

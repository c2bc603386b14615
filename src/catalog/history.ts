/** `.history.jsonl` in a directory of checkpoints: what saves, restores and failures took. A help for estimates: never needed, never trusted. */
import { constants } from 'node:fs';
import path from 'node:path';
import type { Engine } from '../engine/contract.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { condenseHistory, foldHistory, type RunHistory } from '../format/history.js';
import { decodeHistoryEvent, encodeHistoryEvent, type HistoryEvent } from '../format/history-events.js';
import { HISTORY_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { openSmall } from '../fs.js';
import { readSmallFile, replaceFile } from '../storage/local.js';
import { assertLockFree } from './lock.js';

/** Far more than is ever kept. */
const MAX_BYTES = 64 * 1024 * 1024;
/** So many wait at most where the file cannot be written: the first and the last. */
const FIRST_WAITING = 100;
const LAST_WAITING = 900;
const NEWLINE = 0x0a;
/** So many lines are made fewer. */
const MAX_EVENTS = 20_000;

// Opening a pipe must not wait for somebody who reads it.
const FLAGS = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * The history of `directory`: empty where none was written. A last life that nobody lives any more has failed. Throws what the operating system says,
 * as HoldfastError.
 */
export async function readHistory(directory: string, engine: Engine): Promise<RunHistory> {
  const file = path.join(directory, HISTORY_NAME);
  try {
    const events = await readEvents(file);
    const history = foldHistory(events);
    if (history.lives.at(-1)?.end !== 'open' || (await isWritten(directory, engine))) return history;
    // As the next writer would tell it.
    const { lives, ...rest } = foldHistory([...events, { event: 'opened', run: '', at_ms: 0, up_s: 0 }]);
    return { ...rest, lives: lives.slice(0, -1) };
  } catch (error) {
    throw toHoldfastError(error, `read ${file}`, { path: file });
  }
}

async function isWritten(directory: string, engine: Engine): Promise<boolean> {
  return await assertLockFree(directory, engine).then(
    () => false,
    () => true,
  );
}

async function readEvents(file: string): Promise<HistoryEvent[]> {
  const bytes = await readSmallFile(file, MAX_BYTES).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return new Uint8Array();
    throw error;
  });
  if (bytes === undefined) throw notOurs(file);
  const events = Buffer.from(bytes).toString('utf8').split('\n').map(decodeHistoryEvent);
  return events.filter((event) => event !== undefined);
}

/** Adds to the history, one batch after the other. Where that fails, the process is warned once, and the run goes on. */
export class HistoryLog {
  private failed = false;
  private waiting: HistoryEvent[] = [];
  private writing: Promise<void> | undefined;
  /** Whether the file may end in the middle of a line. */
  private torn = true;

  private constructor(
    private readonly file: string,
    private events: HistoryEvent[],
  ) {}

  /** For the one writer of `directory`. Never rejects. */
  static async open(directory: string): Promise<HistoryLog> {
    const file = path.join(directory, HISTORY_NAME);
    const log = new HistoryLog(file, []);
    try {
      log.events = await readEvents(file);
    } catch (error) {
      log.fail('read', error);
    }
    return log;
  }

  /** Everything so far. */
  get history(): RunHistory {
    return foldHistory(this.events);
  }

  /** Waits for nothing. */
  add(event: HistoryEvent): void {
    this.events.push(event);
    this.waiting.push(event);
    this.writing ??= this.write();
  }

  /** Until everything so far was handed to the operating system, or has failed. */
  async flush(): Promise<void> {
    await this.writing;
  }

  private async write(): Promise<void> {
    // Events of one moment go together.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const events = this.waiting.splice(0);
      try {
        if (this.events.length > MAX_EVENTS) await this.condense();
        else await this.append(events);
      } catch (error) {
        this.fail('written', error);
        this.torn = true;
        // With the next event, if it can be written then: without its beginning a life would be taken for a part of the one before.
        this.waiting = withoutMiddle([...events, ...this.waiting]);
        break;
      }
    }
    this.writing = undefined;
  }

  private fail(what: string, error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    const { message } = toHoldfastError(error, `open ${this.file}`, { path: this.file });
    const warning = `The history of the run cannot be ${what}; saves go on, but estimates of their interval may lack some of it: ${message}`;
    process.emitWarning(warning, 'HoldfastWarning');
  }

  private async condense(): Promise<void> {
    this.events = condenseHistory(this.events);
    await replaceFile(this.file, Buffer.from(this.events.map(toLine).join('')), TEMPORARY_PREFIX);
  }

  /** The file is opened each time: the directory may have gone, or come back, since. Where that fails, `events` is left with those that are not in it. */
  private async append(events: HistoryEvent[]): Promise<void> {
    const file = await openSmall(this.file, FLAGS, 0o644);
    let at = 0;
    const start = this.torn ? '\n' : '';
    const bytes = Buffer.from(start + events.map(toLine).join(''));
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw notOurs(this.file);
      const { size } = stat;
      while (at < bytes.length) at += await file.write(bytes, at, bytes.length - at, size + at);
      this.torn = false;
    } catch (error) {
      events.splice(0, Math.max(0, bytes.subarray(0, at).filter((byte) => byte === NEWLINE).length - start.length));
      throw error;
    } finally {
      // Whatever that says, the lines were handed over.
      await file.close().catch(() => {});
    }
  }
}

/** Of too many events that wait for a file that can be written: the first, which begin a life, and the last. */
function withoutMiddle(events: HistoryEvent[]): HistoryEvent[] {
  return events.length <= FIRST_WAITING + LAST_WAITING ? events : [...events.slice(0, FIRST_WAITING), ...events.slice(-LAST_WAITING)];
}

function toLine(event: HistoryEvent): string {
  return `${encodeHistoryEvent(event)}\n`;
}

function notOurs(file: string): HoldfastError {
  const message = `${file} is not what Holdfast writes there, a file of at most ${MAX_BYTES / 2 ** 20} MiB. Move it away.`;
  return new HoldfastError('ERR_FORMAT', message, { path: file });
}

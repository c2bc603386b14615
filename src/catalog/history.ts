/** `.history.jsonl` in a directory of checkpoints: what saves, restores and failures took. A help for estimates: never needed, never trusted. */
import { constants } from 'node:fs';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { condenseHistory, foldHistory, type RunHistory } from '../format/history.js';
import { decodeHistoryEvent, encodeHistoryEvent, type HistoryEvent } from '../format/history-events.js';
import { HISTORY_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { openSmall } from '../fs.js';
import { readSmallFile, replaceFile } from '../storage/local.js';

/** Far more than is ever kept. */
const MAX_BYTES = 64 * 1024 * 1024;
/** So many lines are made fewer. */
const MAX_EVENTS = 20_000;

const FLAGS = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/** The history of `directory`: empty where none was written. Throws what the operating system says, as HoldfastError. */
export async function readHistory(directory: string): Promise<RunHistory> {
  const file = path.join(directory, HISTORY_NAME);
  try {
    return foldHistory(await readEvents(file));
  } catch (error) {
    throw toHoldfastError(error, `read ${file}`, { path: file });
  }
}

async function readEvents(file: string): Promise<HistoryEvent[]> {
  const bytes = await readSmallFile(file, MAX_BYTES).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return [];
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

  /** The file is opened each time: the directory may have gone, or come back, since. */
  private async append(events: readonly HistoryEvent[]): Promise<void> {
    const bytes = Buffer.from((this.torn ? '\n' : '') + events.map(toLine).join(''));
    const file = await openSmall(this.file, FLAGS, 0o644);
    try {
      const { size } = await file.stat();
      for (let at = 0; at < bytes.length; ) at += await file.write(bytes, at, bytes.length - at, size + at);
      this.torn = false;
    } finally {
      await file.close();
    }
  }
}

function toLine(event: HistoryEvent): string {
  return `${encodeHistoryEvent(event)}\n`;
}

/** Appends lines to `logs/training.jsonl`: in order, by one writer, while training goes on. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { type OpenFile, openSmall, stat } from '../fs.js';
import { syncDirectory } from '../storage/local.js';
import { now } from '../system.js';
import { encodeRecord, type TrainingRecord, type Untimed } from './records.js';

/** What may wait for a disk that does not answer. Beyond it, lines are lost, and `close` says so. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

const NEWLINE = 0x0a;
const FLAGS = constants.O_RDWR | constants.O_CREAT;

interface Line {
  readonly text: string;
  /** To be on the disk before the next one is written. */
  readonly durable: boolean;
}

/** The file as it was when this writer last looked. */
interface Place {
  readonly file: OpenFile;
  readonly dev: number;
  readonly ino: number;
  /** Where the next line goes. */
  readonly end: number;
  /** Whether the last line has no end: a writer died in the middle of it. */
  readonly torn: boolean;
}

/**
 * The log's one writer; the caller holds the lock of the experiment. Lines are written at positions of their own, not by appending: what may or may
 * not have been written when the process ends can then be written once more.
 */
export class TrainingLog {
  private waiting: Line[] = [];
  private waitingBytes = 0;
  /** The lines that are being written; as bytes, with their place in the file, as soon as that is known. */
  private current: { readonly lines: readonly Line[]; readonly at?: { readonly position: number; readonly bytes: Uint8Array } } | undefined;
  private place: Place | undefined;
  private writing = false;
  private written: Promise<void> = Promise.resolve();
  private lost = 0;
  private failure: HoldfastError | undefined;

  private constructor(readonly file: string) {}

  /** Opens the log, or makes it, durably. Throws what the operating system says, as HoldfastError. */
  static async open(file: string): Promise<TrainingLog> {
    const log = new TrainingLog(file);
    try {
      log.place = await openPlace(file);
      await syncDirectory(path.dirname(file));
    } catch (error) {
      await log.leave();
      throw toHoldfastError(error, `open ${file}`, { path: file });
    }
    if (unclosed.size === 0) process.on('exit', finishAll);
    unclosed.add(log);
    return log;
  }

  /** Takes a line down, to be written soon; waits for nothing and throws nothing. `durable`: it shall survive power loss as soon as it is written. */
  append(record: Untimed<TrainingRecord>, durable = false): void {
    const text = `${encodeRecord(record, new Date(now()))}\n`;
    if (this.waitingBytes + text.length > MAX_WAITING_BYTES) {
      this.fail(
        new HoldfastError('ERR_RESOURCES', `More than ${MAX_WAITING_BYTES} bytes of lines wait for the disk of ${this.file}.`, {
          path: this.file,
        }),
        1,
      );
      return;
    }
    this.waiting.push({ text, durable });
    this.waitingBytes += text.length;
    if (!this.writing) this.written = this.writeWaiting();
  }

  /** Waits until every line so far was handed to the operating system, or lost. */
  async flush(): Promise<void> {
    await this.written;
  }

  /** Writes what waits, makes it durable and closes the file. Throws, with the code of the first failure, if anything of the log is not on the disk. */
  async close(): Promise<void> {
    await this.flush();
    try {
      await this.place?.file.sync();
    } catch (error) {
      this.fail(error, 0);
    }
    await this.leave();
    unclosed.delete(this);
    if (unclosed.size === 0) process.off('exit', finishAll);
    const { failure, lost, file } = this;
    if (failure === undefined) return;
    const what = lost === 0 ? 'may not be complete' : `lacks ${lost === 1 ? 'a line' : `${lost} lines`}, or parts of them`;
    throw new HoldfastError(failure.code, `The training log ${file} ${what}. What failed first: ${failure.message}`, {
      path: file,
      cause: failure,
    });
  }

  /** One batch after the other: what is added meanwhile goes with the next. */
  private async writeWaiting(): Promise<void> {
    this.writing = true;
    while (this.waiting.length > 0) {
      const lines = this.waiting;
      this.waiting = [];
      this.waitingBytes = 0;
      this.current = { lines };
      try {
        await this.write(lines);
      } catch (error) {
        // How far it came does not matter: before the next lines are written, the end of the file is looked at again.
        this.fail(error, lines.length);
      }
      this.current = undefined;
    }
    this.writing = false;
  }

  private async write(lines: readonly Line[]): Promise<void> {
    const place = await this.currentPlace();
    const bytes = toBytes(lines, place.torn);
    this.current = { lines, at: { position: place.end, bytes } };
    for (let at = 0; at < bytes.length; ) at += await place.file.write(bytes, at, bytes.length - at, place.end + at);
    this.place = { ...place, end: place.end + bytes.length, torn: false };
    if (lines.some(({ durable }) => durable)) await place.file.sync();
  }

  /** Where the next line goes. Somebody may have moved the file, or edited it: lines must not go where nobody finds them. */
  private async currentPlace(): Promise<Place> {
    const { place, file } = this;
    if (place !== undefined) {
      const there = await statIfThere(file);
      if (there?.ino === place.ino && there.dev === place.dev) {
        if (there.size !== place.end) this.place = { ...place, ...(await endOf(place.file, there.size)) };
        return this.place as Place;
      }
      this.fail(
        new HoldfastError('ERR_NOT_FOUND', `${file} was removed, moved or replaced while the experiment was open. Leave it in its place.`, {
          path: file,
        }),
        0,
      );
      await this.leave();
    }
    this.place = await openPlace(file);
    return this.place;
  }

  private async leave(): Promise<void> {
    const { place } = this;
    this.place = undefined;
    await place?.file.close().catch(() => {});
  }

  /** Warns once; `close` will throw. */
  private fail(error: unknown, lines: number): void {
    this.lost += lines;
    if (this.failure !== undefined) return;
    this.failure = toHoldfastError(error, `append to ${this.file}`, { path: this.file });
    const warning = `Lines of the training log are lost, training goes on: ${this.failure.message}`;
    process.emitWarning(warning, 'HoldfastWarning', this.failure.code);
  }

  /**
   * Writes what is left, now, in a process that ends without having closed the log: the last lines are those that one wants to see. The lines
   * in the making may be half written, or be on their way in another thread: the same bytes go to the same place once more.
   */
  finish(): void {
    const { current, waiting, file } = this;
    if (current === undefined && waiting.length === 0) return;
    const descriptor = openSync(file, FLAGS, 0o644);
    try {
      const at = current?.at;
      const end = at?.position ?? fstatSync(descriptor).size;
      const bytes = at?.bytes ?? toBytes(current?.lines ?? [], isTorn(descriptor, end));
      const rest = Buffer.concat([bytes, toBytes(waiting, false)]);
      for (let done = 0; done < rest.length; ) done += writeSync(descriptor, rest, done, rest.length - done, end + done);
    } finally {
      closeSync(descriptor);
    }
  }
}

/** Logs that were not closed. */
const unclosed = new Set<TrainingLog>();

function finishAll(): void {
  for (const log of unclosed) {
    try {
      log.finish();
    } catch (error) {
      tell(`holdfast: the last lines of the training log are lost: ${toHoldfastError(error, `append to ${log.file}`).message}\n`);
    }
  }
}

function tell(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Standard error is gone; there is nobody left to tell.
  }
}

function toBytes(lines: readonly Line[], torn: boolean): Uint8Array {
  return Buffer.from(`${torn ? '\n' : ''}${lines.map(({ text }) => text).join('')}`, 'utf8');
}

async function openPlace(name: string): Promise<Place> {
  const file = await openSmall(name, FLAGS, 0o644);
  try {
    const { dev, ino, size } = await regular(file, name);
    return { file, dev, ino, ...(await endOf(file, size)) };
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
}

async function regular(file: OpenFile, name: string) {
  const stats = await file.stat();
  if (stats.isFile()) return stats;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} is not a regular file. Move it away: the training log is written there.`, {
    path: name,
  });
}

async function endOf(file: OpenFile, size: number): Promise<Pick<Place, 'end' | 'torn'>> {
  const last = new Uint8Array(1);
  const read = size === 0 ? 0 : await file.read(last, 0, 1, size - 1);
  return { end: size, torn: read === 1 && last[0] !== NEWLINE };
}

function isTorn(descriptor: number, size: number): boolean {
  const last = new Uint8Array(1);
  return size > 0 && readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE;
}

async function statIfThere(file: string) {
  return stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Reads the training log: what the run's history is, with what was trained in vain left out. */
import { constants } from 'node:fs';
import { toHoldfastError } from '../engine/system-error.js';
import { type OpenFile, open } from '../fs.js';
import { decodeRecord, type RestoredRecord, type TrainingRecord } from './records.js';

/** The effective history of an experiment. */
export interface History {
  /**
   * Every line, in order, but for what is superseded: where a run was restored at step S, the `log` records after S of before are left out (they
   * are still in the file).
   */
  readonly records: readonly TrainingRecord[];
  /** How many lines could not be read: cut off where a process died, or none of ours. */
  readonly torn: number;
}

const READ_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Reads the log at `file`; where there is none, nothing was logged. Throws what the operating system says, as HoldfastError. */
export async function readHistory(file: string): Promise<History> {
  let records: TrainingRecord[] = [];
  let torn = 0;
  try {
    for await (const line of readLines(file)) {
      const record = decode(line);
      if (record === undefined) torn++;
      if (record === undefined || record === null) continue;
      if (record.event === 'restored') records = withoutSuperseded(records, record);
      records.push(record);
    }
  } catch (error) {
    throw toHoldfastError(error, `read ${file}`, { path: file });
  }
  return { records, torn };
}

/** Training went on from the checkpoint: what was logged after its step is of a past that did not last. */
function withoutSuperseded(records: readonly TrainingRecord[], { step }: RestoredRecord): TrainingRecord[] {
  return records.filter((record) => record.event !== 'log' || (step !== null && record.step <= step));
}

function decode(line: Uint8Array): TrainingRecord | null | undefined {
  if (line.length === 0) return null;
  try {
    return decodeRecord(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    return undefined;
  }
}

async function* readLines(name: string): AsyncGenerator<Uint8Array> {
  const file = await openIfThere(name);
  if (file === undefined) return;
  try {
    let rest: Uint8Array[] = [];
    for (let position = 0; ; ) {
      const buffer = new Uint8Array(READ_BYTES);
      const length = await file.read(buffer, 0, READ_BYTES, position);
      if (length === 0) break;
      position += length;
      let from = 0;
      for (let end = buffer.indexOf(NEWLINE); end !== -1 && end < length; end = buffer.indexOf(NEWLINE, from)) {
        yield Buffer.concat([...rest, buffer.subarray(from, end)]);
        rest = [];
        from = end + 1;
      }
      rest.push(buffer.subarray(from, length));
    }
    yield Buffer.concat(rest);
  } finally {
    await file.close();
  }
}

async function openIfThere(name: string): Promise<OpenFile | undefined> {
  return open(name, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

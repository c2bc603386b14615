/** A file of moments at which something has failed. */
import { readFile } from 'node:fs/promises';
import { UsageError } from './exit.js';

export interface Trace {
  /** Seconds since the beginning, ascending; at least one. */
  readonly times_s: number[];
}

const NUMBER = /^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const MOMENT = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?<zone>Z|[+-]\d\d:?\d\d)?$/;

/**
 * Reads `file`: one moment per line, or a JSON list of them. A moment is seconds since the beginning of the job, or a date and time as ISO 8601
 * has it (UTC where no zone is said); of those the first is the beginning itself. Throws a {@link UsageError} of `ERR_NOT_FOUND`,
 * `ERR_PERMISSION` or `ERR_INVALID_ARGUMENT`.
 */
export async function readTrace(file: string): Promise<Trace> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      error.code === 'ENOENT' ? 'ERR_NOT_FOUND' : 'ERR_PERMISSION',
      `The trace ${file} cannot be read: ${error.message}.`,
    );
  });
  const items = /^\s*\[/.test(text) ? itemsOfJson(file, text) : itemsOfLines(text);
  const refuse = (why: string) => new UsageError('ERR_INVALID_ARGUMENT', `The trace ${file} ${why}.`);
  if (items.length === 0) throw refuse('has no moments in it');
  const asDates = MOMENT.test(items[0]?.text ?? '');
  const moments = items.map(({ where, text: item }) => {
    const value = asDates ? millisecondsOf(item) / 1000 : NUMBER.test(item) ? Number(item) : Number.NaN;
    if (Number.isFinite(value)) return value;
    throw refuse(
      `has ${JSON.stringify(item)} as ${where}, which is no ${asDates ? 'date and time as the first is' : 'number of seconds, nor a date and time'}`,
    );
  });
  for (const [i, { where }] of items.entries()) {
    if (i > 0 && (moments[i] as number) < (moments[i - 1] as number))
      throw refuse(`must ascend, and ${where} is earlier than the one before it`);
  }
  if (!asDates) return { times_s: moments };
  if (moments.length === 1) throw refuse('has one date: the first is the beginning of the job, and failures come after it');
  return { times_s: moments.slice(1).map((moment) => moment - (moments[0] as number)) };
}

interface Item {
  readonly where: string;
  readonly text: string;
}

function itemsOfLines(text: string): Item[] {
  return text
    .split('\n')
    .map((line, i) => ({ where: `line ${i + 1}`, text: line.replace(/#.*/, '').trim() }))
    .filter((item) => item.text !== '');
}

function itemsOfJson(file: string, text: string): Item[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new UsageError('ERR_INVALID_ARGUMENT', `The trace ${file} is not JSON: ${(error as Error).message}.`);
  }
  return (list as unknown[]).map((item, i) => ({ where: `item ${i + 1}`, text: String(item) }));
}

function millisecondsOf(text: string): number {
  const match = MOMENT.exec(text);
  if (match === null) return Number.NaN;
  const iso = text.replace(' ', 'T');
  if (!isDate(text.slice(0, 10))) return Number.NaN;
  // A date alone is UTC already.
  return Date.parse(match.groups?.['zone'] === undefined && iso.includes('T') ? `${iso}Z` : iso);
}

/** Whether the month has that day: of 30 February `Date` makes 1 March. */
function isDate(text: string): boolean {
  const day = Date.parse(text);
  return Number.isFinite(day) && new Date(day).toISOString().startsWith(text);
}

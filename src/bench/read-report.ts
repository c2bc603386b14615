/** Results as `--out` stored them, checked before anything is made of them. */
import { readFile } from 'node:fs/promises';
import { toFileError } from '../engine/file-error.js';
import { HoldfastError } from '../errors.js';
import type { Report } from './report.js';

/** Lists of measurements, by scenario: where the rows are, and which fields of a row are numbers. */
const ROW_NUMBERS = ['secondsMedian', 'secondsMin', 'secondsMax', 'bytesPerSecond'] as const;
const STALL_NUMBERS = ['bytes', 'tensors', 'stallMsMedian', 'memcpyMs', 'persistBytesPerSecond'] as const;
const TRAIN_NUMBERS = ['speedMedian', 'speedMin', 'speedMax'] as const;

/**
 * Reads a result. Throws `ERR_INVALID_ARGUMENT` if the file holds something else, and what the operating system reports
 * (`ERR_NOT_FOUND`, `ERR_PERMISSION`).
 */
export async function readReport(file: string): Promise<Report> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw toFileError(error, 'read', file);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw notAResult(file, 'it is not JSON');
  }
  const wrong = whatIsWrong(document);
  if (wrong !== undefined) throw notAResult(file, wrong);
  return document as Report;
}

function notAResult(file: string, why: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `${file} is not a result of holdfast bench: ${why}. Give files that --out wrote.`, {
    path: file,
  });
}

type Fields = Readonly<Record<string, unknown>>;

/** What keeps `document` from being a result; undefined if nothing does. */
function whatIsWrong(document: unknown): string | undefined {
  if (!isObject(document)) return 'it is no object';
  const { scenario, environment, settings } = document;
  if (!isObject(environment) || !isObject(settings)) return 'it has no environment or no settings';
  switch (scenario) {
    case 'save':
    case 'load':
    case 'verify':
      return wrongComparison(document, 'it');
    case 'small':
    case 'size':
    case 'many':
      return wrongList(document['points'], 'points', wrongComparison);
    case 'stall':
      return wrongList(
        document['rows'],
        'rows',
        (row, where) => wrongNumbers(row, STALL_NUMBERS, where) ?? wrongText(row, 'source', where),
      );
    case 'train':
      return wrongList(document['rows'], 'rows', (row, where) => wrongNumbers(row, TRAIN_NUMBERS, where) ?? wrongRow(row, 'speeds', where));
    default:
      return 'its scenario is not known to this version';
  }
}

function wrongComparison(comparison: Fields, where: string): string | undefined {
  const { noise } = comparison;
  if (noise !== null && !(isObject(noise) && isPositive(noise['low']) && isPositive(noise['high']))) return `${where} has no noise`;
  return (
    wrongNumbers(comparison, ['bytes', 'tensors', 'runs'], where) ??
    wrongList(
      comparison['rows'],
      `${where === 'it' ? '' : `${where}.`}rows`,
      (row, at) => wrongNumbers(row, ['bytes', ...ROW_NUMBERS], at) ?? wrongRow(row, 'seconds', at),
    )
  );
}

function wrongRow(row: Fields, list: string, where: string): string | undefined {
  if (!['ours', 'peer', 'limit'].includes(row['kind'] as string)) return `${where} has no kind`;
  const values = row[list];
  if (!Array.isArray(values) || values.length === 0 || !values.every(isPositive)) return `${where}.${list} is no list of positive numbers`;
  return wrongText(row, 'name', where);
}

function wrongText(row: Fields, field: string, where: string): string | undefined {
  return typeof row[field] === 'string' ? undefined : `${where} has no ${field}`;
}

function wrongNumbers(fields: Fields, names: readonly string[], where: string): string | undefined {
  const missing = names.find((name) => !isPositive(fields[name]));
  return missing === undefined ? undefined : `${where} has no ${missing}`;
}

function wrongList(value: unknown, name: string, check: (item: Fields, where: string) => string | undefined): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return `it has no ${name}`;
  for (const [i, item] of value.entries()) {
    const where = `${name}[${i}]`;
    const wrong = isObject(item) ? check(item, where) : `${where} is no object`;
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

/** What the exit code says, and how failures are told. */
import { DAMAGE_CODES, type ErrorCode, type HoldfastError, isHoldfastError } from '../errors.js';
import { escapeText } from '../terminal/text.js';
import { printError, toJsonText } from './output.js';

/** Exit codes of every command. A signal gives 128 + its number, as shells expect. */
export const EXIT_FINE = 0;
export const EXIT_PROBLEM = 1;
export const EXIT_USAGE = 2;

/** Codes that say that something is wrong with what was looked at; all others are about the call. */
const PROBLEM_CODES: ReadonlySet<ErrorCode> = new Set([
  ...DAMAGE_CODES,
  'ERR_FORMAT',
  'ERR_IO',
  'ERR_NO_GOOD_CHECKPOINT',
  'ERR_UNSUPPORTED_VERSION',
]);

/** Paths that cannot exist, though the operating system does not say ENOENT. */
const IMPOSSIBLE_PATH = ['ENAMETOOLONG', 'ELOOP'];

/** True for codes of damage and of failing disks. */
export function isProblemCode(code: ErrorCode): boolean {
  return PROBLEM_CODES.has(code);
}

/** An error of the command line itself, already in words. */
export class UsageError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly exitCode: number = EXIT_USAGE,
  ) {
    super(message);
  }
}

/** Prints `error` on stderr, as words or as one line of JSON, and gives the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (isHoldfastError(error)) {
    printFailure(detailsOf(error), json);
    if (IMPOSSIBLE_PATH.includes(error.errno ?? '')) return EXIT_USAGE;
    return isProblemCode(error.code) ? EXIT_PROBLEM : EXIT_USAGE;
  }
  if (error instanceof UsageError) {
    if (json) printFailure({ code: error.code, message: error.message }, true);
    else printError(`holdfast: ${escapeText(error.message)} --help shows what there is.`);
    return error.exitCode;
  }
  // Not 1: a mistake in this program is no damage of anybody's checkpoint.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  printFailure({ code: 'ERR_INTERNAL', message: `This is a mistake in holdfast, please report it. ${text}` }, json);
  return EXIT_USAGE;
}

function detailsOf(error: HoldfastError): { code: string; message: string } {
  const { code, message, path, checkpoint, file, tensors, offset, bytes, expected, actual, errno, syscall } = error;
  return { code, message, ...{ path, checkpoint, file, tensors, offset, bytes, expected, actual, errno, syscall } };
}

function printFailure(failure: { code: string; message: string }, json: boolean): void {
  if (json) printError(toJsonText({ error: failure }));
  else printError(`holdfast: ${escapeText(failure.message, { keepLines: true })} (${failure.code})`);
}

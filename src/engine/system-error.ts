/** From the operating system's errors, and the addon's, to HoldfastError: the one place that does it. */
import { type ErrorCode, type ErrorDetails, HoldfastError } from '../errors.js';

const CODES: Readonly<Record<string, { code: ErrorCode; advice: string }>> = {
  ENOSPC: { code: 'ERR_NO_SPACE', advice: 'The file system is full: free some space or keep fewer checkpoints.' },
  EDQUOT: { code: 'ERR_NO_SPACE', advice: 'The disk quota is used up: free some space or keep fewer checkpoints.' },
  EFBIG: {
    code: 'ERR_NO_SPACE',
    advice: 'A file may not grow that large here (ulimit -f, or a limit of the file system): use a smaller maxShardBytes.',
  },
  EROFS: { code: 'ERR_READ_ONLY_FILE_SYSTEM', advice: 'The file system is mounted read-only: choose another directory.' },
  EACCES: { code: 'ERR_PERMISSION', advice: 'Check the owner and the mode of the directory.' },
  EPERM: { code: 'ERR_PERMISSION', advice: 'Check the owner and the mode of the directory.' },
  ENOTDIR: { code: 'ERR_NOT_A_DIRECTORY', advice: 'A part of the path is not a directory.' },
  ENOENT: { code: 'ERR_NOT_FOUND', advice: 'It does not exist.' },
};

interface SystemError {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly path?: unknown;
  readonly message?: unknown;
}

/**
 * Wraps whatever was thrown while doing `what` (such as "write model.safetensors"). A HoldfastError
 * passes through unchanged; errors of the addon that carry one of our codes keep it.
 */
export function toHoldfastError(error: unknown, what: string, details: ErrorDetails = {}): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const { code, syscall, path, message } = (error ?? {}) as SystemError;
  const name = typeof code === 'string' ? code : undefined;
  const where: ErrorDetails = {
    ...details,
    ...(typeof path === 'string' && details.path === undefined ? { path } : {}),
    ...(typeof syscall === 'string' ? { syscall } : {}),
    cause: error,
  };
  if (name?.startsWith('ERR_SOURCE') || name === 'ERR_ABORTED' || name === 'ERR_DIRECT_IO' || name === 'ERR_TRUNCATED') {
    return new HoldfastError(name as ErrorCode, `Could not ${what}: ${String(message)}`, where);
  }
  const known = name === undefined ? undefined : CODES[name];
  const advice = known?.advice ?? 'The operating system reported an error; the disk may be failing. Nothing was acknowledged.';
  return new HoldfastError(known?.code ?? 'ERR_IO', `Could not ${what}: ${String(message ?? error)}. ${advice}`, {
    ...where,
    ...(name === undefined ? {} : { errno: name }),
  });
}

/** Throws `ERR_ABORTED`, with the signal's reason as cause, if `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted !== true) return;
  throw abortError(signal, what);
}

/** The error of an operation that a signal stopped. */
export function abortError(signal: AbortSignal, what: string): HoldfastError {
  return new HoldfastError('ERR_ABORTED', `${what} was aborted by its signal.`, { cause: signal.reason });
}

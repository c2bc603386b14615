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
  EMFILE: {
    code: 'ERR_RESOURCES',
    advice: 'This process has too many files open: raise the limit (ulimit -n), or use a larger maxShardBytes.',
  },
  ENFILE: { code: 'ERR_RESOURCES', advice: 'The system has too many files open: raise its limit (fs.file-max).' },
  ENOMEM: { code: 'ERR_RESOURCES', advice: 'Memory ran out: free some, or use smaller shards.' },
  ENAMETOOLONG: { code: 'ERR_INVALID_ARGUMENT', advice: 'The path is longer than the file system allows.' },
  ERR_INVALID_ARG_VALUE: { code: 'ERR_INVALID_ARGUMENT', advice: 'Check the path.' },
  ENOENT: { code: 'ERR_NOT_FOUND', advice: 'It does not exist.' },
};

/** Codes of ours that the addon gives. */
const OWN_CODES: ReadonlySet<string> = new Set([
  'ERR_SOURCE_CHANGED',
  'ERR_SOURCE_LENGTH',
  'ERR_ABORTED',
  'ERR_DIRECT_IO',
  'ERR_TRUNCATED',
  'ERR_INVALID_ARGUMENT',
]);

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
  if (name !== undefined && OWN_CODES.has(name)) {
    return new HoldfastError(name as ErrorCode, `Could not ${what}: ${String(message)}`, where);
  }
  const known = name === undefined ? undefined : CODES[name];
  if (known === undefined && typeof syscall !== 'string') return notOfTheSystem(error, what, where);
  const advice = known?.advice ?? 'The operating system reported an error; the disk may be failing.';
  return new HoldfastError(known?.code ?? 'ERR_IO', `Could not ${what}: ${String(message ?? error)}. ${advice}`, {
    ...where,
    ...(name === undefined ? {} : { errno: name }),
  });
}

/** What neither the operating system nor this library meant to say. */
function notOfTheSystem(error: unknown, what: string, details: ErrorDetails): HoldfastError {
  const message = String((error as { message?: unknown } | null)?.message ?? error);
  if (error instanceof RangeError && /allocation failed|invalid (array buffer|string|typed array) length/i.test(message)) {
    return new HoldfastError(
      'ERR_RESOURCES',
      `Could not ${what}: memory ran out (${message}). Free some, or use smaller tensors.`,
      details,
    );
  }
  return new HoldfastError('ERR_INTERNAL', `Could not ${what}: ${message}. This is a defect in holdfast: please report it.`, details);
}

/**
 * Whether `error` says that a checkpoint is damaged or cannot be read, so that another one may be tried. Running out of
 * descriptors or memory, a cancelled call or a defect says nothing about the checkpoint.
 */
export function isDamage(error: Pick<HoldfastError, 'code'>): boolean {
  return !NOT_DAMAGE.has(error.code);
}

const NOT_DAMAGE: ReadonlySet<ErrorCode> = new Set([
  'ERR_MODEL_MISMATCH',
  'ERR_ABORTED',
  'ERR_DIRECT_IO',
  'ERR_RESOURCES',
  'ERR_INTERNAL',
  'ERR_INVALID_ARGUMENT',
  'ERR_UNSUPPORTED',
]);

/** Throws `ERR_ABORTED`, with the signal's reason as cause, if `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted !== true) return;
  throw abortError(signal, what);
}

/** The error of an operation that a signal stopped: its reason where that is one of ours, else `ERR_ABORTED` with the reason as cause. */
export function abortError(signal: AbortSignal, what: string): HoldfastError {
  if (signal.reason instanceof HoldfastError) return signal.reason;
  return new HoldfastError('ERR_ABORTED', `${what} was aborted by its signal.`, { cause: signal.reason });
}

/** `work`, or `ERR_ABORTED` as soon as `signal` fires; `work` then goes on unheard. */
export async function untilAborted<T>(work: PromiseLike<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (signal === undefined) return work;
  throwIfAborted(signal, what);
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal, what));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

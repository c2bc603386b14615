/**
 * Every failure that holdfast reports is a {@link HoldfastError}. Callers match on `code`, which is
 * stable across versions; the message is for people and may change. docs/ERRORS.md lists the codes.
 */

/** The stable codes, each with the one-line meaning that docs/ERRORS.md prints. */
export const ERROR_CODES = {
  ERR_INVALID_ARGUMENT: 'an argument has the wrong type or value',
  ERR_UNKNOWN_OPTION: 'an option is misspelled or does not exist',
  ERR_INVALID_TENSOR: "a tensor's dtype, shape and byte length do not agree",
  ERR_INVALID_NAME: 'a tensor or file name is empty or not allowed',
  ERR_INVALID_TEMPLATE: 'a name template is malformed, or names a value that the save does not have',
  ERR_DUPLICATE_TENSOR: 'two tensors of one save have the same name',
  ERR_INVALID_STATE: 'the user state holds something that JSON would alter',
  ERR_SOURCE_CHANGED: 'the memory of a tensor was detached, transferred or resized before it was saved',
  ERR_SOURCE_LENGTH: 'an AsyncIterable gave more or fewer bytes than its byteLength',
  ERR_ABORTED: "the caller's AbortSignal fired",
  ERR_REPLACED: 'a newer save took the place of this one before it was written (whenBusy: "replace")',
  ERR_SAVE_FAILED: 'an earlier asynchronous save failed and nobody had listened; `cause` says why',
  ERR_DEADLINE: 'close gave up at its deadline; `unwritten` says which saves were not written',
  ERR_WORKER: 'the worker thread that was writing a checkpoint died',
  ERR_MEMORY_BUDGET: 'copies of tensors would hold more memory than memoryBudgetBytes allows',
  ERR_CLOSED: 'the manager was closed',
  ERR_READ_ONLY: 'the manager was opened read-only',
  ERR_LOCKED: 'another writer holds the directory',
  ERR_LOCK_LOST: 'the lock file was taken away or replaced while the manager held it',
  ERR_NOT_FOUND: 'a path or a requested checkpoint does not exist',
  ERR_NOT_A_DIRECTORY: 'a directory was expected and something else is there',
  ERR_PERMISSION: 'the operating system refused access',
  ERR_READ_ONLY_FILE_SYSTEM: 'the file system is mounted read-only',
  ERR_NO_SPACE: 'the file system or the quota is full',
  ERR_IO: 'the operating system reported an input/output error',
  ERR_RESOURCES: 'memory or file descriptors ran out; nothing is damaged',
  ERR_SOURCE: 'the AsyncIterable of a tensor failed',
  ERR_INTERNAL: 'a defect in holdfast: please report it',
  ERR_DIRECT_IO: 'direct I/O was required and is not possible here',
  ERR_NATIVE_UNAVAILABLE: 'the native engine was asked for and could not be loaded',
  ERR_UNSUPPORTED: 'this machine, Node.js version or backend cannot do what was asked',
  ERR_NO_GOOD_CHECKPOINT: 'there are checkpoints, and every one of them is damaged',
  ERR_WEIGHTS_ONLY: 'the checkpoints that are there hold weights only, and training cannot go on from one',
  ERR_CHECKSUM: 'bytes read back do not match their CRC32C',
  ERR_TRUNCATED: 'a file is shorter than its manifest or header says',
  ERR_EXTENDED: 'a file is longer than its manifest or header says',
  ERR_MISSING_FILE: 'a file that the manifest lists is not there, or not a regular file',
  ERR_MISSING_MANIFEST: 'a checkpoint directory has no manifest.json',
  ERR_MANIFEST: 'manifest.json is damaged or breaks the rules of docs/FORMAT.md',
  ERR_UNSUPPORTED_VERSION: 'the file is of another format version',
  ERR_STATE: 'state.json is damaged or breaks the rules of docs/FORMAT.md',
  ERR_HEADER_LENGTH: 'a safetensors header length is too large or reaches outside the file',
  ERR_HEADER_ENCODING: 'a safetensors header is not valid UTF-8',
  ERR_HEADER_JSON: 'a safetensors header is not the JSON that the format allows',
  ERR_HEADER_DUPLICATE: 'a safetensors header names something twice',
  ERR_HEADER_METADATA: 'a safetensors __metadata__ is not a map of strings',
  ERR_HEADER_FIELD: "a tensor's header entry has an unknown, missing or mistyped field",
  ERR_HEADER_DTYPE: 'a safetensors dtype is unknown',
  ERR_HEADER_SHAPE: 'a shape is not a list of non-negative integers, or overflows',
  ERR_HEADER_OFFSETS: 'data_offsets leave a hole, overlap, or do not match dtype and shape',
  ERR_HEADER_MISMATCH: 'a safetensors header and the manifest list different tensors',
  ERR_MODEL: 'a TensorFlow.js model cannot be saved or restored as asked',
  ERR_MODEL_MISMATCH: "a checkpoint's tensors do not fit the model they are restored into",
  ERR_RUN_MISMATCH: 'a run is resumed with other data or settings than it was interrupted with',
  ERR_RANDOM: 'Math.random is not the generator that the run had put into its place',
  ERR_EXISTS: 'something is already where the result should go',
  ERR_FORMAT: 'a file of another format, such as .npz or model.json, is damaged or breaks the rules of its format',
  ERR_CONVERT: 'the target format cannot hold what the source has, or needs what the source lacks',
  ERR_HALF_RESTORED: 'a backend failed in the middle of a restore: the model has values of two moments, so restore again or end',
} as const;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Codes that say that what stands there is not what was saved, whoever looks, and however often. */
export const DAMAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'ERR_CHECKSUM',
  'ERR_TRUNCATED',
  'ERR_EXTENDED',
  'ERR_MISSING_FILE',
  'ERR_MISSING_MANIFEST',
  'ERR_MANIFEST',
  'ERR_STATE',
  'ERR_HEADER_LENGTH',
  'ERR_HEADER_ENCODING',
  'ERR_HEADER_JSON',
  'ERR_HEADER_DUPLICATE',
  'ERR_HEADER_METADATA',
  'ERR_HEADER_FIELD',
  'ERR_HEADER_DTYPE',
  'ERR_HEADER_SHAPE',
  'ERR_HEADER_OFFSETS',
  'ERR_HEADER_MISMATCH',
]);

/** A checkpoint that `restore` passed over, and why. */
export interface SkippedCheckpoint {
  readonly name: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Structured facts of an error; each is present only where it applies. */
export interface ErrorDetails {
  /** Path of the file or directory concerned. */
  readonly path?: string;
  /** Name of the checkpoint directory concerned. */
  readonly checkpoint?: string;
  /** Basename of the file inside the checkpoint. */
  readonly file?: string;
  /** Names of the tensors concerned. */
  readonly tensors?: readonly string[];
  /** Byte offset in the file where the problem begins. */
  readonly offset?: number;
  /** How many bytes the problem spans. */
  readonly bytes?: number;
  readonly expected?: string | number;
  readonly actual?: string | number;
  /** The operating system's error name, such as `ENOSPC`. */
  readonly errno?: string;
  readonly syscall?: string;
  /** For `ERR_NO_GOOD_CHECKPOINT`: every checkpoint that was tried. */
  readonly skipped?: readonly SkippedCheckpoint[];
  /** For `ERR_LOCKED`: who holds the directory. */
  readonly holder?: unknown;
  /** For `ERR_DEADLINE`: the steps whose saves were given up, in the order of the calls. */
  readonly unwritten?: readonly number[];
  readonly cause?: unknown;
}

/** The one class of every error that holdfast raises. */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  readonly code: ErrorCode;
  declare readonly path?: string;
  declare readonly checkpoint?: string;
  declare readonly file?: string;
  declare readonly tensors?: readonly string[];
  declare readonly offset?: number;
  declare readonly bytes?: number;
  declare readonly expected?: string | number;
  declare readonly actual?: string | number;
  declare readonly errno?: string;
  declare readonly syscall?: string;
  declare readonly skipped?: readonly SkippedCheckpoint[];
  declare readonly holder?: unknown;
  declare readonly unwritten?: readonly number[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, ...fields } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) Object.assign(this, { [name]: value });
  }
}

/** True if `error` is a {@link HoldfastError}, and has `code` if one is given. */
export function isHoldfastError(error: unknown, code?: ErrorCode): error is HoldfastError {
  return error instanceof HoldfastError && (code === undefined || error.code === code);
}

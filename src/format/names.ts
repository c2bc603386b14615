/** Which names are allowed, and the default name of a checkpoint. */
import { HoldfastError } from '../errors.js';

/** Files whose names the format itself uses. */
export const MANIFEST_NAME = 'manifest.json';
export const STATE_NAME = 'state.json';
export const REGISTRY_NAME = 'registry.json';
export const LOCK_NAME = '.lock';
/** What saves and failures took: for the choice of the interval. */
export const HISTORY_NAME = '.history.jsonl';
/** Where damaged checkpoints are moved when somebody asks for it; never a checkpoint itself. */
export const QUARANTINE_NAME = '.quarantine';
/** Prefix of everything unfinished; never a checkpoint, swept by the next writer. */
export const TEMPORARY_PREFIX = '.tmp-';

/** Names in a directory of checkpoints that no checkpoint and no tag can have. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'latest',
  'best',
  MANIFEST_NAME,
  REGISTRY_NAME,
  'lost+found',
  'System Volume Information',
]);

const MAX_NAME_BYTES = 255;

/**
 * Whether `name` may stand in a manifest as a file of the checkpoint: a visible basename, so that no
 * manifest can point outside its directory or at a temporary file.
 */
export function isFileName(name: string): boolean {
  return name !== MANIFEST_NAME && isVisibleBasename(name);
}

/** Whether `name` names one entry of a directory, whatever the system, that is neither hidden nor temporary. */
export function isVisibleBasename(name: string): boolean {
  if (name.length === 0 || name.startsWith('.')) return false;
  if (Buffer.byteLength(name) > MAX_NAME_BYTES || !isWellFormed(name)) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  return !/[/\\\u0000-\u001f\u007f-\u009f]/.test(name);
}

/** Whether UTF-8 can carry `text`: it holds no half of a surrogate pair. */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** Throws `ERR_INVALID_NAME` unless `name` can be a tensor's name: a non-empty, well-formed string. */
export function assertTensorName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name.length === 0) {
    throw new HoldfastError(
      'ERR_INVALID_NAME',
      `A tensor name must be a non-empty string, but one is ${typeof name === 'string' ? 'empty' : typeof name}. Name every tensor.`,
    );
  }
  if (name === '__metadata__') {
    throw new HoldfastError('ERR_INVALID_NAME', 'A tensor cannot be named "__metadata__": safetensors keeps that name for itself.', {
      tensors: [name],
    });
  }
  if (!isWellFormed(name)) {
    throw new HoldfastError(
      'ERR_INVALID_NAME',
      `The tensor name ${JSON.stringify(name)} holds half a surrogate pair, which UTF-8 cannot carry. Rename the tensor.`,
      { tensors: [name] },
    );
  }
}

/** What a checkpoint's name is made of. */
export interface NameParts {
  readonly step: number;
  readonly epoch?: number | undefined;
  readonly loss?: number | undefined;
}

/**
 * `checkpoint_epoch0003_step00003000_loss0.3156`; the epoch is left out where there is none, the loss
 * where there is none or it is not a finite number of ordinary size.
 */
export function defaultCheckpointName({ step, epoch, loss }: NameParts): string {
  let name = 'checkpoint';
  if (epoch !== undefined) name += `_epoch${String(epoch).padStart(4, '0')}`;
  name += `_step${String(step).padStart(8, '0')}`;
  if (loss !== undefined && Math.abs(loss) < 1e15) name += `_loss${loss.toFixed(4)}`;
  return name;
}

/** Order of tensor names inside a file: by their UTF-8 bytes, as the reference writer sorts. */
export function compareUtf8(a: string, b: string): number {
  // UTF-16 order equals UTF-8 order except around surrogates, so the cheap comparison comes first.
  if (a === b) return 0;
  let i = 0;
  while (i < a.length && i < b.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i === a.length || i === b.length) return a.length - b.length;
  const x = a.charCodeAt(i);
  const y = b.charCodeAt(i);
  const xHigh = x >= 0xd800 && x <= 0xdfff;
  const yHigh = y >= 0xd800 && y <= 0xdfff;
  if (xHigh !== yHigh) return xHigh ? 1 : -1;
  return x - y;
}

/** Errors of files that people name: a result to read, a page to write. */
import { HoldfastError } from '../errors.js';
import { toHoldfastError } from './system-error.js';

/** As {@link toHoldfastError}, and says what is wrong with the name where it is the name. */
export function toFileError(error: unknown, action: 'read' | 'write', file: string): HoldfastError {
  const code = (error as { code?: unknown } | null)?.code;
  const details = { path: file, cause: error };
  if (file === '')
    return new HoldfastError('ERR_INVALID_ARGUMENT', `Could not ${action} a file whose name is empty: give its path.`, details);
  if (code === 'EISDIR') {
    return new HoldfastError('ERR_INVALID_ARGUMENT', `Could not ${action} ${file}: it is a directory. Give the path of a file.`, details);
  }
  if (action === 'write' && code === 'ENOENT') {
    return new HoldfastError('ERR_NOT_FOUND', `Could not write ${file}: its directory does not exist.`, details);
  }
  return toHoldfastError(error, `${action} ${file}`, { path: file });
}

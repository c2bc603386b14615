/** Whether this machine has the memory and the disk for a benchmark, asked before it begins. */
import { statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import { HoldfastError } from '../errors.js';

/** What Node.js itself and the buffers of a save take. */
const SPARE_BYTES = 256 * 2 ** 20;

/** Throws `ERR_RESOURCES` if `bytes` of memory would not fit beside what runs already. */
export function assertMemory(bytes: number, what: string): void {
  const available = availableMemory();
  const needed = bytes + SPARE_BYTES;
  if (needed <= available) return;
  throw new HoldfastError('ERR_RESOURCES', `${what} needs ${needed} bytes of memory, and ${available} are available. Use smaller sizes.`, {
    expected: needed,
    actual: available,
  });
}

/** Throws `ERR_NO_SPACE` if `bytes` would not fit on the disk that `directory` is on. */
export async function assertDisk(directory: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const available = bavail * bsize;
  const needed = bytes + SPARE_BYTES;
  if (needed <= available) return;
  throw new HoldfastError(
    'ERR_NO_SPACE',
    `${what} needs ${needed} bytes on the disk of ${directory}, and ${available} are free. Use smaller sizes, or another directory.`,
    { path: directory, expected: needed, actual: available },
  );
}

/** Of the container, where it has a limit. */
function availableMemory(): number {
  return (process as { availableMemory?: () => number }).availableMemory?.() ?? freemem();
}

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
  const available = await freeDisk(directory);
  const needed = bytes + SPARE_BYTES;
  if (needed <= available) return;
  throw new HoldfastError(
    'ERR_NO_SPACE',
    `${what} needs ${needed} bytes on the disk of ${directory}, and ${available} are free. Use smaller sizes, or another directory.`,
    { path: directory, expected: needed, actual: available },
  );
}

/** Bytes that this user may still write on the disk that `directory` is on. Throws what the file system says. */
export async function freeDisk(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/**
 * The size that is measured where none is asked for: `wanted`, or as many whole MiB (1 at least) as leave half of the memory and of the disk
 * free, if `memoryFactor` and `diskFactor` times as much is needed.
 */
export async function fittingBytes(directory: string, wanted: number, memoryFactor: number, diskFactor: number): Promise<number> {
  const room = Math.min(availableMemory() / 2 / memoryFactor, (await freeDisk(directory)) / 2 / diskFactor);
  return wanted <= room ? wanted : Math.max(1, Math.floor(room / 2 ** 20)) * 2 ** 20;
}

/** Of the container, where it has a limit. */
export function availableMemory(): number {
  return (process as { availableMemory?: () => number }).availableMemory?.() ?? freemem();
}

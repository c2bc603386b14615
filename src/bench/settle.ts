/** What lies between two turns: nobody pays for what another one has left behind. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { syncFile } from './host/file-jobs.js';

/** What the disk still does after its file system was synchronised (discarding removed blocks, its own cache) goes on for a while. */
const MOST_REST_MS = 500;
/** For what is not a matter of bytes: names and the journal. */
const LEAST_REST_MS = 10;
/** From so many on it rests longest. */
const MANY_BYTES = 64 * 2 ** 20;

/** Milliseconds to rest after a turn with so many bytes. */
export function restAfter(bytes: number): number {
  return Math.max(LEAST_REST_MS, MOST_REST_MS * Math.min(1, bytes / MANY_BYTES));
}

/** Waits until the removals below `directory` are on the disk, and rests after them: longer after much. */
export async function settle(directory: string, bytes: number): Promise<void> {
  try {
    // The whole file system (syncfs), which Node.js cannot ask for.
    await promisify(execFile)('sync', ['-f', directory]);
  } catch {
    await syncFile(directory);
  }
  await sleep(restAfter(bytes));
}

import { readdirSync, readFileSync } from 'node:fs';
import { HISTORY_NAME } from '../../src/format/names.js';
import { loadNative, type NativeStats } from '../../src/native.js';

/** What an interrupted save would leave behind. */
export function leftovers(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('.tmp-'));
}

/** Everything hidden, but for the history of the run, which is there wherever something was saved. */
export function hidden(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('.') && name !== HISTORY_NAME)
    .sort();
}

/** Names of the checkpoints of a directory. */
export function checkpoints(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('checkpoint'))
    .sort();
}

/** What the addon holds in this process for something that goes on; zeros where there is none. */
export function nativeStats(): Omit<NativeStats, 'spareStagingBytes'> {
  const { addon } = loadNative();
  if (addon === undefined) {
    return { pins: 0, writers: 0, readers: 0, abortTokens: 0, stagingBytes: 0, arenas: 0, arenaBytes: 0, mappedBytes: 0, threads: 0 };
  }
  const { spareStagingBytes: _, ...held } = addon.stats();
  return held;
}

/** What it keeps for later transfers. */
export function spareStagingBytes(): number {
  return loadNative().addon?.stats().spareStagingBytes ?? 0;
}

/** Open descriptors and threads of this process. */
export function processFigures(): { readonly descriptors: number; readonly threads: number } {
  const threads = Number(/^Threads:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  return { descriptors: readdirSync('/proc/self/fd').length, threads };
}

/** Waits until `condition` holds, for what other threads do in their own time. The test's own time limit is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

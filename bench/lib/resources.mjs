// What a process holds at a moment: everything that a leak would show in.
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { residentBytes } from '../../dist/bench/memory.js';
import { loadNative } from '../../dist/native.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

/** Memory is then measured after a collection: restartPeak() looks for it. */
export function exposeGarbageCollection() {
  globalThis.gc = collectGarbage;
}

/** After a collection of garbage; `directory` is where files are counted. What this system does not tell is null. */
export function lookAtResources(directory) {
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  const { arenaBytes, pins, writers, readers, abortTokens, stagingBytes, arenas, threads } = loadNative().addon?.stats() ?? {};
  return {
    rssBytes: residentBytes(),
    heapBytes: heapUsed,
    externalBytes: external,
    arrayBufferBytes: arrayBuffers,
    descriptors: entries('/proc/self/fd'),
    threads: entries('/proc/self/task'),
    files: readdirSync(directory, { recursive: true }).length,
    ...Object.fromEntries(
      Object.entries({ pins, writers, readers, abortTokens, stagingBytes, arenas, arenaBytes, nativeThreads: threads }).map(
        ([key, value]) => [key, value ?? null],
      ),
    ),
  };
}

function entries(directory) {
  try {
    return readdirSync(directory).length;
  } catch {
    return null;
  }
}

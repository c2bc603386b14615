/** New checkpoints as they are committed, for another process such as one that evaluates. */
import { type FSWatcher, watch } from 'node:fs';
import { type CheckpointInfo, isGood } from '../catalog/checkpoint.js';
import type { RecordCache } from '../catalog/record-cache.js';
import { readRecords } from '../catalog/registry.js';
import { scanDirectory } from '../catalog/scan.js';
import { abortError, throwIfAborted } from '../engine/system-error.js';
import { assertKnown } from '../known-options.js';
import { assertSignalAndListener, count } from './options.js';

/** Options of `watch`. */
export interface WatchOptions {
  /** Tell of checkpoints with a larger sequence than this; 0 tells of all. Default: of those that are committed from now on. */
  readonly since?: number | undefined;
  /** How often to look where the operating system does not say that something has changed, in milliseconds. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** Aborting rejects with `ERR_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

/** Looks in a row are this far apart, whatever happens in the directory. */
const MIN_PAUSE_MS = 20;

/** Checks the options of `watch`. */
export function checkWatchOptions(options: WatchOptions): void {
  assertKnown('watch', options, ['since', 'intervalMs', 'signal']);
  assertSignalAndListener(options);
  if (options.since !== undefined) count('since', options.since, 0);
  if (options.intervalMs !== undefined) count('intervalMs', options.intervalMs, 1, 2 ** 31 - 1);
}

/**
 * Yields every good checkpoint in commit order, each once, until `isClosed`. One that retention removes before it was its turn is left out. Throws
 * `ERR_ABORTED`, and `ERR_NOT_FOUND` if the directory goes away.
 */
export async function* watchCommits(
  directory: string,
  { since, intervalMs = 1000, signal }: WatchOptions,
  isClosed: () => boolean,
): AsyncGenerator<CheckpointInfo, void, undefined> {
  const bell = new Bell(directory, signal);
  try {
    const cache = await readRecords(directory);
    let last = since ?? (await newestSequence(directory, cache));
    while (!isClosed()) {
      throwIfAborted(signal, 'Watching');
      bell.reset();
      for (const { info } of (await scanDirectory(directory, cache)).filter(isGood)) {
        const sequence = info.sequence as number;
        if (sequence <= last) continue;
        last = sequence;
        yield info;
        if (isClosed()) return;
        throwIfAborted(signal, 'Watching');
      }
      await bell.wait(intervalMs);
    }
  } finally {
    bell.close();
  }
}

async function newestSequence(directory: string, cache: RecordCache): Promise<number> {
  const entries = await scanDirectory(directory, cache);
  return entries.reduce((highest, { record }) => Math.max(highest, record?.sequence ?? 0), 0);
}

/** Rings when something in a directory may have changed. */
class Bell {
  private readonly watcher: FSWatcher | undefined;
  private rung = false;
  private ring: () => void = () => {};
  private readonly abort = () => this.ring();

  constructor(
    directory: string,
    private readonly signal: AbortSignal | undefined,
  ) {
    signal?.addEventListener('abort', this.abort);
    try {
      this.watcher = watch(directory, { persistent: false }, (_, name) => {
        // Everything that is unfinished begins with a dot.
        if (typeof name === 'string' && name.startsWith('.')) return;
        this.rung = true;
        this.ring();
      });
      // Of the directory's end the next look tells.
      this.watcher.on('error', () => this.ring());
    } catch {
      // No watchers left, or a file system that has none: looking now and then has to do.
    }
  }

  /** What happens from now on counts. */
  reset(): void {
    this.rung = false;
  }

  /** Until it has rung since it was reset, but not longer than `ms`. Throws `ERR_ABORTED`. */
  async wait(ms: number): Promise<void> {
    await this.pause(this.rung ? MIN_PAUSE_MS : ms);
    if (this.signal?.aborted) throw abortError(this.signal, 'Watching');
  }

  close(): void {
    this.signal?.removeEventListener('abort', this.abort);
    this.watcher?.close();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.ring = () => {
        clearTimeout(timer);
        // Several things happen at a commit: one look sees them all.
        setTimeout(resolve, MIN_PAUSE_MS);
      };
      if (this.signal?.aborted) this.ring();
    });
  }
}

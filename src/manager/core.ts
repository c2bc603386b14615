/**
 * What all managers of one real path in this process share: the lock, the order of commits, and the
 * memory for snapshots.
 */
import path from 'node:path';
import { isGood } from '../catalog/checkpoint.js';
import { DirectoryLock } from '../catalog/lock.js';
import { RecordCache } from '../catalog/record-cache.js';
import { readRecords, readRegistry, writeRegistry } from '../catalog/registry.js';
import { scanDirectory, scanManifests } from '../catalog/scan.js';
import { monitorOf, toPolicyEntry } from '../catalog/summary.js';
import { sweepLeftovers } from '../catalog/sweep.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { realpath, stat } from '../fs.js';
import type { Monitor } from '../policy/best.js';
import { BestTracker } from '../policy/best-tracker.js';
import { SaveQueue } from '../saver/queue.js';
import { ArenaPool } from '../snapshot/arena.js';
import { makeDirectories } from '../storage/local.js';
import { randomUuid } from '../system.js';
import { RunRecord } from './run-record.js';

const cores = new Map<string, Promise<WriterCore>>();
/** Directories whose last manager is letting go of the lock: opening again waits for that. */
const releasing = new Map<string, Promise<void>>();

/** One writer of one directory. */
export class WriterCore {
  readonly queue = new SaveQueue();
  private readonly arenas = new Map<EngineName, ArenaPool>();
  private readonly trackers = new Map<string, { readonly tracker: BestTracker; readonly ready: Promise<void> }>();
  private users = 0;

  private constructor(
    readonly directory: string,
    readonly lock: DirectoryLock,
    readonly runId: string,
    /** Names of what dead writers had left, removed when the directory was opened. */
    readonly swept: readonly string[],
    private highest: number,
    /** What the newest manifest said that is watched, when the directory was opened. */
    readonly monitor: Monitor | undefined,
    /** The step of the newest checkpoint when the directory was opened; -1 without one. */
    readonly newestStep: number,
    readonly record: RunRecord,
  ) {}

  /** The core of `directory` (a real path), shared; pair with {@link release}. */
  static async acquire(directory: string, engine: Engine): Promise<WriterCore> {
    for (;;) {
      await releasing.get(directory)?.catch(() => {});
      let opening = cores.get(directory);
      if (opening === undefined) {
        opening = WriterCore.open(directory, engine);
        cores.set(directory, opening);
        opening.catch(() => cores.delete(directory));
      }
      const core = await opening;
      // A core whose last user has just let go is on its way out: take a new one.
      if (cores.get(directory) !== opening) continue;
      core.users++;
      return core;
    }
  }

  private static async open(directory: string, engine: Engine): Promise<WriterCore> {
    const lock = await DirectoryLock.acquire(directory, engine);
    try {
      await lock.assertHeld();
      const swept = await sweepLeftovers(directory);
      const registry = await readRegistry(directory);
      const cache = new RecordCache(registry?.records);
      const entries = await scanManifests(directory, cache);
      const newest = entries.findLast(({ record }) => record !== undefined)?.record;
      const highestSequence = Math.max(registry?.highestSequence ?? 0, newest?.sequence ?? 0);
      const runId = newest?.runId ?? registry?.runId ?? randomUuid();
      // Missing, damaged, of another version or stale: made anew of the manifests. Without it all goes on, only slower.
      if (cache.isChanged || (registry === undefined && entries.length > 0)) {
        await writeRegistry(directory, { runId, highestSequence }, entries, cache).catch(() => {});
      }
      const watched = entries.flatMap(({ record }) => (record?.monitor === undefined ? [] : [record]));
      const monitor = watched.length === 0 ? undefined : monitorOf(watched);
      const record = await RunRecord.open(directory, runId);
      return new WriterCore(directory, lock, runId, swept, highestSequence, monitor, newest?.step ?? -1, record);
    } catch (error) {
      await lock.release();
      throw toHoldfastError(error, `open ${directory}`, { path: directory });
    }
  }

  /** Whether others had it open already, so that nothing was done for the one who opened it last. */
  get isShared(): boolean {
    return this.users > 1;
  }

  /** The highest sequence that is known to have been committed here. */
  get highestSequence(): number {
    return this.highest;
  }

  /** A checkpoint of this sequence was committed. */
  noteSequence(sequence: number): void {
    this.highest = Math.max(this.highest, sequence);
  }

  /** The best value by `monitor`, over what is there and what is on its way; the managers of the directory share it. */
  async trackBest(monitor: Monitor): Promise<BestTracker> {
    const key = JSON.stringify([monitor.metric, monitor.mode, monitor.minDelta ?? 0, monitor.threshold ?? null]);
    let known = this.trackers.get(key);
    if (known === undefined) {
      const tracker = new BestTracker(monitor);
      // In the order of the saves: those accepted before are seen by this look, those after are told to the tracker.
      const ready = this.queue.exclusive(async () => {
        tracker.learn((await scanDirectory(this.directory, await readRecords(this.directory))).filter(isGood).map(toPolicyEntry));
      });
      known = { tracker, ready };
      this.trackers.set(key, known);
    }
    await known.ready;
    return known.tracker;
  }

  /** A save was accepted. */
  noteAccepted(save: object, metrics: Readonly<Record<string, number>>): void {
    for (const { tracker } of this.trackers.values()) tracker.accept(save, metrics);
  }

  /** It was committed, or it was not. */
  noteSettled(save: object, committed: boolean): void {
    for (const { tracker } of this.trackers.values()) tracker.settle(save, committed);
  }

  /** Memory for copied snapshots; of the managers of one directory, those with one engine share it. */
  arenasOf(engine: Engine): ArenaPool {
    let pool = this.arenas.get(engine.name);
    if (pool === undefined) {
      pool = new ArenaPool(engine);
      this.arenas.set(engine.name, pool);
    }
    return pool;
  }

  /** The last user gives the lock up; its saves are settled. */
  async release(): Promise<void> {
    if (--this.users > 0) return;
    cores.delete(this.directory);
    for (const pool of this.arenas.values()) pool.close();
    const released = this.record
      .end('closed')
      .then(() => this.lock.release())
      .finally(() => releasing.delete(this.directory));
    releasing.set(this.directory, released);
    await released;
  }
}

/** Makes `directory` if need be, durably (a durable checkpoint in a lost directory is lost), and gives its real path. */
export async function prepareDirectory(directory: string, readOnly: boolean): Promise<string> {
  const absolute = path.resolve(directory);
  try {
    if (!readOnly) await makeDirectories(absolute);
    if (!(await stat(absolute)).isDirectory()) throw notADirectory(directory);
    return await realpath(absolute);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOTDIR') throw notADirectory(directory, error);
    if (code === 'ENOENT') throw new HoldfastError('ERR_NOT_FOUND', `${directory} does not exist.`, { path: absolute, cause: error });
    throw toHoldfastError(error, `open ${directory}`, { path: absolute });
  }
}

function notADirectory(directory: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    'ERR_NOT_A_DIRECTORY',
    `${directory} is not a directory, or a part of its path is a file. Choose another place for the checkpoints.`,
    {
      path: directory,
      cause,
    },
  );
}

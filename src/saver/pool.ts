/** The worker threads that write checkpoints: one pool per priority, shared by every manager of this thread. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TransferListItem, Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { HoldfastError } from '../errors.js';
import { textOf } from './harmlessly.js';
import type { SaveJob, SaveReply } from './job.js';

/** More than one worker are kept for a while; the one that is always kept does not keep the process alive either. */
const IDLE_MS = 60_000;
/** Saves of different directories that are written at a time; more wait. */
const MAX_WORKERS = 4;

/** A pool, and the jobs that were given to it and are not done. */
interface Pool {
  readonly workers: Piscina;
  readonly jobs: Set<AbortController>;
}

const pools = new Map<number, Pool>();

/** What runs a job where it is not a worker of a pool. */
export type JobRunner = (job: SaveJob) => Promise<SaveReply>;

let runner: JobRunner | undefined;

/** From now on `run` is given every job, and no worker is started; without it, workers write again. Tests order what happens by it. */
export function runJobsWith(run?: JobRunner): void {
  runner = run;
}

/**
 * Writes a checkpoint in a worker. Rejects with `ERR_WORKER` if the worker dies, whatever kills it, also while it starts; the next save gets a
 * new one, and saves in other workers go on.
 */
export async function runInWorker(job: SaveJob, transferList: TransferListItem[]): Promise<SaveReply> {
  if (runner !== undefined) return runner(job);
  const { workers, jobs } = pools.get(job.nice) ?? (await startPool(job.nice));
  const waiting = new AbortController();
  jobs.add(waiting);
  try {
    return (await workers.run(job, { transferList, signal: waiting.signal })) as SaveReply;
  } catch (error) {
    // Should the pool still have it, it must not begin with it.
    waiting.abort(error);
    const cause = waiting.signal.reason;
    throw new HoldfastError(
      'ERR_WORKER',
      `The worker thread that was writing the checkpoint died: ${textOf(cause)}. Nothing was saved; earlier checkpoints are untouched, and the next save gets a new worker.`,
      { cause },
    );
  } finally {
    jobs.delete(waiting);
  }
}

/**
 * The pool of a priority, with one worker that is started at once and kept: a save is then handed over in the very call, and written also
 * beside a training loop that never gives the event loop a turn.
 */
export async function startWorkers(nice: number): Promise<void> {
  if (runner === undefined) await startPool(nice);
}

async function startPool(nice: number): Promise<Pool> {
  const { Piscina } = await import('piscina');
  let pool = pools.get(nice);
  if (pool === undefined) {
    pool = { workers: makePool(Piscina), jobs: new Set() };
    watchDeaths(pool);
    pools.set(nice, pool);
  }
  return pool;
}

function makePool(Pool: typeof Piscina): Piscina {
  try {
    return new Pool({
      filename: workerFile(),
      minThreads: 1,
      maxThreads: MAX_WORKERS,
      concurrentTasksPerWorker: 1,
      idleTimeout: IDLE_MS,
      // Its default blocks a worker's event loop between tasks, and native code could not settle its promises.
      atomics: 'disabled',
      // Flags of the main script, such as --input-type, are not for the worker's.
      execArgv: [],
    });
  } catch (cause) {
    throw new HoldfastError(
      'ERR_RESOURCES',
      `The worker thread that writes checkpoints could not be started: ${textOf(cause)}. Raise the limit of processes and threads (ulimit -u), or end some.`,
      { cause },
    );
  }
}

/** The workers of a priority that were started; tests look at them. */
export function workersOf(nice: number): readonly Worker[] {
  return pools.get(nice)?.workers.threads ?? [];
}

/**
 * Piscina rejects the job of a worker that dies. One that no worker has taken yet, because the worker died while it started, would wait
 * for ever: when the last worker is gone, whoever still waits is told. (To abort a running job would kill its worker, so it is
 * done only where there is none.)
 */
function watchDeaths({ workers, jobs }: Pool): void {
  let reason: unknown;
  // Told where no job failed with the worker. An idle worker that dies is nobody's failure.
  workers.on('error', (error) => {
    reason = error;
  });
  workers.on('workerDestroy', () =>
    setImmediate(() => {
      if (workers.threads.length > 0) return;
      for (const job of jobs) job.abort(reason ?? new Error('it ended before it had started'));
      reason = undefined;
    }),
  );
}

/** The compiled worker, also where this file runs from its source, as under vitest. */
function workerFile(): string {
  const beside = fileURLToPath(new URL('./worker-entry.cjs', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/saver/worker-entry.cjs', import.meta.url));
}

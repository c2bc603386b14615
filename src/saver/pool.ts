/** The worker threads that write checkpoints: one pool per priority, shared by every manager of this thread. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TransferListItem } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { HoldfastError } from '../errors.js';
import type { SaveJob, SaveReply } from './job.js';

/** A worker costs some 50 ms to start, so it is kept for a while; it does not keep the process alive. */
const IDLE_MS = 60_000;
/** Saves of different directories that are written at a time; more wait. */
const MAX_WORKERS = 4;

const pools = new Map<number, Piscina>();

/**
 * Writes a checkpoint in a worker. Rejects with `ERR_WORKER` if the worker dies, whatever kills it; the next save gets a new one. Piscina's own
 * `signal` is not used: it would kill the worker.
 */
export async function runInWorker(job: SaveJob, transferList: TransferListItem[]): Promise<SaveReply> {
  const pool = poolOf(job.nice);
  try {
    return (await pool.run(job, { transferList })) as SaveReply;
  } catch (cause) {
    // A pool whose worker failed while it started does not start another one.
    if (pools.get(job.nice) === pool) pools.delete(job.nice);
    void pool.close().catch(() => {});
    throw new HoldfastError(
      'ERR_WORKER',
      `The worker thread that was writing the checkpoint died: ${String((cause as Error)?.message ?? cause)}. Nothing was saved; earlier checkpoints are untouched, and the next save gets a new worker.`,
      { cause },
    );
  }
}

/** The pool of a priority; made when it is first needed. Tests look at its workers. */
export function poolOf(nice: number): Piscina {
  let pool = pools.get(nice);
  if (pool === undefined) {
    pool = new Piscina({
      filename: workerFile(),
      minThreads: 0,
      maxThreads: MAX_WORKERS,
      concurrentTasksPerWorker: 1,
      idleTimeout: IDLE_MS,
      // Its default blocks a worker's event loop between tasks, and native code could not settle its promises.
      atomics: 'disabled',
      // Flags of the main script, such as --input-type, are not for the worker's.
      execArgv: [],
    });
    // An idle worker that dies is nobody's failure.
    pool.on('error', () => {});
    pools.set(nice, pool);
  }
  return pool;
}

/** The compiled worker, also where this file runs from its source, as under vitest. */
function workerFile(): string {
  const beside = fileURLToPath(new URL('./worker.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/saver/worker.js', import.meta.url));
}

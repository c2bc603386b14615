/** Many simulated runs on several cores. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import { HoldfastError } from '../errors.js';
import { completeJob, type SimulatedJob } from '../interval/simulate/job.js';
import { type PolicySpec, policyOf } from '../interval/simulate/registry.js';
import { assertMemory, type PolicyRuns } from '../interval/simulate/simulate.js';
import { type PolicySummary, summarisePolicy } from '../interval/simulate/summary.js';
import type { Batch, BatchReply } from './batch.js';

/** Batches that a simulation is divided into: progress is told, and work evened out, by so many parts. */
const BATCHES = 100;
/** Most runs in one batch: what a worker makes travels back in one message. */
const MOST_RUNS = 2000;

export interface SimulationRequest {
  readonly job: SimulatedJob;
  /** At least one. */
  readonly policies: readonly PolicySpec[];
  /** How many runs, each with failures of its own that are the same for every policy. */
  readonly runs: number;
  /** Whole number from 0. The same seed gives the same result, whatever `threads` is. */
  readonly seed: number;
  /** Worker threads (default: as many as can run at a time). */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Called with the share of the runs that are done. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Simulates a job under policies side by side, on worker threads; one result per policy, in their order. Throws `ERR_INVALID_ARGUMENT` and
 * `ERR_UNKNOWN_OPTION` for what cannot be, `ERR_ABORTED` when the signal fires, `ERR_WORKER` if a worker dies.
 */
export async function runSimulation(request: SimulationRequest): Promise<PolicySummary[]> {
  const { job, seed, policies, runs, threads = availableParallelism(), signal, onProgress } = request;
  assertCount('runs', runs);
  assertMemory('runs', runs);
  assertCount('threads', threads);
  if (policies.length === 0) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'A simulation needs at least one policy.');
  const complete = completeJob(job);
  const made = policies.map(policyOf);
  const batches = divide(runs).map(({ from, count }): Batch => ({ job, policies, seed, from, count }));
  const replies = await runBatches(batches, Math.min(threads, batches.length), signal, onProgress);
  return made.map((policy, which) =>
    summarisePolicy(
      complete,
      policy,
      replies.map((reply) => reply[which] as PolicyRuns),
    ),
  );
}

/** The number of threads plays no part in it: the order of additions must not depend on it. */
function divide(runs: number): { from: number; count: number }[] {
  const size = Math.min(MOST_RUNS, Math.ceil(runs / BATCHES));
  return Array.from({ length: Math.ceil(runs / size) }, (_, i) => ({ from: i * size, count: Math.min(size, runs - i * size) }));
}

async function runBatches(
  batches: readonly Batch[],
  threads: number,
  signal: AbortSignal | undefined,
  onProgress: SimulationRequest['onProgress'],
): Promise<(readonly PolicyRuns[])[]> {
  assertGoesOn(signal);
  const { Piscina } = await import('piscina');
  // It may have fired meanwhile, and tells nobody twice.
  assertGoesOn(signal);
  const pool = makePool(Piscina, threads);
  // Not the signal of each call: a hundred calls are more than a signal takes listeners. What is under way ends with its thread.
  const abort = () => void pool.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  const replies: (readonly PolicyRuns[])[] = [];
  const waiting = batches.entries();
  let done = 0;
  const work = async (): Promise<void> => {
    for (const [which, batch] of waiting) {
      const reply = (await pool.run(batch)) as BatchReply;
      if (reply.error !== undefined) throw new HoldfastError(reply.error.code, reply.error.message);
      replies[which] = reply.runs;
      done += 1;
      onProgress?.(done / batches.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: threads }, work));
    return replies;
  } catch (error) {
    assertGoesOn(signal);
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError('ERR_WORKER', `A worker thread of the simulation died: ${(error as Error).message}.`, { cause: error });
  } finally {
    signal?.removeEventListener('abort', abort);
    await pool.destroy();
  }
}

function makePool(Pool: typeof Piscina, threads: number): Piscina {
  return new Pool({
    filename: workerFile(),
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: 1,
    // Flags of the main script, such as --input-type, are not for the worker's.
    execArgv: [],
  });
}

function assertGoesOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new HoldfastError('ERR_ABORTED', 'The simulation was aborted.', { cause: signal.reason });
}

function assertCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} must be a whole number of at least 1, not ${String(value)}.`);
}

/** The compiled worker, also where this file runs from its source, as under vitest. */
function workerFile(): string {
  const beside = fileURLToPath(new URL('./worker-entry.cjs', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/simulation/worker-entry.cjs', import.meta.url));
}

/** The scenario `stall`: how long training waits for an asynchronous save, and what goes on behind it. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { describeEnvironment } from './environment.js';
import { type FromTrial, receiveFailure, type ToTrial } from './messages.js';
import type { StallReport, StallSettings } from './report.js';
import { assertDisk, assertMemory } from './room.js';
import { STALL_RULES } from './rules.js';
import { diskWarnings } from './scenarios.js';
import type { StallSource } from './sources.js';
import type { StallRow, StallTrial, TrialOptions } from './stall-trial.js';
import { resolveDirectory, withWorkspace } from './workspace.js';

export interface StallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes saved of all that will be, and what is going on. */
  readonly onProgress?: ((bytes: number, totalBytes: number, what: string) => void) | undefined;
}

/** A view has at most 2^32 elements, and a file less than 2 GiB. */
const MAX_TENSOR_BYTES = 2 ** 31 - 2 ** 20;

/**
 * Measures every source with every size, each in a process of its own. Throws `ERR_INVALID_ARGUMENT`, `ERR_RESOURCES` and `ERR_NO_SPACE`
 * before anything is measured. Interrupted after its first row, it gives the rows until then. Whatever happens, nothing is left in the directory.
 */
export async function benchStall(settings: StallSettings, { signal, onProgress }: StallOptions = {}): Promise<StallReport> {
  const trials = settings.sources.flatMap((source) => settings.sizes.map((bytes) => toTrial(settings, source, bytes)));
  const base = await resolveDirectory(settings.directory);
  await assertRoom(base, trials);
  const total = trials.reduce((sum, { bytes, runs }) => sum + bytes * runs, 0);
  const rows: StallRow[] = [];
  let done = 0;
  for (const trial of trials) {
    const label = `${trial.source}: `;
    try {
      rows.push(await runTrial(base, trial, { signal, onProgress: (bytes, what) => onProgress?.(done + bytes, total, label + what) }));
    } catch (error) {
      if (!signal?.aborted || rows.length === 0) throw error;
      break;
    }
    done += trial.bytes * trial.runs;
  }
  const environment = describeEnvironment(base);
  const warnings = diskWarnings(environment.fileSystem);
  const partial = rows.length < trials.length;
  return { scenario: 'stall', environment, rules: STALL_RULES, leftOut: [], warnings, partial, settings, rows };
}

function toTrial(
  { tensors, runs, calls, engine, reserve }: StallSettings,
  source: StallSource,
  wanted: number,
): Omit<StallTrial, 'directory'> {
  const bytes = wanted - (wanted % 4);
  if (bytes < 4 * tensors) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${wanted} bytes are too few for ${tensors} tensors of float32: each has 4 at least.`);
  }
  if (bytes / tensors > MAX_TENSOR_BYTES) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${wanted} bytes in ${tensors} tensors: each would exceed 2 GiB. Use more tensors.`);
  }
  return { source, bytes, tensors, runs, calls: Math.max(calls, runs), engine, reserve };
}

async function assertRoom(directory: string, trials: readonly Omit<StallTrial, 'directory'>[]): Promise<void> {
  for (const { source, bytes } of trials) {
    const what = `${source} with ${bytes} bytes`;
    // The tensors, the warm copy of them, and the library's own.
    assertMemory((source === 'copied' ? 3 : 2) * bytes, what);
    // The last checkpoint goes when the next one is durable.
    await assertDisk(directory, 2 * bytes, what);
  }
}

/** Runs one trial in a process of its own and a directory of its own. */
function runTrial(base: string, trial: Omit<StallTrial, 'directory'>, options: TrialOptions): Promise<StallRow> {
  return withWorkspace(base, (directory) => inProcess({ ...trial, directory }, options));
}

function inProcess(trial: StallTrial, { signal, onProgress }: TrialOptions): Promise<StallRow> {
  const child = fork(fileURLToPath(new URL('./stall-process.js', import.meta.url)), {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const tell = (message: ToTrial) => child.send(message, () => {});
  const stop = () => tell({ type: 'stop' });
  return new Promise<StallRow>((resolve, reject) => {
    let row: StallRow | undefined;
    let failure: HoldfastError | undefined;
    child.on('message', (message: FromTrial) => {
      if (message.type === 'progress') onProgress?.(message.bytes, message.what);
      else if (message.type === 'row') row = message.row;
      else failure = receiveFailure(message.failure);
    });
    child.on('error', (error) => reject(toHoldfastError(error, 'start a process to measure in')));
    child.on('exit', (code, killedBy) => {
      if (row !== undefined) resolve(row);
      else reject(failure ?? new HoldfastError('ERR_RESOURCES', `The process that was measuring ended (${killedBy ?? `code ${code}`}).`));
    });
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    tell({ type: 'run', trial });
  }).finally(() => signal?.removeEventListener('abort', stop));
}

/** One comparison: who is here, what fits, the rounds, and what came of them. */

import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { HoldfastError } from '../errors.js';
import type { EngineName } from '../index.js';
import { toComparison } from './comparison.js';
import type { Contender } from './contender.js';
import { type Action, bareLimit, type FieldOptions, fioLimit, ours, type PeerName, peers } from './field.js';
import { planSpace } from './memory-plan.js';
import { Python } from './peers/python.js';
import type { Comparison, LeftOut } from './report.js';
import { assertDisk, assertMemory, availableMemory, freeDisk } from './room.js';
import { runRounds } from './rounds.js';
import { settle } from './settle.js';
import { bytesOf, type TensorShape } from './workload.js';

/** What is to be compared. */
export interface OnceSettings {
  readonly action: Action;
  readonly tensors: readonly TensorShape[];
  readonly runs: number;
  /** `bare`: system calls in a row, for what is too small for fio. */
  readonly limit: 'fio' | 'bare';
  readonly peers: readonly PeerName[];
  readonly engine: EngineName | 'auto';
  /** The interpreter of the peers from Python. */
  readonly python: string;
  /** Calls in one run. */
  readonly repeats: number;
}

export interface OnceOptions {
  readonly signal?: AbortSignal | undefined;
  /** The share that is done, 0 to 1, and what is going on. */
  readonly onProgress?: ((share: number, what: string) => void) | undefined;
}

export interface Once {
  readonly comparison: Comparison;
  readonly leftOut: readonly LeftOut[];
  readonly warnings: readonly string[];
  /** Of what took part. */
  readonly versions: Readonly<Record<string, string>>;
  readonly interrupted: boolean;
}

/** Copies of the bytes that ours and the limits need at the least, in memory and on the disk. */
export const LEAST_MEMORY = 1;
export const LEAST_DISK = 4;

/**
 * Measures in `directory`, which the caller empties. Throws `ERR_RESOURCES` or `ERR_NO_SPACE` before anything is written where not even ours
 * and the limit fit, and what ours throws.
 */
export async function compareOnce(directory: string, settings: OnceSettings, { signal, onProgress }: OnceOptions = {}): Promise<Once> {
  const { action, tensors, runs, limit, python: command } = settings;
  const bytes = bytesOf(tensors);
  assertMemory(LEAST_MEMORY * bytes, `A ${action} of ${bytes} bytes`);
  await assertDisk(directory, LEAST_DISK * bytes, `A ${action} of ${bytes} bytes`);
  await mkdir(directory, { recursive: true });
  const warnings: string[] = [];
  const python = new Python(command, tensors);
  const field: FieldOptions = { ...settings, directory, python, onWarning: (text) => warnings.push(text) };
  try {
    onProgress?.(0, 'looking who is here');
    const limits = limit === 'bare' ? { contenders: [bareLimit(field)], leftOut: [] } : await fioLimit(field, signal);
    const { present, absent } = await sortOut(peers(field));
    const everyone = [...ours(field), ...limits.contenders, ...present];
    const plan = planSpace(everyone, { memoryBytes: availableMemory(), diskBytes: await freeDisk(directory) });
    const versions = await versionsOf(plan.contenders, python);
    const { measured, failed, interrupted, ...rounds } = await runRounds(plan.contenders, {
      runs,
      together: plan.together,
      signal,
      onTurn: (done, total, what) => onProgress?.(done / total, what),
      settle: () => settle(directory, bytes),
    });
    const comparison = toComparison(measured, { bytes, tensors: tensors.length, runs: rounds.runs });
    if (limit === 'fio' && comparison.rows.some(({ kind, secondsMedian }) => kind === 'limit' && secondsMedian < COARSE_SECONDS)) {
      warnings.push('fio counts whole milliseconds, which is coarse for so few bytes: use a larger size to compare with the limit.');
    }
    return { comparison, leftOut: [...limits.leftOut, ...absent, ...plan.leftOut, ...failed], warnings, versions, interrupted };
  } finally {
    await python.end();
  }
}

/** A millisecond is more than 5 % of what is less. */
const COARSE_SECONDS = 0.02;

async function sortOut(contenders: readonly Contender[]): Promise<{ present: Contender[]; absent: LeftOut[] }> {
  const present: Contender[] = [];
  const absent: LeftOut[] = [];
  for (const contender of contenders) {
    const why = await contender.unavailable();
    if (why === undefined) present.push(contender);
    else absent.push({ name: contender.name, why });
  }
  return { present, absent };
}

async function versionsOf(contenders: readonly Contender[], python: Python): Promise<Record<string, string>> {
  const names = new Set(contenders.map(({ name }) => name));
  const versions: Record<string, string> = {};
  if (names.has('fio')) versions['fio'] = execFileSync('fio', ['--version'], { encoding: 'utf8' }).trim().replace(/^fio-/, '');
  if (!['torch.save', 'torch-dcp', 'torch-dcp-async', 'safetensors'].some((name) => names.has(name))) return versions;
  for (const [name, version] of Object.entries((await python.ready()).versions)) if (version !== null) versions[name] = version;
  return versions;
}

/** Throws `ERR_ABORTED` where an interruption left nothing to show. */
export function assertSomething(once: Pick<Once, 'comparison'>): void {
  if (once.comparison.rows.length > 0) return;
  throw new HoldfastError('ERR_ABORTED', 'The measurement was stopped before its first round was over.');
}

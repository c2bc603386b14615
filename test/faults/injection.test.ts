/**
 * Every system call that a save is made of fails once, one after another: the failure must reach the caller,
 * what was acknowledged must survive, and nothing half-written may remain or be listed as good.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';

const FULL = process.env['HOLDFAST_TORTURE'] === '1';
const ERRORS = FULL ? ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'ENOMEM'] : ['EIO'];
const TIMES = FULL ? ['once', 'from then on'] : ['once'];
/** Calls that Node.js itself does not make on its way up, so that the n-th one is surely the library's. */
const CALLS = ['fsync', 'mkdir', 'rename,renameat2', 'pwrite64', 'ftruncate', 'link', 'symlink', 'unlink', 'rmdir'];

/** strace counts calls per thread: with one thread for Node.js's file operations the n-th call is the n-th of the save. */
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1' };

const SAVES = `
  import { CheckpointManager, keep } from 'holdfast';
  import { writeSync } from 'node:fs';
  const say = (line) => writeSync(1, JSON.stringify(line) + '\\n');
  const [directory, engine] = process.argv.slice(1);
  try {
    const manager = await CheckpointManager.open(directory, { engine, keep: keep.last(1) });
    for (const step of [1, 2, 3]) {
      try {
        const tensors = { x: { dtype: 'I32', shape: [50_000], data: new Int32Array(50_000).fill(step) } };
        const { name, warnings } = await manager.save({ step, tensors, state: { step } });
        say({ step, acknowledged: name, warnings });
      } catch (error) {
        say({ step, failed: error.code ?? String(error), isHoldfastError: error.constructor.name === 'HoldfastError', message: error.message });
      }
    }
    await manager.close();
  } catch (error) {
    say({ failed: error.code ?? String(error), isHoldfastError: error.constructor.name === 'HoldfastError', message: error.message });
  }
`;

interface Line {
  readonly step?: number;
  readonly acknowledged?: string;
  readonly warnings?: readonly string[];
  readonly failed?: string;
  readonly isHoldfastError?: boolean;
  readonly message?: string;
}

/** Runs the saves with the n-th call failing; `false` if there was no n-th call. */
async function injectOnce(engine: string, calls: string, error: string, times: string, n: number): Promise<boolean> {
  const parent = freshDirectory();
  const directory = path.join(parent, 'c');
  const log = path.join(parent, 'log');
  const when = times === 'once' ? `${n}` : `${n}+`;
  const strace = ['strace', '-f', '-qq', '-o', log, '-e', `trace=${calls}`, '-e', `inject=${calls}:error=${error}:when=${when}`];
  const { stdout, stderr, signal } = await ended(startNode(SAVES, [directory, engine], ONE_THREAD, strace));
  const label = `${calls} ${error} ${times}, call ${n}: ${stdout} ${stderr}`;
  expect(signal, label).toBe(null);
  if (!readFileSync(log, 'utf8').includes('(INJECTED)')) return false;
  const lines = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  // It surfaced: as a typed error, or as a warning where the checkpoint was durable already.
  const surfaced = lines.filter(({ failed, warnings = [] }) => failed !== undefined || warnings.length > 0);
  // Files of a checkpoint that is not there any more are removed when the save has been acknowledged.
  const behind = stderr.includes('HoldfastWarning: Files of a checkpoint that retention removed are still there');
  // A help for estimates, which is written beside the save.
  const ofHistory = stderr.includes('HoldfastWarning: The history of the run cannot be written');
  expect(surfaced.length + Number(behind) + Number(ofHistory), label).toBeGreaterThan(0);
  for (const { failed, isHoldfastError, message } of surfaced) {
    if (failed === undefined) continue;
    expect([failed, isHoldfastError], label).toEqual([expect.stringMatching(/^ERR_(IO|NO_SPACE|READ_ONLY_FILE_SYSTEM)$/), true]);
    expect(message?.length).toBeGreaterThan(30);
  }
  await expectInvariant(directory, lines, label);
  return true;
}

async function expectInvariant(directory: string, lines: readonly Line[], label: string): Promise<void> {
  const acknowledged = lines.filter((line) => line.acknowledged !== undefined).map(({ step }) => step as number);
  const manager = await CheckpointManager.open(directory);
  try {
    expect(
      readdirSync(directory).filter((name) => name.startsWith('.tmp-')),
      label,
    ).toEqual([]);
    expect((await manager.verify()).problems, label).toEqual([]);
    const restored = await manager.restore();
    expect(restored?.info.step, label).toBe(acknowledged.at(-1));
    if (restored !== null) {
      expect(restored.skipped, label).toEqual([]);
      const data = restored.tensors.get('x')?.data as Int32Array;
      const right = data.every((value) => value === restored.info.step);
      expect(right, label).toBe(true);
    }
    const steps: number[] = [];
    for await (const { step } of manager.list()) steps.push(step as number);
    // What failed is not listed, whatever happened after it.
    expect(
      steps.filter((step) => !acknowledged.includes(step)),
      label,
    ).toEqual([]);
  } finally {
    await manager.close();
  }
}

const canInject = spawnSync('strace', ['-qq', '-o', '/dev/null', '-e', 'inject=chdir:error=EIO:when=1', 'true']).status === 0;
if (!canInject) console.warn('Failing system calls are not injected: strace is missing or not permitted (Debian: apt-get install strace).');

describe.skipIf(!canInject).each(ENGINES)('failing system calls, %s engine', (engine) => {
  test.each(CALLS)('%s', { timeout: 600_000 }, async (calls) => {
    let injected = 0;
    for (const error of ERRORS) {
      for (const times of TIMES) {
        let n = 1;
        while (await injectOnce(engine, calls, error, times, n)) n++;
        injected += n - 1;
      }
    }
    // The native engine writes state and manifest with Node.js, the tensors with its own threads.
    const never = calls === 'ftruncate' && engine === 'portable';
    if (!never) expect(injected).toBeGreaterThan(0);
    console.log(`${engine}: ${injected} failing calls of ${calls}, all surfaced`);
  });
});

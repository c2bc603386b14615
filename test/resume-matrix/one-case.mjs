// One case: straight, killed, gone on; and what differs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import seedrandom from 'seedrandom';
import { MOMENTS, STEPS, trainCase } from './workload.mjs';

const LIBRARY = new URL('../../dist/tfjs/index.js', import.meta.url).href;
const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
/** Every case is done in a second or two. */
const HANG_MS = 120_000;

/** What chance decides of a case. */
export function planOf(name, seed) {
  const random = seedrandom.alea(`${seed}/${name}`);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const kills = Array.from({ length: pick([1, 1, 2]) }, () => ({ step: Math.floor(random() * STEPS), at: pick(MOMENTS) }));
  kills.sort((a, b) => a.step - b.step);
  return { saveFreq: pick(['epoch', 1, 3, 7]), kills, seed: `run ${seed}` };
}

/**
 * Runs a case in this process but for what is killed. Resolves to what went on from where, and the names of what differs. `holdfast` is the library that
 * trains here.
 */
export async function runCase({ tf, holdfast, backend, name, plan }) {
  const root = mkdtempSync(path.join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), 'holdfast-resume-'));
  try {
    const { saveFreq, seed } = plan;
    const common = { name, saveFreq, seed };
    const directory = path.join(root, 'killed');
    const log = path.join(root, 'losses');
    for (const kill of plan.kills) await killedRun({ ...common, backend, directory, log, kill, library: LIBRARY });
    const straight = await trainCase({ ...common, tf, holdfast, directory: path.join(root, 'straight') });
    const resumed = await trainCase({ ...common, tf, holdfast, directory });
    return { resumedAt: resumed.resumedAt, different: compare(straight, resumed, readLosses(log)) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Rejects unless the process dies as it should. */
async function killedRun(given) {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(given)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), HANG_MS);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  // The second one may have been gone past when the first one died.
  if (signal !== 'SIGKILL' && code !== 3) throw new Error(`a process that was to be killed ended with ${signal ?? code}:\n${stderr}`);
}

function readLosses(log) {
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function compare(straight, resumed, killed) {
  const { losses, resumedAt: _, ...whole } = straight;
  const { losses: later, resumedAt, ...rest } = resumed;
  const expected = [...losses].filter(([step]) => step >= resumedAt);
  const parts = Object.keys(whole).filter((part) => !isDeepStrictEqual(whole[part], rest[part]));
  const steps = killed.filter(([step, loss]) => losses.get(step) !== loss).map(([step]) => `loss of step ${step} before the kill`);
  return [...parts, ...(isDeepStrictEqual([...later], expected) ? [] : ['losses']), ...steps];
}

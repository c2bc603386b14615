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
  const saveFreq = pick(['epoch', 1, 3, 7]);
  // A save is only sure to be under way where there is one after every batch.
  const moment = () => pick(saveFreq === 1 ? [...MOMENTS, 'saving'] : MOMENTS);
  const first = { step: Math.floor(random() * (STEPS - 4)), at: moment() };
  // An epoch later: what was saved when the first one died is not behind it.
  const second = { step: first.step + 8 + Math.floor(random() * 8), at: moment() };
  const kills = random() < 0.3 && second.step < STEPS - 4 ? [first, second] : [first];
  return { saveFreq, kills, seed: `run ${seed}` };
}

/**
 * Lets processes train a case and die. Resolves to a function for the rest, which can be called once and wants the process for itself: it goes on, trains
 * straight, and resolves to where it went on and the names of what differs. `holdfast` is the library that trains here.
 */
export async function killCase({ backend, name, plan }) {
  const root = mkdtempSync(path.join(process.env.HOLDFAST_TEST_DIR ?? tmpdir(), 'holdfast-resume-'));
  const { saveFreq, seed } = plan;
  const common = { name, saveFreq, seed };
  const directory = path.join(root, 'killed');
  const log = path.join(root, 'losses');
  const remove = () => rmSync(root, { recursive: true, force: true });
  try {
    for (const kill of plan.kills) await killedRun({ ...common, backend, directory, log, kill, library: LIBRARY });
  } catch (error) {
    remove();
    throw error;
  }
  return async ({ tf, holdfast }) => {
    try {
      const resumed = await trainCase({ ...common, tf, holdfast, directory });
      const straight = await trainCase({ ...common, tf, holdfast, directory: path.join(root, 'straight') });
      return { resumedAt: resumed.resumedAt, different: compare(straight, resumed, readLosses(log)) };
    } finally {
      remove();
    }
  };
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
  if (signal !== 'SIGKILL') throw new Error(`a process that was to be killed ended with ${signal ?? code}:\n${stderr}`);
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

// Starts one life in a process of its own, kills it when its time has come, and says what became of it.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { listDirectory } from '../../dist/index.js';

const SCRIPT = fileURLToPath(new URL('./life.mjs', import.meta.url));
const hasTaskset = spawnSync('taskset', ['--version']).status === 0;
const running = new Set();

/** No life outlives whoever started it. */
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * `given` goes to the life. Gives `{ restoredStep, wall_s, startup_s, acknowledgedStep, steps }`; `startup_s` is the time until it has made its first step, if it
 * got so far, `acknowledgedStep` the last one it said to be durable, `steps` the seconds of each where it was asked for them.
 */
export async function runLife(given, kill_s, cpu) {
  const command = cpu === undefined || !hasTaskset ? [] : ['taskset', '-c', String(cpu)];
  const [file, ...rest] = [...command, process.execPath, SCRIPT, JSON.stringify(given)];
  const began = performance.now();
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const life = { restoredStep: undefined, wall_s: 0, startup_s: undefined, acknowledgedStep: undefined, steps: [] };
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      return;
    }
    if (event.event === 'restored') life.restoredStep = event.step;
    if (event.event === 'training') life.startup_s = (performance.now() - began) / 1000;
    if (event.event === 'saved') life.acknowledgedStep = event.step;
    if (event.event === 'step') life.steps.push(event.seconds);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), kill_s * 1000);
  const [code, signal] = await new Promise((resolve) => child.on('close', (...ended) => resolve(ended)));
  clearTimeout(timer);
  running.delete(child);
  life.wall_s = (performance.now() - began) / 1000;
  if (signal !== 'SIGKILL') throw new Error(`A life ended by itself (${signal ?? code}):\n${errors}`);
  return life;
}

/** The step of the newest good checkpoint of a directory; 0 where there is none. */
export async function durableStep(directory) {
  const checkpoints = await listDirectory(directory).catch((error) => {
    if (error.code === 'ERR_NOT_FOUND') return [];
    throw error;
  });
  const good = checkpoints.filter(({ status }) => status === 'good');
  return Math.max(0, ...good.map(({ step }) => step));
}

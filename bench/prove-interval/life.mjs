// One life: a training process from its start to its kill, and what it said meanwhile.
import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Missing } from '../lib/missing.mjs';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
const STDERR_CHARACTERS = 4000;

const running = new Set();

/** Ends all lives that are running. */
export function killAll() {
  for (const child of running) child.kill('SIGKILL');
}

/** The cores that this process may use; empty where that is not to be found out, or where there is nothing to pin a process with. */
export function pinnableCores() {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    const found = process.env.PATH.split(delimiter).some((directory) => isExecutable(join(directory, 'taskset')));
    if (!found) return [];
    return list.split(',').flatMap((range) => {
      const [from, to = from] = range.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    });
  } catch {
    return [];
  }
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs the training with `job` (what child.mjs takes) on `core`, or on any. With `killAfter_s` it is killed by SIGKILL so many seconds after its start, and
 * must not end before; without, it must end well by itself. Gives the wall time and what it said, in order; `undefined` if `killAll` ended it.
 */
export function live(job, { core, killAfter_s } = {}) {
  const began_ms = performance.now();
  const given = JSON.stringify({ ...job, spawned_ms: performance.timeOrigin + began_ms });
  const [command, ...args] = [...(core === undefined ? [] : ['taskset', '-c', String(core)]), process.execPath, CHILD, given];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-STDERR_CHARACTERS);
  });
  let killed = false;
  const kill = () => {
    killed = child.kill('SIGKILL');
  };
  const timer = killAfter_s === undefined ? undefined : setTimeout(kill, 1000 * killAfter_s - (performance.now() - began_ms));
  return new Promise((resolve, reject) => {
    let wall_s;
    child.on('error', reject);
    child.on('exit', () => {
      wall_s = (performance.now() - began_ms) / 1000;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      const isOutside = signal !== null && !killed;
      const isWell = killAfter_s === undefined ? code === 0 : signal === 'SIGKILL' && killed;
      // Somebody pressed Ctrl-C, or the system ended it: of no use to anybody.
      if (isOutside) resolve(undefined);
      else if (isWell) resolve({ wall_s, events: parseLines(stdout) });
      else reject(failureOf(stderr, code));
    });
  });
}

/** The last line may be torn. */
function parseLines(text) {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

function failureOf(stderr, code) {
  const missing = /Missing: (.*)/.exec(stderr);
  if (missing !== null) return new Missing(missing[1]);
  return new Error(`The training ended by itself with ${code}, before it was killed:\n${stderr}`);
}

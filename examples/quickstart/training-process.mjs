/** Runs train.mjs as a process of its own, and kills it where asked to. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('train.mjs', import.meta.url));
const children = new Set();
/** How long a save may take to write its first bytes before it is killed without. */
const MAX_WAIT_MS = 100;

// Whatever ends this process ends its children too.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
]) {
  process.on(signal, () => process.exit(128 + number));
}

/**
 * Trains until the end; or, with `killAfterSaves`, until the save after that many has begun: SIGKILL is sent when the
 * directory of an unfinished checkpoint (`.tmp-…`) appears and holds something.
 */
export async function runTraining(directory, steps, every, { onStep, killAfterSaves }) {
  mkdirSync(directory, { recursive: true });
  const child = spawn(process.execPath, [program, directory, String(steps), String(every)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  children.add(child);
  const run = { started: undefined, steps: [], saves: [], done: undefined, stderr: '', signal: null };
  child.stderr.on('data', (chunk) => {
    run.stderr += chunk;
  });
  child.on('message', (message) => {
    if (message.event === 'started') run.started = message;
    if (message.event === 'saved') run.saves.push(message);
    if (message.event === 'done') run.done = message;
    if (message.event !== 'step') return;
    run.steps.push(message.step);
    onStep(message);
  });
  const watcher = killAfterSaves === undefined ? undefined : killWhenSaving(directory, child, killAfterSaves, run);
  const [code, signal] = await once(child, 'close');
  watcher?.close();
  children.delete(child);
  onStep();
  if (code !== 0) run.done = undefined;
  return { ...run, signal };
}

/** Kills `child` once `afterSaves` saves are acknowledged and the next one has begun to write. */
function killWhenSaving(directory, child, afterSaves, run) {
  return watch(directory, (_, name) => {
    if (run.saves.length < afterSaves || !name?.startsWith('.tmp-')) return;
    // Waits for the first bytes, so that the checkpoint is half written and not just begun.
    const deadline = performance.now() + MAX_WAIT_MS;
    while (isEmptyDirectory(path.join(directory, name)) && performance.now() < deadline);
    if (isDirectory(path.join(directory, name))) child.kill('SIGKILL');
  });
}

function isDirectory(name) {
  return lstatSync(name, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isEmptyDirectory(name) {
  try {
    return isDirectory(name) && readdirSync(name).every((file) => statSync(path.join(name, file)).size === 0);
  } catch {
    return false;
  }
}

/** Running an example as a user does: its program in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { type Ended, ended } from './child.js';

/** Starts `examples/PROGRAM`; it is killed when the test is over. */
export function startExample(program: string, args: readonly string[], cwd?: string): ChildProcess {
  const file = fileURLToPath(new URL(`../../examples/${program}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Runs `examples/PROGRAM` until it ends. */
export function runExample(program: string, args: readonly string[], cwd?: string): Promise<Ended> {
  return ended(startExample(program, args, cwd));
}

/** Waits until an example has printed `text`; gives all that it printed until then. It is not disturbed, and goes on. */
export function hasPrinted(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let [seen, errors] = ['', ''];
    child.stderr?.on('data', (chunk) => {
      errors += chunk;
    });
    child.stdout?.on('data', (chunk) => {
      seen += chunk;
      if (seen.includes(text)) resolve(seen);
    });
    child.on('close', () => reject(new Error(`It ended without printing ${JSON.stringify(text)}: ${seen}${errors}`)));
  });
}

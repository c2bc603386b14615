/** Two runs, one of them killed and started again, against each other. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../command-line.mjs';

const program = fileURLToPath(new URL('train.mjs', import.meta.url));

/** One run of train.mjs with the same options; gives what it ended with. */
async function run(directory, { steps, every, layers, heads, width, context, batch, seed, backend }, more) {
  const settings = { steps, every, layers, heads, width, context, batch, seed, backend, sample: 0, ...more };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [program, '--dir', directory, ...args], { stdio: 'inherit' });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const [code, signal] = await once(child, 'close');
  process.off('exit', end);
  return signal ?? code;
}

/** Trains straight and with an interruption; tells for each file of the last checkpoints whether they are the same, and gives whether all are. */
export async function compareRuns(options) {
  const [straight, killed] = ['straight', 'killed'].map((name) => path.join(options.dir, name));
  for (const directory of [straight, killed]) {
    if (existsSync(directory)) throw new UsageError(`${directory} is there already. Remove it, or give another --dir.`);
  }
  const killAt = options.killAt ?? Math.ceil(options.steps / 2) + 1;
  const expect = async (title, directory, more, wanted) => {
    console.log(`\n${title}`);
    const got = await run(directory, options, more);
    if (got !== wanted) throw new Error(`The training process ended with ${got} instead of ${wanted}.`);
  };
  await expect('1. Train without interruption', straight, {}, 0);
  await expect(`2. Train again, and kill the process at step ${killAt}`, killed, { 'kill-at': killAt }, 'SIGKILL');
  await expect('3. Start the same command again', killed, {}, 0);
  console.log('\n4. Compare');
  const files = readdirSync(path.join(straight, 'latest')).filter((name) => name !== 'manifest.json');
  const same = files.map((name) => {
    const [a, b] = [straight, killed].map((directory) => readFileSync(path.join(directory, 'latest', name)));
    const equal = a.equals(b);
    console.log(`   ${equal ? 'yes' : 'NO '}  ${name.padEnd(21)} is the same, bit by bit: ${a.length} bytes`);
    return equal;
  });
  return files.length > 0 && same.every(Boolean);
}

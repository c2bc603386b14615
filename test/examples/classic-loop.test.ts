/** examples/classic-loop: a run that is killed and resumed ends with the bits of one that was not; wrong input is said. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Ended, ended } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { random32 } from '../helpers/random.js';

const PROGRAM = fileURLToPath(new URL('../../examples/classic-loop/train.mjs', import.meta.url));
const SMALL = ['--samples', '640', '--epochs', '6'];

function start(args: readonly string[], cwd?: string): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

const train = (args: readonly string[], cwd?: string): Promise<Ended> => ended(start(args, cwd));

/** Kills a run in the middle of the epoch after `epoch`, at that share of the time that the epoch before took. */
async function killAfter(args: readonly string[], epoch: number, share: number): Promise<Ended> {
  const child = start(args);
  const end = ended(child);
  const saidAt: number[] = [];
  const saved = new Promise<void>((resolve) => {
    let seen = '';
    child.stdout?.on('data', (chunk) => {
      seen += chunk;
      if (chunk.includes('epoch ')) saidAt.push(performance.now());
      if (seen.includes(`epoch ${epoch}/`)) resolve();
    });
  });
  await Promise.race([saved, end]);
  const [last = 0, before = last] = saidAt.reverse();
  await sleep((last - before) * share);
  child.kill('SIGKILL');
  return end;
}

/** What a run says of each epoch: metrics, learning rate, name of the checkpoint. */
const epochs = ({ stdout }: Ended) => stdout.split('\n').filter((line) => line.startsWith('epoch '));

describe('the classic loop', () => {
  test('killed again and again, it ends with the same bits as a run that was not', { timeout: 180_000 }, async () => {
    const whole = freshDirectory();
    const broken = freshDirectory();
    const reference = await train(['--dir', whole, ...SMALL]);
    expect(reference).toMatchObject({ code: 0, stderr: '' });
    expect(epochs(reference)).toHaveLength(6);

    const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));
    const resume = ['--dir', broken, ...SMALL, '--resume', 'latest'];
    for (const epoch of [2, 4]) {
      const run = await killAfter(resume, epoch, (next() % 100) / 100);
      expect(run.signal, run.stdout + run.stderr).toBe('SIGKILL');
      for (const line of epochs(run)) expect(epochs(reference)).toContain(line);
    }
    const last = await train(resume);
    expect(last).toMatchObject({ code: 0, stderr: '' });
    expect(last.stdout).toMatch(/^Resumed from checkpoint_epoch000[45]_/);
    expect(epochs(reference).slice(-epochs(last).length)).toEqual(epochs(last));

    const files = readdirSync(path.join(whole, 'latest')).filter((name) => name !== 'manifest.json');
    expect(files.sort()).toEqual(['model.json', 'model.safetensors', 'optimizer.safetensors', 'state.json']);
    for (const file of files) {
      const [a, b] = [whole, broken].map((directory) => readFileSync(path.join(directory, 'latest', file)));
      expect((a as Buffer).equals(b as Buffer), file).toBe(true);
    }
    expect(path.basename(realpathSync(path.join(broken, 'latest')))).toBe(path.basename(realpathSync(path.join(whole, 'latest'))));
    expect((await (await openManager(broken, { readOnly: true })).verify()).problems).toEqual([]);
  });

  test('the learning rate falls, the last three and the best two stay, and the table of "holdfast ls" shows them', async () => {
    const directory = freshDirectory();
    const { stdout } = await train(['--dir', directory, '--samples', '200', '--epochs', '5']);
    expect([...stdout.matchAll(/ lr (\S+)/g)].map(([, rate]) => Number(rate))).toEqual([0.1, 0.1, 0.05, 0.05, 0.025]);
    const kept = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
    const saved = [...stdout.matchAll(/ val_loss (\S+) .* saved (\S+)/g)].map(([, loss, name]) => ({
      loss: Number(loss),
      name: name as string,
    }));
    const bestTwo = saved.toSorted((a, b) => a.loss - b.loss).slice(0, 2);
    expect(kept).toEqual(saved.filter((each) => saved.indexOf(each) >= 2 || bestTwo.includes(each)).map(({ name }) => name));
    const best = path.basename(realpathSync(path.join(directory, 'best')));
    expect(best).toBe(bestTwo[0]?.name);
    const table = stdout.slice(stdout.indexOf('   CHECKPOINT'));
    expect(table).toMatch(/^ {3}CHECKPOINT +STEP +EPOCH +loss +val_loss/);
    for (const name of kept) expect(table).toContain(name);
    expect(table).toContain(`*  ${best}`);
  });

  test('it goes on from the best checkpoint, or from one that is named', async () => {
    const directory = freshDirectory();
    const args = ['--dir', directory, '--samples', '200'];
    await train([...args, '--epochs', '3']);
    const named = readdirSync(directory).find((name) => name.includes('epoch0002')) as string;
    const best = path.basename(realpathSync(path.join(directory, 'best')));
    expect((await train([...args, '--epochs', '1', '--resume', 'best'])).stdout).toContain(`Resumed from ${best}.`);
    for (const target of [named, path.join(directory, named)]) {
      const { stdout, code } = await train([...args, '--epochs', '2', '--resume', target]);
      expect([code, stdout.split('\n').slice(0, 2)]).toEqual([
        0,
        [`Resumed from ${named}.`, 'Nothing to do: epoch 2 is done. Give more --epochs to go on.'],
      ]);
    }
  });
});

describe('the command line', () => {
  test('--help shows how to use it', async () => {
    const { code, stdout, stderr } = await train(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const part of ['--dir', '--epochs', '--resume', '--samples', 'Examples:']) expect(stdout).toContain(part);
  });

  test.each([
    [['--epoch', '3'], "'--epoch'"],
    [['--epochs', '0'], '--epochs must be a whole number'],
    [['--epochs', '1e3'], '--epochs must be a whole number'],
    [['--samples', '-1'], '--samples'],
    [['--resume'], '--resume'],
    [['--resume', ''], '--resume needs'],
    [['--dir', ''], '--dir needs'],
    [['extra'], "'extra'"],
    [['--resume', 'none'], 'no checkpoint "none"'],
    [['--dir', 'file'], 'file is not a directory'],
  ])('%j is refused with a clear message', async (args, message) => {
    const cwd = freshDirectory();
    writeFileSync(path.join(cwd, 'file'), '');
    const { code, stdout, stderr } = await train(args, cwd);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(existsSync(path.join(cwd, 'classic-loop-run', 'latest'))).toBe(false);
  });

  test('a directory that has checkpoints is not trained into by accident, nor gone on from with another configuration', async () => {
    const directory = freshDirectory();
    await train(['--dir', directory, '--samples', '100', '--epochs', '1']);
    const before = readdirSync(directory).sort();
    const again = await train(['--dir', directory, '--samples', '100']);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('Give --resume latest')]);
    const other = await train(['--dir', directory, '--samples', '99', '--resume', 'latest']);
    expect([other.code, other.stderr]).toEqual([2, expect.stringMatching(/"samples":100.*"samples":99/)]);
    expect(readdirSync(directory).sort()).toEqual(before);
  });

  test('a checkpoint of something else is refused', async () => {
    const directory = freshDirectory();
    await (await openManager(directory)).save(smallRequest(1));
    const { code, stderr } = await train(['--dir', path.join(directory, 'new'), '--resume', path.join(directory, 'latest')]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('has no optimizer state')]);
  });
});

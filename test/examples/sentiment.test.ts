/** examples/sentiment: it learns, with all callbacks in one fit; killed and started again, it ends with the bits of a run that was not. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Ended } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { runExample } from '../helpers/example.js';

const PROGRAM = 'sentiment/train.mjs';
const SMALL = ['--samples', '600', '--vocabulary', '400', '--epochs', '3', '--backup', '4'];

const train = (args: readonly string[], cwd?: string): Promise<Ended> => runExample(PROGRAM, args, cwd);

/** What a run says, without its directory. */
const said = ({ stdout }: Ended, directory: string) => stdout.replaceAll(directory, 'DIR').split('\n');

describe('all callbacks in one fit', () => {
  test('it learns; killed in the middle of an epoch and started again, it ends with the same bits', { timeout: 120_000 }, async () => {
    const [straight, broken] = [freshDirectory(), freshDirectory()];
    const [reference, killed] = await Promise.all([
      train(['--dir', straight, ...SMALL]),
      train(['--dir', broken, ...SMALL, '--kill-at', '22']),
    ]);
    expect(reference).toMatchObject({ code: 0, stderr: '' });
    // By chance it is half of the 120 for validation; 62 % or more by chance: 1 in 200.
    const accuracy = Number(/The best weights are back: .* val_accuracy (\S+) %/.exec(reference.stdout)?.[1]);
    expect(accuracy).toBeGreaterThan(62);
    expect(reference.stdout).toContain('Epoch 1: val_accuracy improved from None to');

    expect(killed.signal, killed.stderr).toBe('SIGKILL');
    expect(readdirSync(path.join(broken, 'backup')).filter((name) => name.startsWith('checkpoint_'))).not.toEqual([]);
    const resumed = await train(['--dir', broken, ...SMALL]);
    expect(resumed).toMatchObject({ code: 0, stderr: '' });
    // 15 batches an epoch: the second was under way.
    expect(resumed.stdout).not.toContain('epoch 1/3');
    const ends = said(reference, straight).slice(said(reference, straight).findIndex((line) => line.startsWith('Epoch 2:')));
    expect(said(resumed, broken).slice(-ends.length)).toEqual(ends);

    for (const file of ['model.safetensors', 'optimizer.safetensors', 'model.json']) {
      const [a, b] = [straight, broken].map((directory) => readFileSync(path.join(directory, 'best', 'best', file)));
      expect((a as Buffer).equals(b as Buffer), file).toBe(true);
    }
    const best = [straight, broken].map((directory) => path.basename(realpathSync(path.join(directory, 'best', 'best'))));
    expect(best[0]).toBe(best[1]);
    // What is finished needs no backup.
    for (const directory of [straight, broken]) expect(existsSync(path.join(directory, 'backup', 'latest'))).toBe(false);
  });
});

describe('the command line', () => {
  test('--help shows how to use it', async () => {
    const { code, stdout, stderr } = await train(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const part of ['--dir', '--epochs', '--backup', '--kill-at', '--backend', 'Examples:']) expect(stdout).toContain(part);
  });

  test.each([
    [['--samples', '10'], '--samples must be a whole number of at least 50'],
    [['--backend', 'gpu'], '--backend must be cpu or node'],
    [['--keep', '1'], "'--keep'"],
  ])('%j is refused with a clear message', async (args, message) => {
    const cwd = freshDirectory();
    const { code, stdout, stderr } = await train(args, cwd);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)]);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(readdirSync(cwd)).toEqual([]);
  });
});

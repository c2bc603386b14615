/** examples/gpt: it learns; killed in the middle of an epoch and started again, it ends with the bits of a run that was not. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Ended } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { runExample } from '../helpers/example.js';
import { openManager } from '../helpers/manager.js';
import { loadTfjsNode } from '../helpers/tfjs-node.js';

const PROGRAM = 'gpt/train.mjs';
const TINY = ['--width', '16', '--context', '16', '--batch', '4'];

const gpt = (args: readonly string[], cwd?: string): Promise<Ended> => runExample(PROGRAM, args, cwd);

/** What a run says of its losses: step, loss and validation loss, without the speed. */
const losses = (stdout: string) =>
  [...stdout.matchAll(/^step (\d+)\/.* loss (\S+) {2}val_loss (\S+)/gm)].map(([, ...each]) => each.map(Number));

const { reason } = loadTfjsNode();
if (reason !== undefined) console.warn(`examples/gpt is not tested on tfjs-node: ${reason}`);

describe.each(reason === undefined ? ['cpu', 'node'] : ['cpu'])('on %s', (backend) => {
  test('killed between two checkpoints and started again, it ends with the same bits, and it learns', { timeout: 120_000 }, async () => {
    const directory = freshDirectory();
    const run = ['--dir', directory, '--compare', '--backend', backend, ...TINY, '--steps', '30', '--every', '6', '--kill-at', '16'];
    const { code, stdout, stderr } = await gpt(run);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect([...stdout.matchAll(/ {3}yes {2}(\S+)/g)].map(([, name]) => name).sort()).toEqual([
      'model.safetensors',
      'optimizer.safetensors',
      'state.json',
    ]);
    const [straight = '', killed = '', resumed = ''] = stdout.split(/\n\d\. .*\n/).slice(1);
    expect(resumed).toMatch(/^Resumed from checkpoint_step00000012_\S+: epoch 1, batch 12 of \d+\.$/m);
    expect(losses(straight).map(([step]) => step)).toEqual([6, 12, 18, 24, 30]);
    expect([...losses(killed), ...losses(resumed)]).toEqual(losses(straight));
    // Chance is ln 72 = 4.28.
    expect(losses(straight).at(-1)?.[2]).toBeLessThan(3.5);
    for (const name of ['straight', 'killed']) {
      expect((await (await openManager(path.join(directory, name), { readOnly: true })).verify()).problems).toEqual([]);
    }
  });
});

test('it goes on from the prompt, the last step is saved whatever it is, and a finished run only writes', async () => {
  const directory = freshDirectory();
  const args = ['--dir', directory, ...TINY, '--layers', '1', '--steps', '3', '--every', '2'];
  const { stdout } = await gpt([...args, '--sample', '20', '--prompt', 'Light is']);
  expect(stdout).toMatch(/^Light is[\s\S]{20}\n$/m);
  const saved = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  expect(saved.map((name) => name.slice(0, 23))).toEqual(['checkpoint_step00000002', 'checkpoint_step00000003']);
  const again = await gpt([...args, '--sample', '0']);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('Nothing to train: step 3 is done.')]);
  const other = await gpt([...args, '--seed', '2']);
  expect([other.code, other.stderr]).toEqual([2, expect.stringMatching(/"seed":1.*"seed":2/)]);
  const compare = await gpt(['--dir', path.dirname(directory), '--compare', '--steps', '0']);
  expect([compare.code, compare.stderr]).toEqual([2, expect.stringContaining('--steps must be')]);
});

describe('the command line', () => {
  test('--help shows how to use it', async () => {
    const { code, stdout, stderr } = await gpt(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const part of ['--dir', '--kill-at', '--compare', '--backend', '--sample', 'Examples:']) expect(stdout).toContain(part);
  });

  test.each([
    [['--kill-at', '300'], '--kill-at 300 lies behind the last step, 200'],
    [['--width', '50', '--heads', '4'], '--width must be a multiple of --heads'],
    [['--backend', 'gpu'], '--backend must be cpu or node'],
    [['--prompt', 'Ω'], '--prompt: the text has no "Ω"'],
    [['--context', '100000'], 'the text is too short'],
  ])('%j is refused with a clear message', async (args, message) => {
    const cwd = freshDirectory();
    const { code, stdout, stderr } = await gpt(args, cwd);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(stdout).not.toContain('step');
    expect(readdirSync(cwd)).toEqual([]);
  });
});

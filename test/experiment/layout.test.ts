/** What lies where in an experiment, who may open it, and that looking changes nothing. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openExperiment } from '../../src/experiment/experiment.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { logLines, openTestExperiment } from '../helpers/experiment.js';
import { smallRequest } from '../helpers/manager.js';

/** Every entry below `directory`, with what would show that it was touched. */
function snapshot(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs, ctimeMs, ino } = lstatSync(path.join(directory, name));
      return [name, size, mtimeMs, ctimeMs, ino].join(' ');
    });
}

describe('the layout', () => {
  test('is made, below directories that were not there either', async () => {
    const root = path.join(freshDirectory(), 'a', 'experiments');
    const experiment = await openTestExperiment(root, 'digits', { config: { lr: 0.1 } });
    expect(experiment.name).toBe('digits');
    expect(experiment.directory).toBe(path.join(realpathSync(root), 'digits'));
    expect(experiment.manager.directory).toBe(path.join(experiment.directory, 'checkpoints'));
    await experiment.manager.save(smallRequest(1));
    expect((await experiment.restore())?.info.step).toBe(1);
    await experiment.close();
    expect(readdirSync(experiment.directory).sort()).toEqual(['README.md', 'checkpoints', 'config.json', 'logs']);
    expect(readdirSync(path.join(experiment.directory, 'logs'))).toEqual(['training.jsonl']);
  });

  test('is by default below experiments/ of the working directory', async () => {
    const directory = freshDirectory();
    const script = `
      process.chdir(process.argv[1]);
      const { openExperiment } = await import(${JSON.stringify(new URL('../../dist/experiment/experiment.js', import.meta.url).href)});
      await (await openExperiment('digits')).close();
    `;
    expect(await ended(startNode(script, [directory]))).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(path.join(directory, 'experiments', 'digits')).sort()).toEqual(['README.md', 'checkpoints', 'logs']);
  });

  test('what somebody else has in the making is left alone', async () => {
    const root = freshDirectory();
    const { directory } = await openTestExperiment(root, 'x');
    const left = [path.join(directory, '.tmp-1'), path.join(directory, 'logs', '.tmp-2')];
    for (const file of left) writeFileSync(file, 'half');
    await rejection(openExperiment('x', { root }), 'ERR_LOCKED');
    expect(left.map(existsSync)).toEqual([true, true]);
  });

  test('the next opening goes on in it, and sweeps what a dead process has left', async () => {
    const root = freshDirectory();
    const first = await openExperiment('x', { root });
    await first.manager.save(smallRequest(1));
    await first.close();
    for (const place of ['', 'logs']) writeFileSync(path.join(first.directory, place, '.tmp-dead'), 'half');
    const second = await openTestExperiment(root, 'x');
    expect((await second.restore())?.info.step).toBe(1);
    expect(readdirSync(first.directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.tmp-'))).toEqual([]);
    await second.close();
    expect(logLines(second.directory).map(({ event }) => event)).toEqual(['started', 'saved', 'closed', 'started', 'restored', 'closed']);
  });
});

describe('README.md', () => {
  test('says what the experiment is and how to go on', async () => {
    const root = freshDirectory();
    const { directory } = await openTestExperiment(root, 'digits', { description: 'Handwritten digits, a first try.\n' });
    const text = readFileSync(path.join(directory, 'README.md'), 'utf8');
    expect(text).toMatch(/^# digits\n\nHandwritten digits, a first try\.\n\nBegun \d{4}-\d\d-\d\dT[\d:.]+Z\.\n/);
    for (const part of ['checkpoints/', 'config.json', 'logs/training.jsonl', 'holdfast ls checkpoints', 'holdfast verify checkpoints'])
      expect(text).toContain(part);
  });

  test('its lines of code restore the best checkpoint', async () => {
    const root = freshDirectory();
    const { directory, manager } = await openTestExperiment(root, 'x');
    for (const [step, loss] of [0.5, 0.25, 0.75].entries()) await manager.save({ ...smallRequest(step), metrics: { loss } });
    const code = /```js\n([\s\S]*?)```/.exec(readFileSync(path.join(directory, 'README.md'), 'utf8'))?.[1] as string;
    expect(code.trim().split('\n')).toHaveLength(3);
    const script = `process.chdir(process.argv[1]);\n${code}\nconsole.log(JSON.stringify([state, tensors.get('x').data[0]]));`;
    const { stdout, stderr } = await ended(startNode(script, [directory]));
    expect({ stdout, stderr }).toEqual({ stdout: '[{"step":1},1]\n', stderr: '' });
  });

  test('is never overwritten, and written anew where it was removed, with the day when it all began', async () => {
    const root = freshDirectory();
    const first = await openExperiment('x', { root });
    const file = path.join(first.directory, 'README.md');
    await first.close();
    const began = logLines(first.directory)[0]?.['time'] as string;
    writeFileSync(file, 'mine');
    await (await openExperiment('x', { root, description: 'other' })).close();
    expect(readFileSync(file, 'utf8')).toBe('mine');
    rmSync(file);
    mkdirSync(file);
    await (await openExperiment('x', { root })).close();
    expect(readdirSync(file)).toEqual([]);
    rmSync(file, { recursive: true });
    await (await openExperiment('x', { root })).close();
    expect(readFileSync(file, 'utf8')).toContain(`# x\n\nBegun ${began}.`);
  });
});

describe('what is refused, before anything is made', () => {
  test.each(['', '.', '..', '.hidden', 'a/b', '/a', 'a\\b', 'a\nb', 'a\0b', 'a\u007fb', 'half\ud800', 'x'.repeat(256), 7, null])(
    'the name %j',
    async (name) => {
      const root = freshDirectory();
      await rejection(openExperiment(name as string, { root }), 'ERR_INVALID_NAME');
      await rejection(openExperiment(name as string, { root, readOnly: true }), 'ERR_INVALID_NAME');
      expect(readdirSync(root)).toEqual([]);
    },
  );

  test.each([
    [{ rooot: 'x' }, 'ERR_UNKNOWN_OPTION'],
    [{ root: '' }, 'ERR_INVALID_ARGUMENT'],
    [{ description: 7 }, 'ERR_INVALID_ARGUMENT'],
    [{ keep: 7 }, 'ERR_INVALID_ARGUMENT'],
    [{ config: { lr: Number.NaN } }, 'ERR_INVALID_STATE'],
    [{ config: { seed: undefined } }, 'ERR_INVALID_STATE'],
    [{ config: {}, readOnly: true }, 'ERR_INVALID_ARGUMENT'],
  ] as const)('the options %j', async (options, code) => {
    const root = path.join(freshDirectory(), 'experiments');
    const error = await rejection(openExperiment('x', { root, ...(options as object) }), code);
    expect(error.message).toMatch(/rooot|path|description|keep|config/);
    expect(existsSync(root)).toBe(false);
  });

  test('names that are only unusual are fine', async () => {
    const root = freshDirectory();
    for (const name of ['manifest.json', 'größe 2', '実験', '-x', 'a.b']) {
      const experiment = await openTestExperiment(root, name);
      expect(path.basename(experiment.directory)).toBe(name);
    }
  });

  test('a file in the place of the experiment, or of its logs', async () => {
    const root = freshDirectory();
    writeFileSync(path.join(root, 'file'), 'x');
    await rejection(openExperiment('file', { root }), 'ERR_NOT_A_DIRECTORY');
    mkdirSync(path.join(root, 'x'));
    writeFileSync(path.join(root, 'x', 'logs'), 'x');
    await rejection(openExperiment('x', { root }), 'ERR_NOT_A_DIRECTORY');
    rmSync(path.join(root, 'x', 'logs'));
    mkdirSync(path.join(root, 'x', 'logs', 'training.jsonl'), { recursive: true });
    const error = await openExperiment('x', { root }).catch((caught) => caught);
    expect(error).toMatchObject({ name: 'HoldfastError', path: path.join(realpathSync(root), 'x', 'logs', 'training.jsonl') });
    rmSync(path.join(root, 'x', 'logs'), { recursive: true });
    // What failed has let go of everything.
    await openTestExperiment(root, 'x');
  });
});

describe('one writer', () => {
  test('another process is locked out, and changes nothing', async () => {
    const root = freshDirectory();
    const { directory } = await openTestExperiment(root, 'x', { config: { lr: 1 } });
    const before = snapshot(directory);
    const script = `
      const { openExperiment } = await import(${JSON.stringify(new URL('../../dist/experiment/experiment.js', import.meta.url).href)});
      const error = await openExperiment('x', { root: process.argv[1], config: { lr: 2 } }).catch((caught) => caught);
      console.log(error.code);
    `;
    expect((await ended(startNode(script, [root]))).stdout).toBe('ERR_LOCKED\n');
    // The lock is written under another name and taken away again, which touches its directory and nothing else.
    const other = (entries: string[]) => entries.filter((entry) => !entry.startsWith('checkpoints'));
    expect(other(snapshot(directory))).toEqual(other(before));
  });

  test('the same process may have it open once, and again when it is closed', async () => {
    const root = freshDirectory();
    const first = await openExperiment('x', { root });
    await rejection(openExperiment('x', { root }), 'ERR_LOCKED');
    const [second] = await Promise.all([openExperiment('y', { root }), first.close()]);
    await second.close();
    const again = await openExperiment('x', { root });
    await again.close();
    expect(logLines(again.directory).map(({ event }) => event)).toEqual(['started', 'closed', 'started', 'closed']);
  });

  test('whoever closes the manager does not let others in before the log is closed', async () => {
    const root = freshDirectory();
    const experiment = await openTestExperiment(root, 'x');
    await experiment.manager.close();
    expect(existsSync(path.join(experiment.directory, 'checkpoints', '.lock'))).toBe(true);
    experiment.log({ step: 1 });
    await experiment.close();
    expect(existsSync(path.join(experiment.directory, 'checkpoints', '.lock'))).toBe(false);
    expect(logLines(experiment.directory).map(({ event }) => event)).toEqual(['started', 'log', 'closed']);
  });
});

describe('read-only', () => {
  test('reads everything and writes nothing, also beside a writer', async () => {
    const root = freshDirectory();
    const writer = await openTestExperiment(root, 'x', { config: { lr: 1 } });
    await writer.manager.save(smallRequest(3));
    writer.log({ step: 3, loss: 0.5 });
    await writer.history();
    const before = snapshot(root);
    const reader = await openTestExperiment(root, 'x', { readOnly: true });
    expect(reader.config).toEqual({ lr: 1 });
    expect((await reader.restore())?.state).toEqual({ step: 3 });
    expect((await reader.history()).records.map(({ event }) => event)).toEqual(['started', 'saved', 'log']);
    expect(() => reader.log({ step: 4 })).toThrowError(expect.objectContaining({ code: 'ERR_READ_ONLY' }));
    expect(() => reader.logRestored(null)).toThrowError(expect.objectContaining({ code: 'ERR_READ_ONLY' }));
    await rejection(reader.manager.save(smallRequest(4)), 'ERR_READ_ONLY');
    await reader.close();
    expect(snapshot(root)).toEqual(before);
  });

  test('what is not there is not made', async () => {
    const root = freshDirectory();
    await rejection(openExperiment('none', { root, readOnly: true }), 'ERR_NOT_FOUND');
    expect(readdirSync(root)).toEqual([]);
    mkdirSync(path.join(root, 'bare', 'checkpoints'), { recursive: true });
    const bare = await openTestExperiment(root, 'bare', { readOnly: true });
    expect([bare.config, await bare.history()]).toEqual([undefined, { records: [], torn: 0 }]);
    expect(readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()).toEqual(['bare', path.join('bare', 'checkpoints')]);
  });
});

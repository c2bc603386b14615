import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';
import { alterManifest, find, readManifest, saveAll } from './checkpoints.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

const LONG_AGO = '2025-01-02T03:04:05.000Z';

/** Three checkpoints of 2025: the second is the best, the third the latest. */
async function run(): Promise<{ directory: string; at: (step: number) => string }> {
  const directory = await saveAll([
    { metrics: { loss: 2.31, acc: 0.1 } },
    { metrics: { loss: 0.25, acc: 0.9 }, contents: 'weights' },
    { metrics: { loss: 0.5, acc: 0.85 } },
  ]);
  const names = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  for (const name of names) alterManifest(path.join(directory, name), { createdAt: LONG_AGO });
  return { directory, at: (step) => find(directory, names, step) };
}

describe('ls --json', () => {
  test('has exactly these fields', async () => {
    const { directory, at } = await run();
    const { code, document } = await holdfastJson(['ls', directory]);
    expect(code).toBe(0);
    const bytesOf = (step: number) => readManifest(at(step)).files.reduce((sum, file) => sum + file.bytes, 0);
    const entry = (step: number) => ({
      name: path.basename(at(step)),
      path: at(step),
      sequence: step / 1000,
      step,
      epoch: step / 1000,
      bytes: bytesOf(step),
      createdAt: LONG_AGO,
      contents: 'full',
      tags: [],
      status: 'good',
      best: false,
      latest: false,
    });
    expect(document).toStrictEqual({
      directory,
      checkpoints: [
        { ...entry(1000), metrics: { loss: 2.31, acc: 0.1 } },
        { ...entry(2000), metrics: { loss: 0.25, acc: 0.9 }, contents: 'weights', best: true },
        { ...entry(3000), metrics: { loss: 0.5, acc: 0.85 }, latest: true },
      ],
    });
    const first = (document as { checkpoints: object[] }).checkpoints[0] as object;
    expect(Object.keys(first).join(' ')).toBe('name path sequence step epoch metrics bytes createdAt contents tags status best latest');
  });

  test('gives null where a manifest does not say, and exits with 1', async () => {
    const { directory, at } = await run();
    rmSync(path.join(at(3000), 'manifest.json'));
    truncateSync(path.join(at(1000), 'model.safetensors'), 100);
    const { code, document } = await holdfastJson(['ls', directory]);
    expect(code).toBe(1);
    const { checkpoints } = document as { checkpoints: Record<string, unknown>[] };
    expect(checkpoints.map(({ step, status, best, latest }) => ({ step, status, best, latest }))).toEqual([
      { step: 1000, status: 'damaged', best: false, latest: false },
      { step: 2000, status: 'good', best: true, latest: true },
      { step: null, status: 'damaged', best: false, latest: false },
    ]);
    expect(checkpoints[2]).toStrictEqual({
      name: path.basename(at(3000)),
      path: at(3000),
      ...{ sequence: null, step: null, epoch: null, metrics: null, bytes: null, createdAt: null, contents: null, tags: [] },
      ...{ status: 'damaged', best: false, latest: false },
    });
  });

  test('gives metrics that are not finite as strings', async () => {
    const directory = await saveAll([
      { metrics: { loss: Number.NaN, up: Number.POSITIVE_INFINITY, down: Number.NEGATIVE_INFINITY }, epoch: undefined },
    ]);
    const { code, document } = await holdfastJson(['ls', directory]);
    expect(code).toBe(0);
    expect((document as { checkpoints: object[] }).checkpoints[0]).toMatchObject({
      metrics: { loss: 'NaN', up: 'Infinity', down: '-Infinity' },
      epoch: null,
      best: false,
      latest: true,
    });
  });

  test('of an empty directory is an empty list', async () => {
    const directory = freshDirectory();
    expect(await holdfastJson(['ls', directory])).toEqual({ code: 0, document: { directory, checkpoints: [] } });
  });
});

describe('ls', () => {
  test('is a table', async () => {
    const { directory } = await run();
    const { code, stdout, stderr } = await holdfast(['ls', directory]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(`\n${stdout}`).toMatchInlineSnapshot(`
      "
         CHECKPOINT                                     STEP  EPOCH    loss     acc      SIZE       SAVED
         checkpoint_epoch0001_step00001000_loss2.3100  1,000      1   2.310  0.1000  4.16 KiB  2025-01-02
      *  checkpoint_epoch0002_step00002000_loss0.2500  2,000      2  0.2500  0.9000  4.16 KiB  2025-01-02  best, weights
         checkpoint_epoch0003_step00003000_loss0.5000  3,000      3  0.5000  0.8500  4.16 KiB  2025-01-02  latest

      3 checkpoints, 12.5 KiB
      "
    `);
  });

  test('leaves columns out where the terminal is narrow, names and sizes last', async () => {
    const { directory } = await run();
    const widths = async (columns: string) => {
      const { stdout } = await holdfast(['ls', directory], { env: { COLUMNS: columns } });
      const lines = stdout.split('\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(Number(columns));
      return lines[0]?.trim().split(/\s+/);
    };
    expect(await widths('140')).toEqual(['CHECKPOINT', 'STEP', 'EPOCH', 'loss', 'acc', 'SIZE', 'SAVED']);
    expect(await widths('94')).toEqual(['CHECKPOINT', 'loss', 'SIZE', 'SAVED']);
    expect(await widths('80')).toEqual(['CHECKPOINT', 'loss', 'SIZE']);
    expect(await widths('48')).toEqual(['CHECKPOINT', 'SIZE']);
  });

  test('says why a checkpoint is damaged', async () => {
    const { directory, at } = await run();
    truncateSync(path.join(at(3000), 'model.safetensors'), 100);
    const { code, stdout } = await holdfast(['ls', directory]);
    expect(code).toBe(1);
    expect(stdout).toContain('\n    model.safetensors is cut short: 100 bytes instead of');
    expect(stdout).toContain('1 damaged');
    expect(stdout).toContain(`holdfast verify ${directory}`);
  });

  test('says kindly that there is nothing', async () => {
    const directory = freshDirectory();
    expect(await holdfast(['ls', directory])).toEqual({ code: 0, stdout: `There are no checkpoints in ${directory} yet.\n`, stderr: '' });
  });

  test('of a checkpoint points to inspect', async () => {
    const { at } = await run();
    const { code, stdout } = await holdfast(['ls', at(1000)]);
    expect(code).toBe(0);
    expect(stdout).toContain(`holdfast inspect ${at(1000)}`);
  });

  test('spells control characters in names out, in words and in JSON', async () => {
    const directory = freshDirectory();
    const evil = 'red\x1b[31m\u009b2J\u202egnp\nline';
    mkdirSync(path.join(directory, evil));
    writeFileSync(path.join(directory, evil, 'manifest.json'), '{}');
    const { code, stdout } = await holdfast(['ls', directory]);
    expect(code).toBe(1);
    expect(stdout).toContain('red\\x1b[31m\\x9b2J\\u202egnp\\nline');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
    const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;
    expect(stdout).not.toMatch(unsafe);
    const json = await holdfast(['ls', directory, '--json']);
    expect(json.stdout).not.toMatch(unsafe);
    expect(JSON.parse(json.stdout).checkpoints[0].name).toBe(evil);
  });

  test('of what is not a directory of checkpoints is wrong usage', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    expect(await holdfastError(['ls', file])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_A_DIRECTORY', path: file } });
    const missing = path.join(directory, 'missing');
    expect(await holdfastError(['ls', missing])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND', path: missing } });
    const { code, stdout, stderr } = await holdfast(['ls', missing]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`${missing} does not exist`);
  });
});

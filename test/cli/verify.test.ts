import { appendFileSync, copyFileSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES, HAS_NATIVE } from '../helpers/engines.js';
import { find, flipByte, readManifest, saveAll } from './checkpoints.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

interface Report {
  readonly ok: boolean;
  readonly checksummed: boolean;
  readonly checked: Record<string, number>;
  readonly problems: Record<string, unknown>[];
}

async function twoCheckpoints(): Promise<{ directory: string; first: string; second: string }> {
  const directory = await saveAll([{ metrics: { loss: 2 } }, { metrics: { loss: 1 } }]);
  const names = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  return { directory, first: find(directory, names, 1000), second: find(directory, names, 2000) };
}

async function verify(...args: string[]): Promise<{ code: number | null; report: Report }> {
  const { code, document } = await holdfastJson(['verify', ...args]);
  return { code, report: document as Report };
}

describe.each(ENGINES)('verify --engine %s', (engine) => {
  test('of good checkpoints exits with 0; these are the fields', async () => {
    const { directory, first } = await twoCheckpoints();
    const { code, report } = await verify(directory, '--engine', engine);
    const bytes = readManifest(first).files.reduce((sum, file) => sum + file.bytes, 0);
    expect(code).toBe(0);
    expect(report).toStrictEqual({
      ok: true,
      checksummed: true,
      checked: { checkpoints: 2, files: 2, tensors: 6, bytes: 2 * bytes },
      problems: [],
      seconds: expect.any(Number),
      bytesPerSecond: expect.any(Number),
    });
    expect(Object.keys(report).join(' ')).toBe('ok checksummed checked problems seconds bytesPerSecond');
    expect((await verify(first, '--engine', engine)).report.checked).toEqual({ checkpoints: 1, files: 1, tensors: 3, bytes });
  });

  test('names the tensor of which one byte was changed', async () => {
    const { directory, first, second } = await twoCheckpoints();
    const file = readManifest(second).files[0];
    const hit = file?.tensors?.find(({ name }) => name === 'dense/bias');
    flipByte(path.join(second, 'model.safetensors'), (hit?.offset ?? 0) + 3);
    const { code, report } = await verify(directory, '--engine', engine);
    expect(code).toBe(1);
    expect(report).toMatchObject({ ok: false, checked: { checkpoints: 2 } });
    expect(report.problems).toStrictEqual([
      {
        code: 'ERR_CHECKSUM',
        checkpoint: path.basename(second),
        file: 'model.safetensors',
        offset: 0,
        bytes: file?.bytes,
        tensors: ['dense/bias'],
        expected: file?.chunks[0],
        actual: expect.stringMatching(/^[0-9a-f]{8}$/),
        message: expect.stringContaining('"dense/bias"'),
      },
    ]);
    expect(Object.keys(report.problems[0] as object).join(' ')).toBe('code checkpoint file offset bytes tensors expected actual message');
    expect(await verify(first, '--engine', engine)).toMatchObject({ code: 0, report: { ok: true } });
  });

  test('finds files that are cut short, too long, missing', async () => {
    const { second } = await twoCheckpoints();
    const file = path.join(second, 'model.safetensors');
    const codeOf = async () => {
      const { code, report } = await verify(second, '--engine', engine);
      expect(code).toBe(1);
      return report.problems.map((problem) => problem['code']);
    };
    appendFileSync(file, 'x');
    expect(await codeOf()).toEqual(['ERR_EXTENDED']);
    truncateSync(file, 4200);
    expect(await codeOf()).toEqual(['ERR_TRUNCATED']);
    rmSync(file);
    expect(await codeOf()).toEqual(['ERR_MISSING_FILE']);
    flipByte(path.join(second, 'manifest.json'), 30);
    expect(await codeOf()).toEqual(['ERR_MANIFEST']);
  });
});

describe('verify', () => {
  test('of a bare file checks its structure', async () => {
    const { first } = await twoCheckpoints();
    const file = path.join(freshDirectory(), 'bare.safetensors');
    copyFileSync(path.join(first, 'model.safetensors'), file);
    expect(await verify(file)).toMatchObject({
      code: 0,
      report: { ok: true, checksummed: false, checked: { checkpoints: 0, files: 1, tensors: 3 }, problems: [] },
    });
    expect((await holdfast(['verify', file])).stdout).toContain('no checksums');
    appendFileSync(file, 'x');
    expect(await verify(file)).toMatchObject({
      code: 1,
      report: { ok: false, problems: [{ code: 'ERR_EXTENDED', checkpoint: null, file: 'bare.safetensors' }] },
    });
    writeFileSync(file, 'nonsense');
    const { code, stdout } = await holdfast(['verify', file]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^DAMAGED {2}1 problem\./);
  });

  test('tells people which tensor is damaged and what to do', async () => {
    const { directory, second } = await twoCheckpoints();
    flipByte(path.join(second, 'model.safetensors'), 4096);
    const { code, stdout, stderr } = await holdfast(['verify', directory]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const stable = stdout.replaceAll(/\b[0-9a-f]{8}\b/g, 'CHECKSUM').replace(/in [\d.]+ s/, 'in TIME');
    expect(`\n${stable}`).toMatchInlineSnapshot(`
      "
      DAMAGED  1 problem in 1 of 2 checkpoints.

      checkpoint_epoch0002_step00002000_loss1.0000 / model.safetensors  ERR_CHECKSUM
        tensors  steps
        bytes    0 to 4,264 (4.16 KiB)
        crc32c   CHECKSUM, saved as CHECKSUM

      What to do
      - In files with ERR_CHECKSUM, the bytes of all tensors that are not named are as saved.
      - Look at the disk (dmesg, smartctl) before you write to it again: bytes do not change by
        themselves.
      - Training can go on: restore("latest") passes over damaged checkpoints to the newest good one and
        says so.
      - If there is a copy elsewhere, copy the checkpoint again and verify it. holdfast never deletes a
        damaged one by itself.

      Read 2 files, 6 tensors, 8.33 KiB in TIME.
      "
    `);
  });

  test('praises in one line', async () => {
    const { directory } = await twoCheckpoints();
    const { code, stdout, stderr } = await holdfast(['verify', directory]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^OK {2}All 2 checkpoints are as saved: 2 files, 6 tensors, 8\.33 KiB in [\d.]+ s\.\n$/);
    const empty = freshDirectory();
    expect((await holdfast(['verify', empty])).stdout).toBe(`There are no checkpoints in ${empty}: nothing was verified.\n`);
  });

  test('calls the latest by its name', async () => {
    const { directory, second } = await twoCheckpoints();
    flipByte(path.join(second, 'model.safetensors'), 4096);
    const { report } = await verify(path.join(directory, 'latest'));
    expect(report.problems).toMatchObject([{ checkpoint: path.basename(second) }]);
  });

  test('of more problems than anybody reads shows the first', async () => {
    const { directory } = await twoCheckpoints();
    for (let i = 0; i < 30; i++) {
      const fresh = path.join(directory, `broken${i}`);
      mkdirSync(fresh);
      writeFileSync(path.join(fresh, 'manifest.json'), '{}');
    }
    const { code, stdout } = await holdfast(['verify', directory]);
    expect(code).toBe(1);
    expect(stdout).toContain('… and 10 more problems');
    expect((await verify(directory)).report.problems).toHaveLength(30);
  });

  test('of what is not there, or with an engine that does not exist, is wrong usage', async () => {
    const directory = freshDirectory();
    const missing = path.join(directory, 'missing');
    expect(await holdfastError(['verify', missing])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    expect(await holdfastError(['verify', '/dev/null'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    expect(await holdfastError(['verify', directory, '--engine', 'steam'])).toMatchObject({
      code: 2,
      error: { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('auto, native, portable') },
    });
  });

  test('with --engine native where there is none says how to get it', async () => {
    const { directory } = await twoCheckpoints();
    const env = { HOLDFAST_ADDON: '/nowhere/holdfast.node', HOLDFAST_ENGINE: '' };
    expect(await holdfastError(['verify', directory, '--engine', 'native'], { env })).toMatchObject({
      code: 2,
      error: { code: 'ERR_NATIVE_UNAVAILABLE', message: expect.stringContaining('npm rebuild') },
    });
    expect(await holdfastJson(['verify', directory], { env })).toMatchObject({ code: 0 });
    if (HAS_NATIVE) expect(await verify(directory, '--engine', 'native')).toMatchObject({ code: 0 });
  });
});

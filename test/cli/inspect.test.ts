import { copyFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { DATA_ALIGNMENT, encodeHeader } from '../../src/format/safetensors.js';
import { freshDirectory } from '../helpers/directory.js';
import { alterManifest, readManifest, saveAll } from './checkpoints.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

async function oneCheckpoint(): Promise<string> {
  const directory = await saveAll([
    {
      metrics: { loss: 0.5, odd: Number.NaN },
      optimizer: { 'adam/m': { dtype: 'F32', shape: [4, 8], data: new Float32Array(32) } },
      state: { seed: 7 },
    },
  ]);
  const name = readdirSync(directory).find((candidate) => candidate.startsWith('checkpoint_')) as string;
  alterManifest(path.join(directory, name), { software: { holdfast: '1.2.3' } });
  return path.join(directory, name);
}

describe('inspect --json', () => {
  test('has exactly these fields', async () => {
    const checkpoint = await oneCheckpoint();
    const { code, document } = await holdfastJson(['inspect', checkpoint]);
    const { files } = readManifest(checkpoint);
    const sums = new Map(files.flatMap((file) => (file.tensors ?? []).map(({ name, crc32c }) => [name, crc32c] as const)));
    const tensor = (name: string, dtype: string, shape: number[], bytes: number, file: string, offset: number) => ({
      ...{ name, dtype, shape, bytes, file, offset },
      crc32c: sums.get(name),
    });
    expect(code).toBe(0);
    expect(document).toStrictEqual({
      name: path.basename(checkpoint),
      sequence: 1,
      step: 1000,
      epoch: 1,
      metrics: { loss: 0.5, odd: 'NaN' },
      software: { holdfast: '1.2.3' },
      files: files.map(({ name, bytes, crc32c }) => ({ name, bytes, crc32c })),
      tensors: [
        tensor('steps', 'I64', [], 8, 'model.safetensors', DATA_ALIGNMENT),
        tensor('dense/bias', 'F32', [8], 32, 'model.safetensors', DATA_ALIGNMENT + 8),
        tensor('dense/kernel', 'F32', [4, 8], 128, 'model.safetensors', DATA_ALIGNMENT + 40),
        tensor('adam/m', 'F32', [4, 8], 128, 'optimizer.safetensors', DATA_ALIGNMENT),
      ],
    });
    expect(Object.keys(document as object).join(' ')).toBe('name sequence step epoch metrics software files tensors');
  });

  test('of a bare file has null for what such a file does not have', async () => {
    const checkpoint = await oneCheckpoint();
    const file = path.join(freshDirectory(), 'bare.safetensors');
    copyFileSync(path.join(checkpoint, 'model.safetensors'), file);
    const { code, document } = await holdfastJson(['inspect', file]);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      ...{ name: 'bare.safetensors', sequence: null, step: null, epoch: null, metrics: null, software: null },
      files: [{ name: 'bare.safetensors', bytes: DATA_ALIGNMENT + 168, crc32c: null }],
    });
    const { tensors } = document as { tensors: Record<string, unknown>[] };
    expect(tensors).toHaveLength(3);
    expect(tensors[1]).toStrictEqual({
      ...{ name: 'dense/bias', dtype: 'F32', shape: [8], bytes: 32, file: 'bare.safetensors', offset: DATA_ALIGNMENT + 8, crc32c: null },
    });
  });

  test('follows the link of the latest to its name', async () => {
    const checkpoint = await oneCheckpoint();
    const { document } = await holdfastJson(['inspect', path.join(path.dirname(checkpoint), 'latest')]);
    expect(document).toMatchObject({ name: path.basename(checkpoint) });
  });
});

describe('inspect', () => {
  test('is a summary and a table', async () => {
    const { code, stdout, stderr } = await holdfast(['inspect', await oneCheckpoint()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(`\n${stdout.replaceAll(/\b[0-9a-f]{8}\b/g, 'CHECKSUM')}`).toMatchInlineSnapshot(`
      "
      checkpoint_epoch0001_step00001000_loss0.5000
        step      1,000
        epoch     1
        sequence  1
        metrics   loss 0.5000, odd NaN
        software  holdfast 1.2.3
        files     model.safetensors       4.16 KiB  crc32c CHECKSUM
                  optimizer.safetensors   4.13 KiB  crc32c CHECKSUM
                  state.json                  74 B  crc32c CHECKSUM

        TENSOR        DTYPE  SHAPE    SIZE  FILE                   OFFSET  CRC32C
        steps         I64    scalar    8 B  model.safetensors       4,096  CHECKSUM
        dense/bias    F32    8        32 B  model.safetensors       4,104  CHECKSUM
        dense/kernel  F32    4 × 8   128 B  model.safetensors       4,136  CHECKSUM
        adam/m        F32    4 × 8   128 B  optimizer.safetensors   4,096  CHECKSUM

      4 tensors, 296 B, 41 parameters, 32 numbers of optimizer state
      "
    `);
  });

  test('shows as many tensors as asked for; JSON has them all', async () => {
    const data = new Float32Array(1);
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`t${i}`, { dtype: 'F32' as const, shape: [1], data }]));
    const directory = await saveAll([{ tensors: many }]);
    const target = path.join(directory, 'latest');
    const rows = async (...options: string[]) => {
      const { stdout } = await holdfast(['inspect', target, ...options]);
      return {
        shown: stdout.match(/^ {2}t\d+ /gm)?.length ?? 0,
        more: /and (\d+) more/.exec(stdout)?.[1],
        totals: /60 tensors/.test(stdout),
      };
    };
    expect(await rows()).toEqual({ shown: 50, more: '10', totals: true });
    expect(await rows('--limit', '3')).toEqual({ shown: 3, more: '57', totals: true });
    expect(await rows('--limit', '0')).toEqual({ shown: 0, more: undefined, totals: true });
    expect(await rows('--limit=all')).toEqual({ shown: 60, more: undefined, totals: true });
    const { document } = await holdfastJson(['inspect', target, '--limit', '3']);
    expect((document as { tensors: unknown[] }).tensors).toHaveLength(60);
    expect(await holdfastError(['inspect', target, '--limit', '-1'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
  });

  test('spells control characters in tensor names out', async () => {
    const data = new Float32Array(1);
    const directory = await saveAll([{ tensors: { 'a\x1b[2Jb\nc': { dtype: 'F32', shape: [1], data } } }]);
    const { stdout } = await holdfast(['inspect', path.join(directory, 'latest')]);
    expect(stdout).toContain('a\\x1b[2Jb\\nc');
    expect(stdout).not.toContain('\x1b');
  });

  test('of a damaged checkpoint exits with 1 and says what is wrong', async () => {
    const checkpoint = await oneCheckpoint();
    truncateSync(path.join(checkpoint, 'optimizer.safetensors'), 10);
    expect(await holdfastError(['inspect', checkpoint])).toMatchObject({ code: 1, error: { code: 'ERR_TRUNCATED' } });
    rmSync(path.join(checkpoint, 'optimizer.safetensors'));
    expect(await holdfastError(['inspect', checkpoint])).toMatchObject({ code: 1, error: { code: 'ERR_MISSING_FILE' } });
    rmSync(path.join(checkpoint, 'manifest.json'));
    expect(await holdfastError(['inspect', checkpoint])).toMatchObject({ code: 1, error: { code: 'ERR_MISSING_MANIFEST' } });
    const { code, stdout, stderr } = await holdfast(['inspect', checkpoint]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^holdfast: .*\(ERR_MISSING_MANIFEST\)\n$/);
  });

  test('of a damaged bare file exits with 1, of nothing with 2', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, 'bad.safetensors');
    writeFileSync(file, 'no such thing');
    expect(await holdfastError(['inspect', file])).toMatchObject({ code: 1, error: { code: 'ERR_HEADER_LENGTH' } });
    expect(await holdfastError(['inspect', directory])).toMatchObject({ code: 1, error: { code: 'ERR_MISSING_MANIFEST' } });
    rmSync(file);
    expect(await holdfastError(['inspect', directory])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    expect(await holdfastError(['inspect', file])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    expect(await holdfastError(['inspect', path.join(directory, 'x'.repeat(300))])).toMatchObject({ code: 2 });
    expect(await holdfastError(['inspect', '/dev/null'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
  });

  test('of a file without tensors', async () => {
    const file = path.join(freshDirectory(), 'empty.safetensors');
    writeFileSync(file, encodeHeader([], {}));
    const { code, stdout } = await holdfast(['inspect', file]);
    expect(code).toBe(0);
    expect(stdout).toContain('0 tensors');
  });
});

/** `holdfast convert` as users run it. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkpointOf, randomTensor } from '../convert/fixtures.js';
import { bareFile } from '../helpers/bare.js';
import { freshDirectory } from '../helpers/directory.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

const TENSORS = { 'a.weight': randomTensor('F32', [2, 3], 1), 'a.bias': randomTensor('F32', [3], 2) };

describe('convert', () => {
  test('says what it made, and with --json as a document', async () => {
    const source = await checkpointOf(TENSORS);
    const directory = freshDirectory();
    const { code, stdout, stderr } = await holdfast(['convert', source, path.join(directory, 'x.npz')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^.*x\.npz: checkpoint to npz, 2 tensors, \d+ B\.\n$/);
    const map = path.join(directory, 'map.json');
    writeFileSync(map, '{"a.*": "b/*"}');
    const target = path.join(directory, 'x.safetensors');
    const json = await holdfastJson(['convert', path.join(directory, 'x.npz'), target, '--map', map, '--dtype', 'f16', '--only', 'a.*']);
    expect(json).toEqual({
      code: 0,
      document: {
        source: path.join(directory, 'x.npz'),
        target,
        ...{ from: 'npz', to: 'safetensors', tensors: 2, bytes: readFileSync(target).length, dtype: 'f16' },
        renamed: [
          { from: 'a.bias', to: 'b/bias' },
          { from: 'a.weight', to: 'b/weight' },
        ],
        warnings: expect.any(Array),
      },
    });
  });

  test('warnings go to stderr, and are no failure', async () => {
    const source = bareFile({ x: { dtype: 'F32', shape: [1], data: Float32Array.of(1e9) } });
    const { code, stderr } = await holdfast(['convert', source, path.join(freshDirectory(), 'x.npz'), '--dtype', 'f16']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '! "x": 1 finite number became infinite as F16.\n' });
  });

  test('exits with 1 for what is damaged, with 2 for what is asked wrongly', async () => {
    const source = await checkpointOf(TENSORS);
    const target = path.join(freshDirectory(), 'x.npz');
    const [checkpoint = ''] = readdirSync(source).filter((name) => name.startsWith('checkpoint'));
    const file = path.join(source, checkpoint, 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    const good = bareFile({ x: { dtype: 'BF16', shape: [1], data: new Uint16Array(1) } });
    const zip = path.join(freshDirectory(), 'x.npz');
    writeFileSync(zip, 'PK');
    writeFileSync(file, bytes);
    expect(await holdfastError(['convert', path.dirname(file), target])).toMatchObject({ code: 1, error: { code: 'ERR_CHECKSUM' } });
    expect(await holdfastError(['convert', source, target])).toMatchObject({ code: 1, error: { code: 'ERR_NO_GOOD_CHECKPOINT' } });
    expect(await holdfastError(['convert', zip, target])).toMatchObject({ code: 1, error: { code: 'ERR_FORMAT' } });
    expect(await holdfastError(['convert', good, target])).toMatchObject({ code: 2, error: { code: 'ERR_CONVERT' } });
    expect(await holdfastError(['convert', good, good])).toMatchObject({ code: 2, error: { code: 'ERR_EXISTS' } });
    expect(await holdfastError(['convert', `${good}x`, target])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    expect(existsSync(target)).toBe(false);
  });

  test.each([
    [['--dtype', 'fp8'], 'f16, bf16, f32'],
    [['--to', 'h5'], 'checkpoint, tfjs, safetensors, npz'],
    [['--step', '-1'], 'whole number'],
    [['--step', '1', '--best'], 'not both'],
    [['--shard-bytes', 'some'], 'size'],
    [['--map', '/none.json'], 'cannot be read'],
  ])('%j is refused', async (options, words) => {
    const { code, error } = await holdfastError(['convert', await checkpointOf(TENSORS), path.join(freshDirectory(), 'x.npz'), ...options]);
    expect(code).toBe(2);
    expect(error['message']).toContain(words);
  });

  test.each([
    ['{"a": "b", "a": "c"}', 'duplicate key'],
    ['{"a": 1}', 'no name for "a"'],
    ['["a"]', 'JSON object'],
    ['{', 'not JSON'],
  ])('a map of %s is refused', async (text, words) => {
    const map = path.join(freshDirectory(), 'map.json');
    writeFileSync(map, text);
    const { code, error } = await holdfastError([
      'convert',
      await checkpointOf(TENSORS),
      path.join(freshDirectory(), 'x.npz'),
      '--map',
      map,
    ]);
    expect(code).toBe(2);
    expect(error['message']).toContain(words);
  });

  test('Ctrl-C ends it with 130 and leaves nothing', async () => {
    const source = bareFile({ x: { dtype: 'F32', shape: [30_000_000], data: new Uint8Array(120_000_000) } });
    const directory = freshDirectory();
    const target = path.join(directory, 'x.npz');
    const signalWhen = () => readdirSync(directory).length > 0;
    expect(await holdfast(['convert', source, target], { signal: 'SIGINT', signalWhen })).toMatchObject({ code: 130 });
    expect(readdirSync(directory)).toEqual([]);
  });
});

/** Which tensors, and under which names. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ConvertOptions, convert } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { checkpointOf, randomTensor, tensorsOf } from './fixtures.js';

const NAMES = ['encoder.0.weight', 'encoder.0.bias', 'encoder.1.weight', 'encoder.1.bias', 'head.weight'];

async function named(options: ConvertOptions, names: readonly string[] = NAMES): Promise<string[]> {
  const source = await checkpointOf(Object.fromEntries(names.map((name, i) => [name, randomTensor('F32', [i + 1], i)])));
  const target = freshDirectory();
  await convert(source, target, { to: 'checkpoint', ...options });
  const { tensors } = await tensorsOf(target);
  return Object.keys(tensors).sort((a, b) => tensors[a]!.shape[0]! - tensors[b]!.shape[0]!);
}

describe('a map', () => {
  test('of names, and of patterns whose stars stand for the same in both', async () => {
    const map = { 'encoder.*.weight': 'enc/*/kernel', 'encoder.*.*': '*_*', 'encoder.1.bias': 'own', 'head.weight': 'head/kernel' };
    expect(await named({ map })).toEqual(['enc/0/kernel', '0_bias', 'enc/1/kernel', 'own', 'head/kernel']);
  });

  test('may exchange names', async () => {
    expect(await named({ map: { a: 'b', b: 'a' } }, ['a', 'b'])).toEqual(['b', 'a']);
  });

  test('takes dots and brackets for themselves', async () => {
    expect(await named({ map: { 'a.b[0]': 'x' } }, ['a.b[0]', 'aXb0'])).toEqual(['x', 'aXb0']);
    expect(await named({ map: { __proto__x: 'y', constructor: 'z' } }, ['__proto__x', 'constructor'])).toEqual(['y', 'z']);
  });

  test('that is about tensors that are not there is refused, and says which were perhaps meant', async () => {
    const error = await rejection(named({ map: { 'encoder.0.wieght': 'x', 'decoder.*': 'y' } }), 'ERR_CONVERT');
    expect(error.message).toContain('"encoder.0.wieght", perhaps "encoder.0.weight"');
    expect(error.message).toContain('"decoder.*" matches nothing');
    expect(error.tensors).toEqual(['encoder.0.wieght', 'decoder.*']);
  });

  test('that gives one name to two tensors is refused', async () => {
    expect((await rejection(named({ map: { 'encoder.*.weight': 'w' } }), 'ERR_CONVERT')).message).toContain(
      '"encoder.0.weight", "encoder.1.weight"',
    );
    const error = await rejection(named({ map: { 'head.weight': 'encoder.0.bias' } }), 'ERR_CONVERT');
    expect(error.message).toContain('the one that has the name already');
  });

  test.each([
    [{ a: '' }, 'ERR_INVALID_ARGUMENT'],
    [{ a: 1 }, 'ERR_INVALID_ARGUMENT'],
    [{ '': 'a' }, 'ERR_INVALID_ARGUMENT'],
    [{ a: 'b*' }, 'ERR_INVALID_ARGUMENT'],
    [['a'], 'ERR_INVALID_ARGUMENT'],
    [null, 'ERR_INVALID_ARGUMENT'],
    [{ a: '__metadata__' }, 'ERR_INVALID_NAME'],
    [{ a: '\ud800' }, 'ERR_INVALID_NAME'],
  ] as const)('of %j is refused', async (map, code) => {
    await rejection(named({ map: map as never }, ['a']), code);
  });
});

describe('only', () => {
  test('takes names and patterns, of the source', async () => {
    expect(await named({ only: 'encoder.*' })).toEqual(NAMES.slice(0, 4));
    expect(await named({ only: ['*.1.*', 'head.weight'], map: { 'head.weight': 'h' } })).toEqual([
      'encoder.1.weight',
      'encoder.1.bias',
      'h',
    ]);
  });

  test('that fits nothing is refused', async () => {
    expect((await rejection(named({ only: ['head.*', 'decoder.*'] }), 'ERR_CONVERT')).message).toContain('"decoder.*"');
  });
});

test.each([
  [{ form: 'npz' }, 'ERR_UNKNOWN_OPTION'],
  [{ from: 'numpy' }, 'ERR_INVALID_ARGUMENT'],
  [{ to: 'h5' }, 'ERR_INVALID_ARGUMENT'],
  [{ dtype: 'fp16' }, 'ERR_INVALID_ARGUMENT'],
  [{ checkpoint: 'newest' }, 'ERR_INVALID_ARGUMENT'],
  [{ checkpoint: { step: -1 } }, 'ERR_INVALID_ARGUMENT'],
  [{ checkpoint: { epoch: 1 } }, 'ERR_UNKNOWN_OPTION'],
  [{ only: 3 }, 'ERR_INVALID_ARGUMENT'],
  [{ only: [''] }, 'ERR_INVALID_ARGUMENT'],
  [{ optimizer: 'yes' }, 'ERR_INVALID_ARGUMENT'],
  [{ force: 1 }, 'ERR_INVALID_ARGUMENT'],
  [{ shardBytes: 0 }, 'ERR_INVALID_ARGUMENT'],
  [{ to: 'tfjs', shardBytes: 2 ** 31 }, 'ERR_INVALID_ARGUMENT'],
  [{ to: 'npz', shardBytes: 100 }, 'ERR_INVALID_ARGUMENT'],
  [{ topology: '' }, 'ERR_INVALID_ARGUMENT'],
  [{ signal: {} }, 'ERR_INVALID_ARGUMENT'],
] as const)('the options %j are refused', async (options, code) => {
  const source = await checkpointOf({ x: randomTensor('F32', [1], 1) });
  await rejection(convert(source, path.join(freshDirectory(), 'x'), { to: 'checkpoint', ...options } as never), code);
});

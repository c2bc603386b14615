/** Tensors of every dtype and of odd shapes through safetensors and NumPy and back: not a bit changes. */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convert, type Dtype } from '../../src/index.js';
import { bareFile } from '../helpers/bare.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { BYTE_DTYPES, checkpointOf, randomTensor, type StoredTensors, tensorsOf } from './fixtures.js';

const SHAPES = [[], [0], [1], [3], [2, 0, 3], [1, 1, 1, 1], [5, 7], [2, 3, 4], [4097]];
const NUMPY_DTYPES = Object.keys(BYTE_DTYPES).filter((dtype) => !/^(BF16|F8)/.test(dtype)) as Dtype[];

/** Every dtype with every shape, under names as frameworks give them. */
function allTensors(dtypes: readonly string[]): StoredTensors {
  return Object.fromEntries(
    dtypes.flatMap((dtype, i) =>
      SHAPES.map((shape, j) => [`layer.${i}/ünit ${dtype}:${j}`, randomTensor(dtype as Dtype, shape, i * 100 + j)] as const),
    ),
  );
}

const python = spawnSync('python3', ['-c', 'import numpy, safetensors'], { encoding: 'utf8' });
if (python.status !== 0) console.warn(`Python is left out: ${python.error?.message ?? python.stderr.trim().split('\n').at(-1)}`);

function runPython(program: string, ...args: string[]): unknown {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', program, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  expect(status, stderr).toBe(0);
  return stdout === '' ? undefined : JSON.parse(stdout);
}

describe('round trips', () => {
  test.each([
    ['one safetensors file', 'model.safetensors', {}, Object.keys(BYTE_DTYPES)],
    ['safetensors in a directory', 'model', { to: 'safetensors', shardBytes: 1000 }, Object.keys(BYTE_DTYPES)],
    ['a .npz', 'model.npz', {}, NUMPY_DTYPES],
  ] as const)('through %s', async (_, name, options, dtypes) => {
    const tensors = allTensors(dtypes);
    const target = path.join(freshDirectory(), name);
    const report = await convert(await checkpointOf(tensors), target, options);
    expect(report).toMatchObject({ from: 'checkpoint', tensors: Object.keys(tensors).length, dtype: null, renamed: [], warnings: [] });
    const back = freshDirectory();
    await convert(target, back);
    expect((await tensorsOf(back)).tensors).toEqual(tensors);
  });

  test('of random tensors, from each kind to each', async () => {
    const tensor = fc.record({
      dtype: fc.constantFrom(...NUMPY_DTYPES),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
      seed: fc.nat(),
    });
    const name = fc.stringMatching(/^[a-z_][a-z0-9_./-]{0,12}[a-z0-9]$/).filter((text) => !text.split('/').includes('..'));
    const sets = fc.dictionary(name, tensor, { minKeys: 1, maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(sets, async (set) => {
        const tensors = Object.fromEntries(
          Object.entries(set).map(([each, { dtype, shape, seed }]) => [each, randomTensor(dtype, shape, seed)]),
        );
        const directory = freshDirectory();
        const at = (file: string) => path.join(directory, file);
        await convert(await checkpointOf(tensors), at('a.npz'));
        await convert(at('a.npz'), at('b.safetensors'));
        await convert(at('b.safetensors'), at('c'), { to: 'safetensors', shardBytes: 40 });
        await convert(at('c'), at('d.npz'));
        await convert(at('d.npz'), at('e'));
        expect((await tensorsOf(at('e'))).tensors).toEqual(tensors);
      }),
      { numRuns: 15 },
    );
  });
});

test('the same tensors make the same file', async () => {
  const source = await checkpointOf(allTensors(['F32', 'I64']));
  const files = ['a.npz', 'b.npz'].map((name) => path.join(freshDirectory(), name));
  for (const file of files) await convert(source, file);
  const { readFileSync } = await import('node:fs');
  expect(readFileSync(files[0]!).equals(readFileSync(files[1]!))).toBe(true);
});

describe.runIf(python.status === 0)('Python', () => {
  test('reads every array of a .npz, and every tensor of the same in safetensors, alike', async () => {
    const tensors = allTensors(NUMPY_DTYPES);
    const source = await checkpointOf(tensors);
    const directory = freshDirectory();
    await convert(source, path.join(directory, 'm.npz'));
    await convert(source, path.join(directory, 'm.safetensors'));
    const program = `
import sys, json, numpy as np, zipfile
assert zipfile.ZipFile(sys.argv[1] + '/m.npz').testzip() is None
d = np.load(sys.argv[1] + '/m.npz', allow_pickle=False)
print(json.dumps({k: [str(v.dtype), list(v.shape), v.tobytes().hex()] for k, v in d.items()}))`;
    const arrays = runPython(program, directory) as Record<string, [string, number[], string]>;
    expect(Object.keys(arrays).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, { shape, bytes }] of Object.entries(tensors))
      expect(arrays[name]!.slice(1), name).toEqual([shape, bytes.toString('hex')]);
    expect(new Set(Object.values(arrays).map(([dtype]) => dtype)).size).toBe(NUMPY_DTYPES.length);
    const check = `
import sys
from safetensors import safe_open
with safe_open(sys.argv[1] + '/m.safetensors', 'numpy') as f:
    print(len(list(f.keys())))`;
    expect(runPython(check, directory)).toBe(Object.keys(tensors).length);
  });

  test('what NumPy writes in its own ways is read: compressed, in Fortran order, big-endian, of the other versions', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, 'n.npz');
    const program = `
import sys, io, json, zipfile, numpy as np
from numpy.lib import format
a = np.arange(24, dtype='<f4').reshape(2, 3, 4) * 1.5
arrays = {
  'plain': a, 'fortran': np.asfortranarray(a), 'fortran2': np.asfortranarray(np.arange(6, dtype='<i2').reshape(2, 3)),
  'big': a.astype('>f4'), 'big8': np.arange(5, dtype='>i8'), 'bigc': (a + 2j).astype('>c8'), 'bigf': np.asfortranarray(a.astype('>f8')),
  'bool': a > 10, 'half': a.astype('f2'), 'scalar': np.float64(3.25), 'empty': np.zeros((0, 3), 'u1'), 'line': np.asfortranarray(np.arange(3)), 'noncontiguous': a[:, ::2, 1:],
}
np.savez_compressed(sys.argv[1], **arrays)
with zipfile.ZipFile(sys.argv[1], 'a') as z:
  for version in ((1, 0), (2, 0), (3, 0)):
    b = io.BytesIO(); format.write_array(b, a, version=version); z.writestr(f'v{version[0]}.npy', b.getvalue())
    arrays[f'v{version[0]}'] = a
  with z.open('zip64.npy', 'w', force_zip64=True) as f: format.write_array(f, a)
  arrays['zip64'] = a
le = lambda v: np.ascontiguousarray(v).astype(np.asarray(v).dtype.newbyteorder('<'))
print(json.dumps({k: [list(np.shape(v)), le(v).tobytes().hex()] for k, v in arrays.items()}))`;
    const arrays = runPython(program, file) as Record<string, [number[], string]>;
    const target = freshDirectory();
    expect((await convert(file, target)).warnings).toEqual([]);
    const { tensors } = await tensorsOf(target);
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(arrays).sort());
    for (const [name, [shape, hex]] of Object.entries(arrays)) {
      expect([tensors[name]!.shape.length === 0 ? [] : tensors[name]!.shape, tensors[name]!.bytes.toString('hex')], name).toEqual([
        name === 'scalar' ? [] : shape,
        hex,
      ]);
    }
  });

  test.each([
    ['objects', 'np.array([{}, None], dtype=object)', 'Python objects'],
    ['text', "np.array(['a', 'bc'])", 'strings'],
    ['bytes', "np.array([b'a'])", 'strings'],
    ['records', "np.zeros(2, dtype=[('a', 'f4'), ('b', 'i4')])", 'records'],
    ['dates', "np.array(['2020-01-01'], dtype='datetime64[D]')", 'M8'],
    ['double-precision complex numbers', 'np.zeros(2, dtype=complex)', 'c16'],
    ['long doubles', 'np.zeros(2, dtype=np.longdouble)', 'f16'],
  ])('%s are refused in words', async (_, expression, words) => {
    const file = path.join(freshDirectory(), 'n.npz');
    runPython(`import sys, numpy as np\nnp.savez(sys.argv[1], x=${expression})`, file);
    const error = await rejection(convert(file, path.join(freshDirectory(), 'x.safetensors')), 'ERR_CONVERT');
    expect(error.message).toContain(words);
    expect(error.message).toContain('x.npy');
  });

  test('a sharded model of the Hugging Face convention, links of its cache included', async () => {
    const cache = freshDirectory();
    const program = `
import sys, os, json, numpy as np
from safetensors.numpy import save_file
os.makedirs(sys.argv[1] + '/blobs'); os.makedirs(sys.argv[1] + '/snapshot')
weights = {}
for i in range(3):
  name = f'model-{i + 1:05}-of-00003.safetensors'
  save_file({f'w.{i}': np.full((i + 1, 2), i, 'f4'), f'b.{i}': np.arange(i, dtype='i8')}, f'{sys.argv[1]}/blobs/{i}', {'format': 'pt'})
  os.symlink(f'../blobs/{i}', f'{sys.argv[1]}/snapshot/{name}')
  weights.update({f'w.{i}': name, f'b.{i}': name})
json.dump({'metadata': {}, 'weight_map': weights}, open(sys.argv[1] + '/snapshot/model.safetensors.index.json', 'w'))`;
    runPython(program, cache);
    const snapshot = path.join(cache, 'snapshot');
    for (const source of [snapshot, path.join(snapshot, 'model.safetensors.index.json')]) {
      const target = freshDirectory();
      expect(await convert(source, target)).toMatchObject({ from: 'safetensors', tensors: 6, warnings: [] });
      const { tensors } = await tensorsOf(target);
      expect(tensors['w.2']).toMatchObject({ dtype: 'F32', shape: [3, 2] });
      expect(tensors['b.0']).toMatchObject({ dtype: 'I64', shape: [0] });
    }
    expect(readdirSync(snapshot)).toHaveLength(4);
  });
});

describe('what a format cannot hold', () => {
  test.each(['BF16', 'F8_E4M3'] as const)('%s has no type in NumPy: --dtype f32 is said, and helps', async (dtype) => {
    const source = await checkpointOf({ x: randomTensor(dtype, [4], 1) });
    const target = path.join(freshDirectory(), 'x.npz');
    const error = await rejection(convert(source, target), 'ERR_CONVERT');
    expect(error.message).toContain('--dtype f32');
    expect(readdirSync(path.dirname(target))).toEqual([]);
    expect(await convert(source, target, { dtype: 'f32' })).toMatchObject({ dtype: 'f32', tensors: 1 });
  });

  test.each(['/abs', 'a/../../b', '..', 'c:\\x', 'back\\slash', 'nul\0'])('the name %j is none for a zip file', async (name) => {
    const source = await checkpointOf({ [name]: randomTensor('F32', [2], 1) });
    const target = path.join(freshDirectory(), 'x.npz');
    expect((await rejection(convert(source, target), 'ERR_CONVERT')).message).toContain('--map');
    await convert(source, target, { map: { [name]: 'fine' } });
    const back = freshDirectory();
    await convert(target, back);
    expect(Object.keys((await tensorsOf(back)).tensors)).toEqual(['fine']);
  });
});

test('an index that does not fit its files is refused; tensors that it does not list are said to be left out', async () => {
  const directory = path.dirname(
    bareFile(
      { a: { dtype: 'F32', shape: [1], data: new Float32Array(1) }, b: { dtype: 'F32', shape: [1], data: new Float32Array(1) } },
      'm.safetensors',
    ),
  );
  const index = path.join(directory, 'model.safetensors.index.json');
  const target = () => path.join(freshDirectory(), 'x.safetensors');
  const write = (map: unknown) => writeFileSync(index, JSON.stringify({ weight_map: map }));
  write({ a: 'm.safetensors' });
  expect(await convert(index, target())).toMatchObject({ tensors: 1, warnings: [expect.stringContaining('1 tensors')] });
  write({ a: 'm.safetensors', c: 'm.safetensors' });
  expect(await rejection(convert(index, target()), 'ERR_FORMAT')).toMatchObject({ tensors: ['c'] });
  write({ a: 'none.safetensors' });
  await rejection(convert(index, target()), 'ERR_MISSING_FILE');
  for (const bad of [['../m.safetensors'], { a: '../m.safetensors' }, { a: 1 }, 'x', null]) {
    write(bad);
    await rejection(convert(index, target()), 'ERR_FORMAT');
  }
});

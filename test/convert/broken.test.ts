/** Broken sources of every kind: a typed error, whatever is wrong, and never a target. What is not found to be broken comes out as it was. */
import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { convert, isHoldfastError } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { random32 } from '../helpers/random.js';
import { checkpointOf, randomTensor, type StoredTensors, stockDirectory, tensorsOf } from './fixtures.js';

const TENSORS: StoredTensors = {
  a: randomTensor('F32', [3, 4], 1),
  'b/c': randomTensor('I64', [2], 2),
  d: randomTensor('U8', [], 3),
};

/** A good file, to be broken. */
async function goodFile(name: 'x.npz' | 'x.safetensors'): Promise<Buffer> {
  const target = path.join(freshDirectory(), name);
  await convert(await checkpointOf(TENSORS), target);
  return readFileSync(target);
}

/** Converts what is there; gives the tensors, or the code of the error. */
async function outcome(source: string): Promise<StoredTensors | string> {
  const target = path.join(freshDirectory(), 'x.safetensors');
  try {
    await convert(source, target);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    expect(error.message).not.toBe('');
    expect(readdirSync(path.dirname(target))).toEqual([]);
    return error.code;
  }
  const back = freshDirectory();
  await convert(target, back);
  return (await tensorsOf(back)).tensors;
}

function inFile(name: string, bytes: Uint8Array): string {
  const file = path.join(freshDirectory(), name);
  writeFileSync(file, bytes);
  return file;
}

const REFUSED = /^ERR_(FORMAT|CHECKSUM|CONVERT|TRUNCATED|EXTENDED|HEADER_\w+|INVALID_NAME|DUPLICATE_TENSOR|MISSING_FILE)$/;

test('a .npz with a bit of any byte turned: refused, or nothing of its tensors has changed', async () => {
  const npz = await goodFile('x.npz');
  const next = random32(11);
  const codes = new Set<string>();
  for (let i = 0; i < 120; i++) {
    const bytes = Buffer.from(npz);
    const at = next() % bytes.length;
    bytes[at]! ^= 1 << (next() % 8);
    const result = await outcome(inFile('x.npz', bytes));
    if (typeof result === 'string') {
      expect(result, `byte ${at}`).toMatch(REFUSED);
      codes.add(result);
      continue;
    }
    expect(result, `byte ${at}`).toEqual(TENSORS);
  }
  expect([...codes]).toEqual(expect.arrayContaining(['ERR_FORMAT', 'ERR_CHECKSUM']));
});

test('a .npz or .safetensors that is cut anywhere, or has something behind it', async () => {
  for (const name of ['x.npz', 'x.safetensors'] as const) {
    const bytes = await goodFile(name);
    for (let cut = 0; cut < bytes.length; cut += Math.ceil(bytes.length / 60)) {
      expect(await outcome(inFile(name, bytes.subarray(0, cut))), `${name} cut at ${cut}`).toMatch(REFUSED);
    }
  }
  expect(await outcome(inFile('x.safetensors', Buffer.concat([await goodFile('x.safetensors'), Buffer.alloc(1)])))).toBe('ERR_EXTENDED');
});

test('a .npz with two arrays of one name is refused', async () => {
  const file = path.join(freshDirectory(), 'x.npz');
  await convert(await checkpointOf({ a: randomTensor('F32', [2], 1), b: randomTensor('F32', [2], 2) }), file);
  const renamed = readFileSync(file, 'latin1').replaceAll('b.npy', 'a.npy');
  expect(await outcome(inFile('x.npz', Buffer.from(renamed, 'latin1')))).toBe('ERR_FORMAT');
});

/** A zip file of one stored member. */
function zipOf(name: string, data: Buffer): Buffer {
  const { local, end } = zipParts(name, data, data.length);
  return Buffer.concat([local, data, end]);
}

/** What stands before and behind the `length` bytes of the member that begin with `data`. */
function zipParts(name: string, data: Buffer, length: number): { local: Buffer; end: Buffer } {
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(0x800, 2);
  common.writeUInt32LE(crc32(data), 10);
  common.writeUInt32LE(length, 14);
  common.writeUInt32LE(length, 18);
  common.writeUInt16LE(Buffer.byteLength(name), 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name)]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\0', 'latin1'), common, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length + length, 16);
  return { local, end: Buffer.concat([central, end]) };
}

function npyOf(header: string, data = Buffer.alloc(0), version = 1): Buffer {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([Buffer.from([0x93, ...Buffer.from('NUMPY'), version, 0]), length, Buffer.from(header, 'latin1'), data]);
}

describe('an array', () => {
  const FOUR = Buffer.alloc(4, 1);

  test('by hand, in spellings that NumPy has used', async () => {
    for (const header of [
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n",
      '{"shape": (1L,), "fortran_order": True, "descr": "<f4"}',
      "  { 'fortran_order' : False,'descr':'=f4' , 'shape': ( 1 , ) }  \n",
    ]) {
      expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(header, FOUR))))).toEqual({ x: { dtype: 'F32', shape: [1], bytes: FOUR } });
    }
    const scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': (), }";
    expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(scalar, FOUR.subarray(1, 2), 3))))).toMatchObject({
      x: { dtype: 'U8', shape: [] },
    });
  });

  test('in the order of Fortran, with its bytes turned around, by hand', async () => {
    const stored = Buffer.from(Uint16Array.of(0x0a00, 0x0d00, 0x0b00, 0x0e00, 0x0c00, 0x0f00).buffer);
    const header = "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3), }";
    expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(header, stored))))).toEqual({
      x: { dtype: 'U16', shape: [2, 3], bytes: Buffer.from(Uint16Array.of(10, 11, 12, 13, 14, 15).buffer) },
    });
  });

  test.each([
    ['no header', ''],
    ['no dict', "['descr']"],
    ['no shape', "{'descr': '<f4', 'fortran_order': False}"],
    ['twice a shape', "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}"],
    ['another key', "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}"],
    ['a number for a tuple', "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}"],
    ['a negative size', "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"],
    ['a size that is none', "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}"],
    ['sizes beyond counting', "{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740993, 9007199254740993)}"],
    ['a product beyond counting', "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"],
    ['a descr that is none', "{'descr': True, 'fortran_order': False, 'shape': (1,)}"],
    ['code for a value', "{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (1,)}"],
    ['65 dimensions', `{'descr': '<f4', 'fortran_order': False, 'shape': (${'1, '.repeat(65)})}`],
  ])('with %s in its header is refused', async (_, header) => {
    expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(header, FOUR))))).toBe('ERR_FORMAT');
  });

  test('of more or fewer bytes than its shape needs, of an unknown version, with a header that never ends, without a name', async () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
    expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(header, FOUR))))).toBe('ERR_TRUNCATED');
    expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(header, Buffer.alloc(9)))))).toBe('ERR_EXTENDED');
    expect(await outcome(inFile('x.npz', zipOf('x.npy', npyOf(header, Buffer.alloc(8), 9))))).toBe('ERR_FORMAT');
    const endless = npyOf(header, Buffer.alloc(8), 2);
    endless.writeUInt32LE(2 ** 32 - 1, 8);
    expect(await outcome(inFile('x.npz', zipOf('x.npy', endless)))).toBe('ERR_FORMAT');
    expect(await outcome(inFile('x.npz', zipOf('x.npy', Buffer.from('\x93NUM', 'latin1'))))).toBe('ERR_FORMAT');
    expect(await outcome(inFile('x.npz', zipOf('.npy', npyOf(header, Buffer.alloc(8)))))).toBe('ERR_FORMAT');
  });

  test('in the order of Fortran that is too large to be turned in memory is refused', async () => {
    const data = npyOf("{'descr': '<f4', 'fortran_order': True, 'shape': (16384, 16385)}");
    const length = data.length + 16384 * 16385 * 4;
    const { local, end } = zipParts('x.npy', data, length);
    const file = inFile('x.npz', Buffer.concat([local, data]));
    // Its elements are a hole on the disk.
    truncateSync(file, local.length + length);
    appendFileSync(file, end);
    expect((await rejection(convert(file, path.join(freshDirectory(), 'x.safetensors')), 'ERR_CONVERT')).message).toContain(
      'ascontiguousarray',
    );
  });

  test('names of members do no harm, whatever they are', async () => {
    const array = npyOf("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", FOUR);
    for (const name of ['../../x', '/etc/passwd', 'c:\\x', '__proto__', '日本語']) {
      expect(Object.keys(await outcome(inFile('x.npz', zipOf(`${name}.npy`, array))))).toEqual([name]);
    }
    expect(await outcome(inFile('x.npz', zipOf('__metadata__.npy', array)))).toBe('ERR_INVALID_NAME');
  });
});

const TOPOLOGY = { format: 'layers-model', modelTopology: { class_name: 'Sequential', config: { layers: [] } } };
const SPEC = { name: 'w', dtype: 'float32', shape: [2] };
const EIGHT = new Uint8Array(8);

describe('a stock directory', () => {
  test.each([
    ['bytes that are missing', [{ ...SPEC, shape: [3] }], 'ERR_TRUNCATED'],
    ['bytes that are too many', [{ ...SPEC, shape: [1] }], 'ERR_EXTENDED'],
    [
      'two weights of one name',
      [
        { ...SPEC, shape: [1] },
        { ...SPEC, shape: [1] },
      ],
      'ERR_FORMAT',
    ],
    ['a weight that is none', ['w'], 'ERR_FORMAT'],
    ['no name', [{ dtype: 'float32', shape: [2] }], 'ERR_FORMAT'],
    ['an unknown dtype', [{ ...SPEC, dtype: 'float64' }], 'ERR_FORMAT'],
    ['the dtype constructor', [{ ...SPEC, dtype: 'constructor' }], 'ERR_FORMAT'],
    ['a negative size', [{ ...SPEC, shape: [-2] }], 'ERR_FORMAT'],
    ['a size of text', [{ ...SPEC, shape: ['2'] }], 'ERR_FORMAT'],
    ['a shape beyond counting', [{ ...SPEC, shape: [2 ** 40, 2 ** 40] }], 'ERR_FORMAT'],
    ['an unknown quantization', [{ ...SPEC, quantization: { dtype: 'int4' } }], 'ERR_FORMAT'],
    ['a quantization without its numbers', [{ ...SPEC, quantization: { dtype: 'uint8' } }], 'ERR_FORMAT'],
    ['integers as float16', [{ ...SPEC, dtype: 'int32', quantization: { dtype: 'float16' } }], 'ERR_FORMAT'],
    ['quantized booleans', [{ ...SPEC, dtype: 'bool', quantization: { dtype: 'uint8', min: 0, scale: 1 } }], 'ERR_FORMAT'],
    ['strings that end before they end', [{ ...SPEC, dtype: 'string', shape: [3] }], 'ERR_TRUNCATED'],
    ['too many strings', [{ ...SPEC, dtype: 'string', shape: [2 ** 40] }], 'ERR_TRUNCATED'],
  ])('with %s', async (_, weights, code) => {
    expect(await outcome(stockDirectory(TOPOLOGY, weights as object[], EIGHT))).toBe(code);
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no topology', '{"weightsManifest": []}'],
    ['a topology of text', '{"modelTopology": "x", "weightsManifest": []}'],
    ['an unknown format', '{"modelTopology": {}, "format": "keras", "weightsManifest": []}'],
    ['no list of weights', '{"modelTopology": {}, "weightsManifest": {}}'],
    ['a group that is none', '{"modelTopology": {}, "weightsManifest": [1]}'],
    ['a path that leads out', '{"modelTopology": {}, "weightsManifest": [{"paths": ["../w.bin"], "weights": []}]}'],
    ['an absolute path', '{"modelTopology": {}, "weightsManifest": [{"paths": ["/etc/passwd"], "weights": []}]}'],
    ['a trainingConfig of text', '{"modelTopology": {}, "weightsManifest": [], "trainingConfig": "x"}'],
    ['depth without end', `{"modelTopology": ${'[{"a":'.repeat(30_000)}1${'}]'.repeat(30_000)}, "weightsManifest": []}`],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ])('with %s', async (_, text) => {
    expect(await outcome(inFile('model.json', Buffer.from(text)))).toBe('ERR_FORMAT');
  });

  test('whose files are not there, or no files', async () => {
    const text = (name: string) => Buffer.from(JSON.stringify({ ...TOPOLOGY, weightsManifest: [{ paths: [name], weights: [SPEC] }] }));
    expect(await outcome(inFile('model.json', text('none.bin')))).toBe('ERR_MISSING_FILE');
    expect(await outcome(inFile('model.json', text('.')))).toBe('ERR_MISSING_FILE');
  });

  test.each([
    ['a slot of no weight', [{ name: 'v/m' }, { name: 'v/v' }], 'Adam'],
    ['slots in the wrong order', [{ name: 'w/v' }, { name: 'w/m' }], 'Adam'],
    ['an odd number of slots', [{ name: 'w/m' }], 'Adam'],
    ['slots that it does not have', [{ name: 'w/m' }, { name: 'w/v' }], 'SGD'],
    ['an optimizer that is not known', [{ name: 'w/m' }, { name: 'w/v' }], 'Lion'],
    ['a slot of another shape', [{ name: 'w/m', shape: [1] }, { name: 'w/v' }], 'Adam'],
  ])('with %s: refused, and said how to leave the optimizer out', async (_, slots, className) => {
    const iter = { name: 'iter', dtype: 'int32', shape: [], group: 'optimizer' };
    const specs = slots.map((slot) => ({ ...SPEC, group: 'optimizer', ...slot }));
    const config = { learningRate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
    const trainingConfig = { loss: 'mse', metrics: [], optimizer_config: { class_name: className, config } };
    const bytes = [SPEC, iter, ...specs].reduce((sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1), 0);
    const source = stockDirectory({ ...TOPOLOGY, trainingConfig }, [SPEC, iter, ...specs], new Uint8Array(bytes));
    const { message } = await rejection(convert(source, freshDirectory()), 'ERR_CONVERT');
    expect(message).toContain('--no-optimizer');
    expect(await convert(source, freshDirectory(), { optimizer: false })).toMatchObject({ tensors: 1 });
  });
});

test('slots of two weights that change places in the second list are refused: each would get the state of the other', async () => {
  const slot = (name: string) => ({ ...SPEC, name, group: 'optimizer' });
  const specs = [SPEC, { ...SPEC, name: 'x' }, { name: 'iter', dtype: 'int32', shape: [], group: 'optimizer' }];
  const config = { learningRate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  const trainingConfig = { loss: 'mse', metrics: [], optimizer_config: { class_name: 'Adam', config } };
  const source = (...slots: string[]) =>
    stockDirectory({ ...TOPOLOGY, trainingConfig }, [...specs, ...slots.map(slot)], new Uint8Array(2 * 8 + 4 + 4 * 8));
  expect(await convert(source('w/m', 'x/m', 'w/v', 'x/v'), freshDirectory())).toMatchObject({ from: 'tfjs' });
  const { message } = await rejection(convert(source('w/m', 'x/m', 'x/v', 'w/v'), freshDirectory()), 'ERR_CONVERT');
  expect(message).toContain('"x/v" is not where that of "w" should be');
});

test('a file that becomes shorter while it is read', async () => {
  const safetensors = await goodFile('x.safetensors');
  const file = inFile('x.safetensors', safetensors);
  const directory = freshDirectory();
  const onProgress = () => truncateSync(file, safetensors.length - 1);
  await rejection(convert(file, path.join(directory, 'y.safetensors'), { onProgress }), 'ERR_TRUNCATED');
  expect(readdirSync(directory)).toEqual([]);
});

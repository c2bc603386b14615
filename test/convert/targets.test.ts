/** A target is there when it is whole: what fails, is stopped or killed leaves what was there as it was, and nothing else. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ConvertOptions, convert } from '../../src/index.js';
import { bareFile } from '../helpers/bare.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { until } from '../helpers/leftovers.js';
import { checkpointOf, randomTensor, saveInto, stockDirectory, tensorsOf } from './fixtures.js';

const LAYERS = { format: 'layers-model', modelTopology: { class_name: 'Sequential', config: { name: 's', layers: [] } } };

/** A stock model of one weight, whose bytes follow from `seed`. */
function model(seed: number): string {
  return stockDirectory(LAYERS, [{ name: 'w', dtype: 'float32', shape: [8] }], randomTensor('F32', [8], seed).bytes);
}

const TARGETS: readonly (readonly [kind: string, name: string, options: ConvertOptions])[] = [
  ['a .npz', 'x.npz', {}],
  ['a .safetensors', 'x.safetensors', {}],
  ['a directory of safetensors', 'x', { to: 'safetensors' }],
  ['a tfjs directory', 'x', { to: 'tfjs' }],
];

describe.each(TARGETS)('%s', (_, name, options) => {
  test('is not written over, unless asked to', async () => {
    const target = path.join(freshDirectory(), 'deep', 'er', name);
    await convert(model(1), target, options);
    expect(readdirSync(path.dirname(target))).toEqual([name]);
    const { message } = await rejection(convert(model(2), target, options), 'ERR_EXISTS');
    expect(message).toContain('--force');
    const back = async () => {
      const checkpoints = freshDirectory();
      await convert(target, checkpoints, { to: 'checkpoint' });
      return (await tensorsOf(checkpoints)).tensors['w']!.bytes;
    };
    expect(await back()).toEqual(randomTensor('F32', [8], 1).bytes);
    await convert(model(2), target, { ...options, force: true });
    expect(await back()).toEqual(randomTensor('F32', [8], 2).bytes);
    expect(readdirSync(path.dirname(target))).toEqual([name]);
  });

  test('stays what it was when the source turns out to be damaged', async () => {
    const source = await checkpointOf({ w: randomTensor('F32', [100], 1), z: randomTensor('F32', [100_000], 2) });
    const file = path.join(source, 'checkpoint_step00000001', 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 5]! ^= 1;
    writeFileSync(file, bytes);
    const target = path.join(freshDirectory(), name);
    const forced = { ...options, force: true, topology: undefined };
    const topology = stockDirectory(
      LAYERS,
      [
        { name: 'w', dtype: 'float32', shape: [100] },
        { name: 'z', dtype: 'float32', shape: [100_000] },
      ],
      new Uint8Array(400_400),
    );
    const needed = options.to === 'tfjs' ? { topology } : {};
    await rejection(convert(path.dirname(file), target, { ...forced, ...needed }), 'ERR_CHECKSUM');
    expect(readdirSync(path.dirname(target))).toEqual([]);
    await convert(model(1), target, options);
    const before = look(path.dirname(target));
    await rejection(convert(path.dirname(file), target, { ...forced, ...needed }), 'ERR_CHECKSUM');
    expect(look(path.dirname(target))).toEqual(before);
  });

  test('is not there when the checksum behind the last byte of the source is wrong', async () => {
    const npz = path.join(freshDirectory(), 'source.npz');
    await convert(model(1), npz);
    const bytes = readFileSync(npz);
    bytes[bytes.indexOf(randomTensor('F32', [8], 1).bytes) + 31]! ^= 1;
    writeFileSync(npz, bytes);
    const target = path.join(freshDirectory(), name);
    const topology = options.to === 'tfjs' ? { topology: model(1) } : {};
    await rejection(convert(npz, target, { ...options, ...topology }), 'ERR_CHECKSUM');
    expect(readdirSync(path.dirname(target))).toEqual([]);
  });

  test('is not there when the signal fires in the middle, or before', async () => {
    const target = path.join(freshDirectory(), name);
    const source = bareFile({ w: { dtype: 'F32', shape: [8_000_000], data: new Uint8Array(32_000_000) } });
    const topology = stockDirectory(LAYERS, [{ name: 'w', dtype: 'float32', shape: [8_000_000] }], new Uint8Array(32_000_000));
    const controller = new AbortController();
    const phases: string[] = [];
    const onProgress = ({ phase, bytes }: { phase: string; bytes: number }) => {
      phases.push(phase);
      if (bytes > 0 || phases.length > 1) controller.abort();
    };
    const call = { ...options, ...(options.to === 'tfjs' ? { topology } : {}), signal: controller.signal, onProgress };
    setTimeout(() => controller.abort(), 30);
    await rejection(convert(source, target, call), 'ERR_ABORTED');
    expect(readdirSync(path.dirname(target))).toEqual([]);
    await rejection(convert(source, target, { ...call, signal: AbortSignal.abort() }), 'ERR_ABORTED');
    expect(phases[0]).toBe('write');
  });
});

/** All files below a directory and their bytes. */
function look(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [path.join(parentPath, name), readFileSync(path.join(parentPath, name), 'hex')]),
  );
}

describe('a directory of checkpoints', () => {
  test('gets one more only if asked to; those that are there stay, however many', async () => {
    const directory = freshDirectory();
    for (let step = 1; step <= 7; step++) await saveInto(directory, { w: randomTensor('F32', [2], step) }, step);
    const names = () => readdirSync(directory).filter((name) => name.startsWith('checkpoint'));
    const five = names();
    expect(five).toHaveLength(5);
    expect((await rejection(convert(model(1), directory), 'ERR_EXISTS')).message).toContain('--force');
    const source = await checkpointOf({ w: randomTensor('F32', [8], 1) }, 99);
    const { target } = await convert(source, directory, { to: 'checkpoint', force: true });
    expect(names()).toHaveLength(6);
    expect(five.every((name) => existsSync(path.join(directory, name)))).toBe(true);
    expect((await tensorsOf(directory, target)).tensors['w']!.bytes).toEqual(randomTensor('F32', [8], 1).bytes);
  });

  test('that is not there yet is not there either when nothing is saved in it', async () => {
    const target = path.join(freshDirectory(), 'new');
    const file = bareFile({ w: { dtype: 'F32', shape: [3_000_000], data: new Uint8Array(12_000_000) } });
    await rejection(convert(file, target, { signal: AbortSignal.timeout(1) }), 'ERR_ABORTED');
    expect(existsSync(target)).toBe(false);
    const zip = path.join(freshDirectory(), 'bad.npz');
    await convert(file, zip);
    const bytes = readFileSync(zip);
    bytes[5_000_000]! ^= 1;
    writeFileSync(zip, bytes);
    await rejection(convert(zip, target), 'ERR_CHECKSUM');
    expect(existsSync(target)).toBe(false);
  });
});

describe('what is in the way', () => {
  test("nobody's other files go, whatever is asked for", async () => {
    const parent = freshDirectory();
    const target = path.join(parent, 'x');
    mkdirSync(target);
    await convert(model(1), target, { to: 'tfjs' });
    writeFileSync(path.join(target, 'thesis.tex'), 'years');
    const { message } = await rejection(convert(model(2), target, { to: 'tfjs', force: true }), 'ERR_EXISTS');
    expect(message).toContain('thesis.tex');
    expect(readFileSync(path.join(target, 'thesis.tex'), 'utf8')).toBe('years');
    expect(readdirSync(parent)).toEqual(['x']);
  });

  test('a directory where a file should be, and a file where a directory should be', async () => {
    const parent = freshDirectory();
    mkdirSync(path.join(parent, 'x.npz'));
    writeFileSync(path.join(parent, 'x'), '');
    for (const force of [true, false]) {
      await rejection(convert(model(1), path.join(parent, 'x.npz'), { force }), 'ERR_EXISTS');
      await rejection(convert(model(1), path.join(parent, 'x'), { to: 'tfjs', force }), 'ERR_EXISTS');
    }
    await rejection(convert(model(1), path.join(parent, 'x'), { to: 'checkpoint' }), 'ERR_EXISTS');
    await rejection(convert(model(1), path.join(parent, 'x', 'y.npz')), 'ERR_NOT_A_DIRECTORY');
  });

  test('a link: the place that it leads to is replaced, and it stays a link', async () => {
    const parent = freshDirectory();
    const real = path.join(freshDirectory(), 'real.npz');
    await convert(model(1), real);
    symlinkSync(real, path.join(parent, 'x.npz'));
    await convert(model(2), path.join(parent, 'x.npz'), { force: true });
    const checkpoints = freshDirectory();
    await convert(real, checkpoints);
    expect((await tensorsOf(checkpoints)).tensors['w']!.bytes).toEqual(randomTensor('F32', [8], 2).bytes);
  });

  test.each(TARGETS)('%s that somebody else makes in the meantime: it stays', async (_, name, options) => {
    const target = path.join(freshDirectory(), name);
    const make = () => {
      if (options.to === undefined) writeFileSync(target, 'theirs');
      else mkdirSync(target, { recursive: true });
    };
    const onProgress = ({ phase }: { phase: string }) => phase === 'write' && make();
    await rejection(convert(model(1), target, { ...options, onProgress }), 'ERR_EXISTS');
    expect(readdirSync(path.dirname(target))).toEqual([name]);
    if (options.to === undefined) expect(readFileSync(target, 'utf8')).toBe('theirs');
    else expect(readdirSync(target)).toEqual([]);
  });

  test('another conversion that goes on beside it: what it has written so far is not removed', async () => {
    const directory = freshDirectory();
    const names = ['a', 'b', 'c'].map((name) => path.join(directory, `${name}.npz`));
    const second: Promise<unknown>[] = [];
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === 'write' && second.length === 0) second.push(...names.slice(1).map((target) => convert(model(2), target)));
    };
    const source = bareFile({ w: { dtype: 'F32', shape: [8_000_000], data: new Uint8Array(32_000_000) } });
    await convert(source, names[0]!, { onProgress });
    await Promise.all(second);
    expect(second).toHaveLength(2);
    expect(readdirSync(directory)).toEqual(['a.npz', 'b.npz', 'c.npz']);
  });

  test('what another conversion has begun, and whose process lives, is not removed', async () => {
    const directory = freshDirectory();
    let begun: string | undefined;
    const onProgress = ({ phase }: { phase: string }) => {
      const [written] = readdirSync(directory);
      if (phase !== 'write' || written === undefined || begun !== undefined) return;
      // As the one that is being written is called, but for the last character.
      begun = written.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
      writeFileSync(path.join(directory, begun), '');
    };
    await convert(model(1), path.join(directory, 'a.npz'), { onProgress });
    await convert(model(1), path.join(directory, 'b.npz'));
    expect(begun).toBeDefined();
    expect(readdirSync(directory)).toEqual([begun, 'a.npz', 'b.npz']);
  });

  test('the source itself: it is read before it is replaced', async () => {
    const file = bareFile({ w: { dtype: 'F32', shape: [4], data: Float32Array.of(1, 2, 3, 4) } });
    await convert(file, file, { dtype: 'f16', force: true });
    const checkpoints = freshDirectory();
    await convert(file, checkpoints);
    expect((await tensorsOf(checkpoints)).tensors['w']).toMatchObject({ dtype: 'F16', bytes: Buffer.from('003c004000420044', 'hex') });
  });
});

test('a killed conversion leaves no target, and the next one to that place removes what it left', async () => {
  const parent = freshDirectory();
  const target = path.join(parent, 'x.npz');
  const source = bareFile({ w: { dtype: 'F32', shape: [30_000_000], data: new Uint8Array(120_000_000) } });
  const script = `
    import { convert } from '${new URL('../../dist/index.js', import.meta.url).href}';
    await convert(process.argv[1], process.argv[2]);
  `;
  const child = startNode(script, [source, target]);
  await until(() => readdirSync(parent).length > 0);
  child.kill('SIGKILL');
  await ended(child);
  expect(existsSync(target)).toBe(false);
  expect(readdirSync(parent)).toHaveLength(1);
  await convert(model(1), target);
  expect(readdirSync(parent)).toEqual(['x.npz']);
});

import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Progress } from '../../src/engine/progress.js';
import { keep } from '../../src/policy/keep.js';
import type { TensorInputs } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { randomBytes } from '../helpers/random.js';

/** Node.js has it; its types do not. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

/** What a failed save may leave: the checkpoints of before, and nothing unfinished. */
function expectUntouched(directory: string, names: readonly string[]): void {
  const visible = readdirSync(directory).filter((name) => name.startsWith('checkpoint'));
  expect(visible.sort()).toEqual([...names].sort());
  expect(readdirSync(directory).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
}

const BAD_TENSORS: [string, Parameters<typeof rejection>[1], () => unknown][] = [
  ['too few bytes', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', shape: [3], data: new Float32Array(2) } })],
  ['too many bytes', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', shape: [3], data: new Uint8Array(13) } })],
  [
    'an array class that holds something else',
    'ERR_INVALID_TENSOR',
    () => ({ x: { dtype: 'F32', shape: [4], data: new Float64Array(2) } }),
  ],
  ['an unknown dtype', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'float32', shape: [1], data: new Float32Array(1) } })],
  ['a negative size', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', shape: [-1], data: new Float32Array(1) } })],
  ['a fractional size', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', shape: [0.5], data: new Float32Array(1) } })],
  ['no shape', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', data: new Float32Array(1) } })],
  ['a plain array as data', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', shape: [1], data: [1] } })],
  ['a stream without byteLength', 'ERR_INVALID_TENSOR', () => ({ x: { dtype: 'F32', shape: [1], data: (async function* () {})() } })],
  ['an empty name', 'ERR_INVALID_NAME', () => [{ name: '', dtype: 'F32', shape: [1], data: new Float32Array(1) }]],
  ['a reserved name', 'ERR_INVALID_NAME', () => [{ name: '__metadata__', dtype: 'F32', shape: [1], data: new Float32Array(1) }]],
  ['no name', 'ERR_INVALID_NAME', () => [{ dtype: 'F32', shape: [1], data: new Float32Array(1) }]],
  [
    'a name twice',
    'ERR_DUPLICATE_TENSOR',
    () => [
      { name: 'a', dtype: 'F32', shape: [1], data: new Float32Array(1) },
      { name: 'a', dtype: 'I32', shape: [1], data: new Int32Array(1) },
    ],
  ],
  ['a misspelled property', 'ERR_UNKNOWN_OPTION', () => ({ x: { dtype: 'F32', shapes: [1], shape: [1], data: new Float32Array(1) } })],
  ['a number', 'ERR_INVALID_ARGUMENT', () => 3],
  ['null', 'ERR_INVALID_ARGUMENT', () => null],
  [
    'a detached buffer',
    process.versions.node.startsWith('20.') ? 'ERR_INVALID_TENSOR' : 'ERR_SOURCE_CHANGED',
    () => {
      const data = new Float32Array(4);
      structuredClone(data, { transfer: [data.buffer] });
      return { x: { dtype: 'F32', shape: [4], data } };
    },
  ],
];

describe.each(ENGINES)('save with the %s engine', (engine) => {
  test.each(BAD_TENSORS)('refuses tensors with %s before anything is written', async (_, code, make) => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const before = await manager.save(smallRequest(1));
    const error = await rejection(manager.save({ step: 2, tensors: make() as TensorInputs }), code);
    expect(error.message.length).toBeGreaterThan(20);
    expectUntouched(directory, [before.name]);
    expect((await manager.save(smallRequest(2))).sequence).toBe(2);
  });

  test.each([
    ['a negative step', { step: -1 }, 'ERR_INVALID_ARGUMENT'],
    ['a fractional step', { step: 1.5 }, 'ERR_INVALID_ARGUMENT'],
    ['a fractional epoch', { epoch: 0.5 }, 'ERR_INVALID_ARGUMENT'],
    ['a metric that is no number', { metrics: { loss: '1' } }, 'ERR_INVALID_ARGUMENT'],
    ['state that JSON would alter', { state: { seen: new Set([1]) } }, 'ERR_INVALID_STATE'],
    ['a misspelled option', { metric: { loss: 1 } }, 'ERR_UNKNOWN_OPTION'],
    ['unknown contents', { contents: 'half' }, 'ERR_INVALID_ARGUMENT'],
    ['an attachment outside', { attachments: [{ name: '../x', data: '' }] }, 'ERR_INVALID_NAME'],
    ['an attachment that the format uses', { attachments: [{ name: 'model.safetensors', data: '' }] }, 'ERR_INVALID_NAME'],
    [
      'an attachment twice',
      {
        attachments: [
          { name: 'a', data: '' },
          { name: 'a', data: '' },
        ],
      },
      'ERR_INVALID_NAME',
    ],
  ] as const)('refuses %s', async (_, change, code) => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    await rejection(manager.save({ ...smallRequest(1), ...change } as never), code);
    expectUntouched(directory, []);
  });

  test('a stream that gives too little, too much, or fails, saves nothing', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const before = await manager.save(smallRequest(1));
    const stream = (sizes: readonly number[], failure?: Error) => ({
      byteLength: 100,
      async *[Symbol.asyncIterator]() {
        for (const size of sizes) yield new Uint8Array(size);
        if (failure !== undefined) throw failure;
      },
    });
    const save = (data: ReturnType<typeof stream>) => manager.save({ step: 2, tensors: { x: { dtype: 'U8', shape: [100], data } } });
    expect((await rejection(save(stream([50, 49])), 'ERR_SOURCE_LENGTH')).tensors).toEqual(['x']);
    await rejection(save(stream([50, 51])), 'ERR_SOURCE_LENGTH');
    await rejection(save(stream([])), 'ERR_SOURCE_LENGTH');
    const failed = await save(stream([50], new Error('the source broke'))).catch((error: Error) => error);
    expect(String((failed as Error).message)).toContain('the source broke');
    expectUntouched(directory, [before.name]);
    await save(stream([0, 100, 0]));
  });

  test('memory promised stable and then taken away fails the save; nothing is committed', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const data = new Float32Array(1 << 20);
    const saving = manager.save({ step: 1, tensors: { weights: { dtype: 'F32', shape: [data.length], data, stable: true } } });
    // The native engine forbids posting it away (which then throws, or copies, depending on the version of Node.js) and
    // transfer(); whoever goes around that, possible on Node.js 22 only, is noticed. The portable one notices.
    try {
      structuredClone(data, { transfer: [data.buffer] });
    } catch {}
    const buffer = data.buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
    const { transfer } = ArrayBuffer.prototype as typeof buffer;
    if (engine === 'native') {
      if (transfer !== undefined) expect(() => buffer.transfer?.()).toThrow(TypeError);
      expect(data.length).toBe(1 << 20);
    }
    let moved: ArrayBuffer | undefined;
    try {
      moved = transfer?.call(buffer);
    } catch {}
    if (data.length === 0) {
      expect((await rejection(saving, 'ERR_SOURCE_CHANGED')).tensors ?? ['weights']).toEqual(['weights']);
      expectUntouched(directory, []);
    } else {
      await saving;
      expect((await manager.restore())?.tensors.get('weights')?.byteLength).toBe(data.byteLength);
    }
    expect(moved?.byteLength ?? 0).toBeLessThanOrEqual(1 << 22);
    expect(Object.getOwnPropertyNames(buffer)).toEqual([]);
  });

  test('an aborted save leaves nothing behind', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const before = await manager.save(smallRequest(1));
    const reason = new Error('enough');
    await rejection(manager.save({ ...smallRequest(2), signal: AbortSignal.abort(reason) }), 'ERR_ABORTED');
    const controller = new AbortController();
    const data = randomBytes(64 * 2 ** 20, 1);
    const saving = manager.save({
      step: 3,
      tensors: { x: { dtype: 'U8', shape: [data.length], data, stable: true } },
      signal: controller.signal,
      onProgress: ({ phase }) => phase === 'write' && controller.abort(reason),
    });
    expect((await rejection(saving, 'ERR_ABORTED')).cause).toBe(reason);
    expectUntouched(directory, [before.name]);
    expect((await manager.restore())?.info.name).toBe(before.name);
    // Aborting after the commit changes nothing.
    const late = new AbortController();
    const saved = await manager.save({ ...smallRequest(4), signal: late.signal });
    late.abort();
    expect((await manager.restore(saved.name))?.info.step).toBe(4);
  });

  test('reports progress that rises to the whole', async () => {
    const manager = await openManager(freshDirectory(), { engine, verifyWrites: true });
    const seen: Progress[] = [];
    const data = randomBytes(8 * 2 ** 20, 1);
    const { bytes } = await manager.save({
      step: 1,
      tensors: { x: { dtype: 'U8', shape: [data.length], data } },
      onProgress: (progress) => seen.push(progress),
    });
    const phases = [...new Set(seen.map(({ phase }) => phase))];
    expect(phases).toEqual(expect.arrayContaining(['write', 'sync', 'verify', 'commit', 'done']));
    expect(seen.at(-1)).toMatchObject({ phase: 'done', bytes, totalBytes: bytes });
    const written = seen.filter(({ phase }) => phase === 'write').map((progress) => progress.bytes);
    expect(written).toEqual([...written].sort((a, b) => a - b));
    const restoring: Progress[] = [];
    await manager.restore('latest', { onProgress: (progress) => restoring.push(progress) });
    expect(restoring.at(-1)).toMatchObject({ phase: 'read', bytes, totalBytes: bytes });
  });

  test('commits in the order of the calls, and one failure does not stop the others', async () => {
    const manager = await openManager(freshDirectory(), { engine, keep: keep.all() });
    const saves = [3, 1, 2].map((step) => manager.save(smallRequest(step)));
    const failing = manager.save({ ...smallRequest(9), signal: AbortSignal.abort() });
    const last = manager.save(smallRequest(4));
    await rejection(failing, 'ERR_ABORTED');
    expect((await Promise.all([...saves, last])).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    const steps: (number | null)[] = [];
    for await (const { step } of manager.list()) steps.push(step);
    expect(steps).toEqual([3, 1, 2, 4]);
  });

  test('keeps the last N, the best, and every damaged one', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(2) });
    const losses = [0.5, 0.1, 0.9, 0.8, 0.7, 0.6];
    const names: string[] = [];
    for (const [step, loss] of losses.entries()) {
      const saved = await manager.save({ ...smallRequest(step), metrics: { loss } });
      names.push(saved.name);
      if (step === 2) writeFileSync(path.join(saved.path, 'manifest.json'), 'damaged');
      expect(saved.warnings).toEqual([]);
    }
    const left = readdirSync(directory).filter((name) => name.startsWith('checkpoint'));
    expect(left.sort()).toEqual([names[1], names[2], names[4], names[5]].sort());
    expect(readlinkSync(path.join(directory, 'latest'))).toBe(names[5]);
    expect(readlinkSync(path.join(directory, 'best'))).toBe(names[1]);
  });

  test('a damaged newest one does not make retention remove the last good one', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(1) });
    const first = await manager.save({ ...smallRequest(1), metrics: {} });
    rmSync(path.join(first.path, 'state.json'));
    const second = await manager.save({ ...smallRequest(2), metrics: {} });
    expect(existsSync(first.path)).toBe(true);
    expect((await manager.restore())?.info.name).toBe(second.name);
  });

  test('the sequence goes on after a new opening, also where the registry is garbage or gone', async () => {
    const directory = freshDirectory();
    for (const [i, ruin] of [undefined, '', '{"format":', 'gone', '{"highestSequence":99}'].entries()) {
      const registry = path.join(directory, 'registry.json');
      if (ruin === 'gone') rmSync(registry);
      else if (ruin !== undefined) writeFileSync(registry, ruin);
      const manager = await openManager(directory, { engine });
      expect((await manager.save(smallRequest(i))).sequence).toBe(i + 1);
      await manager.close();
    }
  });

  test('the sequence is not used again after its checkpoint was removed by hand', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    await manager.save(smallRequest(1));
    const second = await manager.save(smallRequest(2));
    await manager.close();
    rmSync(second.path, { recursive: true });
    const again = await openManager(directory, { engine });
    expect((await again.save(smallRequest(3))).sequence).toBe(3);
  });

  test('files carry the mode that the umask allows', async () => {
    const directory = path.join(freshDirectory(), 'a', 'b');
    const manager = await openManager(directory, { engine });
    const saved = await manager.save(smallRequest(1));
    const { statSync } = await import('node:fs');
    for (const name of readdirSync(saved.path)) expect(statSync(path.join(saved.path, name)).mode & 0o777).toBe(0o644 & ~process.umask());
  });

  test('the event loop turns while a save is written', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const data = randomBytes(32 * 2 ** 20, 1);
    let done = false;
    const saving = manager.save({ step: 1, tensors: { x: { dtype: 'U8', shape: [data.length], data, stable: true } } }).then(() => {
      done = true;
    });
    let turns = 0;
    while (!done) {
      await nextTurn();
      turns++;
    }
    await saving;
    expect(turns).toBeGreaterThan(5);
  });
});

test('memory that was written and then detached before the commit saves nothing', async () => {
  const directory = freshDirectory();
  const manager = await openManager(directory, { engine: 'portable' });
  // WebAssembly memory is detached by growing, on every version of Node.js.
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  const saving = manager.save({
    step: 1,
    tensors: { weights: { dtype: 'U8', shape: [65536], data: memory.buffer, stable: true } },
    onProgress: ({ phase }) => {
      if (phase === 'sync' && memory.buffer.byteLength === 65536) memory.grow(1);
    },
  });
  expect((await rejection(saving, 'ERR_SOURCE_CHANGED')).tensors).toEqual(['weights']);
  expectUntouched(directory, []);
});

test('an empty directory with the wanted name is not replaced', async () => {
  const directory = freshDirectory();
  const manager = await openManager(directory);
  mkdirSync(path.join(directory, 'checkpoint_step00000001_loss0.5000'));
  expect((await manager.save(smallRequest(1))).name).toBe('checkpoint_step00000001_loss0.5000.r1');
  expect(readdirSync(path.join(directory, 'checkpoint_step00000001_loss0.5000'))).toEqual([]);
});

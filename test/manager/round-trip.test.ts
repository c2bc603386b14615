import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { byteLengthOf, DTYPES, type Dtype } from '../../src/format/dtype.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { OpenOptions } from '../../src/manager/options.js';
import type { StreamedData, TensorInput } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { randomBytes } from '../helpers/random.js';

const open = new Set<CheckpointManager>();

async function openManager(directory: string, options: OpenOptions = {}): Promise<CheckpointManager> {
  const manager = await CheckpointManager.open(directory, options);
  open.add(manager);
  return manager;
}

afterEach(async () => {
  for (const manager of open) await manager.close();
  open.clear();
});

/** Gives `bytes` in chunks of `size`. */
function streamOf(bytes: Uint8Array, size: number): StreamedData {
  return {
    byteLength: bytes.length,
    async *[Symbol.asyncIterator]() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    },
  };
}

/** Node.js has it; its types do not. */
declare const WebAssembly: { Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer } };

/** The same bytes in every kind of container that callers may have. */
const CONTAINERS: Record<string, (bytes: Uint8Array) => TensorInput['data']> = {
  'a Uint8Array inside a larger buffer': (bytes) => {
    const larger = new Uint8Array(bytes.length + 100);
    larger.set(bytes, 37);
    return larger.subarray(37, 37 + bytes.length);
  },
  'an ArrayBuffer': (bytes) => Uint8Array.from(bytes).buffer,
  'a SharedArrayBuffer': (bytes) => {
    const shared = new SharedArrayBuffer(bytes.length);
    new Uint8Array(shared).set(bytes);
    return shared;
  },
  'a view of a SharedArrayBuffer': (bytes) => {
    const shared = new SharedArrayBuffer(bytes.length + 9);
    new Uint8Array(shared, 9).set(bytes);
    return new Uint8Array(shared, 9, bytes.length);
  },
  'a Buffer': (bytes) => Buffer.from(bytes),
  'a DataView': (bytes) => new DataView(Uint8Array.from(bytes).buffer),
  'an AsyncIterable of small chunks': (bytes) => streamOf(bytes, 13),
  'an AsyncIterable of one chunk': (bytes) => streamOf(bytes, 1e9),
  'a resizable ArrayBuffer': (bytes) => {
    const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
    const buffer = new Resizable(bytes.length, { maxByteLength: bytes.length + 64 });
    new Uint8Array(buffer).set(bytes);
    return buffer;
  },
  'WebAssembly memory': (bytes) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
    new Uint8Array(memory.buffer).set(bytes);
    return new Uint8Array(memory.buffer, 0, bytes.length);
  },
};

describe.each(ENGINES)('with the %s engine', (engine) => {
  test('every dtype comes back bit by bit, in the promised array class', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const shape = [2, 4];
    const tensors = DTYPES.map((dtype, i) => ({
      name: `tensor ${dtype}`,
      dtype,
      shape,
      data: randomBytes(byteLengthOf(dtype, shape) as number, i + 1),
    }));
    await manager.save({ step: 1, tensors });
    const restored = await manager.restore();
    expect(restored?.tensors.size).toBe(DTYPES.length);
    for (const { name, dtype, data } of tensors) {
      const tensor = restored?.tensors.get(name);
      expect(tensor?.dtype).toBe(dtype);
      expect(tensor?.shape).toEqual(shape);
      expect(Buffer.from(tensor?.buffer as ArrayBuffer).equals(data)).toBe(true);
      expect(tensor?.data.constructor.name).toBe(EXPECTED_CLASS[dtype] ?? 'Uint8Array');
    }
  });

  describe.each([false, true])('stable: %s', (stable) => {
    test.each(Object.keys(CONTAINERS))('bytes in %s', async (kind) => {
      const manager = await openManager(freshDirectory(), { engine });
      const bytes = randomBytes(1000, 77);
      const data = (CONTAINERS[kind] as (typeof CONTAINERS)[string])(bytes);
      await manager.save({ step: 1, tensors: { x: { dtype: 'I16', shape: [500], data, stable } } });
      const restored = await manager.restore();
      expect(Buffer.from(restored?.tensors.get('x')?.buffer as ArrayBuffer).equals(bytes)).toBe(true);
    });
  });

  test('any set of tensors, sharded anyhow, with metrics and state', async () => {
    const directory = freshDirectory();
    const tensor = fc
      .record({
        name: fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }), fc.constantFrom('__proto__', '\0', 'a/b')),
        dtype: fc.constantFrom<Dtype>('F32', 'U8', 'F64', 'BF16', 'BOOL'),
        shape: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }),
        seed: fc.nat(),
      })
      .filter(({ name }) => name !== '__metadata__');
    const tensorsOf = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 9 });
    let step = 0;
    await fc.assert(
      fc.asyncProperty(tensorsOf, tensorsOf, fc.integer({ min: 1, max: 3000 }), fc.double(), async (model, slots, maxShardBytes, loss) => {
        const fill = ({ name, dtype, shape, seed }: (typeof model)[number]) => ({
          name,
          dtype,
          shape,
          data: randomBytes(byteLengthOf(dtype, shape) as number, seed),
        });
        const manager = await openManager(directory, { engine, maxShardBytes, chunkBytes: 1000 });
        const state = { position: step, text: 'é\u2028' };
        const saved = await manager.save({
          step: step++,
          metrics: { loss },
          tensors: model.map(fill),
          optimizer: slots.map(fill),
          state,
          attachments: [{ name: 'notes.txt', data: 'hello' }],
        });
        const restored = await manager.restore();
        await manager.close();
        expect(restored?.info.sequence).toBe(saved.sequence);
        expect(restored?.info.metrics['loss']).toBe(loss);
        expect(restored?.state).toEqual(state);
        expect(Buffer.from(restored?.attachments.get('notes.txt') ?? []).toString()).toBe('hello');
        for (const [given, got] of [[model, restored?.tensors] as const, [slots, restored?.optimizer] as const]) {
          expect([...(got?.keys() ?? [])].sort()).toEqual(given.map(({ name }) => name).sort());
          for (const input of given) expect(Buffer.from(got?.get(input.name)?.buffer as ArrayBuffer).equals(fill(input).data)).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });

  test('what the caller changes after the call does not reach the checkpoint', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const data = new Float32Array([1, 2, 3]);
    const state = { position: 1 };
    const metrics = { loss: 1 };
    const saving = manager.save({ step: 1, metrics, state, tensors: { x: { dtype: 'F32', shape: [3], data } } });
    data.fill(9);
    state.position = 9;
    metrics.loss = 9;
    await saving;
    const restored = await manager.restore();
    expect([...(restored?.tensors.get('x')?.data ?? [])]).toEqual([1, 2, 3]);
    expect(restored?.state).toEqual({ position: 1 });
    expect(restored?.info.metrics['loss']).toBe(1);
  });

  test('both engines read what the other wrote', async () => {
    const directory = freshDirectory();
    const data = randomBytes(3_000_000, 3);
    const writer = await openManager(directory, { engine });
    await writer.save({ step: 1, tensors: { x: { dtype: 'U8', shape: [data.length], data } } });
    await writer.close();
    for (const other of ENGINES) {
      const reader = await openManager(directory, { engine: other, readOnly: true });
      expect(Buffer.from((await reader.restore())?.tensors.get('x')?.buffer as ArrayBuffer).equals(data)).toBe(true);
      expect((await reader.verify()).ok).toBe(true);
    }
  });
});

const EXPECTED_CLASS: Partial<Record<Dtype, string>> = {
  F64: 'Float64Array',
  F32: 'Float32Array',
  C64: 'Float32Array',
  I64: 'BigInt64Array',
  U64: 'BigUint64Array',
  I32: 'Int32Array',
  U32: 'Uint32Array',
  I16: 'Int16Array',
  U16: 'Uint16Array',
  F16: 'Uint16Array',
  BF16: 'Uint16Array',
  I8: 'Int8Array',
};

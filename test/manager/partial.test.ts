/** Reading less than all of a checkpoint, and into memory that is there already. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { EngineName } from '../../src/engine/contract.js';
import type { CheckpointReader, StoredTensor } from '../../src/manager/checkpoint-reader.js';
import type { CheckpointManager } from '../../src/manager/manager.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { nativeStats } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';
import { random32, randomBytes } from '../helpers/random.js';

const ROWS = 300;
const COLUMNS = 123;
const CHUNK_BYTES = 16 * 1024;

const floats = (length: number, seed: number) => new Float32Array(randomBytes(length * 4, seed).buffer);
const TABLE = floats(ROWS * COLUMNS, 1);
const TENSORS = {
  table: { dtype: 'F32' as const, shape: [ROWS, COLUMNS], data: TABLE },
  bias: { dtype: 'F32' as const, shape: [COLUMNS], data: floats(COLUMNS, 2) },
  counts: { dtype: 'I64' as const, shape: [7], data: new BigInt64Array([1n, -2n, 3n, 4n, 5n, 6n, 2n ** 62n]) },
  flags: { dtype: 'BOOL' as const, shape: [3, 5], data: new Uint8Array(15).fill(1) },
  scalar: { dtype: 'F64' as const, shape: [], data: new Float64Array([Math.PI]) },
  empty: { dtype: 'F32' as const, shape: [0, 4], data: new Float32Array(0) },
};
const NAMES = Object.keys(TENSORS) as (keyof typeof TENSORS)[];
const SLOT = floats(COLUMNS, 3);

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A directory with one checkpoint of two shards and an optimizer file. */
async function saved(engine: EngineName): Promise<CheckpointManager> {
  const manager = await openManager(freshDirectory(), { engine, chunkBytes: CHUNK_BYTES, maxShardBytes: TABLE.byteLength + 100 });
  await manager.save({
    step: 1,
    tensors: TENSORS,
    optimizer: { bias: { dtype: 'F32', shape: [COLUMNS], data: SLOT } },
    state: { epoch: 3 },
  });
  return manager;
}

async function opened(manager: CheckpointManager): Promise<CheckpointReader> {
  const reader = await manager.openCheckpoint();
  if (reader === null) throw new Error('nothing was saved');
  onTestFinished(() => reader.close());
  return reader;
}

/** Flips one bit of a tensor on the disk, `at` bytes after its first. */
function damage({ info, tensors }: CheckpointReader, name: string, at = 0): void {
  const stored = tensors.get(name);
  if (stored === undefined) throw new Error(`no ${name}`);
  const file = path.join(info.path, stored.file);
  const bytes = readFileSync(file);
  bytes[stored.offset + at] = (bytes[stored.offset + at] as number) ^ 4;
  writeFileSync(file, bytes);
}

describe.each(ENGINES)('single tensors, %s engine', (engine) => {
  test('are listed with where they are, model and optimizer apart', async () => {
    const reader = await opened(await saved(engine));
    expect([...reader.tensors.keys()].sort()).toEqual([...NAMES].sort());
    expect(reader.tensors.get('table')).toMatchObject({
      role: 'model',
      dtype: 'F32',
      shape: [ROWS, COLUMNS],
      byteLength: TABLE.byteLength,
    });
    expect(new Set([...reader.tensors.values()].map(({ file }) => file)).size).toBe(2);
    expect([...reader.optimizer.values()]).toMatchObject([{ name: 'bias', role: 'optimizer', file: 'optimizer.safetensors' }]);
    expect(reader.info.step).toBe(1);
  });

  test.each(['read', 'map'] as const)('come back exactly: %s', async (how) => {
    const reader = await opened(await saved(engine));
    for (const name of NAMES) {
      const { dtype, shape, data } = TENSORS[name];
      const tensor = await reader[how](name);
      expect([tensor.dtype, tensor.shape, tensor.byteLength]).toEqual([dtype, shape, data.byteLength]);
      expect(tensor.data.constructor).toBe(data.constructor);
      expect(bytesOf(tensor.data)).toEqual(bytesOf(data));
    }
    expect((await reader[how]('bias', { role: 'optimizer' })).data).toEqual(SLOT);
  });

  test('rows come back exactly, whatever rows', async () => {
    const reader = await opened(await saved(engine));
    const next = random32(7);
    for (let round = 0; round < 60; round++) {
      const begin = next() % (ROWS + 1);
      const end = begin + (next() % (ROWS + 1 - begin));
      const rows = await reader.slice('table', begin, end);
      expect(rows.shape).toEqual([end - begin, COLUMNS]);
      expect(rows.data).toEqual(TABLE.slice(begin * COLUMNS, end * COLUMNS));
    }
    expect((await reader.slice('counts', 5)).data).toEqual(new BigInt64Array([6n, 2n ** 62n]));
    expect((await reader.slice('empty', 0)).shape).toEqual([0, 4]);
  });

  test('come piece by piece, together what was saved', async () => {
    const reader = await opened(await saved(engine));
    for (const [name, { data }] of Object.entries(TENSORS)) {
      const pieces: Uint8Array[] = [];
      for await (const piece of reader.stream(name)) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(bytesOf(data)), name).toBe(true);
    }
    await rejection(reader.stream('none').next(), 'ERR_NOT_FOUND');
    await rejection(reader.stream('bias', { signal: AbortSignal.abort() }).next(), 'ERR_ABORTED');
    const large = new Uint8Array(2 ** 25 + 7).map((_, i) => i * 7);
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    await manager.save({
      step: 1,
      tensors: { a: { dtype: 'U8', shape: [5], data: large.subarray(0, 5) }, large: { dtype: 'U8', shape: [large.length], data: large } },
    });
    const other = await opened(manager);
    const pieces: Uint8Array[] = [];
    for await (const piece of other.stream('large')) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(2);
    expect(Buffer.concat(pieces).equals(large)).toBe(true);
  });

  test('go into memory that is there', async () => {
    const reader = await opened(await saved(engine));
    const memory = new Float32Array(COLUMNS + 2).fill(9);
    const bias = await reader.read('bias', { into: memory.subarray(1, -1) });
    expect(bias.data.buffer).toBe(memory.buffer);
    expect(memory).toEqual(new Float32Array([9, ...TENSORS.bias.data, 9]));
    const rows = await reader.slice('table', 2, 3, { into: bias });
    expect(rows.shape).toEqual([1, COLUMNS]);
    expect(memory.subarray(1, -1)).toEqual(TABLE.slice(2 * COLUMNS, 3 * COLUMNS));
  });

  test('what is damaged is refused by its name; the rest can be read', async () => {
    const reader = await opened(await saved(engine));
    damage(reader, 'table', 5 * CHUNK_BYTES);
    for (const how of ['read', 'map'] as const) {
      const error = await rejection(reader[how]('table'), 'ERR_CHECKSUM');
      expect([error.tensors, error.checkpoint]).toEqual([['table'], reader.info.name]);
    }
    expect((await rejection(reader.slice('table', ((5 * CHUNK_BYTES) / 4 / COLUMNS) | 0, 180), 'ERR_CHECKSUM')).tensors).toEqual(['table']);
    expect((await reader.slice('table', 0, 100)).data).toEqual(TABLE.slice(0, 100 * COLUMNS));
    expect((await reader.read('bias')).data).toEqual(TENSORS.bias.data);
  });

  test('damage that is in the same chunk as a slice, but not in it, is found', async () => {
    const reader = await opened(await saved(engine));
    const { offset } = reader.tensors.get('table') as StoredTensor;
    damage(reader, 'table', CHUNK_BYTES - 1 - offset);
    await rejection(reader.slice('table', 0, 1), 'ERR_CHECKSUM');
  });

  test('a checkpoint whose head is damaged is passed over, or refused if it was named', async () => {
    const manager = await saved(engine);
    const first = await opened(manager);
    const second = await manager.save({ step: 2, tensors: { x: { dtype: 'U8', shape: [3], data: new Uint8Array(3) } } });
    const file = path.join(second.path, 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[30] = (bytes[30] as number) ^ 1;
    writeFileSync(file, bytes);
    expect((await opened(manager)).info.name).toBe(first.info.name);
    await rejection(manager.openCheckpoint(second.name), 'ERR_CHECKSUM');
    await rejection(manager.openCheckpoint({ step: 9 }), 'ERR_NOT_FOUND');
  });

  test('are there also when the checkpoint was removed meanwhile', async () => {
    const reader = await opened(await saved(engine));
    rmSync(reader.info.path, { recursive: true });
    expect((await reader.read('table')).data).toEqual(TABLE);
    if (engine === 'native') expect((await reader.map('table')).data).toEqual(TABLE);
  });

  test('wrong input is told', async () => {
    const manager = await saved(engine);
    const reader = await opened(manager);
    expect((await rejection(reader.read('tabel'), 'ERR_NOT_FOUND')).message).toContain('"tabel"');
    await rejection(reader.read('table', { role: 'optimizer' }), 'ERR_NOT_FOUND');
    await rejection(reader.read('table', { into: new Float32Array(3) }), 'ERR_INVALID_ARGUMENT');
    await rejection(reader.read('table', { into: 'here' as never }), 'ERR_INVALID_ARGUMENT');
    await rejection(reader.read('bias', { into: new Uint8Array(COLUMNS * 4 + 1).subarray(1) }), 'ERR_INVALID_ARGUMENT');
    await rejection(reader.read('table', { in: 1 } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(reader.map('table', { into: TABLE } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(reader.read('table', { role: 'weights' as never }), 'ERR_INVALID_ARGUMENT');
    for (const [begin, end] of [
      [-1, 2],
      [3, 2],
      [0, ROWS + 1],
      [0.5, 2],
      ['0', 1],
    ] as [number, number][]) {
      await rejection(reader.slice('table', begin, end), 'ERR_INVALID_ARGUMENT');
    }
    await rejection(reader.slice('scalar', 0), 'ERR_INVALID_ARGUMENT');
    await rejection(reader.read('table', { signal: AbortSignal.abort() }), 'ERR_ABORTED');
    await rejection(reader.map('table', { signal: AbortSignal.abort() }), 'ERR_ABORTED');
    await rejection(manager.openCheckpoint(3 as never), 'ERR_INVALID_ARGUMENT');
    await reader.close();
    await reader.close();
    await rejection(reader.read('table'), 'ERR_CLOSED');
  });

  test('null where there is no checkpoint', async () => {
    expect(await (await openManager(freshDirectory(), { engine })).openCheckpoint()).toBe(null);
  });
});

describe.each(ENGINES)('restore of a part, %s engine', (engine) => {
  test('only what was asked for, by name or by function', async () => {
    const manager = await saved(engine);
    const some = await manager.restore('latest', { tensors: ['bias', 'counts'] });
    expect([...(some?.tensors.keys() ?? [])].sort()).toEqual(['bias', 'counts']);
    expect([...(some?.optimizer.keys() ?? [])]).toEqual(['bias']);
    expect(some?.tensors.get('counts')?.data).toEqual(TENSORS.counts.data);
    expect(some?.state).toEqual({ epoch: 3 });
    const model = await manager.restore('latest', { tensors: ({ role }) => role === 'model' });
    expect([model?.tensors.size, model?.optimizer.size]).toEqual([NAMES.length, 0]);
    for (const name of NAMES) expect(bytesOf(model?.tensors.get(name)?.data as Float32Array)).toEqual(bytesOf(TENSORS[name].data));
    expect((await manager.restore('latest', { tensors: () => false }))?.tensors.size).toBe(0);
  });

  test('damage of what was not asked for does not matter; of what was, it does', async () => {
    const manager = await saved(engine);
    damage(await opened(manager), 'table');
    expect((await manager.restore('latest', { tensors: ['bias'] }))?.skipped).toEqual([]);
    await rejection(manager.restore('latest', { tensors: ['table'] }), 'ERR_NO_GOOD_CHECKPOINT');
  });

  test('the memory of an earlier restore is filled again, where it fits', async () => {
    const manager = await saved(engine);
    const first = await manager.restore();
    if (first === null) throw new Error('nothing was saved');
    const table = first.tensors.get('table')?.data as Float32Array;
    table.fill(0);
    const more = { ...TENSORS, bias: { dtype: 'F32' as const, shape: [2], data: new Float32Array(2) } };
    await manager.save({ step: 2, tensors: more, optimizer: { bias: { dtype: 'F32', shape: [COLUMNS], data: SLOT } } });
    const second = await manager.restore('latest', { into: first });
    expect(second?.info.step).toBe(2);
    expect(second?.tensors.get('table')?.buffer).toBe(table.buffer);
    expect(table).toEqual(TABLE);
    expect(second?.tensors.get('bias')?.data).toEqual(new Float32Array(2));
    expect(second?.tensors.get('bias')?.buffer).not.toBe(first.tensors.get('bias')?.buffer);
    expect(second?.optimizer.get('bias')?.buffer).toBe(first.optimizer.get('bias')?.buffer);
  });

  test('memory of the caller’s choice', async () => {
    const manager = await saved(engine);
    const memory = new Uint8Array(TABLE.byteLength + 16);
    const restored = await manager.restore('latest', {
      into: ({ name, role, byteLength }) => (name === 'table' && role === 'model' ? memory.subarray(16, 16 + byteLength) : undefined),
    });
    expect(restored?.tensors.get('table')?.data).toEqual(TABLE);
    expect(restored?.tensors.get('table')?.buffer).toBe(memory.buffer);
  });

  test('wrong input is told, and is no reason to fall back', async () => {
    const manager = await saved(engine);
    const memory = new Float32Array(TABLE.length + COLUMNS);
    const overlapping = ({ role, byteLength }: { role: string; byteLength: number }) =>
      role === 'model' ? new Uint8Array(memory.buffer, 0, byteLength) : undefined;
    expect((await rejection(manager.restore('latest', { into: overlapping }), 'ERR_INVALID_ARGUMENT')).message).toContain('overlaps');
    await rejection(manager.restore('latest', { into: () => new Float32Array(1) }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore('latest', { into: {} as never }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore('latest', { tensors: 'table' }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore('latest', { tensors: [] }), 'ERR_INVALID_ARGUMENT');
    expect((await rejection(manager.restore('latest', { tensors: ['bias', 'nope'] }), 'ERR_NOT_FOUND')).tensors).toEqual(['nope']);
    await rejection(manager.restore('latest', { tensor: ['bias'] } as never), 'ERR_UNKNOWN_OPTION');
  });
});

test.runIf(ENGINES.includes('native'))('mapped memory is this process’s own, and goes with its buffer', async () => {
  const manager = await saved('native');
  const reader = await opened(manager);
  const before = nativeStats().mappedBytes;
  const mapped = await reader.map('table');
  expect(nativeStats().mappedBytes).toBe(before + TABLE.byteLength);
  (mapped.data as Float32Array).fill(0);
  expect((await reader.read('table')).data).toEqual(TABLE);
  expect((await manager.verify()).ok).toBe(true);
  await reader.close();
  expect((mapped.data as Float32Array).every((value) => value === 0)).toBe(true);
  // What was mapped can be saved again.
  await manager.save({ step: 5, tensors: { table: { dtype: 'F32', shape: [ROWS, COLUMNS], data: mapped.data, stable: true } } });
  expect((await manager.restore())?.tensors.get('table')?.data).toEqual(new Float32Array(TABLE.length));
});

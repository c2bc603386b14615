/** Whose the memory of chunks is: what is given away is freed as soon as it is written, and only that; what is copied is copied into little memory. */
import { markAsUntransferable } from 'node:worker_threads';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { StreamedData } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { nativeStats } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';
import { randomBytes } from '../helpers/random.js';
import { chunks } from '../helpers/streams.js';

const BYTES = 100_000;
const MIB = 2 ** 20;

type Given = Pick<StreamedData, 'fresh' | 'transfer'>;

describe.each(ENGINES)('chunks, %s engine', (engine) => {
  /** Saves one tensor of `list` and what else there is, and gives what the directory then holds of it. */
  async function saved(list: readonly Uint8Array[], given: Given, more: object = {}): Promise<Buffer> {
    const manager = await openManager(freshDirectory(), { engine });
    const shape = [list.reduce((sum, { length }) => sum + length, 0)];
    const data = Object.assign(chunks(list), given);
    await manager.save({ step: 1, tensors: { x: { dtype: 'U8', shape, data }, ...more } });
    return Buffer.from((await manager.restore())?.tensors.get('x')?.data as Uint8Array);
  }

  const make = (count: number) => Array.from({ length: count }, (_, i) => randomBytes(BYTES, i));
  const lengths = (list: readonly Uint8Array[]) => list.map(({ buffer }) => buffer.byteLength);

  test('that are given away are saved, and then freed', async () => {
    const list = make(5);
    const expected = Buffer.concat(list);
    const { pins } = nativeStats();
    const moving = vi.spyOn(globalThis, 'structuredClone');
    expect((await saved(list, { transfer: true })).equals(expected)).toBe(true);
    const moved = moving.mock.results.map(({ value }) => (value as ArrayBuffer).byteLength);
    moving.mockRestore();
    // The portable engine copies them, and leaves them to the garbage collector.
    expect(lengths(list)).toEqual(list.map(() => (engine === 'native' ? 0 : BYTES)));
    // Where they moved to there is nothing left either.
    expect(moved).toEqual(engine === 'native' ? list.map(() => 0) : []);
    expect(nativeStats().pins).toBe(pins);
  });

  test('that are only fresh, or neither, stay the caller’s', async () => {
    for (const given of [{ fresh: true }, { transfer: false }, {}]) {
      const list = make(3);
      const expected = Buffer.concat(list);
      expect((await saved(list, given)).equals(expected)).toBe(true);
      expect(Buffer.concat(list).equals(expected)).toBe(true);
    }
  });

  test('that are part of something larger are not freed', async () => {
    const whole = randomBytes(3 * BYTES, 7);
    const expected = Buffer.from(whole);
    const list = [whole.subarray(0, BYTES), whole.subarray(BYTES, 2 * BYTES)];
    expect((await saved(list, { transfer: true })).equals(expected.subarray(0, 2 * BYTES))).toBe(true);
    expect(Buffer.from(whole).equals(expected)).toBe(true);
  });

  test('that must not be transferred are saved all the same', async () => {
    const list = make(3);
    const expected = Buffer.concat(list);
    for (const { buffer } of list) markAsUntransferable(buffer);
    expect((await saved(list, { transfer: true })).equals(expected)).toBe(true);
    expect(Buffer.concat(list).equals(expected)).toBe(true);
  });

  test('that are somebody’s stable memory, too, are not freed', async () => {
    const [chunk] = make(1) as [Uint8Array];
    const expected = Buffer.from(chunk);
    const more = { y: { dtype: 'U8', shape: [BYTES], data: chunk, stable: true } };
    expect((await saved([chunk], { transfer: true }, more)).equals(expected)).toBe(true);
    expect(Buffer.from(chunk).equals(expected)).toBe(true);
  });

  test('that are copied share a few buffers, however many saves, files and bytes', async () => {
    const made: number[] = [];
    const Shared = SharedArrayBuffer;
    vi.stubGlobal(
      'SharedArrayBuffer',
      class extends Shared {
        constructor(bytes: number) {
          super(bytes);
          if (bytes === 4 * MIB) made.push(bytes);
        }
      },
    );
    onTestFinished(() => void vi.unstubAllGlobals());
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, maxShardBytes: 24 * MIB });
    const [first, second] = [randomBytes(24 * MIB, 1), randomBytes(24 * MIB, 2)];
    for (let step = 1; step <= 3; step++) {
      const tensor = (data: Uint8Array) => ({ dtype: 'U8' as const, shape: [data.length], data: chunks([data]) });
      await manager.save({ step, tensors: { first: tensor(first), second: tensor(second) } });
    }
    const restored = await manager.restore();
    for (const [name, data] of Object.entries({ first, second })) {
      expect(Buffer.from(data).equals(restored?.tensors.get(name)?.data as Uint8Array)).toBe(true);
    }
    expect(made.length).toBeLessThanOrEqual(4);
  });

  test('that are given twice are not there the second time', async () => {
    const [chunk] = make(1) as [Uint8Array];
    const expected = Buffer.concat([chunk, chunk]);
    const outcome = await saved([chunk, chunk], { transfer: true }).catch((error) => error.code);
    if (engine === 'native') expect(outcome).toBe('ERR_SOURCE_LENGTH');
    else expect((outcome as Buffer).equals(expected)).toBe(true);
  });

  test('cannot be given half', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const data = Object.assign(chunks([new Uint8Array(8)]), { transfer: 'yes' as never });
    const error = await rejection(manager.save({ step: 1, tensors: { x: { dtype: 'U8', shape: [8], data } } }), 'ERR_INVALID_TENSOR');
    expect(error.message).toContain('transfer: yes');
  });
});

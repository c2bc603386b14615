/** What `saveAsync` refuses: by a typed error, before anything is held, written or let go. */
import { describe, expect, test } from 'vitest';
import type { AsyncSaveRequest } from '../../src/manager/save-request.js';
import type { TensorInput } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { checkpoints, leftovers, nativeStats } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (bytes: number): Resizable =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable)(bytes, { maxByteLength: bytes });
const tensor = (data: TensorInput['data'], bytes: number, stable = false): TensorInput => ({
  name: 'x',
  dtype: 'U8',
  shape: [bytes],
  data,
  stable,
});
const detached = () => {
  const data = new Uint8Array(8);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
};
/** Node.js 20 does not say whether a buffer is detached: it only looks too short. */
const DETACHED = process.versions.node.startsWith('20.') ? 'ERR_INVALID_TENSOR' : 'ERR_SOURCE_CHANGED';
const MIB = 2 ** 20;

const MEMORY: [string, Parameters<typeof rejection>[1], () => Partial<AsyncSaveRequest>][] = [
  ['a detached view', DETACHED, () => ({ tensors: [tensor(detached(), 8)] })],
  ['a detached stable view', DETACHED, () => ({ tensors: [tensor(detached(), 8, true)] })],
  ['a detached buffer', DETACHED, () => ({ tensors: [tensor(detached().buffer, 8)] })],
  [
    'a view that its buffer has shrunk away from',
    'ERR_INVALID_TENSOR',
    () => {
      const buffer = resizable(8);
      const data = new Uint8Array(buffer, 4, 4);
      buffer.resize(4);
      return { tensors: [tensor(data, 4)] };
    },
  ],
  [
    'a view that tracks the length of a buffer that has shrunk',
    'ERR_INVALID_TENSOR',
    () => {
      const buffer = resizable(8);
      const data = new Uint8Array(buffer);
      buffer.resize(4);
      return { tensors: [tensor(data, 8)] };
    },
  ],
  ...[false, true].flatMap((stable): typeof MEMORY => [
    [
      `memory that shrinks while the ${stable ? 'stable ' : ''}request is looked at`,
      'ERR_SOURCE_CHANGED',
      () => {
        const buffer = resizable(8);
        const attachments = () => {
          buffer.resize(4);
          return [];
        };
        return { tensors: [tensor(new Uint8Array(buffer), 8, stable)], attachments };
      },
    ],
    [
      `memory that is given away while the ${stable ? 'stable ' : ''}request is looked at`,
      'ERR_SOURCE_CHANGED',
      () => {
        const data = new Uint8Array(8);
        const attachments = () => {
          structuredClone(data, { transfer: [data.buffer] });
          return [];
        };
        return { tensors: [tensor(data, 8, stable)], attachments };
      },
    ],
  ]),
];

describe.each(ENGINES)('refused, %s engine', (engine) => {
  test.each(MEMORY)('%s', async (_, code, make) => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, memoryBudgetBytes: 4 * MIB });
    const before = nativeStats();
    const stream = new HeldStream();
    const request = make();
    const also = { name: 'held', dtype: 'U8' as const, shape: [8], data: stream };
    const pinned = { name: 'pinned', dtype: 'U8' as const, shape: [8], data: new Uint8Array(8), stable: true };
    const tensors = [pinned, ...(request.tensors as TensorInput[]), also];
    await rejection(manager.saveAsync({ step: 1, ...request, tensors }), code);
    expect([stream.released, stream.read]).toEqual([0, 0]);
    expect(nativeStats()).toMatchObject({ pins: before.pins, writers: before.writers });
    expect([checkpoints(directory), leftovers(directory)]).toEqual([[], []]);
    expect(manager.counts.accepted).toBe(0);
    // The memory of the copies that were begun is free again: this one needs all of it.
    const whole = { name: 'x', dtype: 'U8' as const, shape: [4 * MIB], data: new Uint8Array(4 * MIB) };
    expect((await manager.save({ step: 2, tensors: [whole] })).sequence).toBe(1);
  });

  test.each([
    ['an unknown option', { whenbusy: 'skip' }, 'ERR_UNKNOWN_OPTION'],
    ['an unknown choice', { whenBusy: 'never' }, 'ERR_INVALID_ARGUMENT'],
    ['a step that is none', { step: -1 }, 'ERR_INVALID_ARGUMENT'],
    ['state that JSON would alter', { state: { at: 1n } }, 'ERR_INVALID_STATE'],
    ['a signal that has fired', { signal: AbortSignal.abort() }, 'ERR_ABORTED'],
    [
      'attachments that throw',
      {
        attachments: () => {
          throw new Error('my bug');
        },
      },
      'ERR_INTERNAL',
    ],
  ] as [string, object, Parameters<typeof rejection>[1]][])('%s: no stream is let go', async (_, change, code) => {
    const manager = await openManager(freshDirectory(), { engine });
    const stream = new HeldStream();
    await rejection(manager.saveAsync({ ...heldRequest(1, stream), ...change } as never), code);
    expect([stream.released, stream.read]).toEqual([0, 0]);
    expect(manager.counts.accepted).toBe(0);
  });

  test('a signal that fires while the request is looked at is heard', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const stop = new AbortController();
    const reason = new Error('enough');
    const attachments = () => {
      stop.abort(reason);
      return [];
    };
    const outcome = await manager
      .saveAsync({ ...smallRequest(1), attachments, signal: stop.signal })
      .then(({ committed }) => committed)
      .catch((error) => error);
    expect(outcome).toMatchObject({ code: 'ERR_ABORTED', cause: reason });
    expect(checkpoints(manager.directory)).toEqual([]);
  });

  test('closed, and read-only', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    await manager.close();
    const stream = new HeldStream();
    await rejection(manager.saveAsync(heldRequest(1, stream)), 'ERR_CLOSED');
    const reader = await openManager(directory, { engine, readOnly: true });
    await rejection(reader.saveAsync(heldRequest(1, stream)), 'ERR_READ_ONLY');
    await rejection(reader.flush(), 'ERR_READ_ONLY');
    await rejection(reader.reserve(1), 'ERR_READ_ONLY');
    expect(() => reader.onPreemption()).toThrow(/readOnly/);
    expect(stream.released).toBe(0);
  });

  test('more than the memory budget: what is under way is unharmed, and what it held is free again', async () => {
    const manager = await openManager(freshDirectory(), { engine, memoryBudgetBytes: 12 * MIB, maxInFlight: 3 });
    const copied = (mib: number): TensorInput => tensor(new Uint8Array(mib * MIB).fill(mib), mib * MIB);
    const stream = new HeldStream();
    const first = await manager.saveAsync(heldRequest(1, stream, [copied(8)]));
    for (let i = 0; i < 5; i++) {
      const refused = new HeldStream();
      const error = await rejection(manager.saveAsync(heldRequest(2, refused, [copied(6)])), 'ERR_MEMORY_BUDGET');
      expect([error.expected, error.actual]).toEqual([12 * MIB, 14 * MIB]);
      expect(refused.released).toBe(0);
    }
    await rejection(manager.save({ step: 2, tensors: [copied(13)] }), 'ERR_MEMORY_BUDGET');
    await rejection(manager.reserve(13 * MIB), 'ERR_MEMORY_BUDGET');
    // Neither memory that is not copied nor streams count.
    const pinned = { ...copied(20), stable: true };
    const second = await manager.saveAsync({ step: 3, tensors: [pinned, { ...copied(4), name: 'y' }] });
    stream.open();
    expect((await first.committed)?.sequence).toBe(1);
    expect((await second.committed)?.sequence).toBe(2);
    expect((await manager.save({ step: 4, tensors: [copied(12)] })).sequence).toBe(3);
    const data = (await manager.restore({ step: 1 }))?.tensors.get('x')?.data as Uint8Array;
    expect(data.every((value) => value === 8)).toBe(true);
    expect(manager.counts).toMatchObject({ accepted: 3, committed: 3, failed: 0 });
  });
});

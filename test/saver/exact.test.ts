/** Memory that its owner changes as soon as the call has returned: what is saved is what it held when the save was called. */
import { describe, expect, test } from 'vitest';
import type { CheckpointManager } from '../../src/manager/manager.js';
import type { PendingSave } from '../../src/manager/saver.js';
import { keep } from '../../src/policy/keep.js';
import type { TensorInput } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { checkpoints, leftovers } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';
import { random32, randomBytes } from '../helpers/random.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

/** How many random saves are tried in all: 200, or 10,000 with HOLDFAST_TORTURE=1. */
const TRIES = Number(process.env['HOLDFAST_TRIES'] ?? (process.env['HOLDFAST_TORTURE'] === '1' ? 10_000 : 200));
const SEED = Number(process.env['HOLDFAST_SEED'] ?? Date.now());
/** Calls in a row that nobody waits for. */
const BATCH = 8;

type Random = (below: number) => number;

/** Node.js 20 has resizable buffers; the types of this project's target do not. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (bytes: number): Resizable =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable)(bytes, { maxByteLength: bytes + 1000 });

/** Memory of every kind that `bytes` bytes may lie in, and how its owner spoils it. */
const MEMORIES: ((bytes: number, random: Random) => { view: Uint8Array; data: TensorInput['data']; spoil(): void })[] = [
  (bytes) => {
    const view = new Uint8Array(bytes);
    return { view, data: view, spoil: () => view.fill(0xee) };
  },
  (bytes, random) => {
    const offset = 8 * random(5);
    const view = new Uint8Array(new ArrayBuffer(bytes + offset + 16), offset, bytes);
    return { view, data: new DataView(view.buffer, offset, bytes), spoil: () => structuredClone(view, { transfer: [view.buffer] }) };
  },
  (bytes) => {
    const view = new Uint8Array(bytes);
    return { view, data: view.buffer, spoil: () => structuredClone(view, { transfer: [view.buffer] }) };
  },
  (bytes) => {
    const view = new Uint8Array(new SharedArrayBuffer(bytes));
    return { view, data: view.buffer as SharedArrayBuffer, spoil: () => view.fill(0xee) };
  },
  (bytes) => {
    const buffer = resizable(bytes);
    const view = new Uint8Array(buffer);
    return { view, data: view, spoil: () => buffer.resize(0) };
  },
  (bytes) => {
    const buffer = resizable(bytes);
    const view = new Uint8Array(buffer, 0, bytes);
    return { view, data: buffer, spoil: () => view.fill(0xee) };
  },
  (bytes) => {
    const view = Buffer.alloc(bytes);
    return { view, data: view, spoil: () => view.fill(0xee) };
  },
];

interface Call {
  readonly step: number;
  readonly expected: ReadonlyMap<string, Uint8Array>;
  readonly pending: Promise<unknown>;
}

/** Calls `saveAsync` or `save`, and changes everything before anybody has waited for anything. */
function callAndSpoil(manager: CheckpointManager, step: number, random: Random): Call {
  const expected = new Map<string, Uint8Array>();
  const spoils: (() => void)[] = [];
  const tensors = Array.from({ length: 1 + random(5) }, (_, i): TensorInput => {
    const bytes = random(8) === 0 ? random(300_000) : random(5000);
    const { view, data, spoil } = (MEMORIES[random(MEMORIES.length)] as (typeof MEMORIES)[0])(bytes, random);
    view.set(randomBytes(bytes, step * 10 + i));
    expected.set(`t${i}`, Uint8Array.from(view));
    spoils.push(spoil);
    return { name: `t${i}`, dtype: 'U8', shape: [bytes], data };
  });
  const pending = random(4) === 0 ? manager.save({ step, tensors }) : manager.saveAsync({ step, tensors });
  for (const spoil of spoils) spoil();
  setImmediate(() => {
    for (const spoil of spoils.slice(0, 1)) trySpoil(spoil);
  });
  return { step, expected, pending };
}

/** Memory that was given away cannot be given away again. */
function trySpoil(spoil: () => void): void {
  try {
    spoil();
  } catch {}
}

async function expectSaved(manager: CheckpointManager, { step, expected }: Call): Promise<void> {
  const restored = await manager.restore({ step });
  expect([...(restored?.tensors.keys() ?? [])].sort()).toEqual([...expected.keys()].sort());
  for (const [name, bytes] of expected) {
    const data = restored?.tensors.get(name)?.data as Uint8Array;
    expect(Buffer.compare(data, bytes), `${name} of step ${step} of seed ${SEED}`).toBe(0);
  }
}

describe.each(ENGINES)('changed right after the call, %s engine', (engine) => {
  const tries = Math.ceil(TRIES / ENGINES.length);

  test(`${tries} random saves, many of them waiting for others`, { timeout: 60_000 + tries * 200 }, async () => {
    const next = random32(SEED);
    const random: Random = (below) => next() % below;
    const manager = await openManager(freshDirectory(), { engine, maxInFlight: 2, keep: keep.last(BATCH) });
    for (let step = 0; step < tries; step += BATCH) {
      const calls = Array.from({ length: Math.min(BATCH, tries - step) }, (_, i) => callAndSpoil(manager, step + i, random));
      await Promise.all(calls.map(({ pending }) => pending));
      await manager.flush();
      for (const call of calls) await expectSaved(manager, call);
    }
    expect(manager.counts).toMatchObject({ accepted: tries, committed: tries, failed: 0 });
  });

  test('a call that waits for its turn has captured before it returned', async () => {
    const manager = await openManager(freshDirectory(), { engine, keep: keep.all() });
    const stream = new HeldStream();
    await manager.saveAsync(heldRequest(1, stream));
    await stream.asked;
    const data = randomBytes(100_000, 1);
    const expected = Uint8Array.from(data);
    const request = (step: number) => ({ step, tensors: { x: { dtype: 'U8' as const, shape: [data.length], data } } });
    const queued = await manager.saveAsync({ ...request(2), whenBusy: 'replace' });
    const waiting = manager.saveAsync({ ...request(3), whenBusy: 'wait' });
    data.fill(0);
    stream.open();
    await queued.committed;
    await (await waiting).committed;
    for (const step of [2, 3]) expect((await manager.restore({ step }))?.tensors.get('x')?.data).toEqual(expected);
  });

  test('metrics, state, shapes, attachments and names, too', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const metrics = { loss: 0.5 };
    const state = { position: [1, 2, 3] };
    const shape = [2, 3];
    const notes = new Uint8Array([1, 2, 3]);
    const tensors = [{ name: 'x', dtype: 'U8' as const, shape, data: new Uint8Array(6).fill(7) }];
    const attachments = [{ name: 'notes.bin', data: notes }];
    const pending = await manager.saveAsync({ step: 1, metrics, state, tensors, attachments });
    metrics.loss = 9;
    state.position.push(4);
    shape.push(1);
    notes.fill(0);
    (tensors[0] as { name: string }).name = 'y';
    tensors.push({ name: 'z', dtype: 'U8', shape: [1], data: new Uint8Array(1) });
    await pending.committed;
    const restored = await manager.restore();
    expect(restored?.info).toMatchObject({ metrics: { loss: 0.5 }, name: 'checkpoint_step00000001_loss0.5000' });
    expect(restored?.state).toEqual({ position: [1, 2, 3] });
    expect([...(restored?.tensors ?? [])].map(([name, tensor]) => [name, tensor.shape])).toEqual([['x', [2, 3]]]);
    expect((await manager.verify()).problems).toEqual([]);
  });
});

describe.each(ENGINES)('changed although it was promised stable, %s engine', (engine) => {
  const shared = (bytes: Uint8Array) => {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
    copy.set(bytes);
    return copy;
  };

  /** Four tensors behind a stream that holds the save up, so that they are written late. */
  function request(step: number, stream: HeldStream) {
    const data = ['b', 'c', 'd', 'e'].map((name, i) => {
      const bytes = randomBytes(1000 + 5000 * i, i);
      return { name, view: name === 'c' ? shared(bytes) : bytes };
    });
    const tensors = data.map(({ name, view }): TensorInput => ({ name, dtype: 'U8', shape: [view.length], data: view, stable: true }));
    return {
      data,
      request: heldRequest(
        step,
        stream,
        tensors.map((tensor) => ({ ...tensor, name: `x-${tensor.name}` })),
      ),
    };
  }

  test('is found with verifyPinned, whenever it was; the tensors are named, nothing is committed', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, verifyPinned: true });
    const next = random32(SEED);
    for (let step = 0; step < 20; step++) {
      const stream = new HeldStream();
      const { data, request: given } = request(step, stream);
      const pending: PendingSave = await manager.saveAsync(given);
      if (step % 2 === 1) await stream.asked;
      const victims = data.filter((_, i) => ((step % 15) + 1) & (1 << i));
      for (const { view } of victims) {
        const at = next() % view.length;
        view[at] = (view[at] as number) ^ (1 << (next() % 8));
      }
      stream.open();
      const error = await rejection(pending.committed, 'ERR_SOURCE_CHANGED');
      expect([...(error.tensors ?? [])].sort()).toEqual(victims.map(({ name }) => `x-${name}`));
      expect(error.message).toContain('stable');
      expect([checkpoints(directory), leftovers(directory)]).toEqual([[], []]);
    }
    // The promise kept: nothing is found.
    const stream = new HeldStream();
    const { data, request: given } = request(99, stream);
    const expected = data.map(({ view }) => Uint8Array.from(view));
    const pending = await manager.saveAsync(given);
    stream.open();
    await pending.committed;
    for (const { view } of data) view.fill(0);
    const restored = await manager.restore();
    data.forEach(({ name }, i) => {
      expect(restored?.tensors.get(`x-${name}`)?.data).toEqual(expected[i]);
    });
  });

  test('memory that may be resized is copied, whatever was promised', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const buffer = resizable(5000);
    const view = new Uint8Array(buffer);
    view.fill(7);
    const pending = await manager.saveAsync({ step: 1, tensors: { x: { dtype: 'U8', shape: [5000], data: view, stable: true } } });
    buffer.resize(10);
    await pending.committed;
    expect((await manager.restore())?.tensors.get('x')?.data).toEqual(new Uint8Array(5000).fill(7));
  });
});

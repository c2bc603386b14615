/** Requests, rules, streams and surroundings that mean no good, or just happen. */
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { describePath, listDirectory, verifyPath } from '../../src/manager/describe.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { SaveRequest } from '../../src/manager/save-request.js';
import { keep } from '../../src/policy/keep.js';
import type { RetentionRule } from '../../src/policy/retention.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

const half = '\ud800';

describe('what could be saved but not read back is refused', () => {
  test.each<[string, object, Parameters<typeof rejection>[1]]>([
    ['a software version that is a number', { software: { tfjs: 4 } }, 'ERR_INVALID_ARGUMENT'],
    ['software that is a number', { software: 5 }, 'ERR_INVALID_ARGUMENT'],
    ['half a surrogate pair in software', { software: { tfjs: half } }, 'ERR_INVALID_ARGUMENT'],
    ['half a surrogate pair in a metric name', { metrics: { [half]: 1 } }, 'ERR_INVALID_ARGUMENT'],
    ['half a surrogate pair in an attachment name', { attachments: [{ name: half, data: '' }] }, 'ERR_INVALID_NAME'],
    ['metrics in a Map', { metrics: new Map([['loss', 1]]) }, 'ERR_INVALID_ARGUMENT'],
    ['extensions that are null', { extensions: null }, 'ERR_INVALID_ARGUMENT'],
    ['attachments that are a number', { attachments: 5 }, 'ERR_INVALID_ARGUMENT'],
    ['an attachment that is null', { attachments: [null] }, 'ERR_INVALID_NAME'],
    ['a signal that is none', { signal: {} }, 'ERR_INVALID_ARGUMENT'],
    ['a listener that is none', { onProgress: 5 }, 'ERR_INVALID_ARGUMENT'],
    ['stable as a word', { tensors: { x: { dtype: 'U8', shape: [1], data: new Uint8Array(1), stable: 'no' } } }, 'ERR_INVALID_TENSOR'],
    // biome-ignore lint/suspicious/noSparseArray: the hole is what is refused.
    ['a shape with a hole', { tensors: { x: { dtype: 'U8', shape: [, 0], data: new Uint8Array(0) } } }, 'ERR_INVALID_TENSOR'],
    ['an attachment that is too long', { attachments: [{ name: 'a', data: new Uint8Array(2 ** 28 + 1) }] }, 'ERR_INVALID_ARGUMENT'],
  ])('%s', async (_, change, code) => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    await rejection(manager.save({ ...smallRequest(1), ...change } as SaveRequest), code);
    expect(readdirSync(directory)).toEqual(['.lock']);
  });

  test('options of other calls', async () => {
    const manager = await openManager(freshDirectory());
    await manager.save(smallRequest(1));
    await rejection(manager.restore('latest', { signal: {} as AbortSignal }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.verify(undefined, { onProgress: 5 as never }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore({ step: 1, epoch: 2 } as never), 'ERR_INVALID_ARGUMENT');
    await rejection(verifyPath(manager.directory, { sginal: undefined } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(CheckpointManager.open(manager.directory, { monitor: half }), 'ERR_INVALID_ARGUMENT');
  });
});

describe.each(ENGINES)('streams, %s engine', (engine) => {
  const streamOf = (chunks: () => AsyncGenerator<Uint8Array>, byteLength = 4) => ({ byteLength, [Symbol.asyncIterator]: chunks });
  const request = (step: number, data: ReturnType<typeof streamOf>): SaveRequest => ({
    step,
    tensors: { x: { dtype: 'U8', shape: [4], data } },
  });

  test('an object with a property that we use ourselves is still a stream', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const data = Object.assign(
      streamOf(async function* () {
        yield new Uint8Array([1, 2, 3, 4]);
      }),
      { memory: new ArrayBuffer(4), kind: 'memory', stable: true },
    );
    await manager.save(request(1, data));
    expect([...((await manager.restore())?.tensors.get('x')?.data ?? [])]).toEqual([1, 2, 3, 4]);
  });

  test('the memory of a chunk stays the caller’s: it may be posted away and used again', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const chunk = new Uint8Array(2);
    const data = streamOf(async function* () {
      for (const value of [1, 2]) {
        chunk.fill(value);
        yield chunk;
      }
    });
    await manager.save(request(1, data));
    expect([...((await manager.restore())?.tensors.get('x')?.data ?? [])]).toEqual([1, 1, 2, 2]);
    structuredClone(chunk, { transfer: [chunk.buffer] });
    expect(chunk.length).toBe(0);
  });

  test('the failure of a stream is the caller’s, with its cause', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const cause = new Error('my bug');
    const data = streamOf(async function* () {
      yield new Uint8Array(1);
      throw cause;
    });
    const error = await rejection(manager.save(request(1, data)), 'ERR_SOURCE');
    expect(error.cause).toBe(cause);
    expect(error.tensors).toEqual(['x']);
  });

  test('a stream that never answers can be aborted, and so can what waits behind it', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    let reach = () => {};
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const stuck = streamOf(async function* () {
      yield new Uint8Array(1);
      reach();
      await new Promise(() => {});
    });
    const first = new AbortController();
    const second = new AbortController();
    const stalled = manager.save({ ...request(1, stuck), signal: first.signal });
    const queued = manager.save({ ...smallRequest(2), signal: second.signal });
    const last = manager.save(smallRequest(3));
    second.abort();
    await rejection(queued, 'ERR_ABORTED');
    await reached;
    first.abort();
    await rejection(stalled, 'ERR_ABORTED');
    expect((await last).sequence).toBeGreaterThan(0);
    expect(readdirSync(directory).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
  });
});

describe('retention rules of the caller’s own', () => {
  const rules: [string, RetentionRule['keeps']][] = [
    ['asynchronous', (async (entries: unknown) => entries) as never],
    ['giving copies', (entries) => entries.map((entry) => ({ ...entry }))],
    ['giving nothing', (() => undefined) as never],
    [
      'throwing',
      () => {
        throw new Error('my bug');
      },
    ],
    ['sorting what they were given', (entries) => (entries as never[]).sort(() => -1)],
  ];

  test.each(rules)('%s: nothing is removed, and the save says why', async (_, keeps) => {
    const manager = await openManager(freshDirectory(), { keep: { description: 'mine', keeps } });
    let warnings: readonly string[] = [];
    for (const step of [1, 2, 3]) ({ warnings } = await manager.save({ ...smallRequest(step), metrics: { loss: step } }));
    expect(warnings.join()).toContain('decide which checkpoints may go');
    expect(readdirSync(manager.directory).filter((name) => name.startsWith('checkpoint'))).toHaveLength(3);
  });

  test('wanting nothing: the newest and the best stay', async () => {
    const manager = await openManager(freshDirectory(), { keep: { description: 'none', keeps: () => [] } });
    for (const [step, loss] of [
      [1, 0.1],
      [2, 0.5],
      [3, 0.3],
    ] as const)
      await manager.save({ ...smallRequest(step), metrics: { loss } });
    const steps: (number | null)[] = [];
    for await (const { step } of manager.list()) steps.push(step);
    expect(steps).toEqual([1, 3]);
  });
});

test('retention leaves a checkpoint alone that holds somebody’s file', async () => {
  const manager = await openManager(freshDirectory(), { keep: keep.last(1) });
  const first = await manager.save({ ...smallRequest(1), metrics: {} });
  writeFileSync(path.join(first.path, 'my-notes.txt'), 'precious');
  const { warnings } = await manager.save({ ...smallRequest(2), metrics: {} });
  expect(warnings.join()).toContain('my-notes.txt');
  expect(readFileSync(path.join(first.path, 'my-notes.txt'), 'utf8')).toBe('precious');
});

test('a damaged best is passed over aloud; where all are damaged, that is said', async () => {
  const manager = await openManager(freshDirectory());
  const paths: string[] = [];
  for (const [step, loss] of [
    [1, 0.1],
    [2, 0.5],
  ] as const)
    paths.push((await manager.save({ ...smallRequest(step), metrics: { loss } })).path);
  truncateSync(path.join(paths[0] as string, 'model.safetensors'), 10);
  const best = await manager.restore('best');
  expect(best?.info.step).toBe(2);
  expect(best?.skipped.map(({ code }) => code)).toEqual(['ERR_TRUNCATED']);
  truncateSync(path.join(paths[1] as string, 'model.safetensors'), 10);
  expect((await rejection(manager.restore('best'), 'ERR_NO_GOOD_CHECKPOINT')).skipped).toHaveLength(2);
});

test('what attachments() does to the layout that it is given does not reach other saves', async () => {
  const manager = await openManager(freshDirectory());
  await manager.save(smallRequest(1));
  const vandal: SaveRequest['attachments'] = (files) => {
    for (const file of files) {
      (file.tensors as unknown[]).length = 0;
      file.head.fill(0);
    }
    return [];
  };
  await manager.save({ ...smallRequest(2), attachments: vandal }).catch(() => {});
  await manager.save(smallRequest(3));
  expect((await manager.restore())?.info.step).toBe(3);
  expect((await manager.restore())?.tensors.get('x')?.data).toEqual(smallRequest(3).tensors.x.data);
});

test('a listener that throws becomes a warning; the save goes on', async () => {
  const manager = await openManager(freshDirectory());
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  await manager.save({
    ...smallRequest(1),
    onProgress: () => {
      throw new Error('my bug');
    },
  });
  expect((await warned).message).toContain('my bug');
});

test('too few descriptors: an error of its own, not an older checkpoint', async () => {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { maxShardBytes: 1 });
  const tensors = (step: number) =>
    Object.fromEntries(
      Array.from({ length: 120 }, (_, i) => [`t${i}`, { dtype: 'U8' as const, shape: [1], data: new Uint8Array([step]) }]),
    );
  for (const step of [1, 2]) await manager.save({ step, tensors: tensors(step) });
  await manager.close();
  const script = `
    import { CheckpointManager } from 'holdfast';
    const manager = await CheckpointManager.open(process.argv[1], { readOnly: true });
    console.log(await manager.restore().then(({ info }) => 'restored ' + info.step, (error) => error.code + ' ' + error.errno));
  `;
  const few = ['sh', '-c', 'ulimit -n 90; exec "$@"', '--'];
  expect((await ended(startNode(script, [directory], {}, few))).stdout.trim()).toBe('ERR_RESOURCES EMFILE');
  expect((await ended(startNode(script, [directory]))).stdout.trim()).toBe('restored 2');
});

test.skipIf(process.platform !== 'linux')('a place where nothing can be made is refused, not tried for ever', async () => {
  const error = await CheckpointManager.open('/proc/holdfast/deep').catch((caught) => caught);
  expect(error.code).toMatch(/^ERR_/);
  expect(existsSync('/proc/holdfast')).toBe(false);
});

test('slips of the hand are told as such', async () => {
  const manager = await openManager(freshDirectory());
  for (const target of ['', null, 5, {}]) await rejection(manager.verify(target as never), 'ERR_INVALID_ARGUMENT');
  for (const target of ['', undefined, 5]) {
    await rejection(verifyPath(target as never), 'ERR_INVALID_ARGUMENT');
    await rejection(describePath(target as never), 'ERR_INVALID_ARGUMENT');
    await rejection(listDirectory(target as never), 'ERR_INVALID_ARGUMENT');
  }
  await rejection(verifyPath(manager.directory, { engine: 'x' as never }), 'ERR_INVALID_ARGUMENT');
  await rejection(CheckpointManager.open(manager.directory, { engine: 1n as never }), 'ERR_INVALID_ARGUMENT');
  const wrong = { x: new Float32Array(3) } as never;
  expect((await rejection(manager.save({ step: 1, tensors: wrong }), 'ERR_INVALID_ARGUMENT')).message).toContain('{ dtype, shape, data }');
  await rejection(manager.save({ ...smallRequest(1), attachments: (() => 5) as never }), 'ERR_INVALID_ARGUMENT');
  await rejection(
    manager.save({ step: 1, tensors: { x: { dtype: 1n, shape: [1n], data: new Uint8Array(1) } } as never }),
    'ERR_INVALID_TENSOR',
  );
  let asked = 0;
  const moody = Object.defineProperty({ ...smallRequest(1) }, 'step', { enumerable: true, get: () => (asked++ === 0 ? 7 : -5) });
  await manager.save(moody);
  expect((await manager.restore())?.info.step).toBe(7);
});

test('a directory that only looks like a tensor file makes no checkpoint', async () => {
  const directory = freshDirectory();
  mkdirSync(path.join(directory, 'run', 'x.safetensors'), { recursive: true });
  const manager = await openManager(directory);
  expect(await manager.restore()).toBe(null);
});

test('the time of a checkpoint is that of its commit; a cut names the tensors that it hits', async () => {
  const manager = await openManager(freshDirectory());
  const data = {
    byteLength: 1,
    async *[Symbol.asyncIterator]() {
      await new Promise((resolve) => setTimeout(resolve, 300));
      yield new Uint8Array(1);
    },
  };
  const before = Date.now();
  const whole = { dtype: 'U8', shape: [1], data: new Uint8Array(1) } as const;
  const { path: saved } = await manager.save({ step: 1, tensors: { a: whole, b: { dtype: 'U8', shape: [1], data } } });
  expect(Date.parse((await manager.restore())?.info.createdAt ?? '')).toBeGreaterThanOrEqual(before + 290);
  truncateSync(path.join(saved, 'model.safetensors'), 4097);
  expect((await manager.verify()).problems.map(({ code, tensors }) => [code, tensors])).toEqual([['ERR_TRUNCATED', ['b']]]);
});

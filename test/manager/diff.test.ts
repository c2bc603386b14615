import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { DTYPES, type Dtype } from '../../src/format/dtype.js';
import { type DiffOptions, diffPaths } from '../../src/manager/diff.js';
import type { DiffReport } from '../../src/manager/diff-report.js';
import type { OpenOptions } from '../../src/manager/options.js';
import type { SaveRequest } from '../../src/manager/save-request.js';
import { alterManifest, flipByte, readManifest } from '../cli/checkpoints.js';
import { bareFile } from '../helpers/bare.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { processFigures } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';
import { randomBytes } from '../helpers/random.js';

const f32 = (...values: number[]) => ({ dtype: 'F32' as const, shape: [values.length], data: Float32Array.of(...values) });

/** Saves a checkpoint into a directory of its own, and gives its path. */
async function saved(request: Partial<SaveRequest>, options: OpenOptions = {}): Promise<string> {
  const manager = await openManager(freshDirectory(), { engine: 'portable', chunkBytes: 4096, ...options });
  const { path: directory } = await manager.save({ step: 1, tensors: {}, ...request });
  return directory;
}

/** Where a tensor begins in its file. */
function offsetOf(checkpoint: string, file: string, tensor: string): number {
  const found = readManifest(checkpoint).files.find(({ name }) => name === file);
  return found?.tensors?.find(({ name }) => name === tensor)?.offset ?? expect.fail(`no ${tensor}`);
}

/** Names and figures of the tensors that differ. */
function changes({ tensors: { changed } }: DiffReport) {
  return changed.map(({ name, values }) => ({ name, ...values }));
}

describe.each(ENGINES)('tensors, read by the %s engine', (engine) => {
  const diff = (a: string, b: string, options: DiffOptions = {}) => diffPaths(a, b, { engine, ...options });

  test('are added, removed, changed by so much, or equal', async () => {
    const a = await saved({ tensors: { same: f32(1, 2), moved: f32(3, 4), gone: f32(1), zero: f32(0) } });
    const b = await saved({ tensors: { same: f32(1, 2), moved: f32(3, 4.5), fresh: f32(1, 2, 3), zero: f32(-0) } });
    const sums = (checkpoint: string) => new Map(readManifest(checkpoint).files[0]?.tensors?.map(({ name, crc32c }) => [name, crc32c]));
    const [ofA, ofB] = [sums(a), sums(b)];
    const described = (elements: number, crc32c: string | undefined) => ({ dtype: 'F32', shape: [elements], bytes: elements * 4, crc32c });
    const report = await diff(a, b);
    expect(report.tensors).toEqual({
      equal: 1,
      added: [{ name: 'fresh', role: 'model', ...described(3, ofB.get('fresh')) }],
      removed: [{ name: 'gone', role: 'model', ...described(1, ofA.get('gone')) }],
      changed: [
        {
          ...{ name: 'moved', role: 'model', a: described(2, ofA.get('moved')), b: described(2, ofB.get('moved')) },
          values: { differing: 1, maxAbs: 0.5, relativeNorm: 0.1, nanOnOneSide: 0 },
        },
        {
          ...{ name: 'zero', role: 'model', a: described(1, ofA.get('zero')), b: described(1, ofB.get('zero')) },
          values: { differing: 0, maxAbs: 0, relativeNorm: 0, nanOnOneSide: 0 },
        },
      ],
      notCompared: 0,
    });
    expect(report.same).toBe(false);
  });

  test('of other dtype or shape differ without being read', async () => {
    const a = await saved({ tensors: { t: f32(1, 2), u: f32(1), v: { dtype: 'F32', shape: [0], data: new Float32Array(0) } } });
    const b = await saved({
      tensors: {
        t: { dtype: 'I32', shape: [2], data: Int32Array.of(1, 2) },
        u: { dtype: 'F32', shape: [], data: Float32Array.of(1) },
        v: { dtype: 'F32', shape: [0, 3], data: new Float32Array(0) },
      },
    });
    flipByte(path.join(b, 'model.safetensors'), offsetOf(b, 'model.safetensors', 't'));
    expect(changes(await diff(a, b))).toEqual([{ name: 't' }, { name: 'u' }, { name: 'v' }]);
    const { changed } = (await diff(a, b)).tensors;
    expect(changed.map((tensor) => [tensor.a.dtype, tensor.a.shape, tensor.b.dtype, tensor.b.shape, tensor.values])).toEqual([
      ['F32', [2], 'I32', [2], null],
      ['F32', [1], 'F32', [], null],
      ['F32', [0], 'F32', [0, 3], null],
    ]);
  });

  test('of model and optimizer are kept apart, whatever they are called', async () => {
    const a = await saved({ tensors: { w: f32(1) }, optimizer: { w: f32(2), only: f32(1) } });
    const b = await saved({ tensors: { w: f32(1), only: f32(1) }, optimizer: { w: f32(3) } });
    const { tensors } = await diff(a, b);
    expect(tensors).toMatchObject({
      equal: 1,
      added: [{ name: 'only', role: 'model' }],
      removed: [{ name: 'only', role: 'optimizer' }],
      changed: [{ name: 'w', role: 'optimizer', values: { maxAbs: 1, relativeNorm: 0.5 } }],
    });
  });

  test('with NaN, and none at all, and scalars', async () => {
    const scalar = (value: number) => ({ dtype: 'F64' as const, shape: [], data: Float64Array.of(value) });
    const none = { dtype: 'F32' as const, shape: [4, 0], data: new Float32Array(0) };
    const a = await saved({ tensors: { n: f32(Number.NaN, 1, Number.NaN), none, s: scalar(2) } });
    const b = bareFile({ n: f32(Number.NaN, Number.NaN, 1), none, s: scalar(3) });
    expect(await diff(a, b)).toMatchObject({ tensors: { equal: 1, changed: [{}, {}] } });
    expect(changes(await diff(a, b))).toEqual([
      { name: 'n', differing: 2, maxAbs: 0, relativeNorm: 0, nanOnOneSide: 2 },
      { name: 's', differing: 1, maxAbs: 1, relativeNorm: 0.5, nanOnOneSide: 0 },
    ]);
  });

  test('of every dtype', async () => {
    const tensors = (flipped: number) =>
      Object.fromEntries(
        DTYPES.map((dtype): [string, { dtype: Dtype; shape: number[]; data: Uint8Array }] => {
          const data = new Uint8Array(48).fill(0x11);
          data[47] = flipped;
          return [dtype, { dtype, shape: [(48 * 8) / bitsPerElement(dtype)], data }];
        }),
      );
    const report = await diff(bareFile(tensors(0x11)), bareFile(tensors(0x12)));
    const differing = Object.fromEntries(report.tensors.changed.map(({ name, values }) => [name, values?.differing]));
    expect(differing).toEqual(Object.fromEntries(DTYPES.map((dtype) => [dtype, /^F[46]/.test(dtype) && dtype !== 'F64' ? null : 1])));
  });

  test('that are longer than what is read at a time, to the last element', async () => {
    const elements = 10 * 2 ** 20;
    const data = new Float32Array(elements).fill(1);
    const a = await saved({ tensors: { large: { dtype: 'F32', shape: [elements], data }, small: f32(1) } });
    data[elements - 1] = 2;
    const b = await saved({ tensors: { large: { dtype: 'F32', shape: [elements], data }, small: f32(2) } });
    expect(changes(await diff(a, b))).toEqual([
      { name: 'large', differing: 1, maxAbs: 1, relativeNorm: 1 / Math.sqrt(elements), nanOnOneSide: 0 },
      { name: 'small', differing: 1, maxAbs: 1, relativeNorm: 1, nanOnOneSide: 0 },
    ]);
    // In the second piece of three.
    const file = path.join(b, 'model.safetensors');
    flipByte(file, offsetOf(b, 'model.safetensors', 'large') + 20 * 2 ** 20);
    expect(await rejection(diff(a, b), 'ERR_CHECKSUM')).toMatchObject({
      ...{ checkpoint: path.basename(b), file: 'model.safetensors', tensors: ['large'] },
    });
  });

  test('that are many, and lie elsewhere on the other side', async () => {
    const count = 9000;
    const tensors = (offset: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, f32(i, i + offset)]));
    const a = await saved({ tensors: tensors(0) });
    const b = await saved({ tensors: tensors(1) }, { maxShardBytes: 20_000 });
    const c = bareFile(Object.fromEntries(Object.entries(tensors(1)).reverse()));
    for (const [left, right] of [
      [a, b],
      [b, a],
      [a, c],
    ] as const) {
      const { equal, changed } = (await diff(left, right)).tensors;
      expect({ equal, changed: changed.length }).toEqual({ equal: 0, changed: count });
      for (const { values } of changed) expect(values).toMatchObject({ differing: 1, maxAbs: 1 });
    }
    expect(await diff(b, c)).toMatchObject({ same: true, tensors: { equal: count } });
  });

  test('between which others lie, that are equal and of no concern', async () => {
    const filler = (bytes: number) => ({ dtype: 'U8' as const, shape: [bytes], data: new Uint8Array(bytes) });
    const tensors = (value: number) => ({
      ...{ a: f32(1, value), z: filler(10) },
      // In the file by name, as all are of one size.
      ...Object.fromEntries(['b', 'd', 'f'].map((name) => [name, { dtype: 'U8' as const, shape: [3], data: Uint8Array.of(1, value, 3) }])),
      ...{ c: filler(1000), e: filler(300 * 1024) },
    });
    const [a, b] = [await saved({ tensors: tensors(4) }), await saved({ tensors: tensors(6) })];
    flipByte(path.join(b, 'model.safetensors'), offsetOf(b, 'model.safetensors', 'e') + 200_000);
    const { tensors: found } = await diff(a, b);
    expect(found.equal).toBe(3);
    expect(found.changed.map(({ name, values }) => [name, values?.differing, values?.maxAbs])).toEqual([
      ['a', 1, 2],
      ['b', 1, 2],
      ['d', 1, 2],
      ['f', 1, 2],
    ]);
  });

  test('that are damaged are an error, on either side, and named', async () => {
    const a = await saved({ tensors: { w: f32(1, 2), x: f32(1) } });
    const b = await saved({ tensors: { w: f32(1, 3), x: f32(1) } });
    flipByte(path.join(b, 'model.safetensors'), offsetOf(b, 'model.safetensors', 'w'));
    const damage = { checkpoint: path.basename(b), file: 'model.safetensors', tensors: ['w'] };
    expect(await rejection(diff(a, b), 'ERR_CHECKSUM')).toMatchObject(damage);
    const { message } = await rejection(diff(b, a), 'ERR_CHECKSUM');
    // Both have the same name.
    expect(message).toMatch(new RegExp(`^${b}: A tensor of model.safetensors .* Damaged: "w"\\.$`));
    expect(await rejection(diff(b, bareFile({ w: f32(1, 2) })), 'ERR_CHECKSUM')).toMatchObject(damage);
  });

  test('of equal checksums are not read, and without values neither are others', async () => {
    const a = await saved({ tensors: { w: f32(1, 2), x: f32(1) } });
    const b = await saved({ tensors: { w: f32(1, 3), x: f32(1) } });
    flipByte(path.join(b, 'model.safetensors'), offsetOf(b, 'model.safetensors', 'x'));
    expect(changes(await diff(a, b))).toMatchObject([{ name: 'w', maxAbs: 1 }]);
    flipByte(path.join(b, 'model.safetensors'), offsetOf(b, 'model.safetensors', 'w'));
    const { tensors } = await diff(a, b, { values: false });
    expect(tensors).toMatchObject({ equal: 1, changed: [{ name: 'w', values: null }] });
  });

  test('the files are closed again', async () => {
    const a = await saved({ tensors: { w: f32(1) }, state: 1, attachments: [{ name: 'x.txt', data: 'x' }] });
    const b = await saved({ tensors: { w: f32(2) }, state: 2 });
    await diff(a, b);
    if (process.platform !== 'linux') return;
    const before = processFigures().descriptors;
    await diff(a, b);
    flipByte(path.join(b, 'model.safetensors'), offsetOf(b, 'model.safetensors', 'w'));
    await rejection(diff(a, b), 'ERR_CHECKSUM');
    await rejection(diff(a, path.join(b, 'nothing')), 'ERR_NOT_FOUND');
    expect(processFigures().descriptors).toBe(before);
  });
});

function bitsPerElement(dtype: Dtype): number {
  const said = /^(?:BF|[A-Z])(\d+)/.exec(dtype)?.[1];
  return said === undefined ? 8 : Number(said);
}

describe('bare files', () => {
  const tensors = { w: f32(1, 2), b: f32(3) };
  const optimizer = { m: f32(4), v: f32(5) };

  test('against their checkpoint are the same: of what such a file cannot hold nothing is asked', async () => {
    const checkpoint = await saved({ tensors, optimizer, state: { seed: 1 }, metrics: { loss: 1 } });
    const copy = path.join(freshDirectory(), 'copied.safetensors');
    writeFileSync(copy, readFileSync(path.join(checkpoint, 'model.safetensors')));
    expect(await diffPaths(checkpoint, copy)).toEqual({
      same: true,
      a: {
        ...{ path: checkpoint, name: path.basename(checkpoint), kind: 'checkpoint', sequence: 1 },
        runId: expect.any(String),
        createdAt: expect.any(String),
      },
      b: { path: copy, name: 'copied.safetensors', kind: 'file', runId: null, sequence: null, createdAt: null },
      tensors: { equal: 2, added: [], removed: [], changed: [], notCompared: 2 },
      metadata: null,
    });
    expect(await diffPaths(copy, checkpoint)).toMatchObject({ same: true, tensors: { equal: 2, notCompared: 2 } });
    flipByte(copy, offsetOf(checkpoint, 'model.safetensors', 'b') + 3);
    expect(changes(await diffPaths(checkpoint, copy))).toMatchObject([{ name: 'b', differing: 1 }]);
    expect(await diffPaths(checkpoint, copy, { values: false })).toMatchObject({ same: false, tensors: { changed: [{ values: null }] } });
  });

  test('named as the optimizer are held against the optimizer', async () => {
    const checkpoint = await saved({ tensors, optimizer });
    for (const name of ['optimizer.safetensors', 'optimizer-00001-of-00002.safetensors']) {
      expect(await diffPaths(checkpoint, bareFile(optimizer, name))).toMatchObject({ same: true, tensors: { equal: 2, notCompared: 2 } });
    }
    expect(await diffPaths(path.join(checkpoint, 'optimizer.safetensors'), checkpoint)).toMatchObject({ same: true });
  });

  test('are held against each other, whatever they are called', async () => {
    const [a, b] = [bareFile(tensors, 'optimizer.safetensors'), bareFile({ ...tensors, w: f32(1, 4) })];
    expect(await diffPaths(a, b)).toMatchObject({
      ...{ same: false, metadata: null },
      tensors: { equal: 1, changed: [{ name: 'w', role: 'model' }], notCompared: 0 },
    });
    expect(await diffPaths(a, bareFile({}))).toMatchObject({ tensors: { equal: 0, removed: [{ name: 'b' }, { name: 'w' }] } });
  });

  test('that are damaged are an error', async () => {
    const checkpoint = await saved({ tensors });
    const file = path.join(freshDirectory(), 'damaged.safetensors');
    writeFileSync(file, 'no such thing');
    await rejection(diffPaths(checkpoint, file), 'ERR_HEADER_LENGTH');
    writeFileSync(file, 'short');
    await rejection(diffPaths(file, checkpoint), 'ERR_TRUNCATED');
    writeFileSync(file, readFileSync(bareFile(tensors)).subarray(0, -1));
    expect((await rejection(diffPaths(checkpoint, file), 'ERR_TRUNCATED')).file).toBe('damaged.safetensors');
  });
});

describe('metadata', () => {
  const base: Partial<SaveRequest> = {
    tensors: { w: f32(1) },
    epoch: 2,
    metrics: { loss: 0.5, odd: Number.NaN, zero: 0 },
    state: { seed: 7, lr: [0.1] },
    attachments: [
      { name: 'same.txt', data: 'same' },
      { name: 'long.txt', data: 'aa' },
      { name: 'gone.txt', data: '' },
    ],
  };

  test('that differs in nothing but names, run, sequence, time and software is the same', async () => {
    const a = await saved({ ...base, software: { holdfast: '1' } }, { monitor: 'loss' });
    const b = await saved({ ...base, metrics: { loss: 0.5, odd: Number.NaN, zero: -0 } }, { monitor: 'loss' });
    alterManifest(b, { sequence: 5, createdAt: '2001-01-01T00:00:00.000Z', software: { holdfast: '2', node: '20' } });
    const report = await diffPaths(a, b);
    expect(report).toMatchObject({ same: true, b: { sequence: 5, createdAt: '2001-01-01T00:00:00.000Z' } });
    expect(report.a.runId).not.toBe(report.b.runId);
    expect(report.metadata).toMatchObject({
      ...{ step: { a: 1, b: 1 }, epoch: { a: 2, b: 2 }, contents: { a: 'full', b: 'full' } },
      ...{ metrics: [], state: { differences: [], more: 0 }, attachments: [] },
    });
    expect(report.metadata?.software).toContainEqual({ name: 'holdfast', a: expect.any(String), b: '2' });
  });

  test('is compared item by item', async () => {
    const a = await saved(base, { monitor: 'loss' });
    const b = await saved(
      {
        ...{
          step: 3,
          tensors: { w: f32(1) },
          contents: 'weights',
          metrics: { loss: 0.25, odd: 1, fresh: 2 },
          state: { seed: 8, lr: [0.1, 0.2] },
        },
        attachments: [
          { name: 'same.txt', data: 'same' },
          { name: 'long.txt', data: 'bbb' },
          { name: 'fresh.txt', data: '' },
        ],
      },
      { monitor: 'acc' },
    );
    const sum = (bytes: number) => ({ bytes, crc32c: expect.stringMatching(/^[0-9a-f]{8}$/) });
    const { same, metadata, tensors } = await diffPaths(a, b);
    expect({ same, equal: tensors.equal }).toEqual({ same: false, equal: 1 });
    expect({ ...metadata, software: [] }).toEqual({
      step: { a: 1, b: 3 },
      epoch: { a: 2, b: null },
      contents: { a: 'full', b: 'weights' },
      monitor: { a: { metric: 'loss', mode: 'min' }, b: { metric: 'acc', mode: 'max' } },
      metrics: [
        { name: 'loss', a: 0.5, b: 0.25 },
        { name: 'odd', a: Number.NaN, b: 1 },
        { name: 'zero', a: 0, b: null },
        { name: 'fresh', a: null, b: 2 },
      ],
      software: [],
      state: {
        differences: [
          { path: 'state.seed', a: '7', b: '8' },
          { path: 'state.lr[1]', a: null, b: '0.2' },
        ],
        more: 0,
      },
      attachments: [
        { name: 'long.txt', a: sum(2), b: sum(3) },
        { name: 'gone.txt', a: sum(0), b: null },
        { name: 'fresh.txt', a: null, b: sum(0) },
      ],
    });
  });

  test.each<[string, Partial<SaveRequest>, OpenOptions]>([
    ['step', { step: 2 }, {}],
    ['epoch', { epoch: 1 }, {}],
    ['contents', { contents: 'weights' }, {}],
    ['monitor', {}, { monitor: 'loss', mode: 'max' }],
    ['metrics', { metrics: { loss: 1 } }, {}],
    ['state', { state: null }, {}],
    ['extensions', { extensions: { x: 1 } }, {}],
    ['attachments', { attachments: [{ name: 'x.txt', data: 'x' }] }, {}],
  ])('another %s alone is a difference', async (_, request, options) => {
    const a = await saved({ tensors: { w: f32(1) } }, { monitor: 'loss' });
    const b = await saved({ tensors: { w: f32(1) }, ...request }, { monitor: 'loss', ...options });
    expect(await diffPaths(a, b)).toMatchObject({ same: false, tensors: { equal: 1, changed: [] } });
    expect(await diffPaths(a, a)).toMatchObject({ same: true });
  });

  test('of a damaged state or attachment is an error', async () => {
    const a = await saved(base);
    const b = await saved({ ...base, state: { seed: 8 } });
    flipByte(path.join(b, 'state.json'), 20);
    expect(await rejection(diffPaths(a, b), 'ERR_CHECKSUM')).toMatchObject({ checkpoint: path.basename(b), file: 'state.json' });
    truncateSync(path.join(b, 'long.txt'), 1);
    const truncated = await rejection(diffPaths(b, a), 'ERR_TRUNCATED');
    expect(truncated).toMatchObject({ file: 'long.txt', path: path.join(b, 'long.txt'), message: expect.stringContaining(`${b}: `) });
    rmSync(path.join(b, 'long.txt'));
    expect((await rejection(diffPaths(a, b), 'ERR_MISSING_FILE')).file).toBe('long.txt');
    rmSync(path.join(b, 'manifest.json'));
    await rejection(diffPaths(a, b), 'ERR_MISSING_MANIFEST');
  });
});

describe('a comparison', () => {
  test('follows links', async () => {
    const checkpoint = await saved({ tensors: { w: f32(1) } });
    const directory = path.dirname(checkpoint);
    const link = path.join(directory, 'model.safetensors');
    symlinkSync(path.join(path.basename(checkpoint), 'model.safetensors'), link);
    const report = await diffPaths(path.join(directory, 'latest'), link);
    expect(report).toMatchObject({ same: true, a: { path: checkpoint, name: path.basename(checkpoint) }, b: { path: link, kind: 'file' } });
  });

  test('refuses what is no checkpoint and no file, and what it does not know', async () => {
    const checkpoint = await saved({ tensors: { w: f32(1) } });
    const empty = freshDirectory();
    for (const wrong of [path.join(empty, 'missing'), empty]) {
      expect((await rejection(diffPaths(checkpoint, wrong), 'ERR_NOT_FOUND')).path).toBe(wrong);
      expect((await rejection(diffPaths(wrong, checkpoint), 'ERR_NOT_FOUND')).path).toBe(wrong);
    }
    await rejection(diffPaths(checkpoint, '/dev/null'), 'ERR_INVALID_ARGUMENT');
    await rejection(diffPaths('', checkpoint), 'ERR_INVALID_ARGUMENT');
    await rejection(diffPaths(checkpoint, 7 as never), 'ERR_INVALID_ARGUMENT');
    await rejection(diffPaths(checkpoint, checkpoint, { value: true } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(diffPaths(checkpoint, checkpoint, { values: 1 as never }), 'ERR_INVALID_ARGUMENT');
    await rejection(diffPaths(checkpoint, checkpoint, { engine: 'steam' as never }), 'ERR_INVALID_ARGUMENT');
    mkdirSync(path.join(empty, 'manifest.json'));
    await rejection(diffPaths(checkpoint, empty), 'ERR_MANIFEST');
  });

  test('tells its progress over both sides, and stops when it is told to', async () => {
    const data = randomBytes(40 * 2 ** 20, 1);
    const [a, b] = [
      bareFile({ w: { dtype: 'U8', shape: [data.length], data } }),
      bareFile({ w: { dtype: 'I8', shape: [data.length], data } }),
    ];
    const seen: number[] = [];
    const onProgress = ({ bytes, totalBytes, phase }: { bytes: number; totalBytes: number; phase: string }) => {
      expect({ totalBytes, phase }).toEqual({ totalBytes: 2 * data.length, phase: 'read' });
      seen.push(bytes);
    };
    expect(await diffPaths(a, a, { onProgress })).toMatchObject({ same: true });
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(2 * data.length);
    expect(seen.toSorted((x, y) => x - y)).toEqual(seen);
    expect(changesOfKind(await diffPaths(a, b))).toEqual(['U8 I8']);

    const before = AbortSignal.abort();
    await rejection(diffPaths(a, a, { signal: before }), 'ERR_ABORTED');
    const controller = new AbortController();
    await rejection(diffPaths(a, a, { signal: controller.signal, onProgress: () => controller.abort() }), 'ERR_ABORTED');
  });
});

function changesOfKind({ tensors }: DiffReport): string[] {
  return tensors.changed.map(({ a, b }) => `${a.dtype} ${b.dtype}`);
}

/** Arenas: memory of the addon's own that snapshots are copied into, and checksums of many ranges at once. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { types } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { addon, addonPath, codeOf, missing, random, randomBytes, slowCrc32c, temporaryDirectory, writerOptions } from './support.js';

const Resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer & { resize(bytes: number): void };

describe.skipIf(missing)('arenas', () => {
  const directory = missing === undefined ? temporaryDirectory() : '';
  let files = 0;

  /** The bytes [offset, offset + length) of an arena, by way of a file. */
  async function contents(arena: number, offset: number, length: number): Promise<Buffer> {
    const file = path.join(directory, `contents-${files++}`);
    const writer = await addon.openWriter(file, writerOptions([length]));
    await addon.write(writer, Float64Array.of(arena, offset, length));
    const { crc32c } = await addon.finishWriter(writer);
    const bytes = readFileSync(file);
    expect(addon.crc32c(bytes)).toBe(crc32c);
    return bytes;
  }

  it('takes copies of every kind of memory, and gives them to writers', async () => {
    const before = addon.stats();
    const source = randomBytes(5000, 11);
    const shared = new SharedArrayBuffer(5000);
    new Uint8Array(shared).set(source);
    const buffers = [
      source.buffer as ArrayBuffer,
      shared,
      source.subarray(100, 300),
      new DataView(source.buffer, 7, 50),
      new Float64Array(shared, 80, 10),
      new Uint8Array(shared, 5),
      new BigUint64Array(source.buffer as ArrayBuffer, 8, 4),
      Buffer.from(source),
      new ArrayBuffer(0),
    ];
    const plain = buffers.map((each) =>
      ArrayBuffer.isView(each) ? new Uint8Array(each.buffer, each.byteOffset, each.byteLength) : new Uint8Array(each),
    );
    const arena = addon.createArena(50_000);
    expect(addon.stats()).toEqual({ ...before, arenas: 1, arenaBytes: 2 << 20 });
    await addon.prefaultArena(arena);
    const expected = new Uint8Array(50_000);
    const ranges: number[] = [];
    let at = 3;
    for (const [index, bytes] of plain.entries()) {
      for (const [offset, length] of [
        [0, bytes.length],
        [bytes.length, 0],
        [bytes.length >> 1, bytes.length >> 2],
      ] as const) {
        ranges.push(index, offset, length, at);
        expected.set(bytes.subarray(offset, offset + length), at);
        at += length + 5;
      }
    }
    addon.copyToArena(arena, buffers, Float64Array.from(ranges));
    expect(await contents(arena, 0, 50_000)).toEqual(Buffer.from(expected));
    expect(await contents(arena, 49_999, 1)).toEqual(Buffer.of(0));
    // Another copy replaces what it names and leaves the rest.
    addon.copyToArena(arena, [Buffer.from('new')], Float64Array.of(0, 0, 3, 10));
    expected.set(Buffer.from('new'), 10);
    await addon.prefaultArena(arena);
    expect(await contents(arena, 5, 1000)).toEqual(Buffer.from(expected.subarray(5, 1005)));
    // Nothing to do.
    addon.copyToArena(arena, [], new Float64Array(0));
    addon.copyToArena(arena, buffers, new Float64Array(0));
    addon.releaseArena(arena);
    expect(addon.stats()).toEqual({ ...before, spareStagingBytes: expect.any(Number) });
  });

  it('copies as much as takes several threads', async () => {
    const next = random(12);
    const buffers = Array.from({ length: 30 }, (_, i) => randomBytes(1000 + (next() % 900_000), i).buffer as ArrayBuffer);
    const total = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const arena = addon.createArena(total);
    const expected = new Uint8Array(total);
    let at = total;
    const ranges = buffers.flatMap((buffer, i) => {
      at -= buffer.byteLength;
      expected.set(new Uint8Array(buffer), at);
      return [i, 0, buffer.byteLength, at];
    });
    addon.copyToArena(arena, buffers, Float64Array.from(ranges));
    expect(Buffer.compare(await contents(arena, 0, total), expected)).toBe(0);
    const sums = addon.crc32cOfRanges(buffers, Float64Array.from(buffers.flatMap(({ byteLength }, i) => [i, 1, byteLength - 1])));
    expect([...sums]).toEqual(buffers.map((buffer) => addon.crc32c(new Uint8Array(buffer, 1))));
    addon.releaseArena(arena);
  });

  it('checksums ranges of every kind of memory', () => {
    const bytes = randomBytes(3_000_001, 13);
    const shared = new SharedArrayBuffer(100);
    new Uint8Array(shared).set(bytes.subarray(0, 100));
    const ranges = [
      [0, 0, 3_000_001],
      [0, 5, 2_500_000],
      [0, 7, 0],
      [1, 10, 90],
      [2, 1, 9],
    ] as const;
    const sums = addon.crc32cOfRanges(
      [bytes.buffer as ArrayBuffer, shared, new Int16Array(shared, 2, 5)],
      Float64Array.from(ranges.flat()),
    );
    expect(sums).toBeInstanceOf(Uint32Array);
    expect([...sums]).toEqual([
      slowCrc32c(bytes),
      slowCrc32c(bytes.subarray(5, 2_500_005)),
      0,
      slowCrc32c(bytes.subarray(10, 100)),
      slowCrc32c(bytes.subarray(3, 12)),
    ]);
    expect(addon.crc32cOfRanges([], new Float64Array(0))).toEqual(new Uint32Array(0));
  });

  it('reads beyond 4 GiB of one buffer', async (context) => {
    const far = 2 ** 32 + 12_345;
    let big: SharedArrayBuffer | ArrayBuffer;
    try {
      big = new ArrayBuffer(far + 5000); // zero pages: only what is touched takes memory
    } catch (error) {
      return context.skip(String(error));
    }
    const bytes = randomBytes(5000, 14);
    new Uint8Array(big, far).set(bytes);
    const arena = addon.createArena(5000);
    addon.copyToArena(arena, [big], Float64Array.of(0, far, 5000, 0));
    expect(await contents(arena, 0, 5000)).toEqual(Buffer.from(bytes));
    expect(addon.crc32cOfRanges([big], Float64Array.of(0, far, 5000))[0]).toBe(slowCrc32c(bytes));
    big = new SharedArrayBuffer(far + 5000);
    new Uint8Array(big, far).set(bytes.reverse());
    addon.copyToArena(arena, [big], Float64Array.of(0, far, 5000, 0));
    expect(await contents(arena, 0, 5000)).toEqual(Buffer.from(bytes));
    addon.releaseArena(arena);
  });

  it('copies nothing at all if one range does not fit', async () => {
    const arena = addon.createArena(100);
    const bytes = new Uint8Array(100).fill(1);
    const view = bytes.subarray(90);
    const good = [0, 0, 100, 0];
    const bad = [
      [0, 0, 101, 0],
      [0, 1, 100, 0],
      [0, 101, 0, 0],
      [0, 0, 1, 100],
      [0, 0, 100, 1],
      [0, 0, 0, 101],
      [1, 0, 11, 0],
      [2, 0, 0, 0],
      [0, 2 ** 53 - 1, 1, 0],
      [0, 1, 2 ** 53 - 1, 0],
      [0, 0, 1, 2 ** 53 - 1],
      [-1, 0, 1, 0],
      [0, -1, 1, 0],
      [0, 0, -1, 0],
      [0, 0, 1, -1],
      [0, 0.5, 1, 0],
      [0, Number.NaN, 1, 0],
      [0, 0, Number.POSITIVE_INFINITY, 0],
      [0, 0, 1],
    ];
    for (const numbers of bad) {
      const ranges = Float64Array.from([...good, ...numbers]);
      expect(await codeOf(() => addon.copyToArena(arena, [bytes, view], ranges)), String(numbers)).toBe('ERR_INVALID_ARGUMENT');
      const three = Float64Array.from([0, 0, 100, ...numbers.slice(0, numbers.length === 4 && numbers[3] === 0 ? 3 : 2)]);
      expect(await codeOf(() => addon.crc32cOfRanges([bytes, view], three)), String(numbers)).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(await contents(arena, 0, 100)).toEqual(Buffer.alloc(100));
    addon.releaseArena(arena);
  });

  it('refuses detached buffers, named by a range or not, and what a view lost', async () => {
    const arena = addon.createArena(100);
    const good = new Uint8Array(10).fill(1);
    const detached = new ArrayBuffer(10);
    const view = new Uint8Array(detached, 2);
    structuredClone(detached, { transfer: [detached] });
    for (const gone of [detached, view, new Uint8Array(0).buffer]) {
      const expected = gone === detached || gone === view ? 'ERR_SOURCE_CHANGED' : 'no error';
      expect(await codeOf(() => addon.copyToArena(arena, [good, gone], Float64Array.of(0, 0, 10, 0, 1, 0, 0, 0)))).toBe(expected);
      expect(await codeOf(() => addon.crc32cOfRanges([good, gone], Float64Array.of(0, 0, 10)))).toBe(expected);
    }
    // The end of a resizable buffer: what is beyond it is not there any more, also not for views made before.
    const resizable = new Resizable(1 << 20, { maxByteLength: 1 << 24 });
    const views = [
      new Uint8Array(resizable),
      new Uint8Array(resizable, 100, 1 << 19),
      new DataView(resizable),
      new DataView(resizable, 100, 1 << 19),
      new Float64Array(resizable, 8),
    ];
    resizable.resize(50);
    for (const each of [resizable, ...views]) {
      expect(await codeOf(() => addon.copyToArena(arena, [each], Float64Array.of(0, 0, 100, 0))), each.constructor.name).toBe(
        'ERR_INVALID_ARGUMENT',
      );
      expect(await codeOf(() => addon.crc32cOfRanges([each], Float64Array.of(0, 1000, 1 << 18)))).toBe('ERR_INVALID_ARGUMENT');
    }
    addon.copyToArena(arena, [resizable], Float64Array.of(0, 0, 50, 0));
    addon.releaseArena(arena);
  });

  it('is not fooled by lists that change while they are read', async () => {
    const bytes = new ArrayBuffer(1 << 20);
    const arena = addon.createArena(1 << 20);
    const list = [bytes, new ArrayBuffer(8)];
    Object.defineProperty(list, 1, {
      get: () => {
        structuredClone(bytes, { transfer: [bytes] });
        return new ArrayBuffer(8);
      },
    });
    expect(await codeOf(() => addon.copyToArena(arena, list, Float64Array.of(0, 0, 1 << 20, 0)))).toBe('ERR_SOURCE_CHANGED');
    const releasing = [new ArrayBuffer(8)];
    Object.defineProperty(releasing, 0, {
      get: () => {
        addon.releaseArena(arena);
        return new ArrayBuffer(8);
      },
    });
    expect(await codeOf(() => addon.copyToArena(arena, releasing, Float64Array.of(0, 0, 8, 0)))).toBe('ERR_INVALID_ARGUMENT');
    const throwing = new Array(1);
    Object.defineProperty(throwing, 0, {
      get: () => {
        throw Object.assign(new Error('mine'), { code: 'MINE' });
      },
    });
    expect(await codeOf(() => addon.crc32cOfRanges(throwing, new Float64Array(0)))).toBe('MINE');
    const shrinking = [bytes, bytes];
    Object.defineProperty(shrinking, 0, {
      get: () => {
        shrinking.length = 1;
        return new ArrayBuffer(8);
      },
    });
    expect(await codeOf(() => addon.crc32cOfRanges(shrinking, new Float64Array(0)))).toBe('ERR_INVALID_ARGUMENT');
  });

  it('knows its handles', async () => {
    const before = addon.stats();
    const arena = addon.createArena(1000);
    const pin = addon.pin(new Uint8Array(1000));
    const copy = (handle: number) => addon.copyToArena(handle, [], new Float64Array(0));
    for (const wrong of [pin, arena + 1000, 0, -1, 0.5, Number.NaN, undefined, null, 'x', {}, 1n] as number[]) {
      expect(await codeOf(() => copy(wrong))).toBe('ERR_INVALID_ARGUMENT');
      expect(await codeOf(() => addon.releaseArena(wrong))).toBe('ERR_INVALID_ARGUMENT');
      expect(await codeOf(() => addon.prefaultArena(wrong))).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(await codeOf(() => addon.unpin(arena))).toBe('ERR_INVALID_ARGUMENT');
    expect(await codeOf(() => addon.isIntact(arena))).toBe('ERR_INVALID_ARGUMENT');
    const writer = await addon.openWriter(path.join(directory, 'bounds'), writerOptions([10]));
    for (const [offset, length] of [
      [0, 1001],
      [1000, 1],
      [2 ** 53 - 1, 1],
    ] as const) {
      expect(await codeOf(() => addon.write(writer, Float64Array.of(arena, offset, length)))).toBe('ERR_INVALID_ARGUMENT');
    }
    addon.releaseArena(arena);
    expect(await codeOf(() => addon.releaseArena(arena))).toBe('ERR_INVALID_ARGUMENT');
    expect(await codeOf(() => copy(arena))).toBe('ERR_INVALID_ARGUMENT');
    await expect(addon.prefaultArena(arena)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(await codeOf(() => addon.write(writer, Float64Array.of(arena, 0, 1)))).toBe('ERR_INVALID_ARGUMENT');
    await addon.abandonWriter(writer);
    addon.unpin(pin);
    expect(addon.stats()).toEqual({ ...before, spareStagingBytes: expect.any(Number) });
  });

  it('refuses impossible sizes', async () => {
    for (const bytes of [-1, 0.5, Number.NaN, 2 ** 53, undefined, '5', null] as number[]) {
      expect(await codeOf(() => addon.createArena(bytes))).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(await codeOf(() => addon.createArena(2 ** 53 - 1))).toBe('ENOMEM');
    addon.releaseArena(addon.createArena(0));
  });

  it('stays until the writes that read from it are done', async () => {
    const bytes = 16 << 20;
    const arena = addon.createArena(bytes);
    addon.copyToArena(arena, [new Uint8Array(bytes).fill(5)], Float64Array.of(0, 0, bytes, 0));
    const times = 8;
    const writer = await addon.openWriter(path.join(directory, 'deferred'), writerOptions([bytes * times]));
    const pieces = Float64Array.from(Array.from({ length: times }, () => [arena, 0, bytes]).flat());
    const writing = addon.write(writer, pieces);
    addon.releaseArena(arena);
    expect(addon.stats()).toMatchObject({ arenas: 1, arenaBytes: bytes });
    expect(await codeOf(() => addon.releaseArena(arena))).toBe('ERR_INVALID_ARGUMENT');
    await writing;
    expect(addon.stats()).toMatchObject({ arenas: 0, arenaBytes: 0 });
    const { crc32c } = await addon.finishWriter(writer);
    const one = addon.crc32c(new Uint8Array(bytes).fill(5));
    expect(crc32c).toBe(Array.from({ length: times - 1 }).reduce((sum: number) => addon.crc32cCombine(sum, one, bytes), one));
  });

  it('ends a prefault when it is released', async () => {
    const arena = addon.createArena(2 ** 31);
    const prefaulting = codeOf(() => addon.prefaultArena(arena));
    addon.releaseArena(arena);
    expect(await prefaulting).toBe('ERR_ABORTED');
    expect(addon.stats()).toMatchObject({ arenas: 0, arenaBytes: 0, threads: 0 });
  });

  it('is written by other threads and used by none of them otherwise', async () => {
    const arena = addon.createArena(1000);
    addon.copyToArena(arena, [new Uint8Array(1000).fill(3)], Float64Array.of(0, 0, 1000, 0));
    const file = path.join(directory, 'worker');
    const source = `
      const { parentPort, workerData: { addonPath, arena, file, options } } = require('node:worker_threads');
      const addon = require(addonPath);
      const codes = [];
      for (const use of [
        () => addon.copyToArena(arena, [], new Float64Array(0)),
        () => addon.releaseArena(arena),
        () => addon.unpin(arena),
        () => addon.isIntact(arena),
      ]) try { use(); codes.push('no error'); } catch (error) { codes.push(error.code); }
      (async () => {
        await addon.prefaultArena(arena).catch((error) => codes.push(error.code));
        const writer = await addon.openWriter(file, options);
        await addon.write(writer, Float64Array.of(arena, 10, 900));
        const { crc32c } = await addon.finishWriter(writer);
        parentPort.postMessage({ codes, crc32c });
      })();`;
    const worker = new Worker(source, { eval: true, workerData: { addonPath, arena, file, options: writerOptions([900]) } });
    const answer = await new Promise<{ codes: string[]; crc32c: number }>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(answer.codes).toEqual(new Array(5).fill('ERR_INVALID_ARGUMENT'));
    expect(answer.crc32c).toBe(slowCrc32c(new Uint8Array(900).fill(3)));
    expect(readFileSync(file)).toEqual(Buffer.alloc(900, 3));
    await worker.terminate();
    addon.releaseArena(arena);
  });

  it('answers every garbage argument with a clean error', async () => {
    const arena = addon.createArena(8);
    const garbage: readonly unknown[] = [
      undefined,
      null,
      true,
      'x',
      Symbol('s'),
      1n,
      1,
      -1,
      {},
      { length: 1, 0: new ArrayBuffer(8) },
      () => 1,
      new Map(),
      new Proxy([], {}),
      new ArrayBuffer(8),
      new Uint8Array(8),
      new Uint32Array(4),
      Object.create(ArrayBuffer.prototype),
      Object.create(SharedArrayBuffer.prototype),
      new Proxy(new ArrayBuffer(8), {}),
    ];
    for (const value of garbage) {
      const ranges = new Float64Array(0);
      expect(await codeOf(() => addon.copyToArena(arena, value as never, ranges))).toBe('ERR_INVALID_ARGUMENT');
      expect(await codeOf(() => addon.crc32cOfRanges(value as never, ranges))).toBe('ERR_INVALID_ARGUMENT');
      expect(await codeOf(() => addon.copyToArena(arena, [], value as never))).toBe('ERR_INVALID_ARGUMENT');
      expect(await codeOf(() => addon.crc32cOfRanges([], value as never))).toBe('ERR_INVALID_ARGUMENT');
      if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) continue;
      expect(await codeOf(() => addon.copyToArena(arena, [value as never], ranges))).toBe('ERR_INVALID_ARGUMENT');
      expect(await codeOf(() => addon.crc32cOfRanges([value as never], ranges))).toBe('ERR_INVALID_ARGUMENT');
    }
    addon.releaseArena(arena);
  });

  it('holds nothing afterwards', () => {
    expect(addon.stats()).toEqual({
      pins: 0,
      writers: 0,
      readers: 0,
      abortTokens: 0,
      stagingBytes: 0,
      spareStagingBytes: expect.any(Number),
      arenas: 0,
      arenaBytes: 0,
      mappedBytes: 0,
      threads: 0,
    });
  });
});

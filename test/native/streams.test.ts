/** Writing and reading through the addon, compared with Node's own fs and an independent CRC32C. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DirectIo, NativeDigest } from '../../src/native.js';
import {
  addon,
  codeOf,
  missing,
  openDescriptors,
  random,
  randomBytes,
  readOptions,
  slowCrc32c,
  temporaryDirectory,
  writerOptions,
} from './support.js';

/** Span lengths of very different sizes, empty ones included. */
function randomSpans(next: () => number): number[] {
  const limits = [1, 6, 300, 4097, 70_000, 300_000];
  return Array.from({ length: next() % 25 }, () => next() % (limits[next() % limits.length] as number));
}

/** Where each span begins. */
function offsetsOf(spans: readonly number[]): number[] {
  let at = 0;
  return spans.map((length) => {
    at += length;
    return at - length;
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function expectDigest(digest: NativeDigest, bytes: Uint8Array, spans: readonly number[], chunkBytes: number): void {
  expect(digest.bytes).toBe(bytes.length);
  expect(digest.crc32c).toBe(slowCrc32c(bytes));
  const offsets = offsetsOf(spans);
  expect([...digest.spans]).toEqual(
    spans.map((length, index) => slowCrc32c(bytes.subarray(offsets[index], (offsets[index] as number) + length))),
  );
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    slowCrc32c(bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes)),
  );
  expect([...digest.chunks]).toEqual(chunks);
  expect(digest.directReason).not.toBe('');
}

describe.skipIf(missing)('native streams', () => {
  const directory = missing === undefined ? temporaryDirectory() : '';
  const file = path.join(directory, 'file');

  it.each<DirectIo>(['optional', 'disabled'])('round-trips random layouts, direct I/O %s', async (direct) => {
    const next = random(direct === 'optional' ? 1 : 2);
    for (let round = 0; round < 25; round++) {
      const spans = randomSpans(next);
      const total = sum(spans);
      const bytes = randomBytes(total, round);
      const chunkBytes = [512, 1000, 65_536, 1 << 20][next() % 4] as number;
      const operationBytes = [0, 4096, 65_536][next() % 3] as number;
      const pin = addon.pin(bytes, true);
      const options = writerOptions(spans, { direct, chunkBytes, operationBytes, queueDepth: next() % 5 });
      const writer = await addon.openWriter(file, options);
      const writes: Promise<void>[] = [];
      for (let at = 0; at < total; ) {
        const pieces: number[] = [];
        for (let count = 1 + (next() % 4); count > 0; count--) {
          const length = Math.min(next() % 90_000, total - at);
          pieces.push(pin, at, length);
          at += length;
        }
        writes.push(addon.write(writer, Float64Array.from(pieces)));
        if (next() % 2 === 0) await writes.at(-1);
      }
      await Promise.all(writes);
      const digest = await addon.finishWriter(writer);
      expectDigest(digest, bytes, spans, chunkBytes);
      if (direct === 'disabled') expect(digest.direct).toBe(false);
      expect(Buffer.compare(readFileSync(file), bytes)).toBe(0);
      addon.unpin(pin);

      const opened = await addon.openReader(file, direct);
      const target = new Uint8Array(total + 3);
      const targetPin = addon.pin(target, true);
      const destinations = offsetsOf(spans).flatMap((offset) => [targetPin, 3 + offset]);
      const read = await addon.read(opened.reader, readOptions(spans, destinations, { chunkBytes, operationBytes }));
      expectDigest(read, bytes, spans, chunkBytes);
      expect(Buffer.compare(target.subarray(3), bytes)).toBe(0);
      expect(addon.isIntact(targetPin)).toBe(true);
      addon.unpin(targetPin);
      addon.closeReader(opened.reader);
      rmSync(file);
    }
  });

  it('writes with the mode that was asked for', async () => {
    const umask = process.umask(0o027);
    await addon.finishWriter(await addon.openWriter(file, writerOptions([], { mode: 0o666 })));
    process.umask(umask);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(statSync(file).size).toBe(0);
    rmSync(file);
  });

  it('refuses to replace a file, and one that is too long or too short', async () => {
    writeFileSync(file, 'keep');
    expect(await codeOf(() => addon.openWriter(file, writerOptions([1])))).toBe('EEXIST');
    expect(readFileSync(file, 'utf8')).toBe('keep');
    rmSync(file);
    const pin = addon.pin(new Uint8Array(10));
    const short = await addon.openWriter(file, writerOptions([10]));
    await addon.write(short, Float64Array.of(pin, 0, 9));
    expect(await codeOf(() => addon.finishWriter(short))).toBe('ERR_INVALID_ARGUMENT');
    rmSync(file);
    const long = await addon.openWriter(file, writerOptions([9]));
    expect(await codeOf(() => addon.write(long, Float64Array.of(pin, 0, 10)))).toBe('ERR_INVALID_ARGUMENT');
    await addon.abandonWriter(long);
    rmSync(file);
    addon.unpin(pin);
  });

  it('memory that is discarded while it is written is not freed under the writer', async () => {
    const bytes = randomBytes(8 << 20, 4);
    const expected = Buffer.from(bytes);
    const pin = addon.pin(bytes.buffer as ArrayBuffer, true);
    // In thousands of small operations, so that it goes on for long after the call.
    const writer = await addon.openWriter(file, writerOptions([bytes.length], { operationBytes: 4096, queueDepth: 1 }));
    const writing = addon.write(writer, Float64Array.of(pin, 0, bytes.length));
    addon.unpin(pin, true);
    expect(bytes.length).toBe(expected.length);
    await writing;
    await addon.finishWriter(writer);
    expect(readFileSync(file).equals(expected)).toBe(true);
    rmSync(file);
  });

  it('reads chosen spans from the middle and only checksums the rest', async () => {
    const bytes = randomBytes(300_000, 9);
    writeFileSync(file, bytes);
    const { reader } = await addon.openReader(file, 'optional');
    const target = new Uint8Array(5000);
    const pin = addon.pin(target, true);
    const digest = await addon.read(reader, readOptions([100, 5000, 1000], [-1, 0, pin, 0, -1, 0], { offset: 99_000, chunkBytes: 1000 }));
    expectDigest(digest, bytes.subarray(99_000, 105_100), [100, 5000, 1000], 1000);
    expect(Buffer.compare(target, bytes.subarray(99_100, 104_100))).toBe(0);
    addon.closeReader(reader);
    addon.unpin(pin);
    rmSync(file);
  });

  it('keeps 100,000 tiny spans fast', async () => {
    const spans = Array.from({ length: 100_000 }, (_, index) => index % 9);
    const bytes = randomBytes(sum(spans), 3);
    const pin = addon.pin(bytes, true);
    const pieces = Float64Array.from(offsetsOf(spans).flatMap((offset, index) => [pin, offset, spans[index] as number]));
    const started = performance.now();
    const writer = await addon.openWriter(file, writerOptions(spans, { chunkBytes: 4096 }));
    await addon.write(writer, pieces);
    const digest = await addon.finishWriter(writer);
    expect(performance.now() - started).toBeLessThan(3000);
    expectDigest(digest, bytes, spans, 4096);
    addon.unpin(pin);
    rmSync(file);
  });

  it('stops within 100 ms of an abort', async () => {
    const block = new Uint8Array(64 << 20);
    const pin = addon.pin(block, true);
    const repeats = 48;
    let fastest_ms = Number.POSITIVE_INFINITY;
    // One late look on a busy machine is no late stop.
    for (let look = 0; look < 5 && fastest_ms > 100; look++) {
      const token = addon.createAbortToken();
      const writer = await addon.openWriter(file, writerOptions([block.length * repeats], { abort: token }));
      const write = codeOf(() =>
        addon.write(writer, Float64Array.from(Array.from({ length: repeats }, () => [pin, 0, block.length]).flat())),
      );
      await new Promise((resolve) => setTimeout(resolve, 30));
      const started = performance.now();
      addon.abort(token);
      expect(await write).toBe('ERR_ABORTED');
      fastest_ms = Math.min(fastest_ms, performance.now() - started);
      expect(addon.writtenBytes(writer)).toBeLessThan(block.length * repeats);
      expect(await codeOf(() => addon.finishWriter(writer))).toBe('ERR_ABORTED');
      expect(await codeOf(() => addon.openWriter(`${file}2`, writerOptions([1], { abort: token })))).toBe('ERR_ABORTED');
      addon.releaseAbortToken(token);
      expect(await codeOf(() => addon.abort(token))).toBe('ERR_INVALID_ARGUMENT');
      rmSync(file);
    }
    expect(fastest_ms).toBeLessThan(250);
    addon.unpin(pin);
  });

  it('ends a read when its reader is closed', async () => {
    writeFileSync(file, new Uint8Array(64 << 20));
    const { reader } = await addon.openReader(file, 'optional');
    const read = codeOf(() => addon.read(reader, readOptions([64 << 20])));
    addon.closeReader(reader);
    expect(await read).toBe('ERR_ABORTED');
    rmSync(file);
  });

  it('lets memory go only when the last native reader is done', async () => {
    const bytes = randomBytes(8 << 20, 4);
    const pin = addon.pin(bytes, true);
    const writer = await addon.openWriter(file, writerOptions([bytes.length]));
    const write = addon.write(writer, Float64Array.of(pin, 0, bytes.length));
    addon.unpin(pin);
    expect(await codeOf(() => addon.write(writer, Float64Array.of(pin, 0, 1)))).toBe('ERR_INVALID_ARGUMENT');
    await write;
    expect((await addon.finishWriter(writer)).crc32c).toBe(addon.crc32c(bytes));
    rmSync(file);
  });

  it('transfers as it is told, and says how', async () => {
    const { available } = addon.ioUring();
    const bytes = randomBytes(3_000_001, 6);
    const pin = addon.pin(bytes, true);
    for (const io of ['threads', 'io_uring'] as const) {
      const used = io === 'io_uring' && available ? 'io_uring' : 'threads';
      const writer = await addon.openWriter(file, writerOptions([bytes.length], { io, operationBytes: 65_536 }));
      await addon.write(writer, Float64Array.of(pin, 0, bytes.length));
      expect(await addon.finishWriter(writer)).toMatchObject({ io: used, crc32c: addon.crc32c(bytes) });
      const { reader } = await addon.openReader(file, 'optional');
      expect(await addon.read(reader, readOptions([bytes.length], undefined, { io }))).toMatchObject({
        io: used,
        crc32c: addon.crc32c(bytes),
      });
      addon.closeReader(reader);
      expect(Buffer.compare(readFileSync(file), bytes)).toBe(0);
      rmSync(file);
    }
    for (const io of ['uring', '', null, 1] as never[]) {
      expect(await codeOf(() => addon.openWriter(file, writerOptions([1], { io })))).toBe('ERR_INVALID_ARGUMENT');
    }
    addon.unpin(pin);
  });

  it('leaks nothing over 300 files, errors included', async () => {
    const pin = addon.pin(randomBytes(10_000, 5));
    const before = { stats: addon.stats(), descriptors: openDescriptors() };
    for (let round = 0; round < 300; round++) {
      const writer = await addon.openWriter(file, writerOptions([10_000]));
      await addon.write(writer, Float64Array.of(pin, 0, round % 3 === 1 ? 9999 : 10_000));
      if (round % 3 === 2) await addon.abandonWriter(writer);
      else await addon.finishWriter(writer).catch(() => undefined);
      const { reader } = await addon.openReader(file, 'optional');
      await addon.read(reader, readOptions([10_000])).catch(() => undefined);
      addon.closeReader(reader);
      await codeOf(() => addon.openWriter(file, writerOptions([10_000])));
      rmSync(file);
    }
    expect(addon.stats()).toEqual({ ...before.stats, spareStagingBytes: expect.any(Number) });
    expect(openDescriptors()).toBe(before.descriptors);
    addon.unpin(pin);
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

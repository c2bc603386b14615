/** The addon's contract (src/native.ts), and that no argument can crash it. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { addon, addonPath, codeOf, missing, randomBytes, readOptions, slowCrc32c, temporaryDirectory, writerOptions } from './support.js';

/** Not in Node's type definitions without the DOM library. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (limits: { initial: number }) => { buffer: ArrayBuffer } };
};

const GARBAGE: readonly unknown[] = [
  undefined,
  null,
  true,
  '',
  'x',
  '\0',
  'a\0b',
  Symbol('s'),
  1n,
  -1,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 53,
  1e300,
  999_999,
  {},
  [],
  [1, 2, 3],
  () => 1,
  new Date(),
  new Map(),
  Promise.resolve(),
  /x/,
  new ArrayBuffer(8),
  new SharedArrayBuffer(8),
  new Uint8Array(8),
  new Float64Array(3),
  new Float64Array([NaN, -5, 0.5]),
  new DataView(new ArrayBuffer(8)),
  Float64Array.of(-1, -1, -1),
  Float64Array.of(1e18, 0, 1),
  new Proxy({}, {}),
];

describe.skipIf(missing)('the native addon', () => {
  const directory = missing === undefined ? temporaryDirectory() : '';

  it('says its version and its CRC32C variants', () => {
    expect(addon.version).toMatch(/^\d+\.\d+\.\d+/);
    const names = addon.crc32cImplementations();
    expect(names.at(-1)).toBe('portable');
    expect(new Set(names).size).toBe(names.length);
  });

  it('computes CRC32C of every kind of memory, by every variant', () => {
    expect(addon.crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    const bytes = randomBytes(10_001, 1);
    const expected = slowCrc32c(bytes);
    for (const name of [undefined, ...addon.crc32cImplementations()]) {
      expect(addon.crc32c(bytes, 0, name)).toBe(expected);
      expect(addon.crc32c(bytes.subarray(77), addon.crc32c(bytes.subarray(0, 77), 0, name), name)).toBe(expected);
    }
    expect(addon.crc32c(bytes.buffer as ArrayBuffer)).toBe(expected);
    expect(addon.crc32c(new DataView(bytes.buffer, 1, 9))).toBe(slowCrc32c(bytes.subarray(1, 10)));
    expect(addon.crc32c(new Float64Array(bytes.buffer, 8, 3))).toBe(slowCrc32c(bytes.subarray(8, 32)));
    const second = addon.crc32c(bytes.subarray(5000));
    expect(addon.crc32cCombine(addon.crc32c(bytes.subarray(0, 5000)), second, 5001)).toBe(expected);
    expect(addon.crc32c(new ArrayBuffer(0))).toBe(0);
  });

  it('probes directories and files', async () => {
    const probe = addon.probe(directory);
    expect(probe.fileSystem).not.toBe('');
    expect(probe.directIo.reason).not.toBe('');
    expect(probe.directIo.supported).toBe(probe.directIo.offsetAlignment > 0);
    expect(addon.probe('/proc').fileSystem).toBe('proc');
    expect(addon.probe('/proc').directIo.supported).toBe(false);
    expect(await codeOf(() => addon.probe(path.join(directory, 'missing')))).toBe('ENOENT');
    expect(typeof addon.ioUring().available).toBe('boolean');
    expect(addon.ioUring().reason).not.toBe('');
  });

  it('renames without replacing, also onto an empty directory', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => path.join(directory, name)) as [string, string, string];
    mkdirSync(a);
    mkdirSync(b);
    expect(await codeOf(() => addon.renameNoReplace(a, b))).toBe('EEXIST');
    await addon.renameNoReplace(a, c);
    expect(existsSync(a)).toBe(false);
    expect(existsSync(c)).toBe(true);
    const error = await addon.renameNoReplace(a, b).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'renameat2', path: a });
    await expect(addon.renameNoReplace('', c)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('lowers the priority of one thread and of those that it starts', async () => {
    const own = getPriority();
    const file = path.join(directory, 'nice');
    const source = `
      const { parentPort, workerData: { addonPath, file, options } } = require('node:worker_threads');
      const { getPriority } = require('node:os');
      const { readdirSync, readFileSync } = require('node:fs');
      const addon = require(addonPath);
      const lowered = () => readdirSync('/proc/self/task').filter((thread) => {
        const stat = readFileSync('/proc/self/task/' + thread + '/stat', 'utf8');
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16] === '15';
      }).length;
      const before = lowered();
      addon.setThreadNice(15);
      const nice = getPriority();
      const alone = lowered();
      addon.openWriter(file, options).then(async (writer) => {
        const withWriter = lowered();
        await addon.abandonWriter(writer);
        let back = 'no error';
        try { addon.setThreadNice(12); } catch ({ code }) { back = code; }
        parentPort.postMessage({ before, nice, alone, withWriter, back, last: getPriority() });
      });`;
    const options = writerOptions([64 << 20], { queueDepth: 4 });
    const worker = new Worker(source, { eval: true, workerData: { addonPath, file, options } });
    const answer = await new Promise<Record<string, unknown>>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    // Back up is for those who may.
    const [back, last] = answer['back'] === 'no error' ? ['no error', 12] : ['EACCES', 15];
    expect(answer).toEqual({ before: 0, nice: 15, alone: 1, withWriter: expect.any(Number), back, last });
    // The writer's four; Node.js may start one of its own meanwhile.
    expect(answer['withWriter']).toBeGreaterThanOrEqual(5);
    expect(getPriority()).toBe(own);
    for (const nice of [-1, 20, 0.5, Number.NaN, '5', undefined] as number[]) {
      expect(await codeOf(() => addon.setThreadNice(nice))).toBe('ERR_INVALID_ARGUMENT');
    }
    await worker.terminate();
  });

  it('locks a file once, and not through a symbolic link', async () => {
    const file = path.join(directory, 'lock');
    expect(await codeOf(() => addon.lockFile(file))).toBe('ENOENT');
    writeFileSync(file, '');
    symlinkSync(file, `${file}-link`);
    expect(await codeOf(() => addon.lockFile(`${file}-link`))).toBe('ELOOP');
    const lock = addon.lockFile(file);
    expect(await codeOf(() => addon.lockFile(file))).toBe('EAGAIN');
    addon.unlockFile(lock);
    expect(await codeOf(() => addon.unlockFile(lock))).toBe('ERR_INVALID_ARGUMENT');
    addon.unlockFile(addon.lockFile(file));
  });

  it('describes failures of the operating system', async () => {
    const file = path.join(directory, 'no', 'such', 'directory');
    const error = await addon.openWriter(file, writerOptions([1])).catch((reason) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open', path: file });
    expect(error.message).toContain('ENOENT');
  });

  it('pins fixed-length memory only', async () => {
    const before = addon.stats().pins;
    const good = [
      new ArrayBuffer(100),
      new Uint8Array(8),
      new Float32Array(0),
      new DataView(new ArrayBuffer(9)),
      Buffer.alloc(10),
      new Uint8Array(new SharedArrayBuffer(8)),
      new BigInt64Array(3),
    ];
    const pins = good.map((memory) => addon.pin(memory));
    expect(new Set(pins).size).toBe(pins.length);
    expect(pins.every((pin) => addon.isIntact(pin))).toBe(true);
    expect(addon.stats().pins).toBe(before + pins.length);
    for (const pin of pins) addon.unpin(pin);
    for (const pin of pins) expect(await codeOf(() => addon.isIntact(pin))).toBe('ERR_INVALID_ARGUMENT');
    const detached = new ArrayBuffer(8);
    structuredClone(detached, { transfer: [detached] });
    const Resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer;
    const Growable = SharedArrayBuffer as unknown as new (bytes: number, options: object) => SharedArrayBuffer;
    const bad = [
      detached,
      new Resizable(8, { maxByteLength: 16 }),
      new Uint8Array(new Resizable(8, { maxByteLength: 16 })),
      new Uint8Array(new Growable(8, { maxByteLength: 16 })),
      new WebAssembly.Memory({ initial: 1 }).buffer,
      new Uint8Array(new WebAssembly.Memory({ initial: 2 }).buffer, 8, 8),
      new SharedArrayBuffer(8),
    ];
    for (const memory of bad) {
      expect(await codeOf(() => addon.pin(memory as ArrayBuffer)), String(memory)).toBe('ERR_INVALID_ARGUMENT');
    }
    // The caller may know better; what is certain is refused all the same.
    addon.unpin(addon.pin(new WebAssembly.Memory({ initial: 1 }).buffer, true));
    for (const memory of bad.slice(0, 4)) {
      expect(await codeOf(() => addon.pin(memory as ArrayBuffer, true))).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(await codeOf(() => addon.pin(new Uint8Array(1), 1 as never))).toBe('ERR_INVALID_ARGUMENT');
    expect(addon.stats().pins).toBe(before);
  });

  it('notices memory that went away', () => {
    const memory = new ArrayBuffer(1000);
    const view = new Uint8Array(memory, 100);
    const pins = [addon.pin(memory), addon.pin(view)];
    const kept = structuredClone(memory, { transfer: [memory] });
    expect(pins.map((pin) => addon.isIntact(pin))).toEqual([false, false]);
    expect(kept.byteLength).toBe(1000);
    for (const pin of pins) addon.unpin(pin);
  });

  it('frees memory that is discarded, but not what a view is of', async () => {
    const [kept, freed, seen] = [1, 2, 3].map(() => new ArrayBuffer(1000)) as [ArrayBuffer, ArrayBuffer, ArrayBuffer];
    addon.unpin(addon.pin(kept), false);
    addon.unpin(addon.pin(freed), true);
    addon.unpin(addon.pin(new Uint8Array(seen)), true);
    expect([kept, freed, seen].map(({ byteLength }) => byteLength)).toEqual([1000, 0, 1000]);
    const pin = addon.pin(kept);
    expect(await codeOf(() => addon.unpin(pin, 1 as never))).toBe('ERR_INVALID_ARGUMENT');
    addon.unpin(pin, true);
    expect(kept.byteLength).toBe(0);
  });

  it('answers every garbage argument with a clean error', async () => {
    const pin = addon.pin(new Uint8Array(100));
    const writer = await addon.openWriter(path.join(directory, 'garbage'), writerOptions([100]));
    const call = (name: string, args: readonly unknown[]): unknown =>
      (addon as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[name]?.(...args);
    const names = [
      'crc32c',
      'crc32cCombine',
      'probe',
      'renameNoReplace',
      'setThreadNice',
      'prefaultArena',
      'copyToArena',
      'releaseArena',
      'crc32cOfRanges',
      'lockFile',
      'unlockFile',
      'pin',
      'isIntact',
      'unpin',
      'abort',
      'releaseAbortToken',
      'openWriter',
      'write',
      'finishWriter',
      'abandonWriter',
      'writtenBytes',
      'openReader',
      'read',
      'readBytes',
      'closeReader',
    ];
    const clean = /^(ERR_INVALID_ARGUMENT|ENOENT|EISDIR|EEXIST|no error)$/;
    for (const name of names) {
      expect(await codeOf(() => call(name, [])), name).toBe('ERR_INVALID_ARGUMENT');
      for (const value of GARBAGE) {
        // These are arguments to accept.
        if (name === 'pin' && (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)) continue;
        for (const args of [[value], [value, value], [value, value, value]]) {
          expect(await codeOf(() => call(name, args)), `${name}(${typeof value})`).toMatch(clean);
        }
      }
    }
    for (const value of GARBAGE) {
      if (!(value instanceof Float64Array && value.length === 0)) {
        expect(await codeOf(() => call('write', [writer, value]))).toMatch(clean);
      }
      for (const key of Object.keys(writerOptions([]))) {
        const options = { ...writerOptions([10]), [key]: value };
        const code = await codeOf(async () => {
          await addon.abandonWriter(await addon.openWriter(path.join(directory, `g${key}${Math.random()}`), options as never));
        });
        expect(code, `${key}`).toMatch(clean);
      }
    }
    for (const pieces of [
      [pin, 0],
      [pin, 0, 101],
      [pin, 101, 0],
      [pin, 1, 100],
      [pin, 2 ** 53 - 1, 2 ** 53 - 1],
      [-1, 0, 1],
      [pin + 1000, 0, 1],
      [pin, NaN, 1],
      [pin, 0.5, 1],
      [pin, 0, 1.5],
    ]) {
      expect(await codeOf(() => addon.write(writer, Float64Array.from(pieces)))).toBe('ERR_INVALID_ARGUMENT');
    }
    await addon.write(writer, Float64Array.of(pin, 0, 100));
    expect((await addon.finishWriter(writer)).bytes).toBe(100);
    for (const name of ['write', 'finishWriter', 'abandonWriter', 'writtenBytes']) {
      expect(await codeOf(() => call(name, [writer, new Float64Array(0)])), name).toBe('ERR_INVALID_ARGUMENT');
    }
    addon.unpin(pin);
  });

  it('checks every option of a read', async () => {
    const file = path.join(directory, 'short');
    writeFileSync(file, 'hello');
    const { reader, bytes } = await addon.openReader(file, 'optional');
    expect(bytes).toBe(5);
    const pin = addon.pin(new Uint8Array(4));
    const bad = [
      readOptions([5], [pin, 0]),
      readOptions([4], [pin, 1]),
      readOptions([1], [pin]),
      readOptions([1], [pin, -1]),
      readOptions([1], [-2, 0]),
      readOptions([1], [pin + 999, 0]),
      readOptions([5], undefined, { chunkBytes: 0 }),
      readOptions([1], undefined, { offset: -1 }),
      readOptions([5], undefined, { operationBytes: 100 }),
      readOptions([5], undefined, { queueDepth: -1 }),
      readOptions([5], undefined, { abort: 12345 }),
      readOptions([2 ** 53 - 1, 2 ** 53 - 1]),
    ];
    for (const options of bad) {
      expect(await codeOf(() => addon.read(reader, options)), JSON.stringify(options)).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(await codeOf(() => addon.read(reader, readOptions([6])))).toBe('ERR_TRUNCATED');
    expect((await addon.read(reader, readOptions([2, 0, 3]))).crc32c).toBe(slowCrc32c(readFileSync(file)));
    expect(addon.readBytes(reader)).toBe(5);
    addon.closeReader(reader);
    expect(await codeOf(() => addon.read(reader, readOptions([1])))).toBe('ERR_INVALID_ARGUMENT');
    expect(await codeOf(() => addon.openReader(directory, 'optional'))).toBe('ERR_INVALID_ARGUMENT');
    symlinkSync(file, `${file}-link`);
    expect(await codeOf(() => addon.openReader(`${file}-link`, 'optional'))).toBe('ELOOP');
    addon.unpin(pin);
  });

  it('holds nothing afterwards', () => {
    expect(addon.stats()).toMatchObject({ pins: 0, writers: 0, readers: 0, abortTokens: 0, stagingBytes: 0, arenas: 0, arenaBytes: 0 });
  });
});

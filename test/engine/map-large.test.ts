/** Mapping more memory than the runtime takes at a time from outside: 4 GiB with Node.js 20. */
import { constants } from 'node:buffer';
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { NativeEngine } from '../../src/engine/native/index.js';
import { loadNative, type NativeAddon } from '../../src/native.js';
import { freshDirectory } from '../helpers/directory.js';

/** An addon whose files are as long as it is said, and whose `map` does what it is told. */
function readerWith(map: NativeAddon['map']) {
  const addon = { openReader: async () => ({ reader: 1, bytes: Number.MAX_SAFE_INTEGER, direct: true, directReason: '' }), map };
  return new NativeEngine(addon as unknown as NativeAddon).openReader('file', 'optional');
}

test('is not tried: every page would be read before the runtime refuses', async () => {
  let asked = 0;
  const reader = await readerWith(async () => {
    asked++;
    return { buffer: new ArrayBuffer(1), crc32c: 0 };
  });
  expect(await reader.map(4096, constants.MAX_LENGTH + 1)).toBeUndefined();
  expect(asked).toBe(0);
  expect(await reader.map(4096, constants.MAX_LENGTH)).toBeDefined();
});

test('that the runtime refuses is read instead; other errors are errors', async () => {
  const refusing = (code: string) => readerWith(async () => Promise.reject(Object.assign(new Error('no'), { code })));
  expect(await (await refusing('ERR_NO_EXTERNAL_BUFFERS_ALLOWED')).map(0, 1)).toBeUndefined();
  await expect((await refusing('EIO')).map(0, 1)).rejects.toMatchObject({ code: 'EIO' });
});

/** Reads 4 GiB through the page cache, so only when it is asked for. */
const native = loadNative();
const tried = process.env['HOLDFAST_TORTURE'] === '1' && native.addon !== undefined && constants.MAX_LENGTH <= 2 ** 32;

test.runIf(tried)('is refused by the addon, which keeps nothing and frees nothing twice', async () => {
  const addon = native.addon as NativeAddon;
  const file = path.join(freshDirectory(), 'sparse');
  const bytes = constants.MAX_LENGTH + 4096;
  writeFileSync(file, '');
  truncateSync(file, bytes);
  const { reader } = await addon.openReader(file, 'disabled');
  await expect(addon.map(reader, 0, bytes, 0)).rejects.toMatchObject({ code: 'ERR_NO_EXTERNAL_BUFFERS_ALLOWED' });
  expect(addon.stats().mappedBytes).toBe(0);
  addon.closeReader(reader);
});

/**
 * Shared by the lifetime scripts. Each script is a program of its own, so that it runs under any Node.js
 * version and under a sanitizer: exit code 0 and a last line "ok" mean that it passed.
 *   HOLDFAST_ADDON      path of the .node file (default: build/Release/holdfast.node)
 *   HOLDFAST_TEST_SLOW  factor for time limits and loop counts under a sanitizer (default 1)
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const addonPath = process.env['HOLDFAST_ADDON'] ?? path.join(root, 'build/Release/holdfast.node');
export const addon = createRequire(import.meta.url)(addonPath);
export const slow = Number(process.env['HOLDFAST_TEST_SLOW'] ?? 1);
export { assert };

export const writerOptions = (bytes, more = {}) => ({
  direct: 'optional',
  mode: 0o644,
  chunkBytes: 4 << 20,
  spans: Float64Array.of(bytes),
  operationBytes: 0,
  queueDepth: 0,
  abort: 0,
  ...more,
});

export const readOptions = (bytes, pin = -1, more = {}) => ({
  chunkBytes: 4 << 20,
  offset: 0,
  spans: Float64Array.of(bytes),
  destinations: Float64Array.of(pin, 0),
  operationBytes: 0,
  queueDepth: 0,
  abort: 0,
  ...more,
});

/** The same pinned block over and over: gigabytes to write without gigabytes of memory. */
export const repeated = (pin, bytes, times) => Float64Array.from(Array.from({ length: times }, () => [pin, 0, bytes]).flat());

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
export const codeOf = (promise) =>
  promise.then(
    () => 'no error',
    (error) => error.code,
  );
export const descriptors = () => readdirSync('/proc/self/fd').length;

/** A directory that goes away when the process ends (in whatever way ends it from JavaScript). */
export function temporaryDirectory() {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-lifetime-'));
  if (isMainThread) process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Waits until the native counts are back to nothing. */
export async function settle() {
  // Spare memory is kept for the next transfer.
  const held = () => Object.entries(addon.stats()).filter(([name, count]) => name !== 'spareStagingBytes' && count !== 0);
  for (let attempt = 0; attempt < 200 * slow; attempt++) {
    if (held().length === 0) return;
    await pause(10);
  }
  assert.deepEqual(held(), []);
}

/** What waits for gigabytes of work does so most of the time; on a busy machine a single one may be late for other reasons. */
export function assertPrompt(what, milliseconds) {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const usual = sorted[Math.floor((sorted.length - 1) / 2)];
  assert.ok(usual < 1000 * slow, `${what} takes ${sorted.map((each) => each.toFixed(0)).join(', ')} ms`);
}

export const passed = () => process.stdout.write('ok\n');

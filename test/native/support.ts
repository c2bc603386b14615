/** Helpers of the native addon's tests. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { loadNative, type NativeAddon, type NativeReadOptions, type NativeWriterOptions } from '../../src/native.js';

const loaded = loadNative();

/** Why the native tests can't run here, or undefined. */
export const missing = loaded.addon === undefined ? loaded.reason : undefined;
if (missing !== undefined) process.stderr.write(`native tests skipped: ${missing}\n`);

/** The addon; only to be used where {@link missing} is undefined. */
export const addon = loaded.addon as NativeAddon;
/** Path of the .node file, for child processes. */
export const addonPath = loaded.addon === undefined ? '' : loaded.path;

/** A directory that goes away after the test file. */
export function temporaryDirectory(base = tmpdir()): string {
  const directory = mkdtempSync(path.join(base, 'holdfast-native-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function writerOptions(spans: readonly number[], more: Partial<NativeWriterOptions> = {}): NativeWriterOptions {
  return {
    direct: 'optional',
    mode: 0o644,
    chunkBytes: 1 << 20,
    spans: Float64Array.from(spans),
    operationBytes: 0,
    queueDepth: 0,
    abort: 0,
    ...more,
  };
}

export function readOptions(
  spans: readonly number[],
  destinations?: readonly number[],
  more: Partial<NativeReadOptions> = {},
): NativeReadOptions {
  return {
    chunkBytes: 1 << 20,
    offset: 0,
    spans: Float64Array.from(spans),
    destinations: Float64Array.from(destinations ?? spans.flatMap(() => [-1, 0])),
    operationBytes: 0,
    queueDepth: 0,
    abort: 0,
    ...more,
  };
}

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  let state = value;
  for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1;
  return state >>> 0;
});

/** CRC32C, independently of the addon. */
export function slowCrc32c(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) state = (state >>> 8) ^ (TABLE[(state ^ byte) & 255] as number);
  return (state ^ 0xffffffff) >>> 0;
}

/** Repeatable pseudo-random numbers below 2^32 (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

export function randomBytes(count: number, seed: number): Uint8Array {
  const next = random(seed);
  return Uint8Array.from({ length: count }, () => next() & 255);
}

export const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** The `code` that `action` fails with, or 'no error'. */
export async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'no error';
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

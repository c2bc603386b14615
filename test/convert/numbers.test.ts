/** Numbers in another precision: to nearest, ties to even, NaN stays NaN, and what becomes infinite is told. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { convert, type Dtype } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { random32 } from '../helpers/random.js';
import { checkpointOf, tensorsOf } from './fixtures.js';

const python = spawnSync('python3', ['-c', 'import numpy'], { encoding: 'utf8' });
if (python.status !== 0) console.warn('NumPy is left out: it is not there.');

async function cast(dtype: Dtype, data: ArrayBufferView, wanted: 'f16' | 'bf16' | 'f32') {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const shape = [bytes.length / { F64: 8, F32: 4, F16: 2, BF16: 2, I32: 4, BOOL: 1, C64: 8, F8_E5M2: 1 }[dtype as string]!];
  const target = freshDirectory();
  const report = await convert(await checkpointOf({ x: { dtype, shape, bytes } }), target, { to: 'checkpoint', dtype: wanted });
  const { x } = (await tensorsOf(target)).tensors;
  return { ...report, dtype: x!.dtype, bytes: x!.bytes, words: () => new Uint16Array(Uint8Array.from(x!.bytes).buffer) };
}

/** The nearest of all codes, found by looking at all of them; of two that are equally near the even one. */
function nearest(value: number, values: readonly number[]): number {
  let best = 0;
  for (let code = 1; code < values.length; code++) {
    const [a, b] = [Math.abs((values[code] as number) - value), Math.abs((values[best] as number) - value)];
    if (a < b || (a === b && code % 2 === 0)) best = code;
  }
  return best;
}

/** Positive values by code, and behind the largest the one that would come next, which stands for infinity. */
function valuesOf(mantissaBits: number, bias: number, infinite: number): number[] {
  return Array.from({ length: infinite + 1 }, (_, code) => {
    const exponent = code >> mantissaBits;
    const mantissa = code & (2 ** mantissaBits - 1);
    return exponent === 0
      ? mantissa * 2 ** (1 - bias - mantissaBits)
      : (mantissa + 2 ** mantissaBits) * 2 ** (exponent - bias - mantissaBits);
  });
}

test.each([
  ['f16', 10, 15, 0x7c00],
  ['bf16', 7, 127, 0x7f80],
] as const)('%s: numbers between neighbours, ties and all, go to the nearest', async (wanted, mantissaBits, bias, infinite) => {
  const values = valuesOf(mantissaBits, bias, infinite);
  const next = random32(7);
  const chosen = Array.from({ length: 60 }, (_, i) => (i < 4 ? i : i < 8 ? infinite - 1 - (i - 4) : next() % (infinite - 1)));
  const numbers = chosen.flatMap((code) => {
    const [low, high] = [values[code] as number, values[code + 1] as number];
    const middle = low + (high - low) / 2;
    const slightly = (high - low) * 2 ** -12;
    return [low, middle - slightly, middle, middle + slightly].flatMap((x) => [x, -x]);
  });
  const expected = numbers.map((x) => nearest(Math.abs(x), values) | (x < 0 || Object.is(x, -0) ? 0x8000 : 0));
  for (const [dtype, data] of [
    ['F64', Float64Array.from(numbers)],
    ['F32', Float32Array.from(numbers)],
  ] as const) {
    const exact = numbers.map((x, i) => (data[i] === x || dtype === 'F64' ? (expected[i] as number) : undefined));
    const { words } = await cast(dtype, data, wanted);
    const got = Array.from(words());
    exact.forEach((code, i) => {
      if (code !== undefined) expect(got[i], `${numbers[i]} as ${dtype}`).toBe(code);
    });
    expect(exact.filter((code) => code !== undefined).length).toBeGreaterThan(200);
  }
});

test('doubles are rounded once', async () => {
  // Rounded to a single first, it would lie half-way, and go to the even one below.
  const value = 1 + 2 ** -11 + 2 ** -40;
  expect(Math.fround(value)).toBe(1 + 2 ** -11);
  expect((await cast('F64', Float64Array.of(value), 'f16')).words()[0]).toBe(0x3c01);
  const brain = 1 + 2 ** -8 + 2 ** -40;
  expect((await cast('F64', Float64Array.of(brain), 'bf16')).words()[0]).toBe(0x3f81);
});

test('every half and every bfloat16 becomes float32 and the same again', async () => {
  const all = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  for (const [dtype, wanted, isNan] of [
    ['F16', 'f16', (code: number) => (code & 0x7fff) > 0x7c00],
    ['BF16', 'bf16', (code: number) => (code & 0x7fff) > 0x7f80],
  ] as const) {
    const wide = await cast(dtype, all, 'f32');
    expect(wide.dtype).toBe('F32');
    const singles = new Float32Array(Uint8Array.from(wide.bytes).buffer);
    const back = (await cast('F32', singles, wanted)).words();
    const wrong = all.filter((code) => (isNan(code) ? !Number.isNaN(singles[code]) || !isNan(back[code] as number) : back[code] !== code));
    expect(Array.from(wrong)).toEqual([]);
  }
});

test('what becomes infinite is told by name and number; infinities and NaN are not', async () => {
  const data = Float32Array.of(65519, 65520, -1e30, Number.POSITIVE_INFINITY, Number.NaN, 1);
  const { words, warnings } = await cast('F32', data, 'f16');
  expect(Array.from(words())).toEqual([0x7bff, 0x7c00, 0xfc00, 0x7c00, 0x7e00, 0x3c00]);
  expect(warnings).toEqual(['"x": 2 finite numbers became infinite as F16.']);
  const single = await cast('F64', Float64Array.of(1e300, 1e-300, 2), 'f32');
  expect(new Float32Array(Uint8Array.from(single.bytes).buffer)).toEqual(Float32Array.of(Number.POSITIVE_INFINITY, 0, 2));
  expect(single.warnings).toEqual(['"x": 1 finite number became infinite as F32.']);
});

test('integers, booleans and complex numbers stay; numbers of 8 bits are only widened', async () => {
  const { buffer } = Float32Array.of(1, 2, 3, 4);
  for (const dtype of ['I32', 'BOOL', 'C64'] as const) {
    for (const wanted of ['f16', 'bf16', 'f32'] as const) {
      const result = await cast(dtype, new Uint8Array(buffer), wanted);
      expect(result).toMatchObject({ dtype, warnings: [] });
      expect(Buffer.from(buffer).equals(result.bytes)).toBe(true);
    }
  }
  const small = Uint8Array.of(0x3c, 0xbc, 0x7c, 0x01);
  expect((await cast('F8_E5M2', small, 'f16')).dtype).toBe('F8_E5M2');
  const wide = await cast('F8_E5M2', small, 'f32');
  expect(Array.from(new Float32Array(Uint8Array.from(wide.bytes).buffer))).toEqual([1, -1, Number.POSITIVE_INFINITY, 2 ** -16]);
});

test.runIf(python.status === 0)('as NumPy rounds, for random bits', async () => {
  const next = random32(99);
  const singles = new Float32Array(
    Uint32Array.from({ length: 20_000 }, (_, i) => (i % 2 === 0 ? next() : (next() & 0x8fffffff) | 0x30000000)).buffer,
  );
  const file = path.join(freshDirectory(), 'x.npz');
  const bytes = Buffer.from(singles.buffer);
  const source = await checkpointOf({ x: { dtype: 'F32', shape: [singles.length], bytes } });
  await convert(source, file);
  const program = `
import sys, numpy as np
np.seterr(all='ignore')
print(np.load(sys.argv[1])['x'].astype(np.float16).tobytes().hex())`;
  const { stdout } = spawnSync('python3', ['-c', program, file], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const theirs = new Uint16Array(Uint8Array.from(Buffer.from(stdout.trim(), 'hex')).buffer);
  const ours = (await cast('F32', singles, 'f16')).words();
  const wrong = Array.from(ours.keys()).filter((i) =>
    Number.isNaN(singles[i]) ? ((ours[i] as number) & 0x7fff) <= 0x7c00 : ours[i] !== theirs[i],
  );
  expect(theirs).toHaveLength(singles.length);
  expect(wrong).toEqual([]);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ValueComparison, type ValueDifference } from '../../src/format/compare-values.js';
import { DTYPES, type Dtype } from '../../src/format/dtype.js';
import { randomBytes } from '../helpers/random.js';

type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array | BigUint64Array;

function compare(dtype: Dtype | undefined, a: Numbers, b: Numbers): ValueDifference | undefined {
  const comparison = new ValueComparison(dtype);
  comparison.add(new Uint8Array(a.buffer), new Uint8Array(b.buffer));
  return comparison.result();
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const f32 = (...values: number[]) => Float32Array.of(...values);
const f64 = (...values: number[]) => Float64Array.of(...values);

describe('real numbers', () => {
  test('by hand', () => {
    // ‖(3, 4)‖ = 5; the difference is (0, 0.5).
    expect(compare('F32', f32(3, 4), f32(3, 4.5))).toEqual({ differing: 1, maxAbs: 0.5, relativeNorm: 0.1, nanOnOneSide: 0 });
    // The difference is (3, −4), of norm 5, beside one of 10.
    expect(compare('F64', f64(6, 8, 0), f64(3, 12, 0))).toEqual({ differing: 2, maxAbs: 4, relativeNorm: 0.5, nanOnOneSide: 0 });
    expect(compare('I32', Int32Array.of(-2147483648), Int32Array.of(2147483647))).toMatchObject({ differing: 1, maxAbs: 4294967295 });
    expect(compare('F16', Uint16Array.of(0x3c00, 0x4000), Uint16Array.of(0x3c00, 0x4400))).toEqual({
      ...{ differing: 1, maxAbs: 2, relativeNorm: 2 / Math.sqrt(5), nanOnOneSide: 0 },
    });
    expect(compare('BOOL', Uint8Array.of(0, 1, 1), Uint8Array.of(1, 1, 0))).toMatchObject({ differing: 2, maxAbs: 1, relativeNorm: 1 });
  });

  test('equal bytes are no difference, NaN or not', () => {
    expect(compare('F32', f32(nan, inf, -0), f32(nan, inf, -0))).toBeUndefined();
    expect(compare('F32', f32(), f32())).toBeUndefined();
  });

  test('NaN equals NaN, whatever its bits, and 0 equals −0: other bytes, and no element that differs', () => {
    const quiet = new Float32Array(Uint32Array.of(0x7fc00000, 0).buffer);
    const other = new Float32Array(Uint32Array.of(0xffc00001, 0x80000000).buffer);
    expect(compare('F32', quiet, other)).toEqual({ differing: 0, maxAbs: 0, relativeNorm: 0, nanOnOneSide: 0 });
  });

  test('NaN on one side is counted, and leaves the figures of the others alone', () => {
    expect(compare('F32', f32(nan, 1, 3, 4), f32(1, nan, 3, 4.5))).toEqual({
      differing: 3,
      maxAbs: 0.5,
      relativeNorm: 0.1,
      nanOnOneSide: 2,
    });
  });

  test('infinities', () => {
    expect(compare('F32', f32(inf, 3, 4), f32(inf, 3, 4.5))).toEqual({ differing: 1, maxAbs: 0.5, relativeNorm: 0.1, nanOnOneSide: 0 });
    expect(compare('F32', f32(inf, 1), f32(-inf, 1))).toEqual({ differing: 1, maxAbs: inf, relativeNorm: inf, nanOnOneSide: 0 });
    expect(compare('F32', f32(inf), f32(1))).toEqual({ differing: 1, maxAbs: inf, relativeNorm: inf, nanOnOneSide: 0 });
  });

  test('of zeros any difference is infinite', () => {
    expect(compare('F32', f32(0, 0), f32(0, 1))).toMatchObject({ maxAbs: 1, relativeNorm: inf });
  });

  test('of the largest and the smallest size have right norms', () => {
    expect(compare('F64', f64(3e200, 4e200), f64(3e200, 4.5e200))?.relativeNorm).toBeCloseTo(0.1, 12);
    expect(compare('F64', f64(3e-200, 4e-200), f64(3e-200, 4.5e-200))?.relativeNorm).toBeCloseTo(0.1, 12);
    expect(compare('F64', f64(1e200, 1), f64(1e200, 2))?.relativeNorm).toBeCloseTo(1e-200, 212);
    expect(compare('F64', f64(1e-200, 1), f64(2e-200, 1))?.relativeNorm).toBeCloseTo(1e-200, 212);
    // Norms beyond all doubles.
    expect(compare('F64', f64(1.5e308, 1.5e308), f64(1.5e308, 0))?.relativeNorm).toBeCloseTo(Math.SQRT1_2, 12);
    expect(compare('F64', f64(1.5e308, 1.5e308), f64(1.5e308, 1.5e308 - 1e300))?.relativeNorm).toBeCloseTo(1e-8 / 1.5 / Math.SQRT2, 18);
    expect(compare('F64', f64(5e-324), f64(1e-323))).toMatchObject({ maxAbs: 5e-324, relativeNorm: 1 });
  });
});

describe('complex numbers', () => {
  test('differ by the modulus', () => {
    expect(compare('C64', f32(0, 0, 6, 8), f32(3, 4, 6, 8))).toEqual({ differing: 1, maxAbs: 5, relativeNorm: 0.5, nanOnOneSide: 0 });
  });

  test('with a NaN in either part are NaN', () => {
    expect(compare('C64', f32(nan, 0, 1, nan, 1, 1), f32(0, nan, 1, 1, 1, 1))).toEqual({
      ...{ differing: 1, maxAbs: 0, relativeNorm: 0, nanOnOneSide: 1 },
    });
  });

  test('with an equal infinity differ by the other part', () => {
    expect(compare('C64', f32(inf, 1), f32(inf, 3))).toMatchObject({ differing: 1, maxAbs: 2 });
    expect(compare('C64', f32(inf, 1), f32(2, 1))).toMatchObject({ differing: 1, maxAbs: inf, relativeNorm: inf });
  });
});

describe('64-bit integers', () => {
  const i64 = (...values: bigint[]) => BigInt64Array.of(...values);
  const u64 = (...values: bigint[]) => BigUint64Array.of(...values);

  test('differ where a double could not tell them apart', () => {
    expect(compare('I64', i64(2n ** 53n), i64(2n ** 53n + 1n))).toMatchObject({ differing: 1, maxAbs: 1 });
    expect(compare('U64', u64(2n ** 64n - 1n, 7n), u64(2n ** 64n - 2n, 7n))).toMatchObject({ differing: 1, maxAbs: 1 });
  });

  test('with their signs', () => {
    expect(compare('I64', i64(-1n), i64(1n))).toEqual({ differing: 1, maxAbs: 2, relativeNorm: 2, nanOnOneSide: 0 });
    expect(compare('U64', u64(2n ** 64n - 1n), u64(1n))).toMatchObject({ maxAbs: 2 ** 64 });
    expect(compare('I64', i64(-(2n ** 63n)), i64(2n ** 63n - 1n))).toMatchObject({ maxAbs: 2 ** 64 });
  });

  test('any: the difference is that of exact arithmetic, rounded once', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (x, y) => {
        const found = compare('I64', i64(x), i64(y));
        expect(found?.maxAbs ?? 0).toBe(Number(x > y ? x - y : y - x));
        expect(found?.differing ?? 0).toBe(x === y ? 0 : 1);
      }),
    );
  });
});

describe('any dtype', () => {
  test.each(DTYPES)('%s: one piece or many give the same', (dtype) => {
    const a = randomBytes(240_000, 1);
    const b = a.slice();
    for (let i = 100_000; i < 110_000; i++) b[i] = (b[i] as number) ^ (i % 3);
    const whole = compare(dtype, a, b);
    const pieces = new ValueComparison(dtype);
    for (let at = 0; at < a.length; at += 24_000) pieces.add(a.subarray(at, at + 24_000), b.subarray(at, at + 24_000));
    const inPieces = pieces.result();
    expect(inPieces).toMatchObject({ differing: whole?.differing, maxAbs: whole?.maxAbs, nanOnOneSide: whole?.nanOnOneSide });
    const [one, many] = [whole?.relativeNorm ?? 0, inPieces?.relativeNorm ?? 0];
    if (Number.isFinite(one) && one > 0) expect(many / one).toBeCloseTo(1, 12);
    else expect(many).toBe(one);
  });

  test.each(['F6_E2M3', 'F6_E3M2', 'F4'] as const)('%s: only that bytes differ is known', (dtype) => {
    expect(compare(dtype, Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4))).toEqual({
      ...{ differing: null, maxAbs: null, relativeNorm: null, nanOnOneSide: null },
    });
    expect(compare(dtype, Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3))).toBeUndefined();
  });

  test('without one only bytes are compared', () => {
    expect(compare(undefined, f32(1), f32(2))).toEqual({ differing: null, maxAbs: null, relativeNorm: null, nanOnOneSide: null });
    expect(compare(undefined, f32(1), f32(1))).toBeUndefined();
  });

  test('F32 agrees with plain arithmetic over many numbers', () => {
    const a = Float32Array.from({ length: 100_003 }, (_, i) => Math.sin(i) * 10 ** (i % 7));
    const b = a.map((x, i) => (i % 5 === 0 ? x * 1.001 : x));
    let [differing, maxAbs, squares, ofDifference] = [0, 0, 0, 0];
    a.forEach((x, i) => {
      const size = Math.abs(x - (b[i] as number));
      if (size !== 0) differing++;
      maxAbs = Math.max(maxAbs, size);
      squares += x * x;
      ofDifference += size * size;
    });
    const found = compare('F32', a, b);
    expect(found).toMatchObject({ differing, maxAbs, nanOnOneSide: 0 });
    expect(found?.relativeNorm).toBeCloseTo(Math.sqrt(ofDifference / squares), 12);
  });
});

import { describe, expect, test } from 'vitest';
import { decoderOf } from '../../src/format/decode-values.js';
import type { Dtype } from '../../src/format/dtype.js';

function decode(dtype: Dtype, bytes: Uint8Array, count: number): number[] {
  const into = new Float64Array(count);
  decoderOf(dtype)?.(bytes, into);
  return [...into];
}

/** The value of one code. */
function value(dtype: Dtype, code: number): number {
  const bytes = Uint8Array.of(code & 0xff, code >> 8);
  return decode(dtype, bytes, 1)[0] as number;
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

// From the definitions of the formats (IEEE 754, the OCP specification of 8-bit floats, and those of "FNUZ" without infinities and −0).
const KNOWN: Partial<Record<Dtype, [code: number, value: number][]>> = {
  F16: [
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x0001, 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x8000, -0],
    [0x7c00, inf],
    [0xfc00, -inf],
    [0x7e00, nan],
    [0x7c01, nan],
  ],
  BF16: [
    [0x3f80, 1],
    [0x4049, 3.140625],
    [0x7f7f, 3.3895313892515355e38],
    [0x0001, 2 ** -133],
    [0x8000, -0],
    [0x7f80, inf],
    [0xff80, -inf],
    [0xffc0, nan],
  ],
  F8_E4M3: [
    [0x38, 1],
    [0x7e, 448],
    [0x08, 2 ** -6],
    [0x01, 2 ** -9],
    [0x07, 7 * 2 ** -9],
    [0x80, -0],
    [0xfe, -448],
    [0x78, 256],
    [0x7f, nan],
    [0xff, nan],
  ],
  F8_E5M2: [
    [0x3c, 1],
    [0x7b, 57344],
    [0x04, 2 ** -14],
    [0x01, 2 ** -16],
    [0x7c, inf],
    [0xfc, -inf],
    [0x7d, nan],
    [0xff, nan],
  ],
  F8_E4M3FNUZ: [
    [0x40, 1],
    [0x7f, 240],
    [0xff, -240],
    [0x08, 2 ** -7],
    [0x01, 2 ** -10],
    [0x00, 0],
    [0x80, nan],
  ],
  F8_E5M2FNUZ: [
    [0x40, 1],
    [0x7f, 57344],
    [0x04, 2 ** -15],
    [0x01, 2 ** -17],
    [0x00, 0],
    [0x80, nan],
  ],
  F8_E8M0: [
    [127, 1],
    [0, 2 ** -127],
    [254, 2 ** 127],
    [255, nan],
  ],
};

describe('decoderOf', () => {
  test.each(Object.entries(KNOWN) as [Dtype, [number, number][]][])('%s', (dtype, cases) => {
    for (const [code, expected] of cases) expect(value(dtype, code), `0x${code.toString(16)}`).toBe(expected);
  });

  test('every BF16 is the single-precision number that begins with its bits', () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const floats = new Float32Array(Uint32Array.from(codes, (code) => code * 65536).buffer);
    expect(decode('BF16', new Uint8Array(codes.buffer), 65536)).toEqual([...floats]);
  });

  test('plain numbers, and complex ones as pairs', () => {
    const floats = Float32Array.of(0.1, -0, Number.NaN, 3e38);
    expect(decode('F32', new Uint8Array(floats.buffer), 4)).toEqual([...floats]);
    expect(decode('C64', new Uint8Array(floats.buffer), 4)).toEqual([...floats]);
    expect(decode('F64', new Uint8Array(Float64Array.of(Math.PI).buffer), 1)).toEqual([Math.PI]);
    expect(decode('I32', new Uint8Array(Int32Array.of(-5).buffer), 1)).toEqual([-5]);
    expect(decode('U32', new Uint8Array(Uint32Array.of(4294967295).buffer), 1)).toEqual([4294967295]);
    expect(decode('I16', new Uint8Array(Int16Array.of(-5).buffer), 1)).toEqual([-5]);
    expect(decode('U16', new Uint8Array(Uint16Array.of(65535).buffer), 1)).toEqual([65535]);
    expect(decode('I8', Uint8Array.of(255), 1)).toEqual([-1]);
    expect(decode('U8', Uint8Array.of(255), 1)).toEqual([255]);
    expect(decode('BOOL', Uint8Array.of(1, 0), 2)).toEqual([1, 0]);
  });

  test('from bytes that begin anywhere', () => {
    const bytes = new Uint8Array(13);
    bytes.set(new Uint8Array(Float32Array.of(1.5, -2.5).buffer), 3);
    expect(decode('F32', bytes.subarray(3), 2)).toEqual([1.5, -2.5]);
    bytes.set([0x00, 0x3c], 1);
    expect(decode('F16', bytes.subarray(1), 1)).toEqual([1]);
  });

  test.each(['I64', 'U64', 'F6_E2M3', 'F6_E3M2', 'F4'] as const)('there is none for %s', (dtype) => {
    expect(decoderOf(dtype)).toBeUndefined();
  });
});

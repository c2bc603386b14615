import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, crc32cCombine, crcHex } from '../../src/format/crc32c.js';
import { randomBytes } from '../helpers/random.js';

const ascii = (text: string) => Buffer.from(text, 'latin1');
const ramp = Uint8Array.from({ length: 32 }, (_, i) => i);

// RFC 3720 appendix B.4, and the catalogue of parametrised CRC algorithms.
const KNOWN: [string, Uint8Array, string][] = [
  ['123456789', ascii('123456789'), 'e3069283'],
  ['32 zeros', new Uint8Array(32), '8a9136aa'],
  ['32 ones', new Uint8Array(32).fill(0xff), '62a8ab43'],
  ['00…1f', ramp, '46dd794e'],
  ['1f…00', ramp.slice().reverse(), '113fdb5c'],
  ['nothing', new Uint8Array(0), '00000000'],
  ['a', ascii('a'), 'c1d04330'],
];

describe('crc32c', () => {
  test.each(KNOWN)('of %s', (_, bytes, expected) => {
    expect(crcHex(crc32c(bytes))).toBe(expected);
  });

  test('continues from a seed at every split point', () => {
    const bytes = randomBytes(97, 1);
    const whole = crc32c(bytes);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(whole);
    }
  });

  test('every single flipped bit changes it', () => {
    const bytes = randomBytes(64, 2);
    const whole = crc32c(bytes);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(crc32c(damaged)).not.toBe(whole);
    }
  });

  test('combines any two parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
        const both = new Uint8Array([...a, ...b]);
        expect(crc32cCombine(crc32c(a), crc32c(b), b.length)).toBe(crc32c(both));
      }),
    );
  });

  test('combines over lengths beyond 32 bits: zeros doubled up to 8 GiB', () => {
    let crc = crc32c(new Uint8Array(1));
    for (let bytes = 1; bytes < 2 ** 33; bytes *= 2) crc = crc32cCombine(crc, crc, bytes);
    // Once more by another route: 8 GiB = 3 GiB + 5 GiB, from independently built parts.
    const zeros = (bytes: number): number => {
      if (bytes === 0) return 0;
      if (bytes % 2 === 1) return crc32cCombine(zeros(bytes - 1), crc32c(new Uint8Array(1)), 1);
      const half = zeros(bytes / 2);
      return crc32cCombine(half, half, bytes / 2);
    };
    expect(crc32cCombine(zeros(3 * 2 ** 30), zeros(5 * 2 ** 30), 5 * 2 ** 30)).toBe(crc);
  });
});

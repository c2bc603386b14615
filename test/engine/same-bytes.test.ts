import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FileDigest } from '../../src/engine/contract.js';
import { selectEngine } from '../../src/engine/select.js';
import { crc32c } from '../../src/format/crc32c.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { randomBytes } from '../helpers/random.js';

/** Checksums computed the slow and obvious way. */
function naive(bytes: Uint8Array, spans: readonly number[], chunkBytes: number) {
  const cut = (lengths: readonly number[]) => {
    let at = 0;
    return lengths.map((length) => {
      at += length;
      return crc32c(bytes.subarray(at - length, at));
    });
  };
  const chunks: number[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(crc32c(bytes.subarray(at, at + chunkBytes)));
  return { bytes: bytes.length, crc32c: crc32c(bytes), chunks, spans: cut(spans) };
}

function sums({ bytes, crc32c: whole, chunks, spans }: FileDigest) {
  return { bytes, crc32c: whole, chunks: [...chunks], spans: [...spans] };
}

const plan = fc.record({
  spans: fc.array(fc.oneof(fc.nat(40), fc.nat(9000), fc.constantFrom(0, 1, 4095, 4096, 4097, 65536)), { maxLength: 12 }),
  chunkBytes: fc.constantFrom(1, 7, 512, 4096, 5000, 1 << 20),
  seed: fc.nat(),
  cuts: fc.array(fc.nat(20000), { maxLength: 4 }),
});

describe.each(ENGINES)('the %s engine', (name) => {
  const engine = selectEngine(name);

  test('writes exactly the bytes it is given, with the right checksums, and reads them back', async () => {
    const directory = freshDirectory();
    let count = 0;
    await fc.assert(
      fc.asyncProperty(plan, async ({ spans, chunkBytes, seed, cuts }) => {
        const total = spans.reduce((sum, bytes) => sum + bytes, 0);
        const bytes = randomBytes(total, seed);
        const file = path.join(directory, `file-${count++}`);
        const writer = await engine.openWriter(file, { direct: 'optional', chunkBytes, spans });
        // The pieces of the writes have nothing to do with the spans.
        const ends = [...new Set([...cuts.map((cut) => cut % (total + 1)), total])].sort((a, b) => a - b);
        let at = 0;
        for (const end of ends) {
          const held = engine.hold({ buffer: bytes.buffer, byteOffset: bytes.byteOffset + at, byteLength: end - at });
          await writer.write([held]);
          held.release();
          at = end;
        }
        const expected = naive(bytes, spans, chunkBytes);
        expect(sums(await writer.finish())).toEqual(expected);
        expect(readFileSync(file).equals(bytes)).toBe(true);

        const reader = await engine.openReader(file, 'optional');
        expect(reader.bytes).toBe(total);
        const targets = spans.map((length) => ({ buffer: new ArrayBuffer(length + 8), byteOffset: 8, byteLength: length }));
        // Every other span is only summed.
        const wanted = spans.map((length, i) => (i % 2 === 0 ? { bytes: length, into: targets[i] } : { bytes: length }));
        expect(sums(await reader.read({ chunkBytes, spans: wanted }))).toEqual(expected);
        await reader.close();
        let from = 0;
        spans.forEach((length, i) => {
          const read = Buffer.from((targets[i] as (typeof targets)[number]).buffer, 8);
          if (i % 2 === 0) expect(read.equals(bytes.subarray(from, from + length))).toBe(true);
          else expect(read.every((byte) => byte === 0)).toBe(true);
          from += length;
        });
      }),
      { numRuns: 60 },
    );
  });

  test('several operations large: 40 MiB in odd pieces', async () => {
    const directory = freshDirectory();
    const bytes = randomBytes(40 * 2 ** 20 + 123, 5);
    const spans = [4096, 10 * 2 ** 20 + 1, bytes.length - 4096 - 10 * 2 ** 20 - 1];
    const file = path.join(directory, 'large');
    const writer = await engine.openWriter(file, { direct: 'optional', chunkBytes: 1 << 20, spans });
    const half = engine.hold({ buffer: bytes.buffer, byteOffset: 0, byteLength: 17_000_001 });
    const rest = engine.hold({ buffer: bytes.buffer, byteOffset: 17_000_001, byteLength: bytes.length - 17_000_001 });
    await writer.write([half, rest]);
    expect(sums(await writer.finish())).toEqual(naive(bytes, spans, 1 << 20));
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test('refuses to replace a file, to follow a link, and a length other than announced', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, 'file');
    const options = { direct: 'optional', chunkBytes: 4096, spans: [4] } as const;
    const memory = () => engine.hold({ buffer: new ArrayBuffer(8), byteOffset: 0, byteLength: 3 });
    const short = await engine.openWriter(file, options);
    await short.write([memory()]);
    await expect(short.finish()).rejects.toThrow();
    await expect(engine.openWriter(file, options)).rejects.toMatchObject({ code: 'EEXIST' });
    const long = await engine.openWriter(path.join(directory, 'long'), options);
    await expect(long.write([memory(), memory()]).then(() => long.finish())).rejects.toThrow();
    await long.abandon();
    await expect(engine.openReader(directory, 'optional')).rejects.toThrow();
    expect(readdirSync(directory).sort()).toEqual(['file', 'long']);
  });

  test('sums as the reference does', () => {
    const bytes = randomBytes(100_003, 9);
    expect(engine.crc32c(bytes)).toBe(crc32c(bytes));
    expect(engine.crc32c(bytes, 12345)).toBe(crc32c(bytes, 12345));
  });
});

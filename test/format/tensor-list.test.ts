/** The part of a manifest that lists tensors, which is made of a template. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { factsOfHead } from '../../src/catalog/file-head.js';
import { crc32c, crcHex } from '../../src/format/crc32c.js';
import { layOutTensors } from '../../src/format/layout.js';
import { decodeManifest, type Manifest } from '../../src/format/manifest.js';
import { encodeManifest, encodeManifestWith } from '../../src/format/manifest-encode.js';
import { isWellFormed } from '../../src/format/names.js';
import { TensorList } from '../../src/format/tensor-list.js';

const RECORD: Omit<Manifest, 'files'> = {
  runId: '01234567-89ab-cdef-0123-456789abcdef',
  sequence: 3,
  contents: 'full',
  step: 7,
  epoch: 2,
  metrics: { loss: Number.NaN, 'ä"': -0 },
  createdAt: '2026-01-01T00:00:00.000Z',
  software: { holdfast: '0.1.0' },
};
const WORD = 0x100000000;

const names = fc.uniqueArray(
  fc.string({ unit: 'binary', minLength: 1 }).filter((name) => isWellFormed(name) && name !== '__metadata__'),
  { maxLength: 5 },
);

describe('a list of tensors', () => {
  test('is, byte for byte, what JSON makes of the tensors and their checksums', () => {
    fc.assert(
      fc.property(names, fc.array(fc.nat(WORD - 1), { minLength: 6, maxLength: 6 }), (tensorNames, sums) => {
        const [plan] = layOutTensors(
          'model',
          tensorNames.map((name, i) => ({ name, dtype: 'U8', shape: [i], byteLength: i })),
          1e9,
        ).files;
        if (plan === undefined) throw new Error('no plan');
        const { list, tensors } = factsOfHead(plan, crc32c);
        const objects = tensors.map(({ name, offset, bytes }, i) => ({ name, offset, bytes, crc32c: crcHex(sums[i + 1] as number) }));
        const json = list.encode(Uint32Array.from(sums), 1);
        expect(Buffer.from(json).toString()).toBe(JSON.stringify(objects));

        const chunks = plan.bytes === 0 ? [] : [crcHex(sums[0] as number)];
        const file = {
          name: plan.name,
          role: plan.role,
          bytes: plan.bytes,
          crc32c: crcHex(sums[0] as number),
          chunkBytes: 2 ** 20,
          chunks,
        };
        const whole = encodeManifest({ ...RECORD, files: [{ ...file, tensors: objects }] });
        const { bytes, decoded } = encodeManifestWith({ ...RECORD, files: [file] }, new Map([[file.name, json]]), crc32c);
        expect(Buffer.from(bytes).equals(whole)).toBe(true);
        expect(decodeManifest(bytes, 'here').files[0]?.tensors).toEqual(objects);
        expect(decoded.metrics).toEqual(RECORD.metrics);
        expect(decoded.files).toEqual([{ ...file, tensors: [] }]);
      }),
    );
  });

  test('is refused, as the rest of a manifest is, where no reader would accept it', () => {
    const file = { name: 'model.safetensors', role: 'model', bytes: 10 } as const;
    const entry = { name: 'a', dtype: 'U8', shape: [4], offset: 4, bytes: 4 } as const;
    expect(() => TensorList.of(file, [entry])).toThrow('could not be read back');
    expect(() => TensorList.of({ ...file, bytes: 12 }, [entry, { ...entry, offset: 8 }])).toThrow('is listed twice');
    const list = TensorList.of({ ...file, bytes: 8 }, [entry]).encode(new Uint32Array(1), 0);
    const damaged = { ...file, bytes: 8, crc32c: '00000000', chunkBytes: 4, chunks: ['00000000'] };
    expect(() => encodeManifestWith({ ...RECORD, files: [damaged] }, new Map([[file.name, list]]), crc32c)).toThrow('one checksum per 4');
  });
});

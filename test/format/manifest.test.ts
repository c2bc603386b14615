import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, crcHex } from '../../src/format/crc32c.js';
import { decodeManifest, type Manifest } from '../../src/format/manifest.js';
import { encodeManifest } from '../../src/format/manifest-encode.js';
import { openSealed } from '../../src/format/sealed.js';
import { thrown } from '../helpers/errors.js';

const hex = fc.integer({ min: 0, max: 0xffffffff }).map((n) => n.toString(16).padStart(8, '0'));

const SAMPLE: Manifest = {
  runId: 'run',
  sequence: 7,
  contents: 'full',
  step: 3000,
  epoch: 3,
  metrics: { loss: 0.25, 'val_loss"\n': Number.NaN, up: Number.POSITIVE_INFINITY, down: Number.NEGATIVE_INFINITY, zero: -0 },
  monitor: { metric: 'loss', mode: 'min' },
  createdAt: '2026-01-02T03:04:05.678Z',
  software: { holdfast: '0.1.0' },
  files: [
    {
      name: 'model.safetensors',
      role: 'model',
      bytes: 10,
      crc32c: '01234567',
      chunkBytes: 6,
      chunks: ['89abcdef', '00000000'],
      tensors: [
        { name: '__proto__', offset: 4, bytes: 0, crc32c: '00000000' },
        { name: 'ü', offset: 4, bytes: 6, crc32c: 'deadbeef' },
      ],
    },
    { name: 'state.json', role: 'state', bytes: 0, crc32c: '00000000', chunkBytes: 6, chunks: [] },
  ],
};

/** The sample with its text changed and the seal put on again, so that only the rule under test is broken. */
function changed(from: string | RegExp, to: string): Uint8Array {
  const opened = openSealed(encodeManifest(SAMPLE));
  if (!opened.ok) throw new Error(opened.reason);
  const text = opened.text.replace(from, to);
  expect(text).not.toBe(opened.text);
  const body = Buffer.from(text.slice(0, -1));
  return Buffer.concat([body, Buffer.from(`,"crc32c":"${crcHex(crc32c(body))}"}\n`)]);
}

describe('manifest', () => {
  test('comes back as it was written', () => {
    const decoded = decodeManifest(encodeManifest(SAMPLE), 'checkpoint');
    expect({ ...decoded, metrics: { ...decoded.metrics }, software: { ...decoded.software } }).toEqual(SAMPLE);
    expect(Object.is(decoded.metrics['zero'], -0)).toBe(true);
  });

  test('comes back for any metrics and software', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.double()), fc.dictionary(fc.string(), fc.string()), hex, (metrics, software, crc) => {
        const files = [
          { name: 'model.safetensors', role: 'model' as const, bytes: 0, crc32c: crc, chunkBytes: 1, chunks: [], tensors: [] },
        ];
        const manifest: Manifest = { ...SAMPLE, metrics, software, files };
        const decoded = decodeManifest(encodeManifest(manifest), 'checkpoint');
        expect({ ...decoded.metrics }).toEqual({ ...metrics });
        expect({ ...decoded.software }).toEqual({ ...software });
      }),
    );
  });

  test('every flipped bit is found', () => {
    const bytes = encodeManifest(SAMPLE);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Uint8Array.from(bytes);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      thrown(() => decodeManifest(damaged, 'checkpoint'), 'ERR_MANIFEST');
    }
  });

  test('every truncation is found', () => {
    const bytes = encodeManifest(SAMPLE);
    for (let length = 0; length < bytes.length; length++) {
      thrown(() => decodeManifest(bytes.subarray(0, length), 'checkpoint'), 'ERR_MANIFEST');
    }
  });

  test.each([
    ['another format', '"format":"holdfast"', '"format":"other"'],
    ['a duplicate key', '"step":3000', '"step":3000,"step":3000'],
    ['a negative step', '"step":3000', '"step":-1'],
    ['a fractional step', '"step":3000', '"step":3.5'],
    ['sequence 0', '"sequence":7', '"sequence":0'],
    ['unknown contents', '"contents":"full"', '"contents":"half"'],
    ['a word as a metric', '"loss":0.25', '"loss":"0.25"'],
    ['a path as a file name', '"name":"state.json"', '"name":"../state.json"'],
    ['a hidden file name', '"name":"state.json"', '"name":".state.json"'],
    ['itself as a file', '"name":"state.json"', '"name":"manifest.json"'],
    ['a file twice', '"name":"state.json"', '"name":"model.safetensors"'],
    ['an unknown role', '"role":"state"', '"role":"ghost"'],
    ['a chunk too few', ',"00000000"]', ']'],
    ['a malformed checksum', '"01234567"', '"0123456G"'],
    ['chunkBytes 0', '"chunkBytes":6', '"chunkBytes":0'],
    ['chunkBytes over 64 MiB', '"chunkBytes":6', '"chunkBytes":67108865'],
    ['a hole between tensors', '"offset":4,"bytes":6', '"offset":5,"bytes":5'],
    ['tensors that do not end with the file', '"offset":4,"bytes":6', '"offset":4,"bytes":5'],
    ['no date', '2026-01-02T03:04:05.678Z', 'yesterday'],
    ['an unknown mode', '"mode":"min"', '"mode":"mid"'],
  ])('refuses %s', (_, from, to) => {
    thrown(() => decodeManifest(changed(from, to), 'checkpoint'), 'ERR_MANIFEST');
  });

  test('refuses a newer version by its own code, and ignores unknown members', () => {
    thrown(() => decodeManifest(changed('"version":1', '"version":2'), 'checkpoint'), 'ERR_UNSUPPORTED_VERSION');
    expect(decodeManifest(changed('"step":3000', '"step":3000,"later":{"a":[1]}'), 'checkpoint').step).toBe(3000);
  });
});

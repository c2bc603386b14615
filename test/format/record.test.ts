/** What is remembered of a manifest: all but the checksums, and nothing that a manifest could not say. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeManifest, type Manifest } from '../../src/format/manifest.js';
import { encodeManifest } from '../../src/format/manifest-encode.js';
import { type CheckpointRecord, decodeRecord, encodeRecord, recordOf } from '../../src/format/record.js';

const RECORD: CheckpointRecord = {
  runId: 'run',
  sequence: 7,
  contents: 'full',
  step: 3000,
  epoch: 3,
  metrics: { loss: 0.25 },
  monitor: { metric: 'loss', mode: 'min', minDelta: 0.5, threshold: -1, improved: true },
  createdAt: '2026-01-02T03:04:05.678Z',
  software: { holdfast: '0.1.0' },
  files: [
    { name: 'model.safetensors', role: 'model', bytes: 10 },
    { name: 'state.json', role: 'state', bytes: 0 },
  ],
};

/** Into JSON and back. */
const again = (record: CheckpointRecord) => decodeRecord(JSON.parse(JSON.stringify(encodeRecord(record))));
/** The sample as JSON has it, with some members changed; those that are undefined are left out. */
const changed = (change: Record<string, unknown>) => JSON.parse(JSON.stringify({ ...encodeRecord(RECORD), ...change }));
const plain = (record: CheckpointRecord | undefined) =>
  record && { ...record, metrics: { ...record.metrics }, software: { ...record.software } };

describe('a record', () => {
  test('is a manifest without checksums', () => {
    const manifest: Manifest = {
      ...RECORD,
      files: [
        {
          ...{ name: 'model.safetensors', role: 'model', bytes: 10, crc32c: '01234567', chunkBytes: 6, chunks: ['89abcdef', '00000000'] },
          tensors: [{ name: 'w', offset: 4, bytes: 6, crc32c: 'deadbeef' }],
        },
        { name: 'state.json', role: 'state', bytes: 0, crc32c: '00000000', chunkBytes: 6, chunks: [] },
      ],
    };
    expect(recordOf(manifest)).toEqual(RECORD);
    expect(plain(recordOf(decodeManifest(encodeManifest(manifest), 'c')))).toEqual(RECORD);
    expect(JSON.stringify(encodeRecord(recordOf(manifest)))).not.toMatch(/"(crc32c|chunk\w*|tensors)"/);
    // It is made once more of itself.
    expect(recordOf(RECORD)).toEqual(RECORD);
  });

  test('comes back from JSON as it was', () => {
    expect(plain(again(RECORD))).toStrictEqual(RECORD);
    const {
      epoch: _,
      monitor: __,
      ...least
    } = { ...RECORD, contents: 'weights' as const, metrics: {}, software: {}, files: [], step: 0, sequence: 1 };
    expect(plain(again(least))).toStrictEqual(least);
  });

  test('comes back with any metrics, those that JSON has no numbers for as well', () => {
    const numbers = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0));
    const names = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString', ''));
    fc.assert(
      fc.property(fc.array(fc.tuple(names, numbers)), (entries) => {
        const metrics: Record<string, number> = Object.create(null);
        for (const [name, value] of entries) metrics[name] = value;
        const back = again({ ...RECORD, metrics });
        expect(Object.entries(back?.metrics ?? {})).toEqual(Object.entries(metrics));
        expect(Object.values(metrics).every((value, i) => Object.is(value, Object.values(back?.metrics ?? {})[i]))).toBe(true);
        // No name reaches anything but the metrics.
        expect(Object.getPrototypeOf(back?.metrics)).toBe(null);
      }),
    );
  });

  test('members that it does not know do no harm', () => {
    expect(decodeRecord(changed({ later: { than: 'this' } }))).toMatchObject({ sequence: 7 });
    const evil = JSON.parse(JSON.stringify(encodeRecord(RECORD)).replace('{', '{"__proto__": {"sequence": 9}, '));
    expect(decodeRecord(evil)?.sequence).toBe(7);
    expect(({} as { sequence?: number }).sequence).toBe(undefined);
  });
});

describe('what no manifest could say is no record:', () => {
  const file = (change: Record<string, unknown>) => ({ files: [{ ...RECORD.files[0], ...change }] });
  const monitor = (change: Record<string, unknown>) => ({ monitor: { ...RECORD.monitor, ...change } });

  test.each<[string, Record<string, unknown>]>([
    ['no run', { runId: undefined }],
    ['a run that is no string', { runId: 3 }],
    ['no sequence', { sequence: undefined }],
    ['the sequence 0', { sequence: 0 }],
    ['a negative sequence', { sequence: -1 }],
    ['a fraction of a sequence', { sequence: 1.5 }],
    ['a sequence that no double holds', { sequence: 2 ** 53 }],
    ['a sequence in words', { sequence: '7' }],
    ['other contents', { contents: 'half' }],
    ['no contents', { contents: undefined }],
    ['no step', { step: undefined }],
    ['a negative step', { step: -1 }],
    ['no number of an epoch', { epoch: null }],
    ['a negative epoch', { epoch: -1 }],
    ['no metrics', { metrics: undefined }],
    ['a list of metrics', { metrics: [1] }],
    ['a metric that is null', { metrics: { loss: null } }],
    ['a metric that is a word of its own', { metrics: { loss: 'toString' } }],
    ['a metric in words', { metrics: { loss: '0.5' } }],
    ['a metric that is true', { metrics: { loss: true } }],
    ['no monitor', { monitor: null }],
    ['a monitor of nothing', { monitor: {} }],
    ['a monitor of a number', monitor({ metric: 3 })],
    ['a monitor of neither way', monitor({ mode: 'auto' })],
    ['a minDelta in words', monitor({ minDelta: '1' })],
    ['a negative minDelta', monitor({ minDelta: -0.5 })],
    ['a threshold of null', monitor({ threshold: null })],
    ['improved in words', monitor({ improved: 'yes' })],
    ['no time', { createdAt: undefined }],
    ['a time in milliseconds', { createdAt: 1_700_000_000_000 }],
    ['a time that is none', { createdAt: '2026-13-02T03:04:05.678Z' }],
    ['a time of no zone', { createdAt: '2026-01-02T03:04:05.678' }],
    ['no software', { software: undefined }],
    ['a list of software', { software: ['0.1.0'] }],
    ['a version that is a number', { software: { holdfast: 1 } }],
    ['no files', { files: undefined }],
    ['an object of files', { files: {} }],
    ['a file that is none', { files: [null] }],
    ['a file without a name', file({ name: undefined })],
    ['a file elsewhere', file({ name: '../x' })],
    ['a hidden file', file({ name: '.x' })],
    ['the manifest as a file', file({ name: 'manifest.json' })],
    ['a file of no role', file({ role: undefined })],
    ['a file of another role', file({ role: 'toString' })],
    ['a file of no length', file({ bytes: undefined })],
    ['a file of a negative length', file({ bytes: -1 })],
  ])('%s', (_, change) => {
    expect(decodeRecord(changed(change))).toBe(undefined);
  });

  test.each([undefined, null, 3, 'record', [], [RECORD], true, {}])('%j', (value) => {
    expect(decodeRecord(value)).toBe(undefined);
  });

  test('a number that is too large', () => {
    const text = JSON.stringify(encodeRecord(RECORD));
    expect(decodeRecord(JSON.parse(text.replace('0.25', '1e999')))).toBe(undefined);
    expect(decodeRecord(JSON.parse(text.replace('"threshold":-1', '"threshold":1e999')))).toBe(undefined);
  });

  test('a member that is only inherited', () => {
    expect(decodeRecord({ ...changed({}), metrics: Object.create({ loss: 1 }) })).toMatchObject({ metrics: {} });
  });
});

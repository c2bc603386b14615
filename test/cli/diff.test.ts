import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { DATA_ALIGNMENT } from '../../src/format/safetensors.js';
import { bareFile } from '../helpers/bare.js';
import { freshDirectory } from '../helpers/directory.js';
import { HAS_NATIVE } from '../helpers/engines.js';
import { alterManifest, find, flipByte, readManifest, saveAll, tensors } from './checkpoints.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

const f32 = (...values: number[]) => ({ dtype: 'F32' as const, shape: [values.length], data: Float32Array.of(...values) });

/** Two checkpoints of one run, of the steps 1000 and 2000. */
async function pair(first: object = {}, second: object = {}): Promise<[string, string]> {
  const directory = await saveAll([
    { metrics: { loss: 0.5, odd: Number.NaN }, ...first },
    { metrics: { loss: 0.25, odd: Number.NaN }, ...second },
  ]);
  const names = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  const [a, b] = [find(directory, names, 1000), find(directory, names, 2000)];
  for (const checkpoint of [a, b]) alterManifest(checkpoint, { software: { holdfast: '1.2.3' }, createdAt: '2001-02-03T04:05:06.000Z' });
  return [a, b];
}

function sumsOf(checkpoint: string): Map<string, string> {
  return new Map(readManifest(checkpoint).files.flatMap((file) => (file.tensors ?? []).map(({ name, crc32c }) => [name, crc32c] as const)));
}

describe('diff --json', () => {
  test('has exactly these fields', async () => {
    const kept = tensors(1);
    const [a, b] = await pair(
      {
        tensors: { ...kept, w: f32(3, 4), gone: f32(1) },
        optimizer: { w: f32(1) },
        state: { seed: 7 },
        attachments: [{ name: 'x.txt', data: 'x' }],
      },
      {
        ...{ tensors: { ...kept, w: f32(3, Infinity), fresh: f32(Number.NaN) }, contents: 'weights' },
        ...{ optimizer: { w: { dtype: 'F32', shape: [], data: Float32Array.of(1) } }, state: { seed: 8 } },
      },
    );
    alterManifest(b, { monitor: { metric: 'loss', mode: 'min' }, software: { holdfast: '1.2.4' } });
    const { runId } = readManifest(a);
    const [ofA, ofB] = [sumsOf(a), sumsOf(b)];
    const side = (checkpoint: string, sequence: number) => ({
      ...{ path: checkpoint, name: path.basename(checkpoint), kind: 'checkpoint', runId, sequence, createdAt: '2001-02-03T04:05:06.000Z' },
    });
    const tensor = (shape: number[], crc32c: unknown) => ({ dtype: 'F32', shape, bytes: 4 * (shape[0] ?? 1), crc32c });
    const slot = readManifest(a).files.find(({ role }) => role === 'optimizer')?.tensors?.[0]?.crc32c;
    const { code, document } = await holdfastJson(['diff', a, b]);
    expect(code).toBe(1);
    expect(document).toStrictEqual({
      same: false,
      a: side(a, 1),
      b: side(b, 2),
      tensors: {
        equal: 3,
        added: [{ name: 'fresh', role: 'model', ...tensor([1], ofB.get('fresh')) }],
        removed: [{ name: 'gone', role: 'model', ...tensor([1], ofA.get('gone')) }],
        changed: [
          {
            ...{ name: 'w', role: 'model', a: tensor([2], sumOfModel(a, 'w')), b: tensor([2], sumOfModel(b, 'w')) },
            values: { differing: 1, maxAbs: 'Infinity', relativeNorm: 'Infinity', nanOnOneSide: 0 },
          },
          { name: 'w', role: 'optimizer', a: tensor([1], slot), b: tensor([], slot), values: null },
        ],
        notCompared: 0,
      },
      metadata: {
        step: { a: 1000, b: 2000 },
        epoch: { a: 1, b: 2 },
        contents: { a: 'full', b: 'weights' },
        monitor: { a: readManifest(a).monitor ?? null, b: { metric: 'loss', mode: 'min' } },
        metrics: [{ name: 'loss', a: 0.5, b: 0.25 }],
        software: [{ name: 'holdfast', a: '1.2.3', b: '1.2.4' }],
        state: { differences: [{ path: 'state.seed', a: '7', b: '8' }], more: 0 },
        attachments: [{ name: 'x.txt', a: { bytes: 1, crc32c: expect.stringMatching(/^[0-9a-f]{8}$/) }, b: null }],
      },
    });
    expect(Object.keys(document as object).join(' ')).toBe('same a b tensors metadata');
  });

  test('of bare files has null for what they do not have', async () => {
    const [a, b] = [bareFile({ w: f32(3, 4) }, 'a.safetensors'), bareFile({ w: f32(3, 4.5) }, 'b.safetensors')];
    const { code, document } = await holdfastJson(['diff', a, b, '--engine', HAS_NATIVE ? 'native' : 'portable']);
    const side = (file: string) => ({ path: file, name: path.basename(file), kind: 'file', runId: null, sequence: null, createdAt: null });
    const tensor = { dtype: 'F32', shape: [2], bytes: 8, crc32c: null };
    expect(code).toBe(1);
    expect(document).toStrictEqual({
      ...{ same: false, a: side(a), b: side(b) },
      tensors: {
        ...{ equal: 0, added: [], removed: [], notCompared: 0 },
        changed: [
          {
            ...{ name: 'w', role: 'model', a: tensor, b: tensor },
            values: { differing: 1, maxAbs: 0.5, relativeNorm: 0.1, nanOnOneSide: 0 },
          },
        ],
      },
      metadata: null,
    });
  });

  test('--no-values leaves the figures out', async () => {
    const [a, b] = await pair();
    const { document } = await holdfastJson(['diff', a, b, '--no-values']);
    const { changed } = (document as { tensors: { changed: { name: string; values: unknown }[] } }).tensors;
    expect(changed.map(({ name, values }) => [name, values])).toEqual([
      ['dense/bias', null],
      ['dense/kernel', null],
      ['steps', null],
    ]);
  });
});

function sumOfModel(checkpoint: string, tensor: string): string | undefined {
  const model = readManifest(checkpoint).files.find(({ role }) => role === 'model');
  return model?.tensors?.find(({ name }) => name === tensor)?.crc32c;
}

describe('diff', () => {
  test('is what changed, and a table', async () => {
    const [a, b] = await pair(
      { tensors: { ...tensors(1), gone: f32(1), zero: f32(0) }, optimizer: { m: f32(1, 2) }, state: { seed: 7, lr: [1] } },
      {
        tensors: {
          ...tensors(2),
          fresh: { dtype: 'F16', shape: [], data: new Uint16Array(1) },
          zero: f32(-0),
          'dense/bias': f32(1, Number.NaN),
        },
        ...{ optimizer: { m: f32(1, 4) }, state: { seed: 8 }, attachments: [{ name: 'notes.txt', data: 'abc' }] },
      },
    );
    alterManifest(b, { software: { holdfast: '1.2.4' }, createdAt: '2001-02-03T04:05:06.000Z', contents: 'weights' });
    const { code, stdout, stderr } = await holdfast(['diff', a, b]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(`\n${stdout}`).toMatchInlineSnapshot(`
      "
      a  checkpoint_epoch0001_step00001000_loss0.5000  sequence 1, saved 2001-02-03
      b  checkpoint_epoch0002_step00002000_loss0.2500  sequence 2, saved 2001-02-03

        step         1,000 → 2,000
        epoch        1 → 2
        contents     full → weights
        metrics      loss  0.5000 → 0.2500
        state        state.seed  7 → 8
                     state.lr  [1] → none
        attachments  notes.txt  none → 3 B
        software     holdfast  1.2.3 → 1.2.4

         TENSOR        OF         DTYPE  SHAPE   MAX |A-B|  |A-B|/|A|  DIFFERING
      -  gone          model      F32    1
      +  fresh         model      F16    scalar
      ~  dense/bias    model      F32    8 → 2
      ~  dense/kernel  model      F32    4 × 8          31          1   31 of 32
      ~  steps         model      I64    scalar          1          1     1 of 1
      ~  zero          model      F32    1               0          0     0 of 1  other bytes, equal values
      ~  m             optimizer  F32    2               2     0.8944     1 of 2

      5 tensors changed, 1 added, 1 removed, 0 equal.
      "
    `);
  });

  test('of the same says so in one line, and exits with 0', async () => {
    const [a] = await pair();
    expect((await holdfast(['diff', a, a])).stdout).toMatch(
      /^a {2}checkpoint_.*\nb {2}checkpoint_.*\n\nSAME {2}3 tensors, all equal, and so are metadata, state and attachments\.\n$/,
    );
    const copy = path.join(freshDirectory(), 'copy.safetensors');
    copyFileSync(path.join(a, 'model.safetensors'), copy);
    const { code, stdout, stderr } = await holdfast(['diff', path.join(path.dirname(a), path.basename(a)), copy]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/\nSAME {2}3 tensors, all equal\.\n$/);
    expect((await holdfastJson(['diff', copy, a])).code).toBe(0);
  });

  test('shows as many tensors as asked for; JSON has them all', async () => {
    const many = (value: number) => Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`t${i}`, f32(value)]));
    const [a, b] = [bareFile(many(1)), bareFile(many(2))];
    const rows = async (...options: string[]) => {
      const { stdout } = await holdfast(['diff', a, b, ...options]);
      return { shown: stdout.match(/^~ {2}t\d+ /gm)?.length ?? 0, more: /and (\d+) more/.exec(stdout)?.[1] };
    };
    expect(await rows()).toEqual({ shown: 50, more: '10' });
    expect(await rows('--limit', '3')).toEqual({ shown: 3, more: '57' });
    expect(await rows('--limit', '0')).toEqual({ shown: 0, more: undefined });
    expect(await rows('--limit=all')).toEqual({ shown: 60, more: undefined });
    const { document } = await holdfastJson(['diff', a, b, '--limit', '3']);
    expect((document as { tensors: { changed: unknown[] } }).tensors.changed).toHaveLength(60);
  });

  test('spells out what a terminal would obey', async () => {
    const evil = 'a\x1b[2Jb\n\u202ec';
    const [a, b] = await pair(
      { tensors: { [evil]: f32(1) }, state: { [evil]: evil }, metrics: { [evil]: 1 } },
      { tensors: { [evil]: f32(2) }, state: { [evil]: 1, more: `\u009b${evil}` }, metrics: { [evil]: 2 } },
    );
    alterManifest(b, { software: { [evil]: evil }, monitor: { metric: evil, mode: 'max' } });
    const { stdout } = await holdfast(['diff', a, b]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must not be there.
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    expect(stdout.match(/^.*a\\x1b\[2Jb\\n\\u202ec.*$/gm)?.length).toBeGreaterThanOrEqual(4);
    const { stdout: json } = await holdfast(['diff', a, b, '--json']);
    expect(json).not.toMatch(/[\u009b\u202e]/);
    expect((JSON.parse(json) as { tensors: { changed: { name: string }[] } }).tensors.changed[0]?.name).toBe(evil);
  });

  test('of a bare file against a checkpoint says what was left out', async () => {
    const [a] = await pair({ optimizer: { m: f32(1), v: f32(2) } });
    const copy = path.join(freshDirectory(), 'copy.safetensors');
    copyFileSync(path.join(a, 'model.safetensors'), copy);
    expect((await holdfast(['diff', a, copy])).stdout).toContain('all equal. 2 tensors of the other set not compared');
  });

  test('of damage exits with 1 and says on which side', async () => {
    const [a, b] = await pair();
    flipByte(path.join(b, 'model.safetensors'), DATA_ALIGNMENT);
    const { code, error } = await holdfastError(['diff', a, b]);
    expect({ code, error }).toMatchObject({ code: 1, error: { code: 'ERR_CHECKSUM', file: 'model.safetensors' } });
    expect(error['message']).toContain(b);
    const { code: again, stdout, stderr } = await holdfast(['diff', b, a]);
    expect({ again, stdout }).toEqual({ again: 1, stdout: '' });
    expect(stderr).toMatch(/^holdfast: .*\(ERR_CHECKSUM\)\n$/);
    rmSync(path.join(a, 'manifest.json'));
    expect(await holdfastError(['diff', a, b])).toMatchObject({ code: 1, error: { code: 'ERR_MISSING_MANIFEST' } });
  });

  test('of what is not there, or is no checkpoint, is wrong usage', async () => {
    const [a] = await pair();
    const missing = path.join(freshDirectory(), 'missing');
    expect(await holdfastError(['diff', a, missing])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND', path: missing } });
    expect(await holdfastError(['diff', missing, a])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    expect(await holdfastError(['diff', a, path.dirname(a)])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    expect(await holdfastError(['diff', a, '/dev/null'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    expect(await holdfastError(['diff', a])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    expect(await holdfastError(['diff', a, a, '--limit', 'x'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    expect(await holdfastError(['diff', a, a, '--engine', 'steam'])).toMatchObject({ code: 2 });
    expect(await holdfastError(['diff', a, a, '--valuse'])).toMatchObject({ code: 2, error: { code: 'ERR_UNKNOWN_OPTION' } });
  });
});

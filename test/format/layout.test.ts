import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bitsOf, byteLengthOf, DTYPES, type Dtype } from '../../src/format/dtype.js';
import { assertTensorSpecs, layOutTensors, type TensorSpec } from '../../src/format/layout.js';
import { compareUtf8, defaultCheckpointName } from '../../src/format/names.js';
import { decodeHeader, decodeHeaderLength, LENGTH_BYTES } from '../../src/format/safetensors.js';
import { thrown } from '../helpers/errors.js';

const spec: fc.Arbitrary<TensorSpec> = fc
  .record({
    name: fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.constantFrom('__proto__', 'constructor', '\0', '1', '10', '2')),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
  })
  .filter(({ name, dtype, shape }) => name !== '__metadata__' && typeof byteLengthOf(dtype, shape) === 'number')
  .map((tensor) => ({ ...tensor, byteLength: byteLengthOf(tensor.dtype, tensor.shape) as number }));

const specs = fc.uniqueArray(spec, { selector: ({ name }) => name, maxLength: 20 });

const f32 = (name: string, elements: number): TensorSpec => ({ name, dtype: 'F32', shape: [elements], byteLength: elements * 4 });

describe('layout', () => {
  test('every file it plans is one that the reader accepts, and says the same', () => {
    fc.assert(
      fc.property(specs, fc.integer({ min: 1, max: 400 }), (tensors, maxShardBytes) => {
        assertTensorSpecs(tensors);
        const { files } = layOutTensors('model', tensors, maxShardBytes);
        const seen: string[] = [];
        for (const { head, bytes, tensors: planned, name } of files) {
          const length = decodeHeaderLength(head, bytes, name);
          expect(LENGTH_BYTES + length).toBe(head.length);
          const header = decodeHeader(head.subarray(LENGTH_BYTES), bytes, name);
          expect(new Map(header.tensors.map((t) => [t.name, t]))).toEqual(new Map(planned.map((t) => [t.name, t])));
          seen.push(...planned.map((t) => t.name));
        }
        expect(seen.sort()).toEqual(tensors.map(({ name }) => name).sort());
      }),
    );
  });

  test('tensor bytes begin on a 4 KiB boundary and every tensor is naturally aligned', () => {
    fc.assert(
      fc.property(specs, (tensors) => {
        for (const { head, tensors: planned } of layOutTensors('model', tensors, 1e9).files) {
          expect(head.length % 4096).toBe(0);
          for (const { dtype, offset } of planned) if (bitsOf(dtype) >= 8) expect(offset % (bitsOf(dtype) / 8)).toBe(0);
        }
      }),
    );
  });

  test('orders by falling dtype size, then by the bytes of the name', () => {
    const tensors = (['U8', 'F32', 'F64', 'F16'] as Dtype[]).flatMap((dtype) =>
      ['b', 'a', '\u{1f600}', '\uffff'].map((n) => ({ name: `${n}${dtype}`, dtype, shape: [1], byteLength: bitsOf(dtype) / 8 })),
    );
    const [file] = layOutTensors('model', tensors, 1e9).files;
    expect(file?.tensors.map(({ name }) => name)).toEqual(
      ['F64', 'F32', 'F16', 'U8'].flatMap((dtype) => ['a', 'b', '\uffff', '\u{1f600}'].map((n) => `${n}${dtype}`)),
    );
  });

  test('compares names as their UTF-8 bytes compare', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  test('splits by size, with an index in the Hugging Face convention', () => {
    const { files, indexes } = layOutTensors('model', [f32('a', 30), f32('b', 30), f32('c', 200), f32('d', 1)], 240);
    expect(files.map(({ name, tensors }) => [name, tensors.map((t) => t.name)])).toEqual([
      ['model-00001-of-00003.safetensors', ['a', 'b']],
      ['model-00002-of-00003.safetensors', ['c']],
      ['model-00003-of-00003.safetensors', ['d']],
    ]);
    expect(indexes.map(({ name }) => name)).toEqual(['model.safetensors.index.json']);
    expect(JSON.parse(indexes[0]?.content ?? '')).toEqual({
      metadata: { total_size: 261 * 4 },
      weight_map: {
        a: 'model-00001-of-00003.safetensors',
        b: 'model-00001-of-00003.safetensors',
        c: 'model-00002-of-00003.safetensors',
        d: 'model-00003-of-00003.safetensors',
      },
    });
  });

  test('no tensors make one file with an empty header', () => {
    const { files, indexes } = layOutTensors('model', [], 100);
    expect(files.map(({ name, bytes }) => [name, bytes])).toEqual([['model.safetensors', 4096]]);
    expect(indexes).toEqual([]);
  });

  test('refuses wrong lengths, duplicate and impossible names', () => {
    thrown(() => assertTensorSpecs([{ ...f32('a', 2), byteLength: 7 }]), 'ERR_INVALID_TENSOR');
    thrown(() => assertTensorSpecs([{ name: 'a', dtype: 'F4', shape: [3], byteLength: 2 }]), 'ERR_INVALID_TENSOR');
    thrown(() => assertTensorSpecs([{ name: 'a', dtype: 'F64', shape: [2 ** 52, 2 ** 52], byteLength: 0 }]), 'ERR_INVALID_TENSOR');
    expect(thrown(() => assertTensorSpecs([f32('a', 1), f32('a', 1)]), 'ERR_DUPLICATE_TENSOR').tensors).toEqual(['a']);
    thrown(() => assertTensorSpecs([f32('', 1)]), 'ERR_INVALID_NAME');
    thrown(() => assertTensorSpecs([f32('__metadata__', 1)]), 'ERR_INVALID_NAME');
    thrown(() => assertTensorSpecs([f32('\ud800', 1)]), 'ERR_INVALID_NAME');
  });
});

describe('default names', () => {
  test.each([
    [{ step: 3000, epoch: 3, loss: 0.31557 }, 'checkpoint_epoch0003_step00003000_loss0.3156'],
    [{ step: 7 }, 'checkpoint_step00000007'],
    [{ step: 7, loss: Number.NaN }, 'checkpoint_step00000007'],
    [{ step: 7, loss: Number.POSITIVE_INFINITY }, 'checkpoint_step00000007'],
    [{ step: 7, loss: 1e300 }, 'checkpoint_step00000007'],
    [{ step: 123456789, loss: -1 }, 'checkpoint_step123456789_loss-1.0000'],
  ])('%o', (parts, name) => {
    expect(defaultCheckpointName(parts)).toBe(name);
  });
});

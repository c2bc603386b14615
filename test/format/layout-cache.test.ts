import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layOutTensors, type TensorSpec } from '../../src/format/layout.js';
import { LayoutCache } from '../../src/format/layout-cache.js';

const MAX_SHARD_BYTES = 100;

const f32 = (name: string, ...shape: number[]): TensorSpec => ({
  name,
  dtype: 'F32',
  shape,
  byteLength: 4 * shape.reduce((product, size) => product * size, 1),
});

/** What they would be laid out to without a cache; every layout has identities of its own. */
function fresh(tensors: readonly TensorSpec[]) {
  const { files, indexes } = layOutTensors('model', tensors, MAX_SHARD_BYTES);
  return { files: files.map((file) => ({ ...file, headId: expect.any(String) })), indexes };
}

describe('the layout of tensors that were laid out before', () => {
  const tensors = [f32('a', 2, 3), f32('b'), f32('c', 20), f32('d', 6)];

  test('is the same one', () => {
    const cache = new LayoutCache(MAX_SHARD_BYTES);
    const layout = cache.layOut('model', tensors);
    expect(layout).toEqual(fresh(tensors));
    expect(cache.layOut('model', structuredClone(tensors))).toBe(layout);
    // Either role has its own.
    expect(cache.layOut('optimizer', tensors).files[0]?.name).toBe('optimizer-00001-of-00003.safetensors');
    expect(cache.layOut('model', tensors)).toBe(layout);
  });

  test('what was laid out before is not checked again; anything else is', () => {
    const cache = new LayoutCache(MAX_SHARD_BYTES);
    const wrong = [{ ...f32('a', 2, 3), byteLength: 23 }, ...tensors.slice(1)];
    expect(() => cache.assertSpecs('model', wrong)).toThrow('has 23 bytes of data');
    cache.assertSpecs('model', tensors);
    cache.layOut('model', tensors);
    cache.assertSpecs('model', structuredClone(tensors));
    expect(() => cache.assertSpecs('model', wrong)).toThrow('has 23 bytes of data');
    expect(() => cache.assertSpecs('optimizer', [f32('a', 1), f32('a', 1)])).toThrow('Two tensors');
  });

  test.each<[string, readonly TensorSpec[]]>([
    ['another name', [f32('A', 2, 3), ...tensors.slice(1)]],
    ['another dtype of the same size', [{ ...f32('a', 2, 3), dtype: 'I32' }, ...tensors.slice(1)]],
    ['another size', [f32('a', 2, 4), ...tensors.slice(1)]],
    ['the same sizes, otherwise put together', [f32('a', 2), f32('b', 3), ...tensors.slice(2)]],
    ['another shape of as many bytes', [f32('a', 3, 2), ...tensors.slice(1)]],
    ['another shape at the end', [...tensors.slice(0, 3), f32('d', 6, 1)]],
    ['one more', [...tensors, f32('e', 1)]],
    ['one less', tensors.slice(0, 3)],
    ['another order', tensors.toReversed()],
    ['none', []],
  ])('is not that of %s', (_, others) => {
    const cache = new LayoutCache(MAX_SHARD_BYTES);
    cache.layOut('model', tensors);
    expect(cache.layOut('model', others)).toEqual(fresh(others));
    expect(cache.layOut('model', tensors)).toEqual(fresh(tensors));
  });

  test('whatever comes after whatever', () => {
    const shape = fc.array(fc.constantFrom(1, 2, 3), { maxLength: 3 });
    const set = fc.array(shape, { maxLength: 3 }).map((shapes) => shapes.map((sizes, i) => f32(`t${i}`, ...sizes)));
    const cache = new LayoutCache(MAX_SHARD_BYTES);
    fc.assert(
      fc.property(set, (specs) => {
        expect(cache.layOut('model', specs)).toEqual(fresh(specs));
      }),
    );
  });
});

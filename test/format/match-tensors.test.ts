/** Do the tensors of a checkpoint fit what a program expects? */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dtype } from '../../src/format/dtype.js';
import { describeMatch, isComplete, matchTensors, type TensorMatch, type TensorShape } from '../../src/format/match-tensors.js';

const same = (name: string) => name;
const tensor = (dtype: Dtype, ...shape: number[]): TensorShape => ({ dtype, shape });
const f32 = (...shape: number[]) => tensor('F32', ...shape);
const map = (tensors: Record<string, TensorShape>) => new Map(Object.entries(tensors));

function match(expected: Record<string, TensorShape>, stored: Record<string, TensorShape>, rename = same): TensorMatch {
  return matchTensors(map(expected), map(stored), rename);
}

const NOTHING: TensorMatch = { matched: [], renamed: [], missing: [], extra: [], wrong: [], perhaps: [] };

describe('matching', () => {
  test('by name, dtype and shape', () => {
    const found = match(
      { a: f32(2, 3), b: f32(3), c: f32(4), d: f32(1), e: f32(2, 3), f: f32() },
      { f: f32(), e: f32(3, 2), d: tensor('F64', 1), b: f32(3), a: f32(2, 3), x: f32(9, 9) },
    );
    expect(found).toEqual({
      ...NOTHING,
      matched: ['a', 'b', 'f'],
      missing: ['c'],
      extra: ['x'],
      wrong: [
        { name: 'd', expected: f32(1), actual: tensor('F64', 1) },
        { name: 'e', expected: f32(2, 3), actual: f32(3, 2) },
      ],
    });
    expect(isComplete(found)).toBe(false);
  });

  test.each<[string, TensorShape, TensorShape]>([
    ['a dimension more', f32(2), f32(2, 1)],
    ['a dimension less', f32(1, 2), f32(2)],
    ['a scalar and a vector of one', f32(), f32(1)],
    ['as many elements', f32(6), f32(2, 3)],
    ['as many bytes', tensor('I32', 2), tensor('F32', 2)],
    ['none of them has any', f32(0, 3), f32(3, 0)],
  ])('%s is not the same', (_, expected, actual) => {
    expect(match({ a: expected }, { a: actual }).wrong).toEqual([{ name: 'a', expected, actual }]);
  });

  test('of what has more than dtype and shape, only these are told', () => {
    const rich = { ...f32(2), data: new Float32Array(2) };
    expect(match({ a: rich }, { a: { ...f32(3), ...{ file: 'x' } } }).wrong).toEqual([{ name: 'a', expected: f32(2), actual: f32(3) }]);
  });

  test('of nothing', () => {
    expect(match({}, {})).toEqual(NOTHING);
    expect(isComplete(NOTHING)).toBe(true);
    expect(match({ a: f32() }, {})).toEqual({ ...NOTHING, missing: ['a'] });
    expect(match({}, { a: f32() })).toEqual({ ...NOTHING, extra: ['a'] });
  });

  test('names that objects inherit are names like any other', () => {
    const expected = new Map([
      ['__proto__', f32(1)],
      ['constructor', f32(2)],
    ]);
    expect(matchTensors(expected, new Map([['constructor', f32(2)]]), same)).toMatchObject({
      matched: ['constructor'],
      missing: ['__proto__'],
    });
    expect(matchTensors(expected, expected, same)).toEqual({ ...NOTHING, matched: ['__proto__', 'constructor'] });
  });
});

describe('renaming', () => {
  const toOld = (name: string) => name.replace(/^new\//, 'old/');

  test('says under which name a tensor is stored', () => {
    const found = match(
      { 'new/a': f32(1), 'new/b': f32(2), c: f32(3), 'new/d': f32(4) },
      { 'old/a': f32(1), 'old/b': f32(9), c: f32(3), 'new/d': f32(4) },
      toOld,
    );
    expect(found).toMatchObject({
      matched: ['c'],
      renamed: [{ name: 'new/a', from: 'old/a' }],
      wrong: [{ name: 'new/b', expected: f32(2), actual: f32(9) }],
      // It is stored under the name that it has, but that is not where it was to be looked for.
      missing: ['new/d'],
      extra: ['new/d'],
    });
    expect(match({ 'new/a': f32(1) }, { 'old/a': f32(1) }, toOld)).toEqual({ ...NOTHING, renamed: [{ name: 'new/a', from: 'old/a' }] });
    expect(isComplete(match({ 'new/a': f32(1) }, { 'old/a': f32(1) }, toOld))).toBe(true);
  });

  test('two may be stored as one, as tied weights are', () => {
    const found = match({ embed: f32(3, 2), head: f32(3, 2) }, { embed: f32(3, 2) }, () => 'embed');
    expect(found).toEqual({ ...NOTHING, matched: ['embed'], renamed: [{ name: 'head', from: 'embed' }] });
  });
});

describe('a guess', () => {
  const guessed = (expected: Record<string, TensorShape>, stored: Record<string, TensorShape>) => match(expected, stored).perhaps;

  test('is made where dtype, shape and the end of the name are alike, and nothing is taken from it', () => {
    const found = match({ 'dense_1/kernel': f32(2, 3), 'dense_1/bias': f32(3) }, { 'dense_7/kernel': f32(2, 3), 'dense_7/bias': f32(3) });
    expect(found).toEqual({
      ...NOTHING,
      missing: ['dense_1/kernel', 'dense_1/bias'],
      extra: ['dense_7/kernel', 'dense_7/bias'],
      perhaps: [
        { name: 'dense_1/kernel', from: 'dense_7/kernel' },
        { name: 'dense_1/bias', from: 'dense_7/bias' },
      ],
    });
    expect(isComplete(found)).toBe(false);
  });

  test.each<[string, Record<string, TensorShape>, Record<string, TensorShape>, boolean]>([
    ['dots part names as well', { 'model.layer.weight': f32(2) }, { 'layer.weight': f32(2) }, true],
    ['a name without parts is its own end', { weight: f32(2) }, { 'layer.weight': f32(2) }, true],
    ['another end', { 'a/kernel': f32(2) }, { 'b/weight': f32(2) }, false],
    ['another dtype', { 'a/kernel': f32(2) }, { 'b/kernel': tensor('F16', 2) }, false],
    ['another shape', { 'a/kernel': f32(2) }, { 'b/kernel': f32(3) }, false],
    ['two that it could be', { 'a/kernel': f32(2) }, { 'b/kernel': f32(2), 'c/kernel': f32(2) }, false],
    ['two that it could be for', { 'a/kernel': f32(2), 'b/kernel': f32(2) }, { 'c/kernel': f32(2) }, false],
    [
      'one that is not missing is not looked for',
      { 'a/kernel': f32(2), 'b/kernel': f32(2) },
      { 'a/kernel': f32(2), 'c/kernel': f32(2) },
      true,
    ],
    ['names that end with a separator', { 'a/': f32(2) }, { 'b.': f32(2) }, true],
    ['quotes and brackets in names', { 'a/"],[1': f32(2) }, { 'b/"],[1': f32(2) }, true],
  ])('%s', (_, expected, stored, made) => {
    expect(guessed(expected, stored)).toHaveLength(made ? 1 : 0);
  });
});

describe('in words', () => {
  test('there is a line per difference, with the guess beside what is missing', () => {
    const found = match(
      { 'new/kernel': f32(2, 3), bias: f32(3), scalar: f32(), lost: f32(7) },
      { 'old/kernel': f32(2, 3), bias: tensor('F16', 4), scalar: f32(1), 'odd"\n': f32(1, 1) },
    );
    expect(describeMatch(found)).toEqual([
      'missing: "new/kernel", perhaps renamed from "old/kernel"',
      'missing: "lost"',
      'wrong: "bias" is F16 [4], and F32 [3] is expected',
      'wrong: "scalar" is F32 [1], and F32 [] is expected',
      'extra: "old/kernel"',
      'extra: "odd\\"\\n"',
    ]);
    expect(describeMatch(NOTHING)).toEqual([]);
    expect(describeMatch(match({ a: f32() }, { b: f32() }, () => 'b'))).toEqual([]);
  });
});

test('of any tensors: each that is expected is told once, and each that is stored is used or extra', () => {
  const shape = fc.record({ dtype: fc.constantFrom<Dtype>('F32', 'F16'), shape: fc.array(fc.nat(2), { maxLength: 2 }) });
  const name = fc.constantFrom('a/w', 'b/w', 'c.w', 'a/b', 'b', 'w', '');
  const tensors = fc.array(fc.tuple(name, shape), { maxLength: 7 }).map((entries) => new Map<string, TensorShape>(entries));
  const renames = fc.dictionary(name, name);
  fc.assert(
    fc.property(tensors, tensors, renames, (expected, stored, table) => {
      const rename = (each: string) => (Object.hasOwn(table, each) ? (table[each] as string) : each);
      const found = matchTensors(expected, stored, rename);
      const told = [...found.matched, ...found.renamed.map((each) => each.name), ...found.missing, ...found.wrong.map((each) => each.name)];
      expect(told.sort()).toEqual([...expected.keys()].sort());
      const used = new Set([...expected.keys()].map(rename));
      expect([...found.extra].sort()).toEqual([...stored.keys()].filter((each) => !used.has(each)).sort());
      for (const each of found.matched) expect(stored.get(each)).toEqual(expected.get(each));
      for (const { name: each, from } of found.renamed) expect([stored.get(from), rename(each)]).toEqual([expected.get(each), from]);
      for (const { name: each, from } of found.perhaps) {
        expect(found.missing).toContain(each);
        expect(found.extra).toContain(from);
        expect(stored.get(from)).toEqual(expected.get(each));
      }
      expect(isComplete(found)).toBe(describeMatch(found).length === 0);
      expect(describeMatch(found)).toHaveLength(found.missing.length + found.wrong.length + found.extra.length);
    }),
    { numRuns: 500 },
  );
});

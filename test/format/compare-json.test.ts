import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareJson } from '../../src/format/compare-json.js';
import type { Json } from '../../src/format/state.js';

function compare(a: Json | undefined, b: Json | undefined, most = 100) {
  return compareJson([{ path: 'state', a, b }], most);
}

describe('compareJson', () => {
  test('names the places that differ, with both values', () => {
    const a = { lr: [0.1, 0.2], name: 'x', same: { deep: [1] }, gone: null, 'a key': true };
    const b = { lr: [0.1, 0.3, 0.4], name: 'y', same: { deep: [1] }, 'a key': false, fresh: { n: 1 } };
    expect(compare(a, b)).toEqual({
      differences: [
        { path: 'state.lr[1]', a: '0.2', b: '0.3' },
        { path: 'state.lr[2]', a: null, b: '0.4' },
        { path: 'state.name', a: '"x"', b: '"y"' },
        { path: 'state.gone', a: 'null', b: null },
        { path: 'state["a key"]', a: 'true', b: 'false' },
        { path: 'state.fresh', a: null, b: '{"n":1}' },
      ],
      more: 0,
    });
  });

  test('the order of members is no difference, that of items is', () => {
    expect(compare({ x: 1, y: 2 }, { y: 2, x: 1 })).toEqual({ differences: [], more: 0 });
    expect(compare([1, 2], [2, 1]).differences).toHaveLength(2);
  });

  test('values of different kinds differ as a whole', () => {
    expect(compare([], {}).differences).toEqual([{ path: 'state', a: '[]', b: '{}' }]);
    expect(compare({ x: [1] }, { x: null }).differences).toEqual([{ path: 'state.x', a: '[1]', b: 'null' }]);
    expect(compare(undefined, 0).differences).toEqual([{ path: 'state', a: null, b: '0' }]);
    expect(compare(undefined, undefined).differences).toEqual([]);
  });

  test('names that mean something to JavaScript are names', () => {
    const a = JSON.parse('{"__proto__": 1, "constructor": 2}') as Json;
    expect(compare(a, {}).differences).toEqual([
      { path: 'state.__proto__', a: '1', b: null },
      { path: 'state.constructor', a: '2', b: null },
    ]);
  });

  test('long values are shortened, and of large ones no more is looked at', () => {
    const [found] = compare('x'.repeat(1e6), ['😀'.repeat(40), ...Array.from({ length: 1e6 }, (_, i) => i)]).differences;
    expect(found?.a).toBe(`"${'x'.repeat(58)}…`);
    expect(found?.b).toMatch(/^\["(😀){28}…$/u);
    expect(compare({ a: { b: ['y'.repeat(49)] } }, 1).differences[0]?.a).toBe(`{"a":{"b":["${'y'.repeat(47)}…`);
    expect(compare('x'.repeat(58), 1).differences[0]?.a).toBe(`"${'x'.repeat(58)}"`);
  });

  test('gives so many, and counts the others', () => {
    const a = Array.from({ length: 250 }, (_, i) => i);
    const { differences, more } = compare(
      a,
      a.map((x) => x + 1),
    );
    expect({ length: differences.length, more, last: differences.at(-1)?.path }).toEqual({ length: 100, more: 150, last: 'state[99]' });
    expect(compare([1], [2], 0)).toEqual({ differences: [], more: 1 });
  });

  test('goes as deep as documents go', () => {
    const nested = (leaf: number): Json => JSON.parse(`${'['.repeat(200_000)}${leaf}${']'.repeat(200_000)}`) as Json;
    const [found] = compare(nested(1), nested(2)).differences;
    expect(found).toMatchObject({ a: '1', b: '2', path: expect.stringMatching(/^state(\[0\])+.*….*(\[0\])+$/) });
    expect(found?.path).toHaveLength(500);
    expect(compare(nested(1), 0).differences[0]?.a).toBe(`${'['.repeat(59)}…`);
  });

  test('finds nothing exactly where the values are equal', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), fc.jsonValue(), (x, y) => {
        const [a, b] = [x as Json, y as Json];
        expect(compare(a, structuredClone(a)).differences).toEqual([]);
        const equal = compare(a, b).differences.length === 0;
        expect(equal).toBe(sorted(a) === sorted(b));
      }),
    );
  });
});

/** JSON text with the members of objects in order. */
function sorted(value: Json): string {
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? '-0' : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(sorted).join()}]`;
  const members = Object.entries(value as Record<string, Json>).map(([key, item]) => `${JSON.stringify(key)}:${sorted(item)}`);
  return `{${members.sort().join()}}`;
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonError, JsonFloat, type JsonValue, parseJson } from '../../src/format/json.js';

/** Back to what JSON.parse would give. */
function plain(value: JsonValue): unknown {
  if (value instanceof JsonFloat) return value.value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return [...value].map(([key, item]) => [key, plain(item)]);
  return value;
}

function entries(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(entries);
  if (value !== null && typeof value === 'object') return Object.entries(value).map(([key, item]) => [key, entries(item)]);
  return value;
}

describe('parseJson', () => {
  test('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        expect(plain(parseJson(text))).toEqual(entries(JSON.parse(text)));
      }),
    );
  });

  test('never accepts what JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0019.eE+-tfn ralsu\n\t\u0001é'), maxLength: 24 }), (text) => {
        try {
          parseJson(text);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
          return;
        }
        expect(() => JSON.parse(text)).not.toThrow();
      }),
      { numRuns: 3000 },
    );
  });

  test('keeps integers, floats and large integers apart', () => {
    expect(parseJson('[1, -7, 0]')).toEqual([1, -7, 0]);
    expect(parseJson('[1.0, 1e0, -0]')).toEqual([new JsonFloat(1), new JsonFloat(1), new JsonFloat(-0)]);
    expect(parseJson('9007199254740993')).toEqual(new JsonFloat(9007199254740992));
    expect(parseJson('1e999')).toEqual(new JsonFloat(Number.POSITIVE_INFINITY));
  });

  test('gives "__proto__" as a key like any other', () => {
    const value = parseJson('{"__proto__": 1}');
    expect(value).toBeInstanceOf(Map);
    expect((value as Map<string, unknown>).get('__proto__')).toBe(1);
  });

  test.each([
    ['duplicate', '{"a":1,"a":2}'],
    ['duplicate', '{"a":1,"\\u0061":2}'],
    ['duplicate', '[{"x":{"b":1,"b":1}}]'],
    ['syntax', ''],
    ['syntax', '{"a":1,}'],
    ['syntax', '[1,]'],
    ['syntax', '{a:1}'],
    ['syntax', '"\u0001"'],
    ['syntax', '"\\ud800"'],
    ['syntax', '"\\udc00"'],
    ['syntax', '"\\ud800\\u0041"'],
    ['syntax', '"\\x"'],
    ['syntax', '"\\u12g4"'],
    ['syntax', '01'],
    ['syntax', '1.'],
    ['syntax', '+1'],
    ['syntax', 'NaN'],
    ['syntax', '{} x'],
    ['syntax', '\u00a0{}'],
    ['syntax', '"open'],
    ['depth', `${'['.repeat(9)}${']'.repeat(9)}`],
  ])('refuses as %s: %s', (kind, text) => {
    const error = (() => {
      try {
        return parseJson(text, 8);
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(JsonError);
    expect((error as JsonError).kind).toBe(kind);
  });

  test('a surrogate pair by escapes is one character', () => {
    expect(parseJson('"\\ud83d\\ude00"')).toBe('😀');
  });
});

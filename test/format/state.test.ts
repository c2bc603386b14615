import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeState, encodeState, type Json } from '../../src/format/state.js';
import { thrown } from '../helpers/errors.js';

const circular: Record<string, unknown> = {};
circular['self'] = circular;

describe('state.json', () => {
  test('comes back exactly', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        // fast-check's jsonValue may hold -0, which is refused on purpose.
        fc.pre(!JSON.stringify(value, (_, v) => (Object.is(v, -0) ? 'minus zero' : v)).includes('minus zero'));
        const { user } = decodeState(encodeState({ user: value as Json, extensions: { tfjs: [1] } }), 'checkpoint');
        expect(user).toStrictEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('no user state is undefined, null is null', () => {
    expect(decodeState(encodeState({ extensions: {} }), 'c').user).toBe(undefined);
    expect(decodeState(encodeState({ user: null, extensions: {} }), 'c').user).toBe(null);
  });

  test.each([
    ['state.a.b', { a: { b: undefined } }],
    ['state.list[1]', { list: [1, () => 1] }],
    ['state.big', { big: 10n }],
    ['state.zero', { zero: -0 }],
    ['state.nan', { nan: Number.NaN }],
    ['state.inf', { inf: Number.POSITIVE_INFINITY }],
    ['state.date', { date: new Date(0) }],
    ['state.map', { map: new Map() }],
    ['state.array', { array: new Float32Array(2) }],
    ['state["odd key"]', { 'odd key': Symbol('x') }],
    ['state.self', circular],
    ['state[1]', Object.assign(new Array(3), { 0: 1, 2: 3 })],
    ['state.custom', { custom: { toJSON: () => 1 } }],
    ['state.named', { named: Object.assign([1], { extra: 1 }) }],
  ])('refuses what JSON would alter, at %s', (path, state) => {
    const error = thrown(() => encodeState({ user: state as never, extensions: {} }), 'ERR_INVALID_STATE');
    expect(error.path).toBe(path);
  });

  test('a damaged document has its own code', () => {
    for (const text of ['', '[]', 'null', '{"format":"other"}', '{"format":"holdfast-state","version":9,"extensions":{}}']) {
      thrown(() => decodeState(Buffer.from(text), 'c'), 'ERR_STATE');
    }
  });
});

import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { formatNumber, type NumberKind, parseNumberSpec } from '../../src/format/number-format.js';
import { random32 } from '../helpers/random.js';

class Refused extends Error {}

function format(kind: NumberKind, value: number, spec: string): string | undefined {
  const refuse = (why: string): never => {
    throw new Refused(why);
  };
  return formatNumber(value, parseNumberSpec(spec, kind, refuse));
}

describe('integers', () => {
  test.each([
    [7, '', '7'],
    [-7, 'd', '-7'],
    [42, '04d', '0042'],
    [-42, '05', '-0042'],
    [42, '+', '+42'],
    [42, ' d', ' 42'],
    [42, '*>6', '****42'],
    [42, '*<6', '42****'],
    [42, '*^7', '**42***'],
    [-42, '*=6', '-***42'],
    [42, '🜁>4', '🜁🜁42'],
    [42, '<05', '42000'],
    [42, 'x<05', '42xxx'],
    [255, 'x', 'ff'],
    [255, '#X', '0XFF'],
    [255, '#06x', '0x00ff'],
    [5, '#b', '0b101'],
    [8, 'o', '10'],
    [65, '5c', '    A'],
    [0x1f600, '*<3c', '😀**'],
    [1234567, ',', '1,234,567'],
    [1234567, '_d', '1_234_567'],
    [0xabcdef, '_x', 'ab_cdef'],
    [1234, '06,', '01,234'],
    // A separator never comes first: there is one digit more than the width asks for.
    [1234, '08,', '0,001,234'],
    [12, '.2f', '12.00'],
    [3, '%', '300.000000%'],
    [9007199254740991, 'e', '9.007199e+15'],
  ])('%d as "%s" is "%s"', (value, spec, expected) => {
    expect(format('int', value, spec)).toBe(expected);
  });
});

describe('floats', () => {
  test.each([
    [1, '', '1.0'],
    [0.1, '', '0.1'],
    [1e16, '', '1e+16'],
    [1e15, '', '1000000000000000.0'],
    [1e-5, '', '1e-05'],
    [-0, '', '-0.0'],
    [Number.NaN, '', 'nan'],
    [-Infinity, '', '-inf'],
    [Number.POSITIVE_INFINITY, 'F', 'INF'],
    [Number.NaN, '+08.2f', '+0000nan'],
    [0.31564, '.4f', '0.3156'],
    // Halves go to the even neighbour, and only what is a half in binary is one.
    [0.5, '.0f', '0'],
    [1.5, '.0f', '2'],
    [2.5, '.0e', '2e+00'],
    [0.125, '.2f', '0.12'],
    [2.675, '.2f', '2.67'],
    [1e21, 'f', '1000000000000000000000.000000'],
    [1e23, '.0e', '1e+23'],
    [123456789, 'g', '1.23457e+08'],
    [0.0001, 'g', '0.0001'],
    [100, '#g', '100.000'],
    [1, '.0', '1e+00'],
    [12.5, '.3', '12.5'],
    [0.256, '.1%', '25.6%'],
    [1e308, '%', 'inf%'],
    [-0.001, '.2f', '-0.00'],
    [-0.001, 'z.2f', '0.00'],
    [1234.5, '010,.1f', '0,001,234.5'],
    [-1.5, '=+9.2f', '-    1.50'],
    [5e-324, '.3e', '4.941e-324'],
    [1, '#.0f', '1.'],
  ])('%d as "%s" is "%s"', (value, spec, expected) => {
    expect(format('float', value, spec)).toBe(expected);
  });

  test('of the smallest and largest size have all their digits', () => {
    expect(format('float', 2 ** -100, '.100f')).toBe(`0.${'0'.repeat(30)}${(5n ** 100n).toString()}`);
    expect(format('float', Number.MAX_VALUE, '.100f')).toBe(`${BigInt(Number.MAX_VALUE)}.${'0'.repeat(100)}`);
  });
});

describe('a specification is refused', () => {
  test.each([
    ['int', '.2d', 'no precision'],
    ['int', 'z', 'no "z"'],
    ['int', 'zd', 'no "z"'],
    ['int', '+c', 'no sign'],
    ['int', '#c', 'no sign'],
    ['int', ',x', '"," does not go'],
    ['int', '_n', '"_" does not go'],
    ['float', 'd', '"d" is not a type of a float'],
    ['float', 's', '"s" is not a type'],
    ['float', '.', '"." is not a type'],
    ['float', ',_', '"_" is not a type'],
    ['float', '.2ff', '"ff" is not a type'],
    ['float', '201', 'width 201'],
    ['float', '.101f', 'precision 101'],
    ['int', '9'.repeat(400), 'width Infinity'],
  ] as const)('%s "%s"', (kind, spec, why) => {
    expect(() => format(kind, 1, spec)).toThrow(Refused);
    expect(() => format(kind, 1, spec)).toThrow(why);
  });

  test('a character beyond Unicode has no text', () => {
    expect(format('int', 0x110000, 'c')).toBeUndefined();
    expect(format('int', -1, 'c')).toBeUndefined();
  });
});

/** Prints what Python makes of every [kind, specification, value]: a text, or null where it refuses. */
const PYTHON = `
import json, struct, sys
def text(kind, spec, value):
    number = int(value) if kind == 'int' else struct.unpack('>d', bytes.fromhex(value))[0]
    try:
        return format(number, spec)
    except (ValueError, OverflowError):
        return None
json.dump([text(*case) for case in json.load(sys.stdin)], sys.stdout)
`;

type Case = [kind: NumberKind, spec: string, value: number];

/** Specifications and values at random, of those that could be right most, and some of any letters. */
function randomCases(count: number, seed: number, hasZ: boolean): Case[] {
  const next = random32(seed);
  const pick = (from: readonly string[] | string): string => from[next() % from.length] as string;
  const maybe = (text: () => string, outOf = 2) => (next() % outOf === 0 ? text() : '');
  const likely = () =>
    maybe(() => maybe(() => pick(['*', '0', 'é', '😀', '<', '_'])) + pick('<>=^')) +
    maybe(() => pick('-+ '), 3) +
    (hasZ ? maybe(() => 'z', 4) : '') +
    maybe(() => '#', 3) +
    maybe(() => '0', 3) +
    maybe(() => String(next() % 60)) +
    maybe(() => pick(',_'), 3) +
    maybe(() => `.${next() % (next() % 4 === 0 ? 101 : 20)}`) +
    pick(['', ...'bcdnoxXeEfFgG%']);
  const anything = () => Array.from({ length: next() % 7 }, () => pick(`<>=^+- #0123456789,_.bcdnoxXeEfFgG%sé${hasZ ? 'z' : ''}`)).join('');
  return Array.from({ length: count }, () => {
    const kind = next() % 3 === 0 ? 'int' : 'float';
    return [kind, next() % 5 === 0 ? anything() : likely(), kind === 'int' ? randomInteger(next) : randomFloat(next)];
  });
}

function randomInteger(next: () => number): number {
  const size = Math.floor((next() * 2 ** 21 + (next() >>> 11)) / 2 ** (next() % 54));
  return next() % 3 === 0 ? -size : size;
}

function randomFloat(next: () => number): number {
  const sign = next() % 3 === 0 ? -1 : 1;
  switch (next() % 6) {
    case 0: {
      // Any bits at all.
      const view = new DataView(new ArrayBuffer(8));
      view.setUint32(0, next());
      view.setUint32(4, next());
      return view.getFloat64(0);
    }
    case 1:
      // Ties: few bits, of any size.
      return (sign * (next() % 4096)) / 2 ** (next() % 16);
    case 2:
      return sign * 10 ** ((next() % 50) - 20);
    case 3:
      return (
        sign * ([0, Number.NaN, Number.POSITIVE_INFINITY, 9.995, 0.9999999, 999999.5, 1e16, 9999999999999998, 1e23][next() % 9] as number)
      );
    default:
      return (sign * (next() % 1_000_000)) / 10 ** (next() % 10);
  }
}

function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, '0');
}

describe('Python itself', () => {
  const found = spawnSync('python3', ['-c', 'import sys; print(sys.version_info >= (3, 11), sys.version_info >= (3, 10))'], {
    encoding: 'utf8',
  });
  // Before 3.10 a "0" meant something else beside an alignment, before 3.11 there was no "z".
  const [hasZ, possible] = (found.stdout ?? '')
    .trim()
    .split(' ')
    .map((word) => word === 'True');
  if (possible !== true) console.warn('The comparison with Python is left out: there is no python3 of version 3.10 or newer.');
  else if (!hasZ) console.warn('The comparison with Python leaves out "z", which python3 knows from 3.11 on.');

  test.runIf(possible === true)('writes the same for thousands of random specifications and numbers, and refuses the same', () => {
    const cases = randomCases(8000, 20250101, hasZ === true);
    const input = JSON.stringify(cases.map(([kind, spec, value]) => [kind, spec, kind === 'int' ? String(value) : bitsOf(value)]));
    const { stdout, stderr } = spawnSync('python3', ['-c', PYTHON], { input, encoding: 'utf8', maxBuffer: 2 ** 28 });
    expect(stderr).toBe('');
    const theirs = JSON.parse(stdout) as (string | null)[];
    const differences: unknown[] = [];
    let written = 0;
    cases.forEach(([kind, spec, value], i) => {
      // Wider than a name may be; or groups after the point, which are newer than this language.
      if (/\d{3}/.test(spec) && !spec.includes('.100')) return;
      if (/\.\d*[,_]/.test(spec)) return;
      const ours = attempt(() => format(kind, value, spec)) ?? null;
      if (ours !== null) written++;
      if (ours !== theirs[i]) differences.push({ kind, spec, value, ours, theirs: theirs[i] });
    });
    expect(differences).toEqual([]);
    expect(written).toBeGreaterThan(3000);
  });
});

function attempt(call: () => string | undefined): string | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

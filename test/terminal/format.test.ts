import { describe, expect, test } from 'vitest';
import { layOut } from '../../src/cli/table.js';
import {
  formatAge,
  formatBytes,
  formatCount,
  formatInteger,
  formatMetric,
  formatRate,
  formatSeconds,
  plural,
} from '../../src/terminal/format.js';
import { escapeText, shorten, widthOf, wrap } from '../../src/terminal/text.js';

describe('numbers', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1024 ** 2 - 1, '1.00 MiB'],
    [1.17 * 1024 ** 3, '1.17 GiB'],
    [16 * 1024 ** 2, '16.0 MiB'],
    [512 * 1024 ** 4, '512 TiB'],
    [Number.MAX_SAFE_INTEGER, '8.00 PiB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test.each([
    [0, '0 B/s'],
    [3.6e9, '3.60 GB/s'],
    [999_999, '1.00 MB/s'],
    [59.1e9, '59.1 GB/s'],
  ])('%d per second are %s', (rate, text) => expect(formatRate(rate)).toBe(text));

  test.each([
    [0.31559, '0.3156'],
    [2, '2'],
    [-12345.678, '-12346'],
    [1e-7, '1.000e-7'],
    [123456789, '1.235e+8'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-inf'],
    [0, '0'],
  ])('metric %d is %s', (value, text) => expect(formatMetric(value)).toBe(text));

  test('counts and durations', () => {
    expect(formatInteger(4194304)).toBe('4,194,304');
    expect(formatCount(25_600_000)).toBe('25.6 million');
    expect(formatCount(70_000_000_000)).toBe('70.0 billion');
    expect(formatCount(8192)).toBe('8,192');
    expect(plural(1, 'file')).toBe('1 file');
    expect(plural(2000, 'file')).toBe('2,000 files');
    expect([0.004, 9.99, 12.34, 59.99, 245, 7300].map(formatSeconds)).toEqual([
      '0.00 s',
      '9.99 s',
      '12.3 s',
      '1 min 0 s',
      '4 min 5 s',
      '2 h 1 min',
    ]);
  });

  test('ages', () => {
    const now = Date.parse('2026-03-15T12:00:00Z');
    const ages = ['2026-03-15T11:59:30Z', '2026-03-15T11:18:00Z', '2026-03-14T06:00:00Z', '2026-03-05T12:00:00Z', '2026-02-01T12:00:00Z'];
    expect(ages.map((iso) => formatAge(iso, now))).toEqual(['just now', '42 min ago', '30 h ago', '10 days ago', '2026-02-01']);
    expect(formatAge('2026-03-16T12:00:00Z', now)).toBe('2026-03-16');
    expect(formatAge('yesterday', now)).toBe('?');
  });
});

describe('text', () => {
  test('everything that a terminal obeys is spelled out', () => {
    expect(escapeText('a\x00\x07\x1b]0;x\x07\x7f\u0085\u2028\u202e\u200b\ud800z')).toBe(
      'a\\x00\\x07\\x1b]0;x\\x07\\x7f\\x85\\u2028\\u202e\\u200b\\ud800z',
    );
    expect(escapeText('naïve 重み 🧠 a\\b')).toBe('naïve 重み 🧠 a\\b');
    expect(escapeText('a\nb\x1b', { keepLines: true })).toBe('a\nb\\x1b');
  });

  test('widths in columns', () => {
    expect(widthOf('naïve')).toBe(5);
    expect(widthOf('nai\u0308ve')).toBe(5);
    expect(widthOf('重み')).toBe(4);
    expect(widthOf('🧠')).toBe(2);
  });

  test('shortens in the middle, never beyond the width', () => {
    expect(shorten('checkpoint_step00001000', 11)).toBe('check…01000');
    expect(shorten('short', 5)).toBe('short');
    for (let width = 1; width < 12; width++) expect(widthOf(shorten('重み重み🧠ab重み', width))).toBeLessThanOrEqual(width);
  });

  test('wraps at spaces', () => {
    expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
    expect(wrap('unbreakable', 4)).toEqual(['unbreakable']);
    expect(wrap('', 4)).toEqual(['']);
  });
});

describe('tables', () => {
  const rows = [
    { name: 'alpha', size: '1', note: 'x' },
    { name: 'a much longer name', size: '1,000', note: '' },
  ];
  const columns = [
    { title: 'NAME', value: (row: (typeof rows)[0]) => row.name, shortest: 8 },
    { title: 'SIZE', value: (row: (typeof rows)[0]) => row.size, align: 'right' as const, dispensable: 2 },
    { title: 'NOTE', value: (row: (typeof rows)[0]) => row.note, dispensable: 1 },
    { title: 'EMPTY', value: () => '' },
  ];
  const draw = (width: number) => {
    const { header, lines } = layOut(columns, rows, width);
    return [header, ...lines];
  };

  test('are aligned, without empty columns', () => {
    expect(draw(80)).toEqual(['NAME                 SIZE  NOTE', 'alpha                   1  x', 'a much longer name  1,000']);
  });

  test('lose what is dispensable, then are shortened', () => {
    expect(draw(26)).toEqual(['NAME                NOTE', 'alpha               x', 'a much longer name']);
    expect(draw(12)).toEqual(['NAME', 'alpha', 'a much… name']);
    expect(draw(3)[2]).toBe('a mu…ame');
  });
});

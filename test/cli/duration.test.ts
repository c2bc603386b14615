/** Lengths of time on the command line: what is understood, what is refused, and how they are printed. */
import { describe, expect, test } from 'vitest';
import { formatDuration_s, parseDuration_s } from '../../src/cli/duration.js';

describe('parseDuration_s', () => {
  test.each([
    ['5s', 5],
    ['90 s', 90],
    ['500ms', 0.5],
    ['5min', 300],
    ['5m', 300],
    ['24h', 86_400],
    ['30d', 2_592_000],
    ['2w', 1_209_600],
    ['1y', 31_557_600],
    ['1.5h', 5400],
    ['1h30min', 5400],
    ['1 h 30 min 15 s', 5415],
    [' 2 days ', 172_800],
  ])('%j is %d s', (text, expected) => {
    expect(parseDuration_s('--cost', text)).toBe(expected);
  });

  test.each([
    ['5', 'it has no unit'],
    ['-5', 'it has no unit'],
    ['-5s', 'it is below zero'],
    ['', 'that is no length of time'],
    ['soon', 'that is no length of time'],
    ['NaN', 'that is no length of time'],
    ['Infinity', 'that is no length of time'],
    ['1e3s', 'there is no unit "e"'],
    ['5,5s', 'that is no length of time'],
    ['0x5s', 'there is no unit "x"'],
    ['0', 'that is no length of time'],
    ['1000000000000s', 'that is no length of time'],
    ['5parsec', 'there is no unit "parsec"'],
    ['30min1h', 'its units must get smaller'],
    ['1h1h', 'its units must get smaller'],
    ['0s', 'it must be more than zero'],
    ['0h0min', 'it must be more than zero'],
  ])('%j is refused: %s', (text, why) => {
    const refused = expect.objectContaining({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(`--cost cannot be "${text}": ${why}`),
    });
    expect(() => parseDuration_s('--cost', text)).toThrow(refused);
  });

  test('zero is one where it may be', () => {
    expect(parseDuration_s('--persist', '0s', { orZero: true })).toBe(0);
  });
});

describe('formatDuration_s', () => {
  test.each([
    [7300, '2 h 1 min 40 s'],
    [7001.4, '1 h 56 min 41 s'],
    [3600, '1 h'],
    [1116.29, '18 min 36 s'],
    [59.97, '1 min'],
    [18.6049, '18.6 s'],
    [1, '1 s'],
    [0.005, '5 ms'],
    [0.99999, '1 s'],
    [0, '0 s'],
    [54 * 86_400, '54 d'],
    [86_399.9, '1 d'],
    [100_000, '1 d 3 h 47 min'],
    [-90, '-1 min 30 s'],
    [Number.NaN, '–'],
    [Number.POSITIVE_INFINITY, '–'],
  ])('%d s is %j', (seconds, expected) => {
    expect(formatDuration_s(seconds)).toBe(expected);
  });

  test('what it prints it also reads, as near as it is printed', () => {
    for (let seconds = 0.001; seconds < 1e9; seconds *= 1.37) {
      const again = parseDuration_s('--cost', formatDuration_s(seconds));
      expect(Math.abs(again - seconds) / seconds).toBeLessThan(0.009);
    }
  });
});

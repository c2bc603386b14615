/** `holdfast bench`: what it says and refuses, and that nothing is left. Not how fast anything is. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { assertDisk } from '../../src/bench/room.js';
import { median, percentile, summary } from '../../src/bench/stats.js';
import { parseSize } from '../../src/terminal/sizes.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

const TINY = ['--tensors', '5', '--runs', '2', '--calls', '4'];

const aNumber = expect.toSatisfy((value) => Number.isFinite(value) && value >= 0);
const aNumberOrNull = expect.toSatisfy((value) => value === null || (Number.isFinite(value) && value >= 0));

const ROW = {
  tensors: 5,
  runs: 2,
  calls: 4,
  direct: expect.any(Boolean),
  stallMsMedian: aNumber,
  stallsMs: [aNumber, aNumber],
  stallMsP99: aNumber,
  stallMsMax: aNumber,
  firstStallMs: aNumber,
  memcpyMs: aNumber,
  stallToMemcpy: aNumber,
  persistBytesPerSecond: aNumber,
  eventLoopMaxMs: aNumber,
  eventLoopMsMedian: aNumber,
  eventLoopIdleMs: aNumber,
  extraRssBytes: aNumberOrNull,
  laterExtraRssBytes: aNumberOrNull,
  arenaBytes: aNumberOrNull,
  laterArenaBytes: aNumberOrNull,
  eventLoopDelays: expect.toSatisfy((points: number[][]) => points.length > 0 && points.flat().every((value) => value >= 0)),
};

describe('bench stall', () => {
  test.each(ENGINES)('has exactly these fields, and leaves nothing (%s)', async (engine) => {
    const directory = freshDirectory();
    const { code, document } = await holdfastJson(['bench', 'stall', ...TINY, '--sizes', '64KiB', '--dir', directory, '--engine', engine]);
    expect(code).toBe(0);
    expect(document).toStrictEqual({
      scenario: 'stall',
      rows: ['pinned', 'copied', 'stream'].map((source) => ({ ...ROW, source, bytes: 65536, engine })),
      settings: {
        sizes: [65536],
        sources: ['pinned', 'copied', 'stream'],
        tensors: 5,
        runs: 2,
        calls: 4,
        engine,
        reserve: false,
        directory,
      },
      environment: expect.objectContaining({ node: process.version, cores: aNumber, fileSystem: expect.any(String) }),
      rules: expect.arrayContaining([expect.stringContaining('from outside')]),
      leftOut: [],
      warnings: expect.any(Array),
      partial: false,
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('copies after the first take no new memory', async () => {
    const args = ['bench', 'stall', '--sources', 'copied', '--sizes', '4MiB', '--runs', '3', '--reserve', '--dir', freshDirectory()];
    const { document } = await holdfastJson(args);
    expect((document as { rows: object[] }).rows).toMatchObject([
      { laterArenaBytes: expect.toSatisfy((value) => value === 0 || value === null) },
    ]);
  });

  test('reads well', async () => {
    const some = ['--sizes', '64KiB,1MiB', '--sources', 'pinned', '--dir', freshDirectory()];
    const { code, stdout, stderr } = await holdfast(['bench', 'stall', ...TINY, ...some]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^SOURCE +BYTES +STALL +P99 +FIRST +MEMCPY/);
    expect(stdout).toMatch(/^pinned +64\.0 KiB +[\d.]+ ms /m);
    expect(stdout).toMatch(/^pinned +1\.00 MiB +[\d.]+ ms /m);
    expect(stdout).toContain('5 tensors, 2 saves and 4 calls a row');
  });

  test.each([
    [['--sizes', '0'], 'ERR_INVALID_ARGUMENT', 'Give sizes such as'],
    [['--sizes', 'abc'], 'ERR_INVALID_ARGUMENT', 'Give sizes such as'],
    [['--sizes', '-64MiB'], 'ERR_INVALID_ARGUMENT', 'Give sizes such as'],
    [['--sizes', '64MiB,'], 'ERR_INVALID_ARGUMENT', 'Give sizes such as'],
    [['--sizes', '100'], 'ERR_INVALID_ARGUMENT', 'too few for 200 tensors'],
    [['--sizes', '4GiB', '--tensors', '1'], 'ERR_INVALID_ARGUMENT', 'Use more tensors'],
    [['--sizes', '200TiB', '--tensors', '1000000'], 'ERR_RESOURCES', 'Use smaller sizes'],
    [['--size', '64MiB', '--sizes', '1MiB'], 'ERR_INVALID_ARGUMENT', 'cannot be used with'],
    [['--sources', 'pinned,molten'], 'ERR_INVALID_ARGUMENT', 'Give a list of pinned'],
    [['--tensors', '0'], 'ERR_INVALID_ARGUMENT', 'Give a whole number'],
    [['--runs', '1.5'], 'ERR_INVALID_ARGUMENT', 'Give a whole number'],
    [['--engine', 'steam'], 'ERR_INVALID_ARGUMENT', 'Allowed choices'],
    [['--sise', '1MiB'], 'ERR_UNKNOWN_OPTION', 'Did you mean --size?'],
    [['--dir', '/nowhere/at/all'], 'ERR_NOT_FOUND', 'does not exist'],
  ])('refuses %j', async (args, expected, message) => {
    const { code, error } = await holdfastError(['bench', 'stall', ...args]);
    expect({ code, error: error['code'] }).toEqual({ code: 2, error: expected });
    expect(error['message']).toContain(message);
  });

  test('refuses what does not fit on the disk', async () => {
    const directory = freshDirectory();
    await expect(assertDisk(directory, 1, 'this')).resolves.toBeUndefined();
    await expect(assertDisk(directory, 2 ** 60, 'this')).rejects.toMatchObject({ code: 'ERR_NO_SPACE', expected: 2 ** 60 + 2 ** 28 });
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends it, and nothing is left', async (signal, expected) => {
    const directory = freshDirectory();
    const args = ['bench', 'stall', '--sizes', '16MiB', '--runs', '1000000', '--dir', directory, '--json'];
    const outcome = await holdfast(args, { signal, signalAfterMs: 2500 });
    expect(outcome).toEqual({ code: expected, stdout: '', stderr: '' });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('nothing is left when saving fails', async () => {
    const directory = freshDirectory();
    const args = ['bench', 'stall', '--sizes', '1MiB', '--engine', 'native', '--dir', directory];
    const { code, error } = await holdfastError(args, { env: { HOLDFAST_ADDON: path.join(directory, 'none.node') } });
    expect({ code, error: error['code'] }).toEqual({ code: 2, error: 'ERR_NATIVE_UNAVAILABLE' });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('bench', () => {
  test('knows its scenarios', async () => {
    expect(await holdfastError(['bench', 'molten'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    expect(await holdfast(['bench'])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('stall') });
  });

  test.each([[['bench']], [['bench', 'stall']]])('%j --help has examples and ends with 0', async (names) => {
    const { code, stdout, stderr } = await holdfast([...names, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Examples:\n');
    expect(stdout).toContain('$ holdfast bench stall');
    expect(stdout).toContain('--json');
  });
});

describe('figures', () => {
  test.each([
    ['64MiB', 64 * 2 ** 20],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['2gb', 2e9],
    ['4096', 4096],
    ['0', undefined],
    ['1 parsec', undefined],
    ['', undefined],
    ['1e3', undefined],
    ['9999999TiB', undefined],
  ])('the size %j', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test('medians and percentiles', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(summary([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile(hundred.slice(0, 15), 0.99)).toBe(100);
    expect(percentile([7], 0.99)).toBe(7);
  });
});

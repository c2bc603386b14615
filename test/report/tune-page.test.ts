/** The page of `holdfast tune`: it needs nothing else, its numbers are those of the case, and a browser shows all of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { holdfast } from '../cli/command.js';
import { stallReport, sweepReport } from '../helpers/bench-reports.js';
import { CHROMIUM, inBrowser } from '../helpers/browser-page.js';
import { freshDirectory } from '../helpers/directory.js';

async function pageOf(...args: string[]): Promise<string> {
  const file = path.join(freshDirectory(), 'interval.html');
  expect((await holdfast(['tune', ...args, '--html', file])).code).toBe(0);
  return readFileSync(file, 'utf8');
}

function stored(report: unknown): string {
  const file = path.join(freshDirectory(), 'result.json');
  writeFileSync(file, JSON.stringify(report));
  return file;
}

/** Cells of the row of that name. */
function rowOf(page: string, name: string): string[] {
  const [, cells = ''] = new RegExp(`<th scope="row">${name.replace(/[()]/g, '\\$&')}</th>(.*?)</tr>`).exec(page) ?? [];
  return [...cells.matchAll(/<td>(.*?)<\/td>/g)].map(([, cell]) => cell as string);
}

const ALL_FORMULAS = [
  ...['--cost', '5s', '--persist', '2min', '--slowdown', '5%', '--restart', '5min', '--failures', '419', '--during', '54d'],
  ...['--step-time', '4.5s', '--max-overhead', '3%'],
];

const CASES: readonly (readonly [string, () => readonly string[]])[] = [
  ['a case', () => ['--cost', '5min', '--mtbf', '24h', '--restart', '10min']],
  ['all formulas', () => ALL_FORMULAS],
  ['a limit far out', () => ['--cost', '5min', '--mtbf', '24h', '--min-interval', '10h']],
  ['saves as long as failures are rare', () => ['--cost', '1h', '--mtbf', '1h']],
  ['hopeless', () => ['--cost', '30d', '--mtbf', '1s']],
  ['the smallest', () => ['--cost', '1ms', '--mtbf', '1000y']],
  ['a stall', () => ['--bench', stored(stallReport()), '--mtbf', '24h']],
  ['sizes', () => ['--bench', stored(sweepReport('size')), '--bytes', '1GiB', '--failures', '2', '--during', '3d']],
];

describe('the page', () => {
  test('has every formula with what it costs, and what all of it rests on', async () => {
    const page = await pageOf('--cost', '5min', '--mtbf', '24h', '--step-time', '2s');
    expect(rowOf(page, 'recommended')).toEqual(['1 h 56 min 41 s', '8.82 %', '4.28 %', '4.53 %', '91.9 %']);
    expect(rowOf(page, 'exact (Lambert W)')).toEqual(rowOf(page, 'recommended'));
    // 300/7200, and not what a point of the curve nearby has.
    expect(rowOf(page, 'Young 1974').slice(0, 3)).toEqual(['2 h', '8.82 %', '4.17 %']);
    expect(rowOf(page, 'Daly 2006, first order').slice(0, 3)).toEqual(['1 h 55 min', '8.82 %', '4.35 %']);
    expect(rowOf(page, 'what a save costs training')).toEqual(['5 min']);
    expect(rowOf(page, 'steps between checkpoints')).toEqual(['3501']);
    expect(page.match(/<svg/g)).toHaveLength(1);
  });

  test('has saves that were measured, in a plot and in a table', async () => {
    const page = await pageOf('--bench', stored(sweepReport('size')), '--bytes', '1GiB', '--mtbf', '1d');
    expect(page.match(/<svg/g)).toHaveLength(2);
    expect(page.match(/class="sample"/g)).toHaveLength(6 * 15);
    expect(rowOf(page, '4.00 GiB')[0]).toBe('15');
    expect(rowOf(page, 'bytes of a checkpoint')[0]).toBe('1.00 GiB');
  });

  test('loads nothing and runs nothing', async () => {
    const page = await pageOf('--cost', '5min', '--mtbf', '24h');
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(page).not.toMatch(/<script|\b(src|href|action)=|@import|url\(|https?:/);
  });
});

describe.skipIf(CHROMIUM === undefined)('in a browser', () => {
  test.each(CASES)('%s: no errors, and no text covers another', async (name, args) => {
    const { errors, texts, covered, overflow } = inBrowser(await pageOf(...args()));
    expect({ errors, covered, overflow }).toEqual({ errors: [], covered: [], overflow: 0 });
    if (name !== 'hopeless') expect(texts).toBeGreaterThan(10);
  });

  test('light or dark as the reader has it, and no wider than a phone', async () => {
    const page = await pageOf(...ALL_FORMULAS);
    expect(inBrowser(page, { width: 500 })).toMatchObject({ errors: [], ground: 'rgb(255, 255, 255)', overflow: 0, covered: [] });
    expect(inBrowser(page, { dark: true, width: 500 })).toMatchObject({ errors: [], ground: 'rgb(20, 23, 27)', overflow: 0 });
  });
});

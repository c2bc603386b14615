/** `holdfast bench compare`: what it prints, and its exit codes. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/bench/report.js';
import { comparisonReport, stallReport, sweepReport } from '../helpers/bench-reports.js';
import { freshDirectory } from '../helpers/directory.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

function stored(...reports: Report[]): string[] {
  const directory = freshDirectory();
  return reports.map((report, i) => {
    const file = path.join(directory, `${i}.json`);
    writeFileSync(file, JSON.stringify(report));
    return file;
  });
}

describe('bench compare', () => {
  test('a regression: exit 1, and which row it is', async () => {
    const files = stored(comparisonReport(), comparisonReport('save', { factor: 1.5 }));
    const { code, stdout, stderr } = await holdfast(['bench', 'compare', ...files]);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^ROW +A +B +B\/A +95 % +VERDICT +TO LIMIT +95 % +VERDICT$/m);
    expect(stdout).toMatch(/^holdfast .* 1\.50 .* slower +1\.50 .* slower$/m);
    expect(stdout).toMatch(/^safetensors .* 1\.00 .* same within noise/m);
    expect(stdout).toContain('The disk itself is the same within noise: fio takes 1.00 times as long.');
    expect(stdout).toContain('Slower beyond noise: holdfast.');
  });

  test('a slower disk: exit 0, and both are said', async () => {
    const after = comparisonReport('save', { disk: 1.5 });
    const files = stored(comparisonReport(), { ...after, environment: { ...after.environment, kernel: 'Linux 7.0' } });
    const { code, stdout } = await holdfast(['bench', 'compare', ...files]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^holdfast .* 1\.50 .* slower +1\.00 .* same within noise$/m);
    expect(stdout).toContain('The disk itself became slower: fio takes 1.50 times as long.');
    expect(stdout).toContain('Not the same kernel: Linux 6.9.1 in A, Linux 7.0 in B.');
    expect(stdout).toContain('Nothing of ours became slower beyond noise.');
  });

  test('sweeps have a table for each point', async () => {
    const { stdout } = await holdfast(['bench', 'compare', ...stored(sweepReport('small'), sweepReport('small'))]);
    expect(stdout.match(/^ROW /gm)).toHaveLength(7);
    expect(stdout).toContain('16.0 KiB in 4 tensors\nROW');
  });

  test('too few runs: exit 0, and nothing is claimed', async () => {
    const { code, stdout } = await holdfast([
      'bench',
      'compare',
      ...stored(stallReport({ raw: false }), stallReport({ raw: false, factor: 3 })),
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('Too few runs to tell: measure both with more --runs.');
  });

  test('--json has the whole of it', async () => {
    const { code, document } = await holdfastJson([
      'bench',
      'compare',
      ...stored(comparisonReport(), comparisonReport('save', { factor: 2 })),
    ]);
    expect(code).toBe(1);
    expect(document).toMatchObject({
      scenario: 'save',
      unit: 'seconds',
      regressions: ['holdfast'],
      points: [{ tensors: 64 }],
      warnings: [],
    });
  });

  test('names from files do not reach the terminal as they are', async () => {
    const report = comparisonReport();
    const rows = report.rows.map((row) => ({ ...row, name: `${row.name}\x1b[2J` }));
    const { stdout } = await holdfast(['bench', 'compare', ...stored({ ...report, rows }, { ...report, rows })]);
    expect(stdout).not.toContain('\x1b');
    expect(stdout).toContain('\\x1b[2J');
  });

  test.each([
    ['other scenarios', () => stored(comparisonReport('save'), comparisonReport('load')), 'ERR_INVALID_ARGUMENT', /same scenario/],
    ['a missing file', () => ['/nowhere/a.json', '/nowhere/b.json'], 'ERR_NOT_FOUND', /a\.json/],
    ['one file', () => ['a.json'], 'ERR_INVALID_ARGUMENT', /B\.json/],
    ['what is no result', () => stored({} as Report, {} as Report), 'ERR_INVALID_ARGUMENT', /no result|not a result.*--out/],
  ])('%s: exit 2', async (_, files, code, message) => {
    const failed = await holdfastError(['bench', 'compare', ...files()]);
    expect(failed).toMatchObject({ code: 2, error: { code, message: expect.stringMatching(message) } });
  });
});

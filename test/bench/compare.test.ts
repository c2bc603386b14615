/** Two results side by side: what counts as slower, and what cannot be compared. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { bootstrapInterval, ratioInterval } from '../../src/bench/bootstrap.js';
import { type CompareReport, compareReports, type RowChange } from '../../src/bench/compare.js';
import { readReport } from '../../src/bench/read-report.js';
import type { ComparisonReport, Report } from '../../src/bench/report.js';
import { around, comparisonReport, makeComparison, makeRow, stallReport, sweepReport, trainReport } from '../helpers/bench-reports.js';
import { freshDirectory } from '../helpers/directory.js';

function rowOf({ points }: CompareReport, name: string): RowChange {
  return points[0]?.rows.find((row) => row.name === name) as RowChange;
}

describe('the bootstrap interval of a ratio of medians', () => {
  test('is the ratio itself where nothing varies', () => {
    expect(ratioInterval([2, 2, 2, 2], [3, 3, 3])).toEqual({ low: 1.5, high: 1.5 });
  });

  test('contains the ratio, is wider for what varies more, and the same for the same seed', () => {
    const narrow = ratioInterval(around(1, 0.02), around(2, 0.02));
    const wide = ratioInterval(around(1, 0.3), around(2, 0.3));
    expect(narrow.low).toBeLessThan(2);
    expect(narrow.high).toBeGreaterThan(2);
    expect(wide.low).toBeLessThan(narrow.low);
    expect(wide.high).toBeGreaterThan(narrow.high);
    expect(ratioInterval(around(1, 0.3), around(2, 0.3))).toEqual(wide);
    expect(ratioInterval(around(1, 0.3), around(2, 0.3), { resamples: 200, seed: 2 })).not.toEqual(wide);
  });

  test('covers the true ratio about 95 times of 100', () => {
    let state = 1;
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const draw = () => Array.from({ length: 25 }, () => 1 + (random() + random() + random()) / 3);
    let covered = 0;
    for (let i = 0; i < 300; i++) {
      const { low, high } = ratioInterval(draw(), draw(), { resamples: 400, seed: i });
      if (low <= 1 && high >= 1) covered++;
    }
    // Percentile intervals of medians are a little too wide rather than too narrow.
    expect(covered / 300).toBeGreaterThan(0.92);
    expect(covered / 300).toBeLessThan(1);
  });

  test('leaves out 2.5 % at each end', () => {
    // The median of one value drawn from 1000 is any of them.
    const { low, high } = bootstrapInterval([Array.from({ length: 1000 }, (_, i) => i)], ([value]) => value as number, { resamples: 1 });
    expect(low).toBe(high);
    const one = Array.from({ length: 1 }, () => 5);
    expect(bootstrapInterval([one, [1, 3]], ([a, b]) => (a as number) * (b as number))).toEqual({ low: 5, high: 15 });
  });
});

describe('compareReports', () => {
  test('a result and itself are the same', () => {
    for (const report of [comparisonReport(), sweepReport('size'), stallReport(), trainReport()] as Report[]) {
      const { points, regressions, environment, warnings } = compareReports(report, report);
      expect([regressions, environment, warnings]).toEqual([[], [], []]);
      for (const row of points.flatMap(({ rows }) => rows)) expect(row).toMatchObject({ ratio: 1, verdict: 'same' });
    }
  });

  test('ours is slower on the same disk: a regression', () => {
    const report = compareReports(comparisonReport(), comparisonReport('save', { factor: 1.3 }));
    expect(rowOf(report, 'holdfast')).toMatchObject({ verdict: 'slower', againstLimit: { verdict: 'slower' } });
    expect(rowOf(report, 'holdfast').ratio).toBeCloseTo(1.3);
    expect(rowOf(report, 'fio')).toMatchObject({ verdict: 'same', againstLimit: null });
    expect(report.regressions).toEqual(['holdfast']);
  });

  test('ours is faster: none', () => {
    const report = compareReports(comparisonReport(), comparisonReport('save', { factor: 0.7 }));
    expect(rowOf(report, 'holdfast')).toMatchObject({ verdict: 'faster', againstLimit: { verdict: 'faster' } });
    expect(report.regressions).toEqual([]);
  });

  test('the disk is slower, and ours with it: both are said, and it is none', () => {
    const report = compareReports(comparisonReport(), comparisonReport('save', { disk: 1.5 }));
    expect(rowOf(report, 'holdfast')).toMatchObject({ verdict: 'slower', againstLimit: { verdict: 'same' } });
    expect(rowOf(report, 'fio').verdict).toBe('slower');
    expect(rowOf(report, 'holdfast').againstLimit?.ratio).toBeCloseTo(1);
    expect(report.regressions).toEqual([]);
  });

  test('the disk is faster and ours is not: a regression that absolute times do not show', () => {
    const report = compareReports(comparisonReport(), comparisonReport('save', { disk: 0.6, factor: 1 / 0.6 }));
    expect(rowOf(report, 'holdfast')).toMatchObject({ verdict: 'same', againstLimit: { verdict: 'slower' } });
    expect(report.regressions).toEqual(['holdfast']);
  });

  test('a peer that became slower is no regression', () => {
    const before = comparisonReport();
    const after = {
      ...before,
      rows: before.rows.map((row) => (row.name === 'torch.save' ? makeRow('torch.save', 'peer', row.bytes, around(9, 0.1)) : row)),
    };
    const report = compareReports(before, after);
    expect(rowOf(report, 'torch.save').verdict).toBe('slower');
    expect(report.regressions).toEqual([]);
  });

  test('without a limit the absolute times decide', () => {
    const without = (report: ComparisonReport) => ({ ...report, noise: null, rows: report.rows.filter(({ kind }) => kind !== 'limit') });
    const report = compareReports(without(comparisonReport()), comparisonReport('save', { factor: 1.3 }));
    expect(rowOf(report, 'holdfast')).toMatchObject({ verdict: 'slower', againstLimit: null });
    expect(report.regressions).toEqual(['holdfast']);
    expect(report.points[0]?.onlyAfter).toEqual(['fio']);
  });

  test('with fewer than three runs there is a ratio and no verdict', () => {
    const report = compareReports(comparisonReport(), comparisonReport('save', { factor: 2, runs: 2 }));
    expect(rowOf(report, 'holdfast')).toMatchObject({ interval: null, verdict: 'unknown', againstLimit: { verdict: 'unknown' } });
    expect(report.regressions).toEqual([]);
    expect(rowOf(compareReports(stallReport({ raw: false }), stallReport({ factor: 3 })), 'pinned')).toMatchObject({ verdict: 'unknown' });
  });

  test('a row with other bytes is compared per byte', () => {
    const withPeer = (bytes: number, seconds: number) => {
      const report = comparisonReport();
      const ours = report.rows.filter(({ kind }) => kind !== 'peer');
      return {
        ...report,
        ...makeComparison(report.bytes, report.tensors, [...ours, makeRow('peer', 'peer', bytes, around(seconds, 0.01))]),
      };
    };
    expect(rowOf(compareReports(withPeer(1000, 2), withPeer(4000, 8)), 'peer')).toMatchObject({ verdict: 'same' });
  });

  test('sweeps are compared point by point, as far as both go', () => {
    const before = sweepReport('small');
    const after = sweepReport('small', { factor: 2 });
    const report = compareReports(before, { ...after, points: after.points.slice(2) });
    expect(report.points.map(({ bytes }) => bytes)).toEqual(before.points.slice(2).map(({ bytes }) => bytes));
    expect(report.regressions).toContain('holdfast (65536 bytes, 4 tensors)');
    const many = compareReports(sweepReport('many'), sweepReport('many', { factor: 2 }));
    expect(many.points.map(({ tensors }) => tensors)).toEqual([1, 100, 1000, 10_000, 100_000]);
  });

  test('a longer stall and slower training are regressions, too', () => {
    const stall = compareReports(stallReport(), stallReport({ factor: 2 }));
    expect(stall).toMatchObject({ unit: 'ms' });
    expect(stall.regressions).toHaveLength(9);
    const train = compareReports(trainReport(), trainReport({ factor: 1.5 }));
    expect(train).toMatchObject({ unit: 'slowdown', regressions: ['saveAsync', "saveAsync, priority 'low'"] });
  });

  test('lists what is not the same about the machine, and what makes a result doubtful', () => {
    const before = comparisonReport();
    const after = {
      ...before,
      partial: true,
      warnings: ['tmpfs is no disk.'],
      environment: { ...before.environment, kernel: 'Linux 7.0', date: 'later' },
    };
    expect(compareReports(before, after)).toMatchObject({
      environment: [{ field: 'kernel', before: 'Linux 6.9.1', after: 'Linux 7.0' }],
      warnings: ['B was interrupted: it has fewer runs than were asked for.', 'B: tmpfs is no disk.'],
    });
  });

  test('runs, peers and the directory may differ', () => {
    const other = comparisonReport('save', { settings: { bytes: 4 * 2 ** 30, runs: 5, directory: '/other', peers: [] } });
    expect(compareReports(comparisonReport(), other).regressions).toEqual([]);
  });

  test.each([
    ['scenarios', comparisonReport('load'), /of the scenario save, the other of load.*same scenario/],
    ['settings', comparisonReport('save', { settings: { engine: 'portable' } }), /engine is "auto" in one and "portable".*same options/],
    ['bytes', { ...comparisonReport(), bytes: 1024 }, /no size in common.*same --size/],
  ])('other %s cannot be compared', (_, after, message) => {
    expect(() => compareReports(comparisonReport(), after)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });
});

describe('readReport', () => {
  async function read(content: string): Promise<Report> {
    const file = path.join(freshDirectory(), 'result.json');
    writeFileSync(file, content);
    return readReport(file);
  }

  test('gives what was stored, of every scenario', async () => {
    const reports = [comparisonReport('verify'), sweepReport('small'), sweepReport('many'), stallReport(), trainReport()];
    for (const report of reports) expect(await read(JSON.stringify(report))).toEqual(report);
  });

  const { rows: _, ...withoutRows } = comparisonReport();
  const withRow = (change: object) => JSON.stringify({ ...withoutRows, rows: [{ ...comparisonReport().rows[0], ...change }] });
  test.each([
    ['hello', 'it is not JSON'],
    ['[]', 'it is no object'],
    ['{"scenario": "save"}', 'it has no environment or no settings'],
    [JSON.stringify({ ...withoutRows, scenario: 'soak' }), 'its scenario is not known to this version'],
    [JSON.stringify(withoutRows), 'it has no rows'],
    [JSON.stringify({ ...withoutRows, rows: [null] }), 'rows[0] is no object'],
    [withRow({ kind: 'theirs' }), 'rows[0] has no kind'],
    [withRow({ secondsMedian: '1' }), 'rows[0] has no secondsMedian'],
    [withRow({ seconds: [1, null] }), 'rows[0].seconds is no list of positive numbers'],
    [JSON.stringify({ ...sweepReport('size'), points: [{ ...withoutRows, rows: [{}] }] }), 'points[0].rows[0] has no bytes'],
  ])('refuses %.60s', async (content, why) => {
    await expect(read(content)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(why) });
  });

  test('a file that is not there, or is a directory', async () => {
    const directory = freshDirectory();
    mkdirSync(path.join(directory, 'a'));
    await expect(readReport(path.join(directory, 'b'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await expect(readReport(path.join(directory, 'a'))).rejects.toMatchObject({ name: 'HoldfastError' });
  });
});

/** The page of a result: all of it is in one file, nothing in a result can break it, and a browser draws it without an error. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ChartSpec, chartsOf } from '../../src/bench/page/charts.js';
import type { Report } from '../../src/bench/report.js';
import { html, inlineJson, inlineScript } from '../../src/report/html.js';
import { comparisonReport, makeComparison, stallReport, sweepReport, trainReport } from '../helpers/bench-reports.js';
import { CHROMIUM, inBrowser } from '../helpers/browser-page.js';
import { freshDirectory } from '../helpers/directory.js';

const DIST = new URL('../../dist/bench/page/write-page.js', import.meta.url);

const REPORTS: readonly (readonly [string, Report, titles: readonly string[]])[] = [
  ['save', comparisonReport('save'), ['Throughput', 'Share of the limit']],
  ['load', comparisonReport('load'), ['Throughput', 'Share of the limit']],
  ['verify', comparisonReport('verify'), ['Throughput', 'Share of the limit']],
  ['small', sweepReport('small'), ['Throughput by size', 'Time by size', 'Share of the limit by size']],
  ['size', sweepReport('size'), ['Throughput by size', 'Share of the limit by size']],
  ['many', sweepReport('many'), ['Time by number of tensors', 'Share of the limit by number of tensors']],
  [
    'stall',
    stallReport(),
    ['Stall by size', ...['pinned', 'copied', 'stream'].map((source) => `Event loop during a save: ${source}, 4.00 GiB`)],
  ],
  ['train', trainReport(), ['Speed of training while a checkpoint is written', 'Training time lost by one save']],
];

/** A result in which every text wants to be more than text. */
const EVIL = `</script><script>alert(1)</script><img src=x onerror="alert('2')">&amp;\u2028`;
function evilReport(): Report {
  const report = comparisonReport();
  return {
    ...report,
    rows: report.rows.map((row) => ({ ...row, name: row.name + EVIL, note: EVIL })),
    rules: [EVIL],
    warnings: [EVIL],
    leftOut: [{ name: EVIL, why: EVIL }],
    environment: { ...report.environment, cpu: EVIL },
    settings: { [EVIL]: EVIL },
  };
}

let writePage: (report: Report, file: string) => Promise<void>;
beforeAll(async () => {
  // As built: with its style and scripts beside it.
  ({ writePage } = await import(DIST.href));
});

async function pageOf(report: Report): Promise<string> {
  const file = path.join(freshDirectory(), 'page.html');
  await writePage(report, file);
  return readFileSync(file, 'utf8');
}

/** What the page is apart from the text of its scripts and its style. */
function markupOf(page: string): string {
  return page.replace(/(<script[^>]*>).*?<\/script>/gs, '$1</script>').replace(/(<style>).*?<\/style>/s, '$1</style>');
}

describe('html', () => {
  test('escapes what is interpolated, once', () => {
    expect(html`<p title="${`a"b'`}">${'<&>'}${[html`<b>${1}</b>`, null]}</p>`.text).toBe(
      '<p title="a&quot;b&#39;">&lt;&amp;&gt;<b>1</b></p>',
    );
  });

  test('documents and scripts cannot end their element', () => {
    const text = inlineJson({ a: EVIL }).text;
    expect(text).not.toMatch(/[<>\u2028]/);
    expect(JSON.parse(text)).toEqual({ a: EVIL });
    expect(inlineScript('x = "</script>";\n//# sourceMappingURL=x.map').text).toBe('x = "<\\/script>";\n');
  });
});

describe('charts', () => {
  test.each(REPORTS)('of %s', (_, report, titles) => {
    const charts = chartsOf(report);
    expect(charts.map(({ title }) => title)).toEqual(titles);
    const numbers = charts.flatMap((chart) =>
      chart.kind === 'bars'
        ? chart.bars.map(({ value, low, high }) => [low, value, high])
        : chart.lines.flatMap(({ points }) => points.map(([, y, low, high]) => [low, y, high])),
    );
    expect(numbers.length).toBeGreaterThan(2);
    for (const [low, value, high] of numbers as [number, number, number][]) {
      expect(low).toBeLessThanOrEqual(value);
      expect(value).toBeLessThanOrEqual(high);
    }
  });

  test('the limit is 100 % of itself, and who takes twice as long half of that, per byte', () => {
    const report = comparisonReport();
    const [, share] = chartsOf(report) as [ChartSpec, ChartSpec & { kind: 'bars' }];
    const limit = report.rows.find(({ kind }) => kind === 'limit');
    for (const [i, { name, secondsMedian, bytes }] of report.rows.entries()) {
      expect(share.bars[i]?.label).toBe(name);
      expect(share.bars[i]?.value).toBeCloseTo((limit!.secondsMedian / limit!.bytes) * (bytes / secondsMedian), 9);
    }
    // 0.96 to 1.05: the wider side, both ways.
    expect(share.band).toEqual({ low: 1 / 1.05, high: 1.05 });
  });

  test('without a limit there is no share of it', () => {
    const report = comparisonReport();
    const rows = report.rows.filter(({ kind }) => kind !== 'limit');
    expect(chartsOf({ ...report, ...makeComparison(report.bytes, 64, rows) }).map(({ title }) => title)).toEqual(['Throughput']);
    const sweep = sweepReport('size');
    const points = sweep.points.map((point) => ({ ...point, noise: null, rows: point.rows.filter(({ kind }) => kind !== 'limit') }));
    expect(chartsOf({ ...sweep, points }).map(({ title }) => title)).toEqual(['Throughput by size']);
  });

  test('a stall without delays over time has no plot of them', () => {
    const report = stallReport();
    const rows = report.rows.map(({ eventLoopDelays: _, ...row }) => row);
    expect(chartsOf({ ...report, rows })).toHaveLength(1);
  });
});

describe('writePage', () => {
  test.each(REPORTS)('%s: plots, figures, rules, environment, what was left out', async (scenario, report, titles) => {
    const page = await pageOf(report);
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(page).toContain(`<title>holdfast bench ${scenario}</title>`);
    for (const [i, title] of titles.entries()) {
      expect(page).toContain(`<strong>${title}</strong>`);
      expect(page).toContain(`<canvas data-chart="${i}" role="img" aria-label="${title}.`);
    }
    const names =
      'points' in report
        ? report.points[0]!.rows.map(({ name }) => name)
        : report.rows.map((row) => ('name' in row ? row.name : row.source));
    for (const name of names) expect(page).toContain(`<th scope="row">${name.replaceAll("'", '&#39;')}</th>`);
    for (const text of [...report.rules, ...report.leftOut.flatMap(({ name, why }) => [name, why]), report.environment.cpu])
      expect(page).toContain(text);
  });

  test('loads nothing: no address anywhere but in comments and texts, and a policy that forbids it', async () => {
    const markup = markupOf(await pageOf(comparisonReport()));
    expect(markup).not.toMatch(/\b(src|href|srcset|action|poster|data)=/);
    expect(markup).not.toMatch(/<(link|iframe|object|embed|base|img|form)\b/);
    const page = await pageOf(comparisonReport());
    expect(page).not.toMatch(/@import|url\(|sourceMappingURL/);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"`);
    expect(page).toMatch(/Chart\.js v4\.\d+\.\d+\s.*?Released under the MIT License/s);
  });

  test('what stands in a result stays text', async () => {
    const page = await pageOf(evilReport());
    const markup = markupOf(page);
    expect(markup).not.toContain('<img');
    // As many scripts as are ours: the data, the library, the drawing.
    expect(page.match(/<script/g)).toHaveLength(3 + (inlined().match(/<script/g)?.length ?? 0));
    expect(page.match(/<\/script>/g)).toHaveLength(3);
    expect(page).not.toContain('alert(1)</script>');
  });

  test('says when it was interrupted, and what makes it doubtful', async () => {
    const page = await pageOf({ ...comparisonReport(), partial: true, warnings: ['tmpfs is no disk.'] });
    expect(page).toContain('Interrupted: this is what was measured by then.');
    expect(page).toContain('tmpfs is no disk.');
  });

  test('a file that cannot be written is a typed error', async () => {
    const file = path.join(freshDirectory(), 'missing', 'page.html');
    await expect(writePage(comparisonReport(), file)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', path: file });
  });
});

function inlined(): string {
  return ['chart.umd.min.js', 'draw.js'].map((name) => readFileSync(new URL(name, DIST), 'utf8')).join('');
}

describe.skipIf(CHROMIUM === undefined)('in a browser', () => {
  test.each([...REPORTS, ['evil', evilReport(), []] as const])('%s is drawn without an error', async (_, report) => {
    const { errors, painted } = inBrowser(await pageOf(report));
    expect(errors).toEqual([]);
    expect(painted).toHaveLength(chartsOf(report).length);
    for (const pixels of painted) expect(pixels).toBeGreaterThan(1000);
  });

  test('light or dark as the reader has it, and no wider than a phone', async () => {
    const page = await pageOf(comparisonReport());
    expect(inBrowser(page)).toMatchObject({ errors: [], ground: 'rgb(255, 255, 255)' });
    expect(inBrowser(page, { dark: true, width: 500 })).toMatchObject({ errors: [], ground: 'rgb(20, 23, 27)', overflow: 0 });
  });
});

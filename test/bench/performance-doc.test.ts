/** The script that makes the tables of docs/PERFORMANCE.md. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/bench/report.js';
import { comparisonReport, stallReport, sweepReport, trainReport } from '../helpers/bench-reports.js';
import { freshDirectory } from '../helpers/directory.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/performance-doc.mjs', import.meta.url));
const DOC = fileURLToPath(new URL('../../docs/PERFORMANCE.md', import.meta.url));

const SCENARIOS = ['save', 'load', 'verify', 'small', 'size', 'many', 'stall', 'train'];

function make(before: string, reports: readonly Report[]): { status: number | null; stderr: string; text: string } {
  const directory = freshDirectory();
  const doc = path.join(directory, 'DOC.md');
  writeFileSync(doc, before);
  const files = reports.map((report, i) => {
    const file = path.join(directory, `${i}.json`);
    writeFileSync(file, JSON.stringify(report));
    return file;
  });
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--doc', doc, ...files], { encoding: 'utf8' });
  return { status, stderr, text: readFileSync(doc, 'utf8') };
}

const MARKED =
  'Before.\n\n<!-- bench:save -->\nold\n<!-- /bench:save -->\n\nBetween.\n\n<!-- bench:stall -->\n<!-- /bench:stall -->\nAfter.\n';

describe('performance-doc', () => {
  test('replaces what is between the marks, and nothing else', () => {
    const { status, text } = make(MARKED, [comparisonReport('save', { settings: { bytes: 4 * 2 ** 30 } })]);
    expect(status).toBe(0);
    expect(text).toMatch(
      /^Before\.\n\n<!-- bench:save -->\n`npx holdfast bench save --size 4GiB --runs 15 --peers fs\.writeFile,safetensors`\n\n/,
    );
    expect(text).toContain('Example CPU 9000 @ 3.00GHz, 8 cores');
    expect(text).toMatch(/^\| holdfast \| 2\.\d\d GB\/s \| 2\.05 s \|/m);
    expect(text).toMatch(/^\| fio \| .* \| 100 % \|/m);
    expect(text).toContain('Left out: torch-dcp, tfjs-node.');
    expect(text).not.toContain('\nold\n');
    expect(text).toMatch(/\n<!-- \/bench:save -->\n\nBetween\.\n\n<!-- bench:stall -->\n<!-- \/bench:stall -->\nAfter\.\n$/);
  });

  test('gives the same again, and both of two results of a scenario', () => {
    const { text } = make(MARKED, [comparisonReport(), stallReport()]);
    expect(make(text, [comparisonReport(), stallReport()]).text).toBe(text);
    expect(text).toContain('`npx holdfast bench stall --sizes 64MiB,1GiB,4GiB --tensors 200 --runs 15 --calls 100`');
    const two = make(MARKED, [comparisonReport(), comparisonReport('save', { settings: { bytes: 2 ** 20 } })]).text;
    expect(two.match(/^`npx holdfast bench save/gm)).toHaveLength(2);
  });

  test('a document without the marks is left alone, and it is said which are missing', () => {
    const { status, stderr, text } = make(MARKED, [comparisonReport(), trainReport()]);
    expect(status).toBe(1);
    expect(stderr).toContain('put <!-- bench:train --> and <!-- /bench:train --> where its table belongs');
    expect(text).toBe(MARKED);
    expect(make(MARKED, [{} as Report])).toMatchObject({ status: 1, stderr: expect.stringContaining('not a result'), text: MARKED });
    expect(make(MARKED, [])).toMatchObject({ status: 1, stderr: expect.stringContaining('name the results'), text: MARKED });
  });

  test('the document has a place for every scenario', () => {
    const before = readFileSync(DOC, 'utf8');
    const reports = [
      ...(['save', 'load', 'verify'] as const).map((scenario) => comparisonReport(scenario)),
      ...(['small', 'size', 'many'] as const).map((scenario) => sweepReport(scenario)),
      stallReport(),
      trainReport(),
    ];
    const { status, stderr, text } = make(before, reports);
    expect([status, stderr]).toEqual([0, '']);
    for (const scenario of SCENARIOS) expect(text).toContain(`-->\n\`npx holdfast bench ${scenario} `);
  });

  test('text of a result cannot break a table', () => {
    const report = comparisonReport();
    const rows = report.rows.map((row) => ({ ...row, name: `${row.name} | <b>\n*x*` }));
    expect(make(MARKED, [{ ...report, rows }]).text).toMatch(/^\| holdfast \\\| &lt;b\\> \\\*x\\\* \| 2\.\d\d GB\/s \|/m);
  });
});

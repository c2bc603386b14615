/** `holdfast bench compare`: did it become slower, and was it the library or the machine? */
import type { Change, CompareReport, PointChange, RowChange, Verdict } from '../../bench/compare.js';
import { formatBytes, plural } from '../../terminal/format.js';
import { escapeText, wrap } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { EXIT_FINE, EXIT_PROBLEM } from '../exit.js';
import { type Colour, outputWidth, paint, print, printJson } from '../output.js';
import { type Column, layOut } from '../table.js';

const NOTES = [
  'A ratio is the median of B divided by the median of A: above 1, B takes longer. Its 95 % interval is a bootstrap over the runs of both. A verdict is "same" if the interval contains 1: chance alone may have done it; with fewer than three runs there is none.',
  'A disk that became slower is no fault of the library. So where both results have a limit, what the bare disk can do, the second ratio is that of the times divided by their own limit, and that one decides.',
  'Both results must be of the same scenario, bytes and settings; runs, peers and the directory may differ. Differences of the machine are listed.',
  'Exit codes: 0 if none of our rows became slower beyond noise, 1 if one did, 2 if the files cannot be compared.',
  'JSON: {scenario, unit, points: [{bytes, tensors, rows: [{name, kind, before, after, ratio, interval: {low, high}, verdict, againstLimit: {ratio, interval, verdict}}], onlyBefore, onlyAfter}], regressions: [names], environment: [{field, before, after}], warnings}.',
];

export const registerBenchCompare: RegisterCommand = (bench, context) =>
  bench
    .command('compare')
    .summary('what became slower between two stored results')
    .description('Compares two results that --out stored: how many times as long B takes as A, and whether that is more than noise.')
    .argument('<A.json>', 'the older result')
    .argument('<B.json>', 'the newer one')
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast bench compare before.json after.json', 'before and after an upgrade, on the same disk'],
          ["holdfast bench compare nvme.json sata.json --json | jq '.points[].rows[] | {name, ratio}'", 'for other programs'],
        ],
        NOTES,
      ),
    )
    .action(async (before: string, after: string, { json }: CommonOptions) => {
      const [{ readReport }, { compareReports }] = await Promise.all([
        import('../../bench/read-report.js'),
        import('../../bench/compare.js'),
      ]);
      const report = compareReports(await readReport(before), await readReport(after));
      context.exitCode = report.regressions.length === 0 ? EXIT_FINE : EXIT_PROBLEM;
      if (json) printJson(report);
      else printReport(report);
    });

function printReport(report: CompareReport): void {
  for (const point of report.points) {
    printPoint(point, report);
    print('');
  }
  for (const { field, before, after } of report.environment) {
    print(`Not the same ${field}: ${inWords(before)} in A, ${inWords(after)} in B.`);
  }
  for (const warning of report.warnings) printParagraph(escapeText(warning), 'yellow');
  printParagraph(...verdictOf(report));
}

function printPoint(point: PointChange, { unit, points }: CompareReport): void {
  const { bytes, tensors, rows, onlyBefore, onlyAfter } = point;
  const title = points.length === 1 ? '' : `${formatBytes(bytes)} in ${plural(tensors, 'tensor')}`;
  if (title !== '') print(paint('bold', title));
  const { header, lines } = layOut(columnsFor(unit), rows, outputWidth());
  print(paint('bold', header));
  for (const line of lines) print(line);
  const limit = rows.find(({ kind }) => kind === 'limit');
  if (limit !== undefined) printParagraph(machineInWords(limit));
  for (const [which, names] of Object.entries({ A: onlyBefore, B: onlyAfter })) {
    if (names.length > 0) printParagraph(`Only in ${which}: ${names.map((name) => escapeText(name)).join(', ')}.`);
  }
}

function columnsFor(unit: CompareReport['unit']): Column<RowChange>[] {
  return [
    { title: 'ROW', value: ({ name }) => escapeText(name), shortest: 12 },
    { title: 'A', value: ({ before }) => formatTime(before, unit), align: 'right', dispensable: 3 },
    { title: 'B', value: ({ after }) => formatTime(after, unit), align: 'right', dispensable: 2 },
    { title: 'B/A', value: ({ ratio }) => formatRatio(ratio), align: 'right' },
    { title: '95 %', value: formatInterval, dispensable: 1 },
    { title: 'VERDICT', value: ({ verdict }) => VERDICTS[verdict] },
    { title: 'TO LIMIT', value: ({ againstLimit }) => (againstLimit === null ? '' : formatRatio(againstLimit.ratio)), align: 'right' },
    { title: '95 %', value: ({ againstLimit }) => (againstLimit === null ? '' : formatInterval(againstLimit)), dispensable: 4 },
    { title: 'VERDICT', value: ({ againstLimit }) => (againstLimit === null ? '' : VERDICTS[againstLimit.verdict]) },
  ];
}

const VERDICTS: Readonly<Record<Verdict, string>> = {
  slower: 'slower',
  faster: 'faster',
  same: 'same within noise',
  unknown: 'too few runs',
};

function machineInWords({ name, ratio, verdict }: RowChange): string {
  const times = formatRatio(ratio);
  const limit = escapeText(name);
  if (verdict === 'same') return `The disk itself is the same within noise: ${limit} takes ${times} times as long.`;
  if (verdict === 'unknown') return `Whether the disk itself changed cannot be told: ${limit} has too few runs (${times} times as long).`;
  return `The disk itself became ${verdict}: ${limit} takes ${times} times as long.`;
}

function verdictOf({ regressions, points }: CompareReport): [sentence: string, colour: Colour] {
  if (regressions.length > 0) return [`Slower beyond noise: ${regressions.map((name) => escapeText(name)).join(', ')}.`, 'red'];
  const ours = points.flatMap(({ rows }) => rows.filter(({ kind }) => kind === 'ours'));
  if (ours.length === 0) return ['The results have none of our rows in common.', 'yellow'];
  const decided = ours.map(({ againstLimit, verdict }) => againstLimit?.verdict ?? verdict);
  if (decided.every((verdict) => verdict === 'unknown')) return ['Too few runs to tell: measure both with more --runs.', 'yellow'];
  return ['Nothing of ours became slower beyond noise.', 'green'];
}

function printParagraph(text: string, colour?: Colour): void {
  for (const line of wrap(text, Math.min(outputWidth(), 100))) print(colour === undefined ? line : paint(colour, line));
}

function inWords(value: unknown): string {
  return value === null ? 'nothing' : escapeText(typeof value === 'string' ? value : JSON.stringify(value));
}

function formatTime(value: number, unit: CompareReport['unit']): string {
  if (unit === 'slowdown') return value.toPrecision(3);
  const ms = unit === 'ms' ? value : 1000 * value;
  if (ms >= 999.5) return `${(ms / 1000).toPrecision(3)} s`;
  return ms >= 0.9995 ? `${ms.toPrecision(3)} ms` : `${(1000 * ms).toPrecision(3)} µs`;
}

function formatRatio(ratio: number): string {
  return ratio.toFixed(ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0);
}

function formatInterval({ interval }: Change): string {
  return interval === null ? '' : `${formatRatio(interval.low)} to ${formatRatio(interval.high)}`;
}

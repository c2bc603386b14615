/** Results of `holdfast bench` in words. */
import type { Environment } from '../../bench/environment.js';
import { withinNoise } from '../../bench/noise.js';
import type { Comparison, ComparisonReport, ReportHeader, Row, SweepReport, TrainReport, TrainRow } from '../../bench/report.js';
import { formatBytes, formatInteger, formatRate, formatSeconds, plural } from '../../terminal/format.js';
import { escapeText, wrap } from '../../terminal/text.js';
import { outputWidth, paint, print } from '../output.js';
import { type Column, layOut } from '../table.js';

export const INTERRUPTED = 'Interrupted: these are the figures of the rounds until then.';

/** `0.42 ms`. */
export function formatMs(ms: number): string {
  return `${ms.toFixed(ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0)} ms`;
}

function formatTime(seconds: number): string {
  return seconds < 0.9995 ? formatMs(1000 * seconds) : formatSeconds(seconds);
}

/** A row and what it is compared with. */
interface Line {
  readonly row: Row;
  readonly comparison: Comparison;
  /** What tells the points of a sweep apart; empty but in a point's first line. */
  readonly point: string;
}

function shareOfLimit({ row, comparison }: Line): string {
  const limit = comparison.rows.find(({ kind }) => kind === 'limit');
  return limit === undefined ? '' : `${((100 * row.bytesPerSecond) / limit.bytesPerSecond).toFixed(0)} %`;
}

/** How many times as long it takes; with ~ where chance alone may have made the difference. */
function ratioOf({ row, comparison: { ratios, noise } }: Line): string {
  const ratio = ratios[row.name];
  if (row.kind === 'ours' || ratio === undefined) return '';
  return `${noise !== null && withinNoise(ratio, noise) ? '~' : ''}${ratio.toPrecision(3)}`;
}

const COLUMNS: readonly Column<Line>[] = [
  { title: 'POINT', value: ({ point }) => point, align: 'right' },
  { title: 'NAME', value: ({ row }) => row.name },
  { title: 'MEDIAN', value: ({ row }) => formatTime(row.secondsMedian), align: 'right' },
  { title: 'LEAST', value: ({ row }) => formatTime(row.secondsMin), align: 'right', dispensable: 3 },
  { title: 'MOST', value: ({ row }) => formatTime(row.secondsMax), align: 'right', dispensable: 3 },
  { title: 'RATE', value: ({ row }) => formatRate(row.bytesPerSecond), align: 'right' },
  { title: 'OF LIMIT', value: shareOfLimit, align: 'right', dispensable: 1 },
  { title: 'RATIO', value: ratioOf, align: 'right' },
  { title: 'CPU', value: ({ row }) => (row.cpuSeconds === null ? '' : formatTime(row.cpuSeconds)), align: 'right', dispensable: 2 },
  { title: 'MEMORY', value: ({ row }) => (row.maxRssBytes === null ? '' : formatBytes(row.maxRssBytes)), align: 'right', dispensable: 2 },
];

const LEGEND =
  'RATIO: median time, per byte, against ours: above 1 we are faster; ~ where chance alone may have made the difference. OF LIMIT: share of the speed of the limit. CPU: processor time of one run. MEMORY: most resident memory of its process.';

/** The result of `save`, `load` or `verify`. */
export function printComparison(report: ComparisonReport): void {
  printTable(report.rows.map((row) => ({ row, comparison: report, point: '' })));
  const facts = `${formatBytes(report.bytes)} in ${plural(report.tensors, 'tensor')}, ${plural(report.runs, 'round')}.`;
  printRest(report, [facts, ...notesOf(report.rows), noiseText([report]), LEGEND]);
}

/** The result of a sweep. */
export function printSweep(report: SweepReport): void {
  const lines = report.points.flatMap((comparison) =>
    comparison.rows.map((row, i): Line => {
      const point = report.scenario === 'many' ? formatInteger(comparison.tensors) : formatBytes(comparison.bytes);
      return { row, comparison, point: i === 0 ? point : '' };
    }),
  );
  printTable(lines);
  const what =
    report.scenario === 'many' ? 'Points: number of tensors of the same bytes together' : 'Points: bytes of all tensors together';
  const runs = Math.min(...report.points.map((point) => point.runs));
  const bytes = report.scenario === 'many' ? `, ${formatBytes(report.points[0]?.bytes ?? 0)}` : '';
  const notes = new Set(report.points.flatMap(({ rows }) => notesOf(rows)));
  printRest(report, [`${what}${bytes}; ${plural(runs, 'round')}.`, ...notes, noiseText(report.points), LEGEND]);
}

const TRAIN_COLUMNS: readonly Column<TrainRow>[] = [
  { title: 'BESIDE TRAINING', value: ({ name }) => name },
  { title: 'SPEED', value: ({ speedMedian }) => percent(speedMedian), align: 'right' },
  { title: 'LEAST', value: ({ speedMin }) => percent(speedMin), align: 'right', dispensable: 2 },
  { title: 'MOST', value: ({ speedMax }) => percent(speedMax), align: 'right', dispensable: 2 },
  { title: 'DURABLE AFTER', value: ({ secondsMedian }) => formatTime(secondsMedian), align: 'right' },
  { title: 'LOST', value: ({ lostSecondsMedian }) => formatMs(1000 * lostSecondsMedian), align: 'right' },
  { title: 'CPU', value: ({ cpuSeconds }) => formatTime(cpuSeconds), align: 'right', dispensable: 1 },
];

/** The result of `train`. */
export function printTrain(report: TrainReport): void {
  const { header, lines } = layOut(TRAIN_COLUMNS, report.rows, outputWidth());
  print(paint('bold', header));
  for (const line of lines) print(line);
  const { bytes, tensors, runs, loop, aloneStepsPerSecond, noise } = report;
  const steps = `${aloneStepsPerSecond.toPrecision(3)} steps a second alone`;
  printRest(report, [
    `${formatBytes(bytes)} in ${plural(tensors, 'tensor')}, ${plural(runs, 'round')}, ${loop} loop: ${steps}.`,
    noise === null
      ? 'Noise: unknown, of one round.'
      : `Noise: training alone against itself, ${percent(noise.low)} to ${percent(noise.high)}.`,
    'SPEED: of training while a checkpoint is written behind it, of its speed alone. LOST: training time that one save costs, (1 - speed) times the time it takes. holdfast-low: with priority "low". buffered: fs/promises, tensor by tensor, then fsync.',
  ]);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function printTable(rows: readonly Line[]): void {
  const { header, lines } = layOut(COLUMNS, rows, outputWidth());
  print(paint('bold', header));
  for (const line of lines) print(line);
}

function notesOf(rows: readonly Row[]): string[] {
  return rows.flatMap(({ name, note }) => (note === undefined ? [] : [`${name}: ${note}.`]));
}

function noiseText(points: readonly Comparison[]): string {
  const noises = points.map(({ noise }) => noise).filter((noise) => noise !== null);
  if (noises.length === 0) return 'Noise: unknown, as there is no limit that was measured twice in more than one round.';
  const low = Math.min(...noises.map((noise) => noise.low));
  const high = Math.max(...noises.map((noise) => noise.high));
  return `Noise: the limit against itself, ${low.toFixed(2)} to ${high.toFixed(2)} (95 %${points.length > 1 ? ', of all points the widest' : ''}).`;
}

function printRest({ environment, rules, leftOut, warnings, partial }: ReportHeader, legend: readonly string[]): void {
  print('');
  for (const text of legend) printParagraph(text);
  if (leftOut.length > 0) print('');
  for (const why of new Set(leftOut.map((entry) => entry.why))) {
    const names = leftOut.filter((entry) => entry.why === why).map(({ name }) => name);
    printParagraph(`Left out: ${names.join(', ')}: ${why}.`);
  }
  print('');
  for (const rule of rules) printParagraph(`- ${rule}`);
  print('');
  printParagraph(describeEnvironmentText(environment));
  printWarnings(partial ? [INTERRUPTED, ...warnings] : warnings);
}

function printParagraph(text: string): void {
  for (const line of wrap(escapeText(text), Math.min(outputWidth(), 100))) print(paint('dim', line));
}

/** What makes figures doubtful. */
export function printWarnings(warnings: readonly string[]): void {
  if (warnings.length > 0) print('');
  for (const warning of warnings) {
    const [first = '', ...rest] = wrap(escapeText(warning), Math.min(outputWidth(), 100) - 2);
    print(`${paint('yellow', '!')} ${first}`);
    for (const line of rest) print(`  ${line}`);
  }
}

/** What the figures depend on, in a sentence. */
export function describeEnvironmentText({
  cpu,
  cores,
  memoryBytes,
  kernel,
  fileSystem,
  disk,
  node,
  holdfast,
  crc32c,
  versions = {},
}: Environment): string {
  const facts = [disk?.model, disk?.rotational === true ? 'rotating' : undefined, disk?.scheduler && `scheduler ${disk.scheduler}`];
  const said = facts.filter((fact) => typeof fact === 'string').join(', ');
  const diskText = disk == null ? '' : `, disk ${disk.device}${said === '' ? '' : ` (${said})`}`;
  const others = Object.entries(versions).map(([name, version]) => `, ${name} ${version}`);
  return `${cpu}, ${plural(cores, 'core')}, ${formatBytes(memoryBytes)} of memory, ${fileSystem}${diskText}, ${kernel}, Node.js ${node}, holdfast ${holdfast} (CRC32C: ${crc32c})${others.join('')}.`;
}

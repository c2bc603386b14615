/** The figures of a result as tables: what the plots show, for those who cannot see them or want the numbers. */
import { formatBytes, formatInteger, formatRate } from '../../terminal/format.js';
import type { Comparison, Noise, Report, Row, StallReport, TrainReport } from '../report.js';
import { shareOf } from './charts.js';

export interface FigureTable {
  readonly caption: string;
  /** The first column names the row. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One table, or one for every point of a sweep. */
export function tablesOf(report: Report): FigureTable[] {
  switch (report.scenario) {
    case 'save':
    case 'load':
    case 'verify':
      return [comparisonTable(report)];
    case 'small':
    case 'size':
    case 'many':
      return report.points.map(comparisonTable);
    case 'stall':
      return [stallTable(report)];
    case 'train':
      return [trainTable(report)];
  }
}

function comparisonTable(comparison: Comparison): FigureTable {
  const { bytes, tensors, runs, noise, rows, ratios } = comparison;
  const limit = rows.find(({ kind }) => kind === 'limit');
  return {
    caption: `${formatBytes(bytes)} in ${counted(tensors, 'tensor')}, ${counted(runs, 'run')}. ${noiseInWords(noise, limit)}`,
    columns: ['', 'throughput', 'time', 'least to most', 'share of the limit', 'time / ours', 'CPU time', 'most memory', 'note'],
    rows: rows.map((row) => [
      row.name,
      formatRate(row.bytesPerSecond),
      formatTime(row.secondsMedian),
      `${formatTime(row.secondsMin)} to ${formatTime(row.secondsMax)}`,
      limit === undefined ? '' : formatShare(shareOf(row, limit).value),
      Object.hasOwn(ratios, row.name) ? (ratios[row.name] as number).toPrecision(3) : '',
      row.cpuSeconds === null ? '' : formatTime(row.cpuSeconds),
      row.maxRssBytes === null ? '' : formatBytes(row.maxRssBytes),
      [row.bytes === bytes ? '' : `Of ${formatBytes(row.bytes)}.`, row.note ?? ''].filter((part) => part !== '').join(' '),
    ]),
  };
}

/** The interval of the limit against itself, and what it means. */
function noiseInWords(noise: Noise | null, limit: Row | undefined): string {
  if (limit === undefined) return 'There is no limit to compare with.';
  if (noise === null) return 'How far the limit differs from itself cannot be told from so few runs.';
  return `The limit against itself: ${noise.low.toFixed(2)} to ${noise.high.toFixed(2)} (95 % interval); a ratio inside of that is noise.`;
}

function stallTable({ rows, settings }: StallReport): FigureTable {
  return {
    caption: `${counted(settings.tensors, 'tensor')}, ${counted(settings.runs, 'save')} and ${counted(Math.max(settings.calls, settings.runs), 'call')} a row.`,
    columns: ['', 'size', 'stall', '99th percentile', 'longest', 'first', 'memcpy', 'persisted at', 'event loop', 'extra memory', 'engine'],
    rows: rows.map((row) => [
      row.source,
      formatBytes(row.bytes),
      formatMs(row.stallMsMedian),
      formatMs(row.stallMsP99),
      formatMs(row.stallMsMax),
      formatMs(row.firstStallMs),
      formatMs(row.memcpyMs),
      formatRate(row.persistBytesPerSecond),
      formatMs(row.eventLoopMsMedian),
      row.extraRssBytes === null ? '' : formatBytes(row.extraRssBytes),
      `${row.engine}, ${row.direct ? 'direct I/O' : 'page cache'}`,
    ]),
  };
}

function trainTable({ bytes, tensors, runs, loop, aloneStepsPerSecond, noise, rows }: TrainReport): FigureTable {
  const steps = loop === 'tfjs' ? 'steps of a TensorFlow.js model on the cpu backend' : 'multiplications of matrices in JavaScript';
  return {
    caption:
      `${formatBytes(bytes)} in ${counted(tensors, 'tensor')}, ${counted(runs, 'run')}; alone ${aloneStepsPerSecond.toPrecision(3)} ${steps} a second. ${
        noise === null ? '' : `Alone against itself: ${formatShare(noise.low)} to ${formatShare(noise.high)} (95 % interval).`
      }`.trimEnd(),
    columns: ['', 'speed of training', 'least to most', 'durable after', 'lost per save', 'CPU time'],
    rows: rows.map((row) => [
      row.name,
      formatShare(row.speedMedian),
      `${formatShare(row.speedMin)} to ${formatShare(row.speedMax)}`,
      formatTime(row.secondsMedian),
      formatTime(row.lostSecondsMedian),
      formatTime(row.cpuSeconds),
    ]),
  };
}

/** The most important figures in a sentence or two. */
export function headlineOf(report: Report): string {
  if ('points' in report) return sweepHeadline(report.points);
  switch (report.scenario) {
    case 'stall': {
      const largest = Math.max(...report.rows.map(({ bytes }) => bytes));
      const waits = report.rows
        .filter(({ bytes }) => bytes === largest)
        .map(({ source, stallMsMedian }) => `${formatMs(stallMsMedian)} (${source})`);
      return `A save of ${formatBytes(largest)} holds training up for ${waits.join(', ')}.`;
    }
    case 'train':
      return report.rows
        .filter(({ kind }) => kind === 'ours')
        .map(({ name, speedMedian }) => `With ${name}, training goes on at ${formatShare(speedMedian)} of its speed.`)
        .join(' ');
    default:
      return comparisonHeadline(report);
  }
}

function comparisonHeadline({ rows }: Comparison): string {
  const ours = rows.find(({ kind }) => kind === 'ours');
  if (ours === undefined) return '';
  return `${ours.name}: ${formatRate(ours.bytesPerSecond)}${againstLimit(ours, rows)}.`;
}

function sweepHeadline(points: readonly Comparison[]): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return '';
  const one = ({ bytes, tensors, rows }: Comparison) => {
    const ours = rows.find(({ kind }) => kind === 'ours');
    const what = `${formatBytes(bytes)} in ${counted(tensors, 'tensor')}`;
    return ours === undefined ? '' : `${what}: ${formatTime(ours.secondsMedian)}${againstLimit(ours, rows)}.`;
  };
  return first === last ? one(first) : `${one(first)} ${one(last)}`;
}

function againstLimit(ours: Row, rows: readonly Row[]): string {
  const limit = rows.find(({ kind }) => kind === 'limit');
  return limit === undefined ? '' : `, ${formatShare(shareOf(ours, limit).value)} of ${limit.name}`;
}

function counted(count: number, one: string): string {
  return `${formatInteger(count)} ${count === 1 ? one : `${one}s`}`;
}

/** Seconds in three digits, in the unit that fits. */
export function formatTime(seconds: number): string {
  const size = Math.abs(seconds);
  if (size >= 0.9995) return `${size < 999.5 ? seconds.toPrecision(3) : Math.round(seconds)} s`;
  return formatMs(1000 * seconds);
}

export function formatMs(ms: number): string {
  const size = Math.abs(ms);
  if (size === 0) return '0 ms';
  if (size < 0.9995) return `${(1000 * ms).toPrecision(size < 0.0995 ? 2 : 3)} µs`;
  return `${size < 999.5 ? ms.toPrecision(3) : Math.round(ms)} ms`;
}

export function formatShare(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

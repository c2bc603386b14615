/** What is to be plotted, as data: draw.js makes pictures of it in the browser. */
import { formatBytes } from '../../terminal/format.js';
import type { Comparison, Noise, Report, Row, RowKind, StallReport, SweepReport, TrainReport } from '../report.js';
import type { StallRow } from '../stall-trial.js';

/** How values of an axis are written. */
export type Format = 'bytes' | 'count' | 'rate' | 'share' | 'seconds' | 'ms';

/** Which colour: those of one kind share it in bars, and have shades or colours of their own in lines. */
export type Tone = RowKind;

interface ChartText {
  readonly title: string;
  /** What is seen, and how to read it. */
  readonly caption: string;
}

/** Horizontal bars with whiskers from the least to the most. */
export interface BarChart extends ChartText {
  readonly kind: 'bars';
  readonly x: { readonly title: string; readonly format: Format };
  readonly bars: readonly {
    readonly label: string;
    readonly tone: Tone;
    readonly value: number;
    readonly low: number;
    readonly high: number;
  }[];
  /** Where what is measured differs from the reference by chance alone. */
  readonly band?: Noise;
}

export type LinePoint = readonly [x: number, y: number, low: number, high: number];

/** Lines, or for `stems` one thin bar per point. */
export interface LineChart extends ChartText {
  readonly kind: 'lines' | 'stems';
  readonly x: { readonly title: string; readonly format: Format; readonly log: boolean };
  readonly y: { readonly title: string; readonly format: Format; readonly log: boolean; readonly max?: number };
  readonly lines: readonly { readonly label: string; readonly tone: Tone; readonly points: readonly LinePoint[] }[];
  readonly band?: readonly (readonly [x: number, low: number, high: number])[];
}

export type ChartSpec = BarChart | LineChart;

const WHISKERS = 'Bars are medians, lines go from the least to the most.';
const BAND = 'The shaded band is how far the limit differs from itself by chance.';

/** The plots for a result, in the order in which they are shown. */
export function chartsOf(report: Report): ChartSpec[] {
  switch (report.scenario) {
    case 'save':
    case 'load':
    case 'verify':
      return comparisonCharts(report);
    case 'small':
    case 'size':
    case 'many':
      return sweepCharts(report);
    case 'stall':
      return stallCharts(report);
    case 'train':
      return trainCharts(report);
  }
}

function comparisonCharts(comparison: Comparison): ChartSpec[] {
  const { rows, noise } = comparison;
  const throughput: BarChart = {
    kind: 'bars',
    title: 'Throughput',
    caption: `Higher is better. ${WHISKERS}`,
    x: { title: 'bytes per second', format: 'rate' },
    bars: rows.map((row) => ({
      label: row.name,
      tone: row.kind,
      value: row.bytes / row.secondsMedian,
      low: row.bytes / row.secondsMax,
      high: row.bytes / row.secondsMin,
    })),
  };
  const limit = limitOf(rows);
  if (limit === undefined) return [throughput];
  return [
    throughput,
    {
      kind: 'bars',
      title: 'Share of the limit',
      caption: `100 % is what ${limit.name} does on the bare disk. ${WHISKERS} ${noise === null ? '' : BAND}`.trimEnd(),
      x: { title: 'throughput / throughput of the limit', format: 'share' },
      bars: rows.map((row) => {
        const { value, low, high } = shareOf(row, limit);
        return { label: row.name, tone: row.kind, value, low, high };
      }),
      ...(noise === null ? {} : { band: bandOf(noise) }),
    },
  ];
}

function sweepCharts({ scenario, points }: SweepReport): ChartSpec[] {
  const byTensors = scenario === 'many';
  const xOf = ({ bytes, tensors }: Comparison) => (byTensors ? tensors : bytes);
  const x = byTensors
    ? ({ title: 'tensors', format: 'count', log: true } as const)
    : ({ title: 'bytes of a checkpoint', format: 'bytes', log: true } as const);
  const by = byTensors ? 'by number of tensors' : 'by size';
  const time: LineChart = {
    kind: 'lines',
    title: `Time ${by}`,
    caption: 'Lower is better. Points are medians, whiskers go from the least to the most. Both axes are logarithmic.',
    x,
    y: { title: 'time of one checkpoint', format: 'seconds', log: true },
    lines: linesOf(points, (row, point) => [xOf(point), row.secondsMedian, row.secondsMin, row.secondsMax]),
  };
  const throughput: LineChart = {
    kind: 'lines',
    title: `Throughput ${by}`,
    caption: 'Higher is better. Points are medians, whiskers go from the least to the most. Both axes are logarithmic.',
    x,
    y: { title: 'bytes per second', format: 'rate', log: true },
    lines: linesOf(points, (row, point) => [
      xOf(point),
      row.bytes / row.secondsMedian,
      row.bytes / row.secondsMax,
      row.bytes / row.secondsMin,
    ]),
  };
  const band = points.flatMap((point) => {
    if (point.noise === null) return [];
    const { low, high } = bandOf(point.noise);
    return [[xOf(point), low, high] as const];
  });
  const withLimit = points.filter(({ rows }) => limitOf(rows) !== undefined);
  const share: LineChart = {
    kind: 'lines',
    title: `Share of the limit ${by}`,
    caption: `100 % is what the bare disk does with as many bytes. ${band.length === 0 ? '' : BAND}`.trimEnd(),
    x,
    y: { title: 'throughput / throughput of the limit', format: 'share', log: false },
    lines: linesOf(withLimit, (row, point) => {
      const { value, low, high } = shareOf(row, limitOf(point.rows) as Row);
      return [xOf(point), value, low, high];
    }),
    ...(band.length === 0 ? {} : { band }),
  };
  const shares = withLimit.length === 0 ? [] : [share];
  if (byTensors) return [time, ...shares];
  return scenario === 'small' ? [throughput, time, ...shares] : [throughput, ...shares];
}

/** One line per name, through the points that have it. */
function linesOf(points: readonly Comparison[], place: (row: Row, point: Comparison) => LinePoint): LineChart['lines'] {
  const names = [...new Set(points.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  return names.map((name) => {
    const found = points.flatMap((point) => point.rows.filter((row) => row.name === name).map((row) => ({ row, point })));
    return { label: name, tone: found[0]?.row.kind ?? 'peer', points: found.map(({ row, point }) => place(row, point)) };
  });
}

/** Everything that counts as no difference from 1: which of the two sets of the limit came out ahead is chance as well. */
function bandOf({ low, high }: Noise): Noise {
  const width = Math.max(high, 1 / low);
  return { low: 1 / width, high: width };
}

function limitOf(rows: readonly Row[]): Row | undefined {
  return rows.find(({ kind }) => kind === 'limit');
}

/** Throughput against the median of the limit. */
export function shareOf(row: Row, limit: Row): { readonly value: number; readonly low: number; readonly high: number } {
  const reference = (limit.secondsMedian / limit.bytes) * row.bytes;
  return { value: reference / row.secondsMedian, low: reference / row.secondsMax, high: reference / row.secondsMin };
}

function stallCharts({ rows }: StallReport): ChartSpec[] {
  const sources = [...new Set(rows.map(({ source }) => source))];
  const of = (source: string) => rows.filter((row) => row.source === source);
  const sizes = [...new Set(rows.map(({ bytes }) => bytes))];
  const copies = sizes.map((size) => rows.filter(({ bytes }) => bytes === size).map(({ memcpyMs }) => memcpyMs));
  const stall: LineChart = {
    kind: 'lines',
    title: 'Stall by size',
    caption:
      'How long training waits for saveAsync; lower is better. Points are medians, whiskers reach to the longest call. memcpy is one copy of the same tensors on one thread. Both axes are logarithmic.',
    x: { title: 'bytes of a checkpoint', format: 'bytes', log: true },
    y: { title: 'the call takes', format: 'ms', log: true },
    lines: [
      ...sources.map((source) => ({
        label: source,
        tone: 'ours' as const,
        points: of(source).map(({ bytes, stallMsMedian, stallMsMax }): LinePoint => [bytes, stallMsMedian, stallMsMedian, stallMsMax]),
      })),
      {
        label: 'memcpy',
        tone: 'limit',
        points: sizes.map((size, i): LinePoint => {
          const times = copies[i] as number[];
          const middle = times.reduce((sum, time) => sum + time, 0) / times.length;
          return [size, middle, Math.min(...times), Math.max(...times)];
        }),
      },
    ],
  };
  const watched = sources.flatMap((source) => of(source).filter(hasDelays).slice(-1));
  const longest = Math.max(1, ...watched.flatMap(({ eventLoopDelays }) => eventLoopDelays.map(([, late]) => late)));
  return [
    stall,
    ...watched.map(
      ({ source, bytes, eventLoopDelays, eventLoopIdleMs }): LineChart => ({
        kind: 'stems',
        title: `Event loop during a save: ${source}, ${formatBytes(bytes)}`,
        caption: `How late a timer of 1 ms was, from the call until the checkpoint is durable; with nothing going on it was up to ${eventLoopIdleMs.toFixed(1)} ms late.`,
        x: { title: 'since the call', format: 'ms', log: false },
        y: { title: 'delay', format: 'ms', log: false, max: longest },
        lines: [{ label: source, tone: 'ours', points: eventLoopDelays.map(([at, late]): LinePoint => [at, late, late, late]) }],
      }),
    ),
  ];
}

function hasDelays(row: StallRow): row is StallRow & Required<Pick<StallRow, 'eventLoopDelays'>> {
  return row.eventLoopDelays !== undefined && row.eventLoopDelays.length > 0;
}

function trainCharts({ rows, noise }: TrainReport): ChartSpec[] {
  return [
    {
      kind: 'bars',
      title: 'Speed of training while a checkpoint is written',
      caption:
        `100 % is the speed with nothing else going on. ${WHISKERS} ${noise === null ? '' : 'The shaded band is how far the speed alone differs from itself by chance.'}`.trimEnd(),
      x: { title: 'steps per second / steps per second alone', format: 'share' },
      bars: rows.map(({ name, kind, speedMedian, speedMin, speedMax }) => ({
        label: name,
        tone: kind,
        value: speedMedian,
        low: speedMin,
        high: speedMax,
      })),
      ...(noise === null ? {} : { band: bandOf(noise) }),
    },
    {
      kind: 'bars',
      title: 'Training time lost by one save',
      caption: `The slowdown multiplied by the time until the checkpoint is durable; lower is better. ${WHISKERS}`,
      x: { title: 'seconds', format: 'seconds' },
      bars: rows.map(({ name, kind, lostSecondsMedian, lostSecondsMin, lostSecondsMax }) => ({
        label: name,
        tone: kind,
        value: lostSecondsMedian,
        low: lostSecondsMin,
        high: lostSecondsMax,
      })),
    },
  ];
}

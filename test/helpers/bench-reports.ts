/** Results of benchmarks as they look, with figures that are made up. */
import type {
  Comparison,
  ComparisonReport,
  LeftOut,
  ReportHeader,
  Row,
  RowKind,
  StallReport,
  SweepReport,
  TrainReport,
  TrainRow,
} from '../../src/bench/report.js';
import { STALL_SOURCES } from '../../src/bench/sources.js';
import type { StallRow } from '../../src/bench/stall-trial.js';
import { summary } from '../../src/bench/stats.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const ENVIRONMENT = {
  date: '2025-06-01T12:00:00.000Z',
  cpu: 'Example CPU 9000 @ 3.00GHz',
  cores: 8,
  memoryBytes: 32 * GIB,
  kernel: 'Linux 6.9.1',
  fileSystem: 'ext4',
  mount: 'ext4 (rw,relatime)',
  node: 'v22.5.1',
  holdfast: '0.2.0',
  crc32c: 'SSE4.2, several lanes',
};

const RULES = [
  'Every contender writes the same number of random bytes to the same disk, in turns, in an order that changes from round to round.',
  'Counted is everything until the data and the names are durable: every file is synced, then its directory.',
  'Given are medians, with the least and the most.',
];

const LEFT_OUT: readonly LeftOut[] = [
  { name: 'torch-dcp', why: 'the Python package torch is not installed: pip install torch' },
  { name: 'tfjs-node', why: '@tensorflow/tfjs-node cannot be found from here: npm install @tensorflow/tfjs-node' },
];

function header(settings: Readonly<Record<string, unknown>> = {}): Omit<ReportHeader, 'scenario'> {
  return {
    environment: ENVIRONMENT,
    rules: RULES,
    leftOut: LEFT_OUT,
    warnings: [],
    partial: false,
    settings: { runs: 15, directory: '/data', engine: 'auto', peers: ['fs.writeFile', 'safetensors'], python: 'python3', ...settings },
  };
}

/** Values around `middle`, up to `spread` (a share) off: the same in every call. */
export function around(middle: number, spread: number, count = 15): number[] {
  return Array.from({ length: count }, (_, i) => middle * (1 + spread * Math.sin(2.4 * i) * (i % 2 === 0 ? 1 : 0.4)));
}

export function makeRow(name: string, kind: RowKind, bytes: number, seconds: readonly number[], more: Partial<Row> = {}): Row {
  const { median, min, max } = summary(seconds);
  return {
    name,
    kind,
    bytes,
    secondsMedian: median,
    secondsMin: min,
    secondsMax: max,
    bytesPerSecond: bytes / median,
    cpuSeconds: median / 3,
    maxRssBytes: 2 * bytes + 200 * MIB,
    seconds,
    ...more,
  };
}

export function makeComparison(bytes: number, tensors: number, rows: readonly Row[]): Comparison {
  const ours = rows.find(({ kind }) => kind === 'ours') as Row;
  const perByte = (row: Row) => row.secondsMedian / row.bytes;
  return {
    bytes,
    tensors,
    runs: ours.seconds.length,
    noise: rows.some(({ kind }) => kind === 'limit') ? { low: 0.96, high: 1.05 } : null,
    rows,
    ratios: Object.fromEntries(rows.filter(({ kind }) => kind !== 'ours').map((row) => [row.name, perByte(row) / perByte(ours)])),
  };
}

/** A result of `save`, `load` or `verify`; `factor` makes everything of ours that many times as slow, `disk` everything. */
export function comparisonReport(
  scenario: ComparisonReport['scenario'] = 'save',
  {
    factor = 1,
    disk = 1,
    runs = 15,
    settings = {},
  }: { factor?: number; disk?: number; runs?: number; settings?: Record<string, unknown> } = {},
): ComparisonReport {
  const bytes = 4 * GIB;
  const times = (seconds: number, spread: number, count = runs) => around(seconds * disk, spread, count);
  const rows = [
    makeRow('holdfast', 'ours', bytes, times(2.05 * factor, 0.05)),
    makeRow('fio', 'limit', bytes, times(1.98, 0.04, 2 * runs), { note: 'io_uring, 4 MiB blocks, 8 at a time', maxRssBytes: null }),
    makeRow('fio-threads', 'peer', bytes, times(2.2, 0.06)),
    makeRow('fs.writeFile', 'peer', bytes, times(4.4, 0.2)),
    ...(scenario === 'verify'
      ? []
      : [
          makeRow('torch.save', 'peer', bytes, times(5.1, 0.15)),
          makeRow('safetensors', 'peer', bytes, times(4.7, 0.1)),
          makeRow('tfjs-node', 'peer', GIB, times(3.1, 0.1), {
            note: 'One ArrayBuffer holds 2 GiB at most, so it saves 1 GiB.',
            cpuSeconds: null,
          }),
        ]),
  ];
  return { scenario, ...header(settings), ...makeComparison(bytes, 64, rows) };
}

export function sweepReport(scenario: SweepReport['scenario'], { factor = 1 }: { factor?: number } = {}): SweepReport {
  const time = (bytes: number, fixed: number, rate: number) => around(fixed + bytes / rate, 0.08);
  const point = (bytes: number, tensors: number) =>
    makeComparison(bytes, tensors, [
      makeRow('holdfast', 'ours', bytes, time(bytes, (0.004 + 2e-6 * tensors) * factor, 2.1e9)),
      makeRow(scenario === 'small' ? 'bare' : 'fio', 'limit', bytes, time(bytes, 0.0028, 2.2e9)),
      ...(scenario === 'small' ? [] : [makeRow('safetensors', 'peer', bytes, time(bytes, 0.01 + 4e-6 * tensors, 1.0e9))]),
    ]);
  const points = {
    small: () => [1, 16, 64, 256, 1024, 4096, 16384].map((kib) => point(kib * 1024, 4)),
    size: () => [1, 8, 64, 512, 4096, 8192].map((mib) => point(mib * MIB, 64)),
    many: () => [1, 100, 1000, 10_000, 100_000].map((tensors) => point(100_000 * 1024, tensors)),
  };
  return { scenario, ...header(), points: points[scenario]() };
}

export function stallReport({ factor = 1, raw = true }: { factor?: number; raw?: boolean } = {}): StallReport {
  const sizes = [64 * MIB, GIB, 4 * GIB];
  const settings = {
    sizes,
    sources: STALL_SOURCES,
    tensors: 200,
    runs: 15,
    calls: 100,
    engine: 'auto',
    reserve: false,
    directory: '/data',
  } as const;
  const rows = STALL_SOURCES.flatMap((source) => sizes.map((bytes) => stallRow(source, bytes, factor, raw)));
  return { scenario: 'stall', ...header(), rows, settings };
}

function stallRow(source: (typeof STALL_SOURCES)[number], bytes: number, factor: number, raw: boolean): StallRow {
  const memcpyMs = bytes / 9.5e6;
  const stalls = around((source === 'copied' ? 0.45 * memcpyMs : source === 'pinned' ? 0.9 : 0.4) * factor, 0.2);
  const { median, max } = summary(stalls);
  const persistMs = bytes / 1.5e6;
  return {
    source,
    bytes,
    tensors: 200,
    engine: 'native',
    direct: true,
    runs: 15,
    calls: 100,
    stallMsMedian: median,
    ...(raw ? { stallsMs: stalls } : {}),
    stallMsP99: max,
    stallMsMax: 1.3 * max,
    firstStallMs: 3 * median,
    memcpyMs,
    stallToMemcpy: median / memcpyMs,
    persistBytesPerSecond: 1.5e9,
    eventLoopMaxMs: 8,
    eventLoopMsMedian: 4,
    eventLoopDelays: Array.from({ length: 60 }, (_, i) => [(persistMs * i) / 60, 1 + (i % 7) * (source === 'stream' ? 1.1 : 0.3)] as const),
    eventLoopIdleMs: 0.8,
    extraRssBytes: 60 * MIB,
    laterExtraRssBytes: 30 * MIB,
    arenaBytes: source === 'copied' ? bytes : 0,
    laterArenaBytes: 0,
  };
}

export function trainReport({ factor = 1 }: { factor?: number } = {}): TrainReport {
  const row = (name: string, kind: RowKind, speed: number, seconds: number): TrainRow => {
    const speeds = around(speed, 0.08);
    const times = around(seconds, 0.1);
    const [speedOf, timeOf, lost] = [
      summary(speeds),
      summary(times),
      summary(speeds.map((value, i) => Math.max(0, 1 - value) * (times[i] as number))),
    ];
    return {
      name,
      kind,
      speedMedian: speedOf.median,
      speedMin: speedOf.min,
      speedMax: speedOf.max,
      secondsMedian: timeOf.median,
      secondsMin: timeOf.min,
      secondsMax: timeOf.max,
      lostSecondsMedian: lost.median,
      lostSecondsMin: lost.min,
      lostSecondsMax: lost.max,
      cpuSeconds: 2 * timeOf.median,
      speeds,
      seconds: times,
    };
  };
  return {
    scenario: 'train',
    ...header(),
    bytes: 2 * GIB,
    tensors: 64,
    runs: 15,
    loop: 'tfjs',
    aloneStepsPerSecond: 41.5,
    noise: { low: 0.93, high: 1.08 },
    rows: [
      row('saveAsync', 'ours', 0.83 / factor, 1.2),
      row("saveAsync, priority 'low'", 'ours', 0.92 / factor, 1.15),
      row('fs.writeFile', 'peer', 0.97, 4.4),
    ],
  };
}

/** Two results of one scenario: what became slower, and whether that is the library or the machine. */
import { HoldfastError } from '../errors.js';
import { bootstrapInterval, ratioInterval } from './bootstrap.js';
import type { Noise, Report, RowKind } from './report.js';
import { median } from './stats.js';

/** `same`: the interval contains 1, so chance alone may have done it. `unknown`: there are too few runs to tell. */
export type Verdict = 'slower' | 'faster' | 'same' | 'unknown';

/** How many times the time of A is the time of B: above 1, B is slower. */
export interface Change {
  readonly ratio: number;
  /** The 95 % bootstrap interval of `ratio`; `null` where there are too few runs. */
  readonly interval: Noise | null;
  readonly verdict: Verdict;
}

/** A row that both results have. */
export interface RowChange extends Change {
  readonly name: string;
  readonly kind: RowKind;
  /** Medians; what they are is in {@link CompareReport.unit}. Per byte where the two results have other bytes in this row. */
  readonly before: number;
  readonly after: number;
  /** The same with every result's times divided by its own limit: what is left when the machine's own change is taken out. `null` without a limit in both, and for the limit. */
  readonly againstLimit: Change | null;
}

/** One comparison of a result: its only one, or one point of a sweep. */
export interface PointChange {
  readonly bytes: number;
  readonly tensors: number;
  readonly rows: readonly RowChange[];
  /** Names of rows that only one of the results has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
}

/** A field of the environment with two values. */
export interface Difference {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface CompareReport {
  readonly scenario: Report['scenario'];
  /** What `before` and `after` are: `seconds`, `ms` that the call took (stall), or `slowdown`: time of a training step / alone. */
  readonly unit: 'seconds' | 'ms' | 'slowdown';
  readonly points: readonly PointChange[];
  /** Our rows that became slower beyond noise: against the limit where there is one, else by themselves. */
  readonly regressions: readonly string[];
  readonly environment: readonly Difference[];
  readonly warnings: readonly string[];
}

/**
 * Settings that may differ: they change how sure a figure is, or what is measured beside it, but not what is measured. Sizes are
 * compared as they were, however they were asked for.
 */
const FREE_SETTINGS: ReadonlySet<string> = new Set([
  ...['bytes', 'sizes', 'runs', 'calls', 'directory'],
  ...['peers', 'sources', 'python', 'json', 'out', 'html'],
]);

/** With fewer runs an interval says nothing. */
const LEAST_RUNS = 3;

/**
 * Compares `after` with `before`. Throws `ERR_INVALID_ARGUMENT` if they are not of the same scenario, bytes and settings: then no
 * ratio means anything.
 */
export function compareReports(before: Report, after: Report): CompareReport {
  assertComparable(before, after);
  const points = pair(pointsOf(before), pointsOf(after)).map(([a, b]) => comparePoint(a, b));
  return {
    scenario: before.scenario,
    unit: unitOf(before),
    points,
    regressions: points.flatMap(({ rows, ...point }) =>
      rows.filter(isRegression).map(({ name }) => (points.length === 1 ? name : `${name} (${describePoint(point)})`)),
    ),
    environment: differences(before.environment, after.environment),
    warnings: warningsOf(before, after),
  };
}

/** What sets a point apart from others, in words. */
export function describePoint({ bytes, tensors }: { readonly bytes: number; readonly tensors: number }): string {
  return `${bytes} bytes, ${tensors} tensors`;
}

function isRegression({ kind, verdict, againstLimit }: RowChange): boolean {
  return kind === 'ours' && (againstLimit ?? { verdict }).verdict === 'slower';
}

/** A row of any scenario as a list of times: less is better. */
interface Times {
  readonly name: string;
  readonly kind: RowKind;
  readonly bytes: number;
  readonly values: readonly number[];
}

interface Point {
  readonly bytes: number;
  readonly tensors: number;
  readonly rows: readonly Times[];
}

function pointsOf(report: Report): Point[] {
  switch (report.scenario) {
    case 'save':
    case 'load':
    case 'verify':
    case 'small':
    case 'size':
    case 'many': {
      const comparisons = 'points' in report ? report.points : [report];
      return comparisons.map(({ bytes, tensors, rows }) => ({
        bytes,
        tensors,
        rows: rows.map(({ name, kind, bytes: own, seconds }) => ({ name, kind, bytes: own, values: seconds })),
      }));
    }
    case 'stall':
      return report.settings.sizes.map((size) => {
        const rows = report.rows.filter(({ bytes }) => bytes === size - (size % 4));
        return {
          bytes: rows[0]?.bytes ?? size,
          tensors: report.settings.tensors,
          rows: rows.flatMap((row) => [{ name: row.source, kind: 'ours', bytes: row.bytes, values: row.stallsMs ?? [row.stallMsMedian] }]),
        };
      });
    case 'train': {
      const { bytes, tensors, rows } = report;
      return [
        { bytes, tensors, rows: rows.map(({ name, kind, speeds }) => ({ name, kind, bytes, values: speeds.map((speed) => 1 / speed) })) },
      ];
    }
  }
}

function unitOf({ scenario }: Report): CompareReport['unit'] {
  if (scenario === 'stall') return 'ms';
  return scenario === 'train' ? 'slowdown' : 'seconds';
}

function pair(before: readonly Point[], after: readonly Point[]): [Point, Point][] {
  return before.flatMap((a) =>
    after.filter(({ bytes, tensors }) => a.bytes === bytes && a.tensors === tensors).map((b): [Point, Point] => [a, b]),
  );
}

function comparePoint(before: Point, after: Point): PointChange {
  const names = (point: Point) => point.rows.map(({ name }) => name);
  const limit = limitOfBoth(before, after);
  return {
    bytes: before.bytes,
    tensors: before.tensors,
    rows: before.rows.flatMap((a) =>
      after.rows.filter(({ name, kind }) => a.name === name && a.kind === kind).map((b) => compareRow(a, b, limit)),
    ),
    onlyBefore: names(before).filter((name) => !names(after).includes(name)),
    onlyAfter: names(after).filter((name) => !names(before).includes(name)),
  };
}

/** The limit of each, if it is the same one. */
function limitOfBoth(before: Point, after: Point): readonly [Times, Times] | null {
  const a = before.rows.find(({ kind }) => kind === 'limit');
  const b = after.rows.find(({ kind, name }) => kind === 'limit' && name === a?.name);
  return a === undefined || b === undefined ? null : [a, b];
}

function compareRow(a: Times, b: Times, limit: readonly [Times, Times] | null): RowChange {
  const [before, after] = sameBytes(a, b);
  return {
    name: a.name,
    kind: a.kind,
    before: median(before),
    after: median(after),
    ...change([before, after], ratioOf, () => ratioInterval(before, after)),
    againstLimit: limit === null || a.kind === 'limit' ? null : againstLimit([before, after], sameBytes(...limit)),
  };
}

/** The times of both, per byte if their bytes differ. */
function sameBytes(a: Times, b: Times): readonly [readonly number[], readonly number[]] {
  if (a.bytes === b.bytes) return [a.values, b.values];
  return [a.values.map((value) => value / a.bytes), b.values.map((value) => value / b.bytes)];
}

function againstLimit(
  row: readonly [readonly number[], readonly number[]],
  limit: readonly [readonly number[], readonly number[]],
): Change {
  const lists = [...row, ...limit];
  const statistic = ([before, after, limitBefore, limitAfter]: readonly number[]) =>
    ((after as number) * (limitBefore as number)) / ((before as number) * (limitAfter as number));
  return change(lists, statistic, () => bootstrapInterval(lists, statistic));
}

function ratioOf([before, after]: readonly number[]): number {
  return (after as number) / (before as number);
}

function change(lists: readonly (readonly number[])[], statistic: (medians: readonly number[]) => number, intervalOf: () => Noise): Change {
  const ratio = statistic(lists.map(median));
  if (lists.some(({ length }) => length < LEAST_RUNS)) return { ratio, interval: null, verdict: 'unknown' };
  const interval = intervalOf();
  return { ratio, interval, verdict: interval.low > 1 ? 'slower' : interval.high < 1 ? 'faster' : 'same' };
}

function assertComparable(before: Report, after: Report): void {
  if (before.scenario !== after.scenario) {
    throw refusal(
      `One result is of the scenario ${before.scenario}, the other of ${after.scenario}`,
      'Compare results of the same scenario.',
    );
  }
  const setting = differences(before.settings, after.settings).find(({ field }) => !FREE_SETTINGS.has(field));
  if (setting !== undefined) {
    const { field, before: a, after: b } = setting;
    throw refusal(
      `The results were measured with different settings: ${field} is ${JSON.stringify(a) ?? 'not set'} in one and ${JSON.stringify(b) ?? 'not set'} in the other`,
      'Measure both with the same options.',
    );
  }
  const [a, b] = [pointsOf(before), pointsOf(after)];
  if (pair(a, b).length === 0) {
    const list = (points: readonly Point[]) => points.map(describePoint).join('; ');
    throw refusal(`The results have no size in common (${list(a)} and ${list(b)})`, 'Measure both with the same --size.');
  }
}

function refusal(what: string, advice: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `${what}. ${advice}`);
}

function differences(before: object, after: object): Difference[] {
  const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((field) => field !== 'date' && JSON.stringify(a[field]) !== JSON.stringify(b[field]))
    .map((field) => ({ field, before: a[field] ?? null, after: b[field] ?? null }));
}

function warningsOf(before: Report, after: Report): string[] {
  const of = (which: string, { partial, warnings = [] }: Report) => [
    ...(partial ? [`${which} was interrupted: it has fewer runs than were asked for.`] : []),
    ...warnings.map((warning) => `${which}: ${warning}`),
  ];
  return [...of('A', before), ...of('B', after)];
}

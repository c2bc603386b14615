/** What `holdfast tune` prints for people. */
import type { CurvePoint } from '../../interval/expected.js';
import type { Binding, Recommendation } from '../../interval/recommend.js';
import { drawCurve } from '../../terminal/curve.js';
import { formatBytes, formatInteger, plural } from '../../terminal/format.js';
import { wrap } from '../../terminal/text.js';
import { formatDuration_s } from '../duration.js';
import { outputWidth, paint, print, printError } from '../output.js';
import type { Range, TunePlan } from './tune-options.js';

const CHART_HEIGHT = 8;
const WIDEST = 100;

export function printTuning(plan: TunePlan, found: Recommendation, curve: readonly CurvePoint[]): void {
  const { interval, expected, steps, within1Percent_s } = found;
  const inSteps = steps === null ? '' : `, or ${plural(steps, 'step')}`;
  print(paint('bold', `A checkpoint every ${formatDuration_s(interval.recommended_s)} of work${inSteps}`));
  print('');
  const rows: [string, string][] = [
    [
      'overhead',
      `${percent(expected.overheadFraction)} of the work's time: ${percent(expected.saving)} for saving, ${percent(expected.lost)} lost to failures`,
    ],
    ['useful', `${percent(expected.ettr)} of all time (ETTR)`],
    ['a failure loses', `${formatDuration_s(expected.lostWork_s)} of work on average${restartText(plan)}`],
    [
      'within 1 %',
      `${formatDuration_s(within1Percent_s[0])} to ${formatDuration_s(within1Percent_s[1])}: with any interval in between the run takes at most 1 % longer`,
    ],
    ['a save costs', `${formatDuration_s(found.cost_s)}${sure(plan.confidence.cost_s)}${costText(plan)}`],
    ['a failure every', `${formatDuration_s(plan.given.mtbf_s)}${sure(plan.confidence.mtbf_s)}${seenText(plan)}`],
    ['formulas', formulasText(found)],
  ];
  const binding = BINDINGS[found.binding];
  if (binding !== undefined) rows.push(['limit', binding]);
  printRows(rows);
  print('');
  for (const line of chart(curve, found)) print(line);
  for (const warning of plan.warnings) printError(`! ${warning}`);
}

const BINDINGS: Readonly<Record<Binding, string | undefined>> = {
  optimum: undefined,
  inFlight: 'the optimum is shorter, but a save has to be durable before the next one',
  maxOverhead: 'the optimum is shorter, but saving would take more than --max-overhead',
  minInterval: 'the optimum is shorter than --min-interval',
  maxInterval: '--max-interval is shorter than what else would be recommended',
};

function printRows(rows: readonly (readonly [string, string])[]): void {
  const titles = Math.max(...rows.map(([title]) => title.length)) + 2;
  const room = Math.max(30, Math.min(outputWidth(), WIDEST) - titles);
  for (const [title, text] of rows) {
    for (const [i, line] of wrap(text, room).entries()) print(`${paint('dim', (i === 0 ? title : '').padEnd(titles))}${line}`);
  }
}

function restartText({ given: { restart_s = 0 } }: TunePlan): string {
  return restart_s === 0 ? '' : `, and ${formatDuration_s(restart_s)} for the restart`;
}

function costText({ given, source, bytes }: TunePlan): string {
  const { stall_s, persist_s = 0, slowdown = 0 } = given;
  const parts =
    persist_s === 0
      ? ''
      : `: training waits ${formatDuration_s(stall_s)}, and is ${percent(slowdown)} slower for ${formatDuration_s(persist_s)}`;
  const of = bytes === null ? '' : `, for ${formatBytes(bytes)}`;
  return `${parts}${source === 'options' ? '' : of}`;
}

function seenText({ seen }: TunePlan): string {
  return seen === null ? '' : `; the run has failed ${plural(seen.failures, 'time')} in ${formatDuration_s(seen.uptime_s)}`;
}

function sure(range: Range | null): string {
  return range === null ? '' : ` (95 %: ${formatDuration_s(range[0])} to ${formatDuration_s(range[1])})`;
}

function formulasText({ interval }: Recommendation): string {
  const names = { exact_s: 'exact', dalyHigher_s: 'Daly, higher order', dalyFirst_s: 'Daly, first order', young_s: 'Young' } as const;
  return Object.entries(names)
    .map(([key, name]) => `${name} ${formatDuration_s(interval[key as keyof typeof names])}`)
    .join(', ');
}

/** The least of it and what is around: far out the overhead is so large that nothing else would be seen. */
function chart(curve: readonly CurvePoint[], { interval, expected, within1Percent_s }: Recommendation): string[] {
  const most = Math.max(expected.overheadFraction, Math.min(...curve.map(({ overheadFraction }) => overheadFraction))) * 4;
  const points = curve
    .filter(({ overheadFraction }) => overheadFraction <= most)
    .map(({ interval_s, overheadFraction }) => ({ x: interval_s, y: overheadFraction }));
  const lines = drawCurve({
    ...{ points, band: within1Percent_s, marks: [{ x: interval.recommended_s, mark: '▲' }] },
    ...{ width: Math.min(outputWidth(), WIDEST), height: CHART_HEIGHT, formatX: formatDuration_s, formatY: percent },
  });
  if (lines.length === 0) return [];
  return [
    ...lines,
    '',
    ...wrap('Overhead by interval, which is logarithmic. ▲ recommended, ━ within 1 %.', Math.min(outputWidth(), WIDEST)),
  ];
}

function percent(share: number): string {
  const value = share * 100;
  if (value >= 1000) return `${formatInteger(Math.round(value))} %`;
  if (value > 99 && value < 100) return `${value.toFixed(2)} %`;
  return `${Number(value.toPrecision(3))} %`;
}

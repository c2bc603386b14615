/** What `holdfast tune` prints for people. */
import type { CurvePoint } from '../../interval/expected.js';
import { formatShare } from '../../interval/format-share.js';
import type { Recommendation } from '../../interval/recommend.js';
import { drawCurve } from '../../terminal/curve.js';
import { formatBytes, formatInteger, plural } from '../../terminal/format.js';
import { wrap } from '../../terminal/text.js';
import { formatDuration_s } from '../duration.js';
import { outputWidth, paint, print, printError } from '../output.js';
import { type Column, layOut } from '../table.js';
import type { RecommendationConfidence } from './tune-confidence.js';
import type { Range } from './tune-estimates.js';
import { type FormulaRow, formulasOf } from './tune-formulas.js';
import type { TunePlan } from './tune-options.js';

const CHART_HEIGHT = 8;
/** Also where a pipe has any width. */
const WIDEST = 80;

/** What is shown of a recommendation besides itself. */
export interface TuningContext {
  readonly curve: readonly CurvePoint[];
  readonly confidence: RecommendationConfidence | null;
}

export function printTuning(plan: TunePlan, found: Recommendation, { curve, confidence }: TuningContext): void {
  const { interval, expected, steps, within1Percent_s } = found;
  const [low, high] = within1Percent_s;
  const inSteps = steps === null ? '' : `, or ${plural(steps, 'step')}`;
  print(paint('bold', `A checkpoint every ${formatDuration_s(interval.recommended_s)} of work${inSteps}`));
  print('');
  const rows: [string, string][] = [
    ['overhead', `${formatShare(expected.overheadFraction)} of the work's time: ${partsText(expected)}`],
    ['useful', `${formatShare(expected.ettr)} of all time (ETTR)`],
    ['a failure loses', `${formatDuration_s(expected.lostWork_s)} of work on average${restartText(plan)}`],
    [
      'within 1 %',
      `${formatDuration_s(low)} to ${formatDuration_s(high)}${stepsText(plan, low, high)}: in between the run takes at most 1 % longer`,
    ],
    ['a save costs', `${formatDuration_s(found.cost_s)}${sure(plan.confidence.cost_s)}${costText(plan)}`],
    ['a failure every', `${formatDuration_s(plan.given.mtbf_s)}${sure(plan.confidence.mtbf_s)}${seenText(plan)}`],
  ];
  if (confidence !== null) rows.push(['how sure', confidenceText(confidence)]);
  const binding = BINDINGS[found.binding];
  if (binding !== undefined) rows.push(['limit', binding]);
  printRows(rows);
  print('');
  for (const line of chart(curve, found)) print(line);
  const { header, lines } = layOut(columnsFor(plan), formulasOf(plan.given, found), Math.min(outputWidth(), WIDEST));
  print(paint('bold', header));
  for (const line of lines) print(line);
  for (const warning of plan.warnings) printError(`! ${warning}`);
}

function columnsFor({ given: { step_s } }: TunePlan): Column<FormulaRow>[] {
  const steps = ({ interval_s }: FormulaRow) =>
    step_s === undefined || interval_s === 0 ? '' : formatInteger(Math.max(1, Math.round(interval_s / step_s)));
  return [
    { title: 'FORMULA', value: ({ name }) => name },
    { title: 'INTERVAL', value: ({ interval_s }) => (interval_s === 0 ? 'none' : formatDuration_s(interval_s)), align: 'right' },
    { title: 'STEPS', value: steps, align: 'right', dispensable: 1 },
    { title: 'OVERHEAD', value: ({ expected }) => (expected === null ? '' : formatShare(expected.overheadFraction)), align: 'right' },
    {
      title: 'LONGER THAN BEST',
      value: ({ beyondBest }) => (beyondBest === null ? '' : longer(beyondBest)),
      align: 'right',
      dispensable: 2,
    },
  ];
}

function longer(share: number): string {
  if (share < 5e-6) return share < 1e-12 ? '0 %' : 'under 0.001 %';
  return formatShare(Number(share.toPrecision(2)));
}

/** Parts that are there. */
function partsText({ saving, rework, persisting, restarts }: Recommendation['expected']): string {
  const parts = [
    [saving, 'for saving'],
    [rework, 'for work done again'],
    [persisting, 'lost while saves become durable'],
    [restarts, 'for restarts'],
  ] as const;
  return parts
    .filter(([share]) => share > 0)
    .map(([share, what]) => `${formatShare(share)} ${what}`)
    .join(', ');
}

/** Whole steps within the range, where it has any. */
function stepsText({ given: { step_s } }: TunePlan, low: number, high: number): string {
  if (step_s === undefined) return '';
  const first = Math.max(1, Math.ceil(low / step_s));
  return ` (${formatInteger(first)} to ${formatInteger(Math.max(first, Math.floor(high / step_s)))} steps)`;
}

function confidenceText({ recommended_s: [low, high], beyondBest }: RecommendationConfidence): string {
  return `${formatDuration_s(low)} to ${formatDuration_s(high)} would be best at the ends of these 95 % intervals; wherever in them the truth lies, the recommended one takes at most ${longer(beyondBest)} longer than the best`;
}

const BINDINGS: Readonly<Record<Recommendation['binding'], string | undefined>> = {
  optimum: undefined,
  inFlight: 'the optimum is shorter, but a save has to be durable before the next one',
  maxOverhead: 'the optimum is shorter, but saving would take more than --max-overhead',
  minInterval: 'the optimum is shorter than --min-interval',
  maxInterval: '--max-interval is shorter than what else would be recommended',
  step: 'what else would be recommended is shorter than a step, behind which alone there can be a save',
};

function printRows(rows: readonly (readonly [string, string])[]): void {
  const titles = Math.max(...rows.map(([title]) => title.length)) + 2;
  const room = Math.max(30, Math.min(outputWidth(), WIDEST) - titles);
  for (const [title, text] of rows) {
    // A number and its unit stay together.
    const lines = wrap(text.replaceAll(' %', '\u00a0%'), room).map((line) => line.replaceAll('\u00a0', ' '));
    for (const [i, line] of lines.entries()) print(`${paint('dim', (i === 0 ? title : '').padEnd(titles))}${line}`);
  }
}

function restartText({ given: { restart_s = 0 } }: TunePlan): string {
  return restart_s === 0 ? '' : `, and ${formatDuration_s(restart_s)} for the restart`;
}

function costText({ given, source, bytes, memory }: TunePlan): string {
  const { stall_s, persist_s = 0, slowdown = 0 } = given;
  const meanwhile =
    slowdown === 0
      ? `${formatDuration_s(persist_s)} later it is durable`
      : `is ${formatShare(slowdown)} slower for ${formatDuration_s(persist_s)}`;
  const waits = slowdown === 1 ? 'for all of it' : `${formatDuration_s(stall_s)}, and ${meanwhile}`;
  const parts = persist_s === 0 ? '' : `: training waits ${waits}`;
  const of = bytes === null ? '' : `, for ${formatBytes(bytes)}${memory === null ? '' : ` of memory "${memory}"`}`;
  return `${parts}${source === 'options' ? '' : of}`;
}

function seenText({ seen, prior_s }: TunePlan): string {
  const prior = prior_s === null ? '' : `a prior of ${formatDuration_s(prior_s)}, which counts as one failure`;
  if (seen === null) return prior === '' ? '' : `; that is ${prior}`;
  return `; the run has failed ${plural(seen.failures, 'time')} in ${formatDuration_s(seen.uptime_s)}${prior === '' ? '' : `, and there is ${prior}`}`;
}

function sure(range: Range | null): string {
  return range === null ? '' : ` (95 %: ${formatDuration_s(range[0])} to ${formatDuration_s(range[1])})`;
}

/** The least of it and what is around: far out the overhead is so large that nothing else would be seen. */
function chart(curve: readonly CurvePoint[], { interval, expected, within1Percent_s }: Recommendation): string[] {
  const least = Math.min(...curve.map(({ overheadFraction }) => overheadFraction));
  const most = Math.max(Math.min(expected.overheadFraction, least * 8), least) * 4;
  // Where nothing gets done with any interval, there is no curve.
  if (!Number.isFinite(100 * most)) return [];
  const points = curve
    .filter(({ overheadFraction }) => overheadFraction <= most)
    .map(({ interval_s, overheadFraction }) => ({ x: interval_s, y: overheadFraction }));
  const lines = drawCurve({
    ...{ points, band: within1Percent_s, marks: [markOf(interval.recommended_s, points)] },
    ...{ width: Math.min(outputWidth(), WIDEST), height: CHART_HEIGHT, formatX: formatDuration_s, formatY: formatShare },
  });
  if (lines.length === 0) return [];
  return [
    ...lines,
    '',
    ...wrap('Overhead by interval, which is logarithmic. ▲ recommended, ━ within 1 %.', Math.min(outputWidth(), WIDEST)),
    '',
  ];
}

/** Where the curve is cut before the recommendation, the mark points there. */
function markOf(x: number, points: readonly { readonly x: number }[]): { x: number; mark: string } {
  const [first, last] = [points[0]?.x ?? x, points.at(-1)?.x ?? x];
  if (x > last) return { x: last, mark: '▶' };
  return x < first ? { x: first, mark: '◀' } : { x, mark: '▲' };
}

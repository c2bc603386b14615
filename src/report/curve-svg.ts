/** The U-shaped curve of overhead by interval, as SVG that needs no script. */
import type { CurvePoint } from '../interval/expected.js';
import { formatDuration_s } from '../interval/format-duration.js';
import { formatShare } from '../interval/format-share.js';
import { type Html, html } from './html.js';
import { axisTitles, evenTicks, FRAME, horizontalGrid, round, timeTicks, verticalGrid } from './svg-axes.js';

/** A vertical line with a name. */
export interface CurveMark {
  readonly name: string;
  readonly interval_s: number;
  readonly kind: 'recommended' | 'formula';
}

/** What is drawn. */
export interface CurvePlot {
  readonly curve: readonly CurvePoint[];
  readonly marks: readonly CurveMark[];
  /** Points that were measured. */
  readonly measured: readonly { readonly interval_s: number; readonly overheadFraction: number }[];
  readonly band_s: readonly [low: number, high: number];
}

const { width: WIDTH, left: LEFT, right: RIGHT } = FRAME;
/** Of one name of a mark. */
const LABEL_HEIGHT = 17;
const PLOT_HEIGHT = 360;
/** The axis and its title. */
const BOTTOM = 48;
/** The curve is cut where it is so many times as high as its least point: beyond, nothing else would be seen. */
const CUT = 5;
/** Marks that are nearer to one another than this have their names together. */
const NEAR = 3;
/** Characters of names in a row. */
const ROW_LENGTH = 44;
/** Names stand to the right of their marks, so that none is crossed by the line of one before it; beyond this there is no room for that. */
const RIGHTMOST = 0.6 * WIDTH;

/** One figure: lines for all, for saving and for failures, the range of 1 %, marks with their names above, and measured points. */
export function curveSvg({ curve, marks, measured, band_s }: CurvePlot): Html {
  const least = Math.min(...curve.map(({ overheadFraction }) => overheadFraction));
  const most = Math.max(least * CUT, ...measured.map(({ overheadFraction }) => overheadFraction * 1.1));
  const shown = curve.filter(({ overheadFraction }) => overheadFraction <= most);
  const [first, last] = [shown[0] as CurvePoint, shown.at(-1) as CurvePoint];
  const x = (seconds: number) => {
    const share = Math.log(seconds / first.interval_s) / Math.log(last.interval_s / first.interval_s);
    return round(LEFT + Math.min(1, Math.max(0, share)) * (WIDTH - LEFT - RIGHT));
  };
  const isShown = ({ interval_s }: { readonly interval_s: number }) => interval_s >= first.interval_s && interval_s <= last.interval_s;
  const groups = groupMarks(marks.filter(isShown), x);
  const rows = groups.flatMap(({ names }) => names).length;
  const top = 8 + LABEL_HEIGHT * rows;
  const bottom = top + PLOT_HEIGHT;
  const y = (share: number) => round(bottom - Math.min(1, share / most) * PLOT_HEIGHT);
  const line = (kind: string, value: (point: CurvePoint) => number) =>
    html`<polyline class="line ${kind}" points="${shown.map((point) => `${x(point.interval_s)},${y(value(point))}`).join(' ')}"/>\n`;
  const [low, high] = band_s.map(x) as [number, number];
  return html`<svg viewBox="0 0 ${WIDTH} ${bottom + BOTTOM}" role="img" aria-label="Overhead by interval. The figures are in the table below.">
<rect class="band" x="${low}" y="${top}" width="${round(Math.max(1, high - low))}" height="${PLOT_HEIGHT}"/>
${horizontalGrid(evenTicks(most), y, tick)}
${verticalGrid(timeTicks(first.interval_s, last.interval_s), x, [top, bottom], formatDuration_s)}
${groups.map((group, i) => markOf(group, groups.slice(0, i).flatMap(({ names }) => names).length, bottom))}
${line('saving', ({ saving }) => saving)}${line('lost', ({ lost }) => lost)}${line('all', ({ overheadFraction }) => overheadFraction)}
${measured.filter(isShown).map(({ interval_s, overheadFraction }) => html`<circle class="measured" cx="${x(interval_s)}" cy="${y(overheadFraction)}" r="6"><title>measured: ${formatShare(overheadFraction)} at ${formatDuration_s(interval_s)}</title></circle>\n`)}
${axisTitles('work between checkpoints (logarithmic)', 'overhead, of the work’s time', [top, bottom])}
</svg>`;
}

/** Marks at one place. */
interface MarkGroup {
  readonly at: number;
  /** In rows. */
  readonly names: readonly string[];
  readonly isRecommended: boolean;
}

/** From the left to the right. */
function groupMarks(marks: readonly CurveMark[], x: (seconds: number) => number): MarkGroup[] {
  const groups: CurveMark[][] = [];
  for (const mark of marks.toSorted((a, b) => a.interval_s - b.interval_s)) {
    const group = groups.at(-1);
    if (group !== undefined && x(mark.interval_s) - x((group[0] as CurveMark).interval_s) < NEAR) group.push(mark);
    else groups.push([mark]);
  }
  return groups.map((group) => {
    const recommended = group.find(({ kind }) => kind === 'recommended');
    const names = [...(recommended === undefined ? [] : [recommended]), ...group.filter((mark) => mark !== recommended)];
    return {
      at: x((recommended ?? (group[0] as CurveMark)).interval_s),
      names: inRows(names.map(({ name }) => name)),
      isRecommended: recommended !== undefined,
    };
  });
}

function inRows(names: readonly string[]): string[] {
  const rows: string[] = [];
  for (const name of names) {
    const row = rows.at(-1);
    if (row !== undefined && row.length + name.length <= ROW_LENGTH) rows.splice(-1, 1, `${row} · ${name}`);
    else rows.push(name);
  }
  return rows;
}

/** Every name has a row of its own: however near the marks are, none covers another. */
function markOf({ at, names, isRecommended }: MarkGroup, rowsBefore: number, bottom: number): Html {
  const kind = isRecommended ? 'recommended' : 'formula';
  const baseline = (row: number) => 4 + LABEL_HEIGHT * (rowsBefore + row + 1);
  const [from, anchor] = at < RIGHTMOST ? [at + 6, 'start'] : [at - 6, 'end'];
  const texts = names.map(
    (name, row) => html`<text class="name ${kind}" x="${from}" y="${baseline(row)}" text-anchor="${anchor}">${name}</text>`,
  );
  return html`<line class="mark ${kind}" x1="${at}" x2="${at}" y1="${baseline(0) - 11}" y2="${bottom}"/>${texts}\n`;
}

/** Short, and where there is nearly nothing of it with an exponent. */
function tick(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/** The U-shaped curve of overhead by interval, as SVG that needs no script. */
import type { CurvePoint } from '../interval/expected.js';
import { formatDuration_s } from '../interval/format-duration.js';
import { type Html, html } from './html.js';

/** What is drawn. */
export interface CurvePlot {
  readonly curve: readonly CurvePoint[];
  /** Vertical lines with a name: formulas. */
  readonly marks: readonly { readonly name: string; readonly interval_s: number; readonly kind: 'recommended' | 'formula' }[];
  /** Points that were measured. */
  readonly measured: readonly { readonly interval_s: number; readonly overheadFraction: number }[];
  readonly band_s: readonly [low: number, high: number];
}

const WIDTH = 880;
const HEIGHT = 430;
const LEFT = 66;
const RIGHT = 16;
const TOP = 16;
/** The axis, its title, and a row for the name of each mark. */
const BOTTOM = 62;
/** The curve is cut where it is so many times as high as its least point: beyond, nothing else would be seen. */
const CUT = 5;

/** One figure: lines for all, for saving and for failures, the range of 1 %, marks and measured points. */
export function curveSvg({ curve, marks, measured, band_s }: CurvePlot): Html {
  const least = Math.min(...curve.map(({ overheadFraction }) => overheadFraction));
  const most = Math.max(least * CUT, ...measured.map(({ overheadFraction }) => overheadFraction * 1.1));
  const shown = curve.filter(({ overheadFraction }) => overheadFraction <= most);
  const [first, last] = [shown[0] as CurvePoint, shown.at(-1) as CurvePoint];
  const x = (seconds: number) => {
    const share = Math.log(seconds / first.interval_s) / Math.log(last.interval_s / first.interval_s);
    return round(LEFT + Math.min(1, Math.max(0, share)) * (WIDTH - LEFT - RIGHT));
  };
  const y = (share: number) => round(HEIGHT - BOTTOM - Math.min(1, share / most) * (HEIGHT - TOP - BOTTOM));
  const line = (kind: string, value: (point: CurvePoint) => number) =>
    html`<polyline class="line ${kind}" points="${shown.map((point) => `${x(point.interval_s)},${y(value(point))}`).join(' ')}"/>\n`;
  const isShown = (seconds: number) => seconds >= first.interval_s && seconds <= last.interval_s;
  const [low, high] = band_s.map(x) as [number, number];
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Overhead by interval. The figures are in the table below.">
<rect class="band" x="${low}" y="${TOP}" width="${round(Math.max(1, high - low))}" height="${HEIGHT - TOP - BOTTOM}"/>
${yTicks(most).map((share) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(share)}" y2="${y(share)}"/><text class="tick" x="${LEFT - 8}" y="${y(share) + 4}" text-anchor="end">${percent(share)}</text>\n`)}
${xTicks(first.interval_s, last.interval_s).map((seconds) => html`<line class="grid" x1="${x(seconds)}" x2="${x(seconds)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text class="tick" x="${x(seconds)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${formatDuration_s(seconds)}</text>\n`)}
${marks.filter(({ interval_s }) => isShown(interval_s)).map(({ interval_s, kind, name }) => html`<line class="mark ${kind}" x1="${x(interval_s)}" x2="${x(interval_s)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"><title>${name}: ${formatDuration_s(interval_s)}</title></line>\n`)}
${line('saving', ({ saving }) => saving)}${line('lost', ({ lost }) => lost)}${line('all', ({ overheadFraction }) => overheadFraction)}
${measured.filter(({ interval_s }) => isShown(interval_s)).map(({ interval_s, overheadFraction }) => html`<circle class="measured" cx="${x(interval_s)}" cy="${y(overheadFraction)}" r="6"><title>measured: ${percent(overheadFraction)} at ${formatDuration_s(interval_s)}</title></circle>\n`)}
<text class="title" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">work between checkpoints (logarithmic)</text>
<text class="title" transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">overhead, of the work’s time</text>
</svg>`;
}

/** Four or five round steps from 0. */
function yTicks(most: number): number[] {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** Lengths of time that people use, and powers of ten below them; not too many. */
const ROUND_S = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18_000, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000];

function xTicks(from: number, to: number): number[] {
  const small = [1e-3, 1e-2, 1e-1].flatMap((power) => [power, 2 * power, 5 * power]);
  const all = [...small, ...ROUND_S].filter((seconds) => seconds >= from && seconds <= to);
  const every = Math.ceil(all.length / 9);
  return all.filter((_, i) => i % every === 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

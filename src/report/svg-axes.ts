/** Axes of plots in SVG: where lines stand and what is written beside them. */
import { type Html, html } from './html.js';

/** Of every plot, in units of its own; what is drawn lies between `left` and `width − right`. */
export const FRAME = { width: 880, left: 108, right: 32 } as const;

/** Horizontal lines at `ticks`, with what they are on the left. */
export function horizontalGrid(ticks: readonly number[], y: (tick: number) => number, text: (tick: number) => string): readonly Html[] {
  const { width, left, right } = FRAME;
  return ticks.map(
    (tick) =>
      html`<line class="grid" x1="${left}" x2="${width - right}" y1="${y(tick)}" y2="${y(tick)}"/><text class="tick" x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${text(tick)}</text>\n`,
  );
}

/** Vertical lines at `ticks` from `top` to `bottom`, with what they are below. */
export function verticalGrid(
  ticks: readonly number[],
  x: (tick: number) => number,
  [top, bottom]: readonly [top: number, bottom: number],
  text: (tick: number) => string,
): readonly Html[] {
  return ticks.map(
    (tick) =>
      html`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${top}" y2="${bottom}"/><text class="tick" x="${x(tick)}" y="${bottom + 18}" text-anchor="middle">${text(tick)}</text>\n`,
  );
}

/** The names of the axes, the horizontal one below the plot. */
export function axisTitles(horizontal: string, vertical: string, [top, bottom]: readonly [top: number, bottom: number]): Html {
  const { width, left, right } = FRAME;
  return html`<text class="title" x="${(left + width - right) / 2}" y="${bottom + 40}" text-anchor="middle">${horizontal}</text>
<text class="title" transform="translate(16 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${vertical}</text>`;
}

/** Four or five round steps from 0. */
export function evenTicks(most: number): number[] {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** Lengths of time that people use, in seconds. */
const ROUND_S = [
  ...[1e-3, 1e-2, 1e-1].flatMap((power) => [power, 2 * power, 5 * power]),
  ...[1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18_000, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000],
];
const MOST_TICKS = 9;

/** Round lengths of time on a logarithmic axis, not too many; powers of ten beyond those that have names. */
export function timeTicks(from: number, to: number): number[] {
  const isInside = (seconds: number) => seconds >= from && seconds <= to;
  const named = ROUND_S.filter(isInside);
  const all = named.length > 1 ? named : Array.from({ length: 61 }, (_, i) => 10 ** (i - 30)).filter(isInside);
  const every = Math.ceil(all.length / MOST_TICKS);
  return all.filter((_, i) => i % every === 0);
}

/** Powers of two on a logarithmic axis, not too many. */
export function sizeTicks(from: number, to: number): number[] {
  const all = Array.from({ length: 60 }, (_, i) => 2 ** i).filter((bytes) => bytes >= from && bytes <= to);
  const every = Math.ceil(all.length / MOST_TICKS);
  return all.filter((_, i) => i % every === 0);
}

/** Coordinates need no more. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

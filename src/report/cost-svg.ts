/** What saves cost by their size, as SVG that needs no script: every one that was measured, and the size that is asked about. */
import type { CostSample } from '../interval/cost-model.js';
import { formatDuration_s } from '../interval/format-duration.js';
import { type Html, html } from './html.js';
import { evenTicks, round, sizeTicks } from './svg-axes.js';

/** What is drawn. */
export interface CostPlot {
  readonly samples: readonly CostSample[];
  /** What is reckoned with, and for which size; its 95 % interval where there is one. */
  readonly taken: CostSample;
  readonly range_s: readonly [low: number, high: number] | null;
  readonly formatBytes: (bytes: number) => string;
}

const WIDTH = 880;
const HEIGHT = 300;
const LEFT = 108;
const RIGHT = 32;
const TOP = 12;
const BOTTOM = 48;

/** One figure. Where all were of one size they stand in one column. */
export function costSvg({ samples, taken, range_s, formatBytes }: CostPlot): Html {
  const sizes = [...samples.map(({ bytes }) => bytes), taken.bytes];
  const [from, to] = [Math.min(...sizes) / 1.4, Math.max(...sizes) * 1.4];
  const most = Math.max(taken.seconds, range_s?.[1] ?? 0, ...samples.map(({ seconds }) => seconds)) * 1.08;
  const x = (bytes: number) => round(LEFT + (Math.log(bytes / from) / Math.log(to / from)) * (WIDTH - LEFT - RIGHT));
  const y = (seconds: number) => round(HEIGHT - BOTTOM - (seconds / most) * (HEIGHT - TOP - BOTTOM));
  const at = x(taken.bytes);
  const [low, high] = (range_s ?? [taken.seconds, taken.seconds]).map(y) as [number, number];
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="What saves cost by their size. The figures are in the table below.">
${evenTicks(most).map((seconds) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(seconds)}" y2="${y(seconds)}"/><text class="tick" x="${LEFT - 8}" y="${y(seconds) + 4}" text-anchor="end">${formatDuration_s(seconds)}</text>\n`)}
${sizeTicks(from, to).map((bytes) => html`<line class="grid" x1="${x(bytes)}" x2="${x(bytes)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text class="tick" x="${x(bytes)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${formatBytes(bytes)}</text>\n`)}
${samples.map(({ bytes, seconds }) => html`<circle class="sample" cx="${x(bytes)}" cy="${y(seconds)}" r="4"/>\n`)}
<path class="taken" d="M${at} ${low}V${high}M${at - 7} ${low}h14M${at - 7} ${high}h14"/>
<path class="taken here" d="M${at} ${y(taken.seconds) - 7}l7 7l-7 7l-7 -7z"/>
<text class="title" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">bytes of a checkpoint (logarithmic)</text>
<text class="title" transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">a save costs</text>
</svg>`;
}

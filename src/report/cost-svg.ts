/** What saves cost by their size, as SVG that needs no script: every one that was measured, and the size that is asked about. */
import type { CostSample } from '../interval/cost-model.js';
import { formatDuration_s } from '../interval/format-duration.js';
import { type Html, html } from './html.js';
import { axisTitles, evenTicks, FRAME, horizontalGrid, round, sizeTicks, verticalGrid } from './svg-axes.js';

/** What is drawn. */
export interface CostPlot {
  readonly samples: readonly CostSample[];
  /** What is reckoned with, and for which size; its 95 % interval where there is one. */
  readonly taken: CostSample;
  readonly range_s: readonly [low: number, high: number] | null;
  readonly formatBytes: (bytes: number) => string;
}

const { width: WIDTH, left: LEFT, right: RIGHT } = FRAME;
const HEIGHT = 300;
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
${horizontalGrid(evenTicks(most), y, formatDuration_s)}
${verticalGrid(sizeTicks(from, to), x, [TOP, HEIGHT - BOTTOM], formatBytes)}
${samples.map(({ bytes, seconds }) => html`<circle class="sample" cx="${x(bytes)}" cy="${y(seconds)}" r="4"/>\n`)}
<path class="taken" d="M${at} ${low}V${high}M${at - 7} ${low}h14M${at - 7} ${high}h14"/>
<path class="taken here" d="M${at} ${y(taken.seconds) - 7}l7 7l-7 7l-7 -7z"/>
${axisTitles('bytes of a checkpoint (logarithmic)', 'a save costs', [TOP, HEIGHT - BOTTOM])}
</svg>`;
}

/** What an interval costs, as a page for a browser: one file that needs nothing else. */
import { readFile, writeFile } from 'node:fs/promises';
import { toFileError } from '../engine/file-error.js';
import type { CostSample } from '../interval/cost-model.js';
import type { CurvePoint } from '../interval/expected.js';
import { formatDuration_s } from '../interval/format-duration.js';
import { formatShare } from '../interval/format-share.js';
import { middle } from '../interval/middle.js';
import type { Recommendation, TuningCase } from '../interval/recommend.js';
import { VERSION } from '../version.js';
import { costSvg } from './cost-svg.js';
import { curveSvg } from './curve-svg.js';
import { type Html, html } from './html.js';
import { renderDocument } from './page.js';

/** What is shown. */
export interface TunePage {
  readonly plan: {
    readonly given: TuningCase;
    readonly measured: readonly { readonly interval_s: number; readonly overheadFraction: number }[];
    readonly warnings: readonly string[];
    /** Saves that were measured, what they cost training, and the size that is reckoned with. */
    readonly samples: readonly CostSample[];
    readonly bytes: number | null;
    readonly confidence: { readonly cost_s: readonly [number, number] | null; readonly mtbf_s: readonly [number, number] | null };
  };
  readonly found: Recommendation;
  readonly curve: readonly CurvePoint[];
  /** What every formula says, the exact one first. */
  readonly formulas: readonly {
    readonly name: string;
    readonly short: string;
    readonly interval_s: number;
    readonly expected: CurvePoint | null;
  }[];
  readonly formatBytes: (bytes: number) => string;
}

/** Writes the page. Throws what the operating system reports, such as `ERR_NOT_FOUND`, `ERR_PERMISSION`, `ERR_NO_SPACE`. */
export async function writeTunePage(page: TunePage, file: string): Promise<void> {
  try {
    const css = await readFile(new URL('./page.css', import.meta.url), 'utf8');
    await writeFile(file, renderTunePage(page, css));
  } catch (error) {
    throw toFileError(error, 'write', file);
  }
}

/** Only of this page. */
const STYLE = `
svg { width: 100%; min-width: 40rem; height: auto; font: 13px system-ui, sans-serif; }
.band { fill: var(--band); }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick, .title { fill: var(--faint); }
.name { fill: var(--faint); }
.name.recommended { fill: var(--text); font-weight: 600; }
.sample { fill: var(--ours); fill-opacity: 0.35; }
.taken { fill: none; stroke: var(--peer-2); stroke-width: 2; }
.taken.here { fill: var(--peer-2); }
figure .scroll { margin-bottom: 0; }
figure.below { margin-top: 1.25rem; }
.line { fill: none; stroke-width: 2; }
.line.all { stroke: var(--ours); stroke-width: 3; }
.line.saving { stroke: var(--ours-2); stroke-dasharray: 6 4; }
.line.lost { stroke: var(--peer-2); stroke-dasharray: 2 3; }
.mark { stroke: var(--limit); stroke-width: 1; stroke-dasharray: 4 4; }
.mark.recommended { stroke: var(--text); stroke-width: 2; stroke-dasharray: none; }
.measured { fill: var(--peer); stroke: var(--ground); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.25rem; margin: 0.5rem 0 0; padding: 0; list-style: none; font-size: 0.9rem; }
.legend span { display: inline-block; width: 1.6rem; margin-right: 0.4rem; border-top: 3px solid; vertical-align: middle; }
`;

/** The whole document. */
export function renderTunePage({ plan, found, curve, formulas, formatBytes }: TunePage, css: string): string {
  const { interval, expected, within1Percent_s } = found;
  const marks = [
    { name: 'recommended', interval_s: interval.recommended_s, kind: 'recommended' as const },
    ...formulas.map(({ short, interval_s }) => ({ name: short, interval_s, kind: 'formula' as const })),
  ];
  const main = html`<figure class="wide">
<figcaption><strong>Overhead by interval</strong> Saving costs less the longer the interval, failures cost more. In the shaded range the run takes at most 1 % longer than with the best interval: ${formatDuration_s(within1Percent_s[0])} to ${formatDuration_s(within1Percent_s[1])}.</figcaption>
${isDrawable(curve) ? scrolled(curveSvg({ curve, marks, measured: plan.measured, band_s: within1Percent_s })) : html`<p>Nothing gets done with any interval: there is no curve to draw.</p>`}
<ul class="legend">
<li><span style="border-color: var(--ours)"></span>overhead</li>
<li><span style="border-color: var(--ours-2); border-top-style: dashed"></span>of that, saving</li>
<li><span style="border-color: var(--peer-2); border-top-style: dotted"></span>of that, lost to failures</li>
<li><span style="border-color: var(--text)"></span>recommended</li>
<li><span style="border-color: var(--limit); border-top-style: dashed"></span>formulas</li>
${plan.measured.length === 0 ? null : html`<li><span style="border-color: var(--peer)"></span>measured</li>`}
</ul>
</figure>
${costFigure(plan, found, formatBytes)}
<section aria-labelledby="intervals">
<h2 id="intervals">Intervals</h2>
${table(['interval', 'work between checkpoints', 'overhead', 'saving', 'lost to failures', 'useful'], intervalRows(found, formulas, plan))}
</section>
<section aria-labelledby="input">
<h2 id="input">What it rests on</h2>
${table(['quantity', 'value', '95 % interval'], inputRows(plan, found, formatBytes))}
</section>
${samplesSection(plan.samples, formatBytes)}`;
  return renderDocument({
    title: 'holdfast tune',
    headline: `A checkpoint every ${formatDuration_s(interval.recommended_s)} of work: ${formatShare(expected.overheadFraction)} overhead, ${formatShare(expected.ettr)} of all time is useful.`,
    notices: plan.warnings,
    styles: [css, STYLE],
    main,
    footer: `Made by holdfast ${VERSION}.`,
  });
}

/** Where the window is narrow, a plot is moved, not made so small that nobody can read it. */
function scrolled(plot: Html): Html {
  return html`<div class="scroll" tabindex="0">${plot}</div>`;
}

/** Whether there is a range in which anything gets done. */
function isDrawable(curve: readonly CurvePoint[]): boolean {
  return curve.filter(({ overheadFraction }) => overheadFraction < 1e12).length > 2;
}

/** Where saves were measured. */
function costFigure(
  { samples, bytes, confidence }: TunePage['plan'],
  { cost_s }: Recommendation,
  formatBytes: TunePage['formatBytes'],
): Html | null {
  // Of one size the table says as much.
  if (bytes === null || new Set([...samples.map((sample) => sample.bytes), bytes]).size < 2) return null;
  const taken = { bytes, seconds: cost_s };
  return html`<figure class="wide below">
<figcaption><strong>What a save costs</strong> Every save that was measured (circles), and what is reckoned with for ${formatBytes(bytes)} (diamond, with its 95 % interval): ${formatDuration_s(cost_s)}.</figcaption>
${scrolled(costSvg({ samples, taken, range_s: confidence.cost_s, formatBytes }))}
</figure>`;
}

function intervalRows({ interval, expected }: Recommendation, formulas: TunePage['formulas'], { measured }: TunePage['plan']): string[][] {
  const row = (name: string, seconds: number, at: CurvePoint | null) =>
    at === null
      ? [name, seconds === 0 ? 'none' : formatDuration_s(seconds), '', '', '', '']
      : [
          name,
          formatDuration_s(seconds),
          formatShare(at.overheadFraction),
          formatShare(at.saving),
          formatShare(at.lost),
          formatShare(at.ettr),
        ];
  return [
    row('recommended', interval.recommended_s, expected.ettr > 0 ? expected : null),
    ...formulas.map(({ name, interval_s, expected: at }) => row(name, interval_s, at)),
    ...measured.map(({ interval_s, overheadFraction }) => [
      ...['measured', formatDuration_s(interval_s), formatShare(overheadFraction), '', '', formatShare(1 / (1 + overheadFraction))],
    ]),
  ];
}

function inputRows(
  { given, bytes, confidence }: TunePage['plan'],
  { cost_s, steps }: Recommendation,
  formatBytes: TunePage['formatBytes'],
): string[][] {
  const { stall_s, persist_s = 0, slowdown = 0, restart_s = 0, mtbf_s, maxInFlight = 1, step_s } = given;
  const sure = (range: readonly [number, number] | null) =>
    range === null ? '' : `${formatDuration_s(range[0])} to ${formatDuration_s(range[1])}`;
  return [
    ['what a save costs training', formatDuration_s(cost_s), sure(confidence.cost_s)],
    ...(bytes === null ? [] : [['bytes of a checkpoint', formatBytes(bytes), '']]),
    ['training waits for it', formatDuration_s(stall_s), ''],
    ['from then until it is durable', formatDuration_s(persist_s), ''],
    ['training is slower meanwhile by', formatShare(slowdown), ''],
    ['a restart', formatDuration_s(restart_s), ''],
    ['mean time between failures', formatDuration_s(mtbf_s), sure(confidence.mtbf_s)],
    ['saves in flight', String(maxInFlight), ''],
    ...(steps === null || step_s === undefined
      ? []
      : [
          ['a step', formatDuration_s(step_s), ''],
          ['steps between checkpoints', String(steps), ''],
        ]),
  ];
}

/** As tables go: by size, not one row per save. */
function samplesSection(samples: readonly CostSample[], formatBytes: TunePage['formatBytes']): Html | null {
  if (samples.length === 0) return null;
  const sizes = [...new Set(samples.map(({ bytes }) => bytes))].sort((a, b) => a - b).slice(-MOST_SIZES);
  const rows = sizes.map((size) => {
    const seconds = samples.filter(({ bytes }) => bytes === size).map((sample) => sample.seconds);
    return [
      formatBytes(size),
      String(seconds.length),
      ...[Math.min(...seconds), middle(seconds), Math.max(...seconds)].map(formatDuration_s),
    ];
  });
  return html`<section aria-labelledby="saves">
<h2 id="saves">Saves that were measured</h2>
${table(['bytes', 'saves', 'least', 'median', 'most'], rows)}
</section>`;
}

/** A run whose checkpoints grow has a size for each. */
const MOST_SIZES = 50;

function table(columns: readonly string[], rows: readonly (readonly string[])[]): Html {
  // Columns that say nothing take room from those that do.
  const shown = columns.map((_, i) => i).filter((i) => i === 0 || rows.some((row) => row[i] !== ''));
  const head = shown.map((i) => html`<th scope="col">${columns[i] as string}</th>`);
  const cells = (row: readonly string[]) => shown.slice(1).map((i) => html`<td>${row[i] as string}</td>`);
  return html`<div class="scroll" tabindex="0">
<table>
<thead><tr>${head}</tr></thead>
<tbody>
${rows.map((row) => html`<tr><th scope="row">${row[0] as string}</th>${cells(row)}</tr>\n`)}</tbody>
</table>
</div>`;
}

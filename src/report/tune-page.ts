/** What an interval costs, as a page for a browser: one file that needs nothing else. */
import { readFile, writeFile } from 'node:fs/promises';
import { toHoldfastError } from '../engine/system-error.js';
import type { CurvePoint } from '../interval/expected.js';
import { formatDuration_s } from '../interval/format-duration.js';
import type { Recommendation, TuningCase } from '../interval/recommend.js';
import { VERSION } from '../version.js';
import { curveSvg } from './curve-svg.js';
import { Html, html } from './html.js';

/** What is shown. */
export interface TunePage {
  readonly plan: {
    readonly given: TuningCase;
    readonly measured: readonly { readonly interval_s: number; readonly overheadFraction: number }[];
    readonly warnings: readonly string[];
  };
  readonly found: Recommendation;
  readonly curve: readonly CurvePoint[];
}

/** Writes the page. Throws what the operating system reports, such as `ERR_NOT_FOUND`, `ERR_PERMISSION`, `ERR_NO_SPACE`. */
export async function writeTunePage(page: TunePage, file: string): Promise<void> {
  try {
    const css = await readFile(new URL('./page.css', import.meta.url), 'utf8');
    await writeFile(file, renderTunePage(page, css));
  } catch (error) {
    throw toHoldfastError(error, `write ${file}`, { path: file });
  }
}

/** Only of this page. */
const STYLE = `
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
.band { fill: var(--band); }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick, .title { fill: var(--faint); }
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
export function renderTunePage({ plan, found, curve }: TunePage, css: string): string {
  const { interval, expected, within1Percent_s } = found;
  const marks = [
    { name: 'Young', interval_s: interval.young_s, kind: 'formula' as const },
    { name: 'exact', interval_s: interval.exact_s, kind: 'formula' as const },
    { name: 'recommended', interval_s: interval.recommended_s, kind: 'recommended' as const },
  ];
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>holdfast tune</title>
<style>${new Html(css)}${new Html(STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>holdfast tune</h1>
<p class="headline">A checkpoint every ${formatDuration_s(interval.recommended_s)} of work: ${percent(expected.overheadFraction)} overhead, ${percent(expected.ettr)} of all time is useful.</p>
${plan.warnings.map((text) => html`<p class="notice" role="note">${text}</p>\n`)}
</header>
<figure class="wide">
<figcaption><strong>Overhead by interval</strong> Saving costs less the longer the interval, failures cost more. In the shaded range the run takes at most 1 % longer than with the best interval: ${formatDuration_s(within1Percent_s[0])} to ${formatDuration_s(within1Percent_s[1])}.</figcaption>
${curveSvg({ curve, marks, measured: plan.measured, band_s: within1Percent_s })}
<ul class="legend">
<li><span style="border-color: var(--ours)"></span>overhead</li>
<li><span style="border-color: var(--ours-2); border-top-style: dashed"></span>of that, saving</li>
<li><span style="border-color: var(--peer-2); border-top-style: dotted"></span>of that, lost to failures</li>
<li><span style="border-color: var(--text)"></span>recommended</li>
<li><span style="border-color: var(--limit); border-top-style: dashed"></span>formulas</li>
${plan.measured.length === 0 ? null : html`<li><span style="border-color: var(--peer)"></span>measured</li>`}
</ul>
</figure>
<section aria-labelledby="intervals">
<h2 id="intervals">Intervals</h2>
${table(['interval', 'work between checkpoints', 'overhead', 'saving', 'lost to failures', 'useful'], intervalRows(found, curve, plan))}
</section>
<section aria-labelledby="input">
<h2 id="input">What it rests on</h2>
${table(['quantity', 'value'], inputRows(plan.given, found))}
</section>
</main>
<footer><p>Made by holdfast ${VERSION}.</p></footer>
</body>
</html>
`;
  return page.text;
}

function intervalRows({ interval, expected }: Recommendation, curve: readonly CurvePoint[], { measured }: TunePage['plan']): string[][] {
  const near = (seconds: number) =>
    curve.reduce((best, point) =>
      Math.abs(Math.log(point.interval_s / seconds)) < Math.abs(Math.log(best.interval_s / seconds)) ? point : best,
    );
  const row = (name: string, seconds: number, { overheadFraction, saving, lost, ettr }: CurvePoint) => [
    ...[name, formatDuration_s(seconds), percent(overheadFraction), percent(saving), percent(lost), percent(ettr)],
  ];
  const formulas = [
    ['exact', interval.exact_s],
    ['Daly, higher order', interval.dalyHigher_s],
    ['Daly, first order', interval.dalyFirst_s],
    ['Young', interval.young_s],
  ] as const;
  return [
    row('recommended', interval.recommended_s, expected),
    ...formulas.filter(([, seconds]) => seconds > 0).map(([name, seconds]) => row(name, seconds, near(seconds))),
    ...measured.map(({ interval_s, overheadFraction }) => [
      ...['measured', formatDuration_s(interval_s), percent(overheadFraction), '', '', percent(1 / (1 + overheadFraction))],
    ]),
  ];
}

function inputRows(given: TuningCase, { cost_s, steps }: Recommendation): string[][] {
  const { stall_s, persist_s = 0, slowdown = 0, restart_s = 0, mtbf_s, maxInFlight = 1 } = given;
  return [
    ['what a save costs training', formatDuration_s(cost_s)],
    ['training waits for it', formatDuration_s(stall_s)],
    ['from then until it is durable', formatDuration_s(persist_s)],
    ['training is slower meanwhile by', percent(slowdown)],
    ['a restart', formatDuration_s(restart_s)],
    ['mean time between failures', formatDuration_s(mtbf_s)],
    ['saves in flight', String(maxInFlight)],
    ...(steps === null ? [] : [['steps between checkpoints', String(steps)]]),
  ];
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): Html {
  return html`<div class="scroll" tabindex="0">
<table>
<thead><tr>${columns.map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr><th scope="row">${row[0] as string}</th>${row.slice(1).map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table>
</div>`;
}

function percent(share: number): string {
  const value = share * 100;
  return value > 99 && value < 100 ? `${value.toFixed(2)} %` : `${Number(value.toPrecision(3))} %`;
}

/** The result as a page for a browser: one file that needs nothing else. */
import { readFile, writeFile } from 'node:fs/promises';
import { toFileError } from '../../engine/file-error.js';
import { toHoldfastError } from '../../engine/system-error.js';
import { Html, html, inlineJson, inlineScript } from '../../report/html.js';
import { renderDocument } from '../../report/page.js';
import { formatBytes } from '../../terminal/format.js';
import type { LeftOut, Report } from '../report.js';
import { type ChartSpec, chartsOf } from './charts.js';
import { type FigureTable, headlineOf, tablesOf } from './tables.js';

/** What is built into every page, from beside this module. */
interface Assets {
  readonly css: string;
  readonly chartLibrary: string;
  readonly draw: string;
}

/**
 * Writes `report` as one self-contained HTML file: plots, figures, rules, environment. It loads nothing from anywhere. Throws what the
 * operating system reports, such as `ERR_NOT_FOUND`, `ERR_PERMISSION`, `ERR_NO_SPACE`.
 */
export async function writePage(report: Report, file: string): Promise<void> {
  const page = renderPage(report, await loadAssets());
  try {
    await writeFile(file, page);
  } catch (error) {
    throw toFileError(error, 'write', file);
  }
}

async function loadAssets(): Promise<Assets> {
  const read = (name: string) => readFile(new URL(name, import.meta.url), 'utf8');
  try {
    const [css, chartLibrary, draw] = await Promise.all([read('../../report/page.css'), read('./chart.umd.min.js'), read('./draw.js')]);
    return { css, chartLibrary, draw };
  } catch (error) {
    throw toHoldfastError(error, 'read the parts of the page, which belong to the installation of holdfast');
  }
}

/** The whole document. */
export function renderPage(report: Report, { css, chartLibrary, draw }: Assets): string {
  const charts = chartsOf(report);
  const main = html`<section aria-labelledby="plots">
<h2 id="plots">Plots</h2>
<noscript><p>The plots need JavaScript. The figures below do not.</p></noscript>
<div class="plots">
${charts.map(figure)}
</div>
</section>
<section aria-labelledby="figures">
<h2 id="figures">Figures</h2>
${tablesOf(report).map(table)}
</section>
${leftOutSection(report.leftOut ?? [])}
${rulesSection(report.rules ?? [])}
<section aria-labelledby="environment">
<h2 id="environment">Environment</h2>
${definitions(report.environment)}
</section>
<section aria-labelledby="settings">
<h2 id="settings">Settings</h2>
${definitions(report.settings)}
</section>`;
  const scripts = html`<script type="application/json" id="charts">${inlineJson(charts)}</script>
<script>${inlineScript(chartLibrary)}</script>
<script>${inlineScript(draw)}</script>`;
  return renderDocument({
    title: `holdfast bench ${report.scenario}`,
    headline: headlineOf(report),
    notices: noticesOf(report),
    styles: [css],
    main,
    footer: `Made by holdfast ${report.environment.holdfast}. Plots: Chart.js, MIT licence, © Chart.js Contributors.`,
    scripts,
  });
}

function noticesOf({ partial, warnings = [] }: Report): readonly string[] {
  return [...(partial ? ['Interrupted: this is what was measured by then.'] : []), ...warnings];
}

function figure(chart: ChartSpec, index: number): Html {
  const { title, caption } = chart;
  const lines = chart.kind === 'bars' ? chart.bars.length : 0;
  const height = lines === 0 ? 22 : 5.5 + 2.4 * lines;
  return html`<figure${new Html(chart.kind === 'bars' ? ' class="wide"' : '')}>
<figcaption><strong>${title}</strong> ${caption}</figcaption>
<div class="plot" style="height: ${height}rem"><canvas data-chart="${index}" role="img" aria-label="${title}. The figures are in the table below."></canvas></div>
</figure>
`;
}

function table({ caption, columns, rows }: FigureTable, index: number): Html {
  // Columns that say nothing take room from those that do.
  const shown = columns.map((_, i) => i).filter((i) => i === 0 || rows.some((row) => row[i] !== ''));
  const kind = (i: number) => new Html(columns[i] === 'note' ? ' class="note"' : '');
  const head = shown.map((i) => html`<th scope="col"${kind(i)}>${columns[i] as string}</th>`);
  const body = rows.map((row) => {
    const cells = shown.slice(1).map((i) => html`<td${kind(i)}>${row[i] as string}</td>`);
    return html`<tr><th scope="row">${row[0] as string}</th>${cells}</tr>\n`;
  });
  // Not a caption element: that is as wide as the table, and on a phone has to be scrolled.
  return html`<p class="caption" id="table-${index}">${caption}</p>
<div class="scroll" role="region" aria-labelledby="table-${index}" tabindex="0">
<table aria-labelledby="table-${index}">
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody>
</table>
</div>
`;
}

function leftOutSection(leftOut: readonly LeftOut[]): Html | null {
  if (leftOut.length === 0) return null;
  return html`<section aria-labelledby="left-out">
<h2 id="left-out">Left out</h2>
<ul>
${leftOut.map(({ name, why }) => html`<li><strong>${name}</strong>: ${why}</li>\n`)}</ul>
</section>`;
}

function rulesSection(rules: readonly string[]): Html | null {
  if (rules.length === 0) return null;
  return html`<section aria-labelledby="rules">
<h2 id="rules">How it was measured</h2>
<ul>
${rules.map((rule) => html`<li>${rule}</li>\n`)}</ul>
</section>`;
}

function definitions(fields: object): Html {
  const known = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return html`<dl>
${known.map(([name, value]) => html`<div><dt>${inWords(name)}</dt><dd>${valueInWords(value, name)}</dd></div>\n`)}</dl>`;
}

/** `maxRssBytes` is `max rss`: the unit stands with the value. */
function inWords(name: string): string {
  return name.replace(/Bytes$/, '').replace(/[A-Z]+/g, (letters) => ` ${letters.toLowerCase()}`);
}

function valueInWords(value: unknown, name = ''): string {
  if (typeof value === 'number' && /(bytes|sizes?)$/i.test(name)) return formatBytes(value);
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map((item) => valueInWords(item, name)).join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .filter(([, inner]) => inner !== null)
    .map(([name, inner]) => `${inWords(name)} ${valueInWords(inner, name)}`)
    .join(', ');
}

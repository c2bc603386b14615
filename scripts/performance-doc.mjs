// Makes the measured tables of docs/PERFORMANCE.md from results that `holdfast bench --out` stored:
//   npm run performance-doc -- docs/results/*.json
// Everything between <!-- bench:SCENARIO --> and <!-- /bench:SCENARIO --> is replaced, the rest is left as it is. --doc FILE: another document.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tablesOf } from '../dist/bench/page/tables.js';
import { readReport } from '../dist/bench/read-report.js';
import { describeEnvironmentText } from '../dist/cli/commands/bench-print.js';
import { formatBytes, formatInteger } from '../dist/terminal/format.js';

const ALL_PEERS = 6;
const SOURCES = 3;

/** Ends the program: nothing has been written. */
function fail(message) {
  console.error(`performance-doc: ${message}`);
  process.exit(1);
}

/** Text in a cell or a paragraph of Markdown. */
function escapeMarkdown(text) {
  return text.replace(/[\\|*_`[\]<>]/g, (c) => (c === '<' ? '&lt;' : `\\${c}`)).replace(/\s+/g, ' ');
}

/** The command that measures this again; without paths, which are of one machine. */
function commandOf({ scenario, settings }) {
  const { bytes, sizes, model, tensors, sources, runs, calls, engine, reserve, peers } = settings;
  const options = [
    model != null && `--model ${model}`,
    bytes != null && `--size ${sizeOption(bytes)}`,
    sizes && `--sizes ${sizes.map(sizeOption).join(',')}`,
    sources && sources.length < SOURCES && `--sources ${sources.join(',')}`,
    tensors && `--tensors ${tensors}`,
    runs && `--runs ${runs}`,
    calls && `--calls ${calls}`,
    engine && engine !== 'auto' && `--engine ${engine}`,
    reserve && '--reserve',
    peers && `--peers ${peers.length === 0 ? 'none' : peers.length === ALL_PEERS ? 'all' : peers.join(',')}`,
  ];
  return ['npx holdfast bench', scenario, ...options.filter((option) => option)].join(' ');
}

/** A size as the command reads it: exactly, in the largest unit that has no fraction. */
function sizeOption(bytes) {
  for (const [power, unit] of [
    [30, 'GiB'],
    [20, 'MiB'],
    [10, 'KiB'],
  ]) {
    if (bytes % 2 ** power === 0) return `${bytes / 2 ** power}${unit}`;
  }
  return String(bytes);
}

function markdownTable(columns, rows) {
  const shown = columns.map((_, i) => i).filter((i) => i === 0 || rows.some((row) => row[i] !== ''));
  const line = (cells) => `| ${shown.map((i) => escapeMarkdown(cells[i])).join(' | ')} |`;
  return [line(columns), `|${shown.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

/** What is too much for a document; the stored result has it. */
const LEFT_TO_RESULT = new Set(['note', 'first', 'engine']);

function without(columns, rows, names) {
  const kept = columns.map((_, i) => i).filter((i) => !names.has(columns[i]));
  return [kept.map((i) => columns[i]), rows.map((row) => kept.map((i) => row[i]))];
}

/** One table; of a sweep, with a column for where it is. */
function tableOf(report) {
  const tables = tablesOf(report);
  if (!('points' in report)) {
    const [{ caption, columns, rows }] = tables;
    return `${escapeMarkdown(caption)}\n\n${markdownTable(...without(columns, rows, LEFT_TO_RESULT))}`;
  }
  const { points, scenario } = report;
  const place = ({ bytes, tensors }) => (scenario === 'many' ? formatInteger(tensors) : formatBytes(bytes));
  const columns = [scenario === 'many' ? 'tensors' : 'size', ...tables[0].columns];
  const rows = tables.flatMap((table, i) => table.rows.map((row, at) => [at === 0 ? place(points[i]) : '', ...row]));
  const fixed = scenario === 'many' ? `${formatBytes(points[0].bytes)} each time` : `${formatInteger(points[0].tensors)} tensors`;
  return `${fixed}, ${points[0].runs} runs.\n\n${markdownTable(...without(columns, rows, new Set([...LEFT_TO_RESULT, 'CPU time', 'most memory'])))}`;
}

function notesOf({ rows = [] }) {
  return rows.filter(({ note }) => note).map(({ name, note }) => `${name}: ${note.replace(/\.?$/, '.')}`);
}

function sectionOf(report) {
  const leftOut = (report.leftOut ?? []).map(({ name }) => name);
  const remarks = [
    ...notesOf(report),
    ...(leftOut.length === 0 ? [] : [`Left out: ${leftOut.join(', ')}.`]),
    ...(report.partial ? ['Interrupted: fewer runs than were asked for.'] : []),
    ...(report.warnings ?? []),
  ];
  return [
    `\`${commandOf(report)}\``,
    escapeMarkdown(describeEnvironmentText(report.environment)),
    tableOf(report),
    ...(remarks.length === 0 ? [] : [escapeMarkdown(remarks.join(' '))]),
  ].join('\n\n');
}

/** `text` with what stands between the marks of `scenario` replaced. */
function replaceSection(text, scenario, content, doc) {
  const [open, close] = [`<!-- bench:${scenario} -->`, `<!-- /bench:${scenario} -->`];
  const from = text.indexOf(open);
  const to = text.indexOf(close, from);
  if (from < 0 || to < 0) fail(`${doc} has no place for "${scenario}": put ${open} and ${close} where its table belongs.`);
  if (text.indexOf(open, from + 1) >= 0) fail(`${doc} has ${open} more than once.`);
  return `${text.slice(0, from + open.length)}\n${content}\n${text.slice(to)}`;
}

const { values, positionals } = parseArgs({ options: { doc: { type: 'string' } }, allowPositionals: true });
if (positionals.length === 0) fail('name the results: npm run performance-doc -- docs/results/*.json');
const doc = values.doc ?? fileURLToPath(new URL('../docs/PERFORMANCE.md', import.meta.url));
const sections = new Map();
for (const file of positionals) {
  const report = await readReport(file).catch((error) => fail(error.message));
  sections.set(report.scenario, [...(sections.get(report.scenario) ?? []), sectionOf(report)]);
}
let text = readFileSync(doc, 'utf8');
for (const [scenario, contents] of sections) text = replaceSection(text, scenario, contents.join('\n\n'), doc);
writeFileSync(doc, text);
console.log(`${doc}: ${[...sections.keys()].join(', ')}`);

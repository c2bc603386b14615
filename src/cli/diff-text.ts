/** What a comparison found, in words. */
import type { AttachmentSum, Both, DiffReport, DiffSide, MetadataDiff, TensorsDiff } from '../manager/diff-report.js';
import { formatAge, formatBytes, formatInteger, formatMetric, plural } from '../terminal/format.js';
import { escapeText, pad } from '../terminal/text.js';
import { outputWidth, paint, print } from './output.js';
import { type Column, layOut } from './table.js';

type Mark = '+' | '-' | '~';

const COLOURS = { '+': 'green', '-': 'red', '~': 'yellow' } as const satisfies Record<Mark, string>;

/** Prints `report`, of its tensors and of the places in its state at most `limit` each. */
export function printDiff(report: DiffReport, limit: number): void {
  const { a, b, tensors, metadata, same } = report;
  const now = Date.now();
  print(`${paint('bold', 'a')}  ${sideLine(a, now)}`);
  print(
    `${paint('bold', 'b')}  ${sideLine(b, now)}${a.runId !== null && b.runId !== null && a.runId !== b.runId ? ', of another run' : ''}`,
  );
  print('');
  const facts = metadata === null ? [] : metadataLines(metadata, limit);
  for (const [key, text] of facts) print(`  ${paint('dim', pad(key, 11))}  ${text}`);
  if (facts.length > 0) print('');
  printTensors(tensors, limit);
  print(same ? praise(report) : summary(tensors));
}

function sideLine({ name, sequence, createdAt }: DiffSide, now: number): string {
  const facts = [escapeText(name)];
  if (sequence !== null && createdAt !== null) facts.push(`sequence ${formatInteger(sequence)}, saved ${formatAge(createdAt, now)}`);
  return facts.join('  ');
}

/** Every line with what it is about; the same word does not stand twice below each other. */
function metadataLines(metadata: MetadataDiff, limit: number): [string, string][] {
  const { step, epoch, contents, monitor, metrics, software, state, attachments } = metadata;
  const lines: [string, string][] = [];
  const add = (key: string, text: string) => lines.push([lines.some(([before]) => before === key) ? '' : key, text]);
  if (step.a !== step.b) add('step', change(step, formatInteger));
  if (epoch.a !== epoch.b) add('epoch', change(epoch, formatInteger));
  if (contents.a !== contents.b) add('contents', change(contents, String));
  const monitors: Both<string | null> = { a: monitorText(monitor.a), b: monitorText(monitor.b) };
  if (monitors.a !== monitors.b) add('monitor', change(monitors, escapeText));
  for (const { name, ...both } of metrics) add('metrics', `${escapeText(name)}  ${change(both, metricFormat(both))}`);
  const shown = state.differences.slice(0, limit);
  for (const { path, ...both } of shown) add('state', `${escapeText(path)}  ${change(both, escapeText)}`);
  const more = state.differences.length - shown.length + state.more;
  if (more > 0) add('state', paint('dim', `… and ${formatInteger(more)} more places`));
  for (const { name, ...both } of attachments) add('attachments', `${escapeText(name)}  ${change(both, sumFormat(both))}`);
  for (const { name, ...both } of software) add('software', `${escapeText(name)}  ${change(both, escapeText)}`);
  return lines;
}

function change<T>({ a, b }: Both<T | null>, format: (value: T) => string): string {
  const text = (value: T | null) => (value === null ? 'none' : format(value));
  return `${text(a)} → ${text(b)}`;
}

function monitorText(monitor: MetadataDiff['monitor']['a']): string | null {
  return monitor == null ? null : `${monitor.metric} (${monitor.mode})`;
}

/** In few digits, unless these are the same. */
function metricFormat({ a, b }: Both<number | null>): (value: number) => string {
  return a !== null && b !== null && formatMetric(a) === formatMetric(b) ? String : formatMetric;
}

/** By their length, unless it is the same. */
function sumFormat({ a, b }: Both<AttachmentSum | null>): (sum: AttachmentSum) => string {
  return ({ bytes, crc32c }) => (a?.bytes === b?.bytes ? `crc32c ${crc32c}` : formatBytes(bytes));
}

interface Row {
  readonly mark: Mark;
  readonly name: string;
  readonly role: string;
  readonly dtype: string;
  readonly shape: string;
  readonly elements: number;
  readonly values: TensorsDiff['changed'][number]['values'];
}

function rowsOf({ added, removed, changed }: TensorsDiff): Row[] {
  const lone = (mark: Mark) => (tensor: TensorsDiff['added'][number]) => ({
    ...{ mark, name: tensor.name, role: tensor.role, dtype: tensor.dtype, shape: shapeText(tensor.shape) },
    ...{ elements: 0, values: null },
  });
  const both = changed.map(({ name, role, a, b, values }) => ({
    ...{ mark: '~' as const, name, role, values, elements: a.shape.reduce((product, size) => product * size, 1) },
    dtype: oneOrBoth(a.dtype, b.dtype),
    shape: oneOrBoth(shapeText(a.shape), shapeText(b.shape)),
  }));
  return [...removed.map(lone('-')), ...added.map(lone('+')), ...both];
}

function shapeText(shape: readonly number[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' × ');
}

function oneOrBoth(a: string, b: string): string {
  return a === b ? a : `${a} → ${b}`;
}

function printTensors(tensors: TensorsDiff, limit: number): void {
  const rows = rowsOf(tensors);
  if (rows.length === 0 || limit === 0) return;
  const shown = rows.slice(0, limit);
  const { header, lines } = layOut(columnsFor(shown), shown, outputWidth());
  print(paint('bold', header));
  shown.forEach(({ mark }, i) => {
    print(paint(COLOURS[mark], lines[i] as string));
  });
  const more = rows.length - shown.length;
  if (more > 0) print(paint('dim', `… and ${formatInteger(more)} more: --limit all shows every one`));
  print('');
}

function columnsFor(rows: readonly Row[]): Column<Row>[] {
  const number = (value: number | null | undefined) => (value == null ? '' : formatMetric(value));
  const severalRoles = rows.some(({ role }) => role !== 'model');
  return [
    { title: ' ', value: ({ mark }) => mark },
    { title: 'TENSOR', value: ({ name }) => (name === '' ? '""' : escapeText(name)), shortest: 16 },
    { title: 'OF', value: ({ role }) => (severalRoles ? role : '') },
    { title: 'DTYPE', value: ({ dtype }) => dtype, dispensable: 3 },
    { title: 'SHAPE', value: ({ shape }) => shape, dispensable: 2 },
    { title: 'MAX |A-B|', value: ({ values }) => number(values?.maxAbs), align: 'right' },
    { title: '|A-B|/|A|', value: ({ values }) => number(values?.relativeNorm), align: 'right' },
    { title: 'DIFFERING', value: differingText, align: 'right', dispensable: 1 },
    { title: '', value: noteOf },
  ];
}

function differingText({ values, elements }: Row): string {
  return values?.differing == null ? '' : `${formatInteger(values.differing)} of ${formatInteger(elements)}`;
}

function noteOf({ values }: Row): string {
  if (values === null) return '';
  if (values.differing === null) return 'other bytes';
  if (values.differing === 0) return 'other bytes, equal values';
  return values.nanOnOneSide ? `${formatInteger(values.nanOnOneSide)} NaN on one side` : '';
}

function summary({ equal, added, removed, changed, notCompared }: TensorsDiff): string {
  const parts = [`${plural(changed.length, 'tensor')} changed`];
  if (added.length > 0) parts.push(`${formatInteger(added.length)} added`);
  if (removed.length > 0) parts.push(`${formatInteger(removed.length)} removed`);
  parts.push(`${formatInteger(equal)} equal`);
  return `${parts.join(', ')}.${leftOut(notCompared)}`;
}

function leftOut(notCompared: number): string {
  return notCompared === 0 ? '' : ` ${plural(notCompared, 'tensor')} of the other set not compared: a bare file holds only one.`;
}

function praise({ tensors, metadata }: DiffReport): string {
  const rest = metadata === null ? '' : ', and so are metadata, state and attachments';
  return `${paint('green', 'SAME')}  ${plural(tensors.equal, 'tensor')}, all equal${rest}.${leftOut(tensors.notCompared)}`;
}

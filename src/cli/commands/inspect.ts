/** `holdfast inspect`: what is in a checkpoint or a safetensors file. */
import type { Description, TensorDescription } from '../../manager/describe.js';
import { formatBytes, formatCount, formatInteger, formatMetric, plural } from '../../terminal/format.js';
import { escapeText, pad, widthOf } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { DEFAULT_LIMIT, parseLimit } from '../limit.js';
import { jsonMetrics, outputWidth, paint, print, printJson } from '../output.js';
import { type Column, layOut } from '../table.js';
import { resolveLink } from '../target.js';

const NOTES = [
  'Only manifest and headers are read, so it is quick whatever the size; "holdfast verify" checks the bytes. A bare file has no step, metrics, software and checksums: they are null.',
  'JSON: {name, sequence, step, epoch, metrics, software, files: [{name, bytes, crc32c}], tensors: [{name, dtype, shape, bytes, file, offset, crc32c}]} with all tensors; offset counts from the start of the file. Exits with 1 if the checkpoint is damaged.',
];

interface InspectOptions extends CommonOptions {
  readonly limit: number;
}

export const registerInspect: RegisterCommand = (program) =>
  program
    .command('inspect')
    .summary('show what is in a checkpoint or a .safetensors file')
    .description('Shows what is in a checkpoint or a .safetensors file: step, metrics, files, and every tensor with its type and shape.')
    .argument('<PATH>', 'a checkpoint directory, or a .safetensors file from anywhere')
    .option('--limit <N>', 'show at most N tensors in the table, or "all"', parseLimit, DEFAULT_LIMIT)
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast inspect checkpoints/best', 'a summary and a table of its tensors'],
          ['holdfast inspect model.safetensors --limit all', 'every tensor of a bare file'],
          ["holdfast inspect checkpoints/best --json | jq '.tensors[].shape'", 'for other programs'],
        ],
        NOTES,
      ),
    )
    .action(async (target: string, { json, limit }: InspectOptions) => {
      const { describePath } = await import('../../manager/describe.js');
      const description = await describePath(resolveLink(target));
      if (json) printJson(toJson(description));
      else printDescription(description, limit);
    });

/** The fields spelled out: they are an interface to other programs. */
function toJson({ name, sequence, step, epoch, metrics, software, files, tensors }: Description) {
  return {
    ...{ name, sequence, step, epoch },
    metrics: metrics && jsonMetrics(metrics),
    software,
    files: files.map((file) => ({ name: file.name, bytes: file.bytes, crc32c: file.crc32c })),
    tensors: tensors.map(({ name, dtype, shape, bytes, file, offset, crc32c }) => ({ name, dtype, shape, bytes, file, offset, crc32c })),
  };
}

function printDescription(description: Description, limit: number): void {
  print(paint('bold', escapeText(description.name)));
  for (const line of headerLines(description)) print(`  ${line}`);
  print('');
  if (description.tensors.length > 0 && limit > 0) printTensors(description, limit);
  print(totals(description.tensors));
}

function printTensors(description: Description, limit: number): void {
  const shown = description.tensors.slice(0, limit);
  const { header, lines } = layOut(tensorColumns(description), shown, outputWidth() - 2);
  print(paint('bold', `  ${header}`));
  for (const line of lines) print(`  ${line}`);
  const more = description.tensors.length - shown.length;
  if (more > 0) print(paint('dim', `  … and ${formatInteger(more)} more: --limit all shows every one`));
  print('');
}

function headerLines({ sequence, step, epoch, metrics, software, files }: Description): string[] {
  const lines: [string, string][] = [];
  if (step !== null) lines.push(['step', formatInteger(step)]);
  if (epoch !== null) lines.push(['epoch', formatInteger(epoch)]);
  if (sequence !== null) lines.push(['sequence', formatInteger(sequence)]);
  if (metrics !== null) lines.push(['metrics', joined(metrics, formatMetric) || 'none']);
  if (software !== null) lines.push(['software', joined(software, escapeText) || 'not recorded']);
  const names = files.map((file) => escapeText(file.name));
  const widest = Math.max(...names.map(widthOf));
  files.forEach(({ bytes, crc32c }, i) => {
    const sum = crc32c === null ? 'no checksum' : `crc32c ${crc32c}`;
    lines.push([
      i === 0 ? 'files' : '',
      `${pad(names[i] as string, widest)}  ${pad(formatBytes(bytes), 9, 'right')}  ${paint('dim', sum)}`,
    ]);
  });
  return lines.map(([key, value]) => `${paint('dim', pad(key, 8))}  ${value}`);
}

function joined<T>(record: Readonly<Record<string, T>>, format: (value: T) => string): string {
  return Object.entries(record)
    .map(([key, value]) => `${escapeText(key)} ${format(value)}`)
    .join(', ');
}

function tensorColumns({ files, tensors }: Description): Column<TensorDescription>[] {
  const severalFiles = new Set(tensors.map(({ file }) => file)).size > 1;
  const checksummed = files.some(({ crc32c }) => crc32c !== null);
  return [
    { title: 'TENSOR', value: ({ name }) => (name === '' ? '""' : escapeText(name)), shortest: 16 },
    { title: 'DTYPE', value: ({ dtype }) => dtype },
    { title: 'SHAPE', value: ({ shape }) => (shape.length === 0 ? 'scalar' : shape.join(' × ')) },
    { title: 'SIZE', value: ({ bytes }) => formatBytes(bytes), align: 'right' },
    { title: 'FILE', value: ({ file }) => (severalFiles ? escapeText(file) : ''), dispensable: 1 },
    { title: 'OFFSET', value: ({ offset }) => formatInteger(offset), align: 'right', dispensable: 3 },
    { title: 'CRC32C', value: ({ crc32c }) => (checksummed ? (crc32c ?? '') : ''), dispensable: 2 },
  ];
}

function totals(tensors: readonly TensorDescription[]): string {
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const optimizer = tensors.filter(isOptimizer);
  const model = tensors.length - optimizer.length;
  const parts = [`${plural(tensors.length, 'tensor')}, ${formatBytes(bytes)}`];
  if (model > 0) parts.push(`${formatCount(countElements(tensors.filter((tensor) => !isOptimizer(tensor))))} parameters`);
  if (optimizer.length > 0) parts.push(`${formatCount(countElements(optimizer))} numbers of optimizer state`);
  return parts.join(', ');
}

/** By the names that docs/FORMAT.md gives the files of the optimizer's role. */
function isOptimizer({ file }: TensorDescription): boolean {
  return /^optimizer(-\d+-of-\d+)?\.safetensors$/.test(file);
}

function countElements(tensors: readonly TensorDescription[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

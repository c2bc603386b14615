/** `holdfast ls`: which checkpoints are in a directory. */
import type { ListedCheckpoint } from '../../manager/describe.js';
import { formatAge, formatBytes, formatInteger, formatMetric, plural } from '../../terminal/format.js';
import { escapeText, withoutName, wrap } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { EXIT_FINE, EXIT_PROBLEM } from '../exit.js';
import { jsonMetrics, outputWidth, paint, print, printJson } from '../output.js';
import { type Column, layOut } from '../table.js';

const NOTES = [
  'In commit order, the newest last. * marks the best checkpoint, ! a damaged one; "weights" are checkpoints that training cannot go on from; other words at the end of a line are tags, links that keep the checkpoint. Only manifests and file sizes are looked at; "holdfast verify" checks the bytes. Exits with 1 if a checkpoint is damaged.',
  'JSON: {directory, checkpoints: [{name, path, sequence, step, epoch, metrics, bytes, createdAt, contents, tags, status: "good" or "damaged", best, latest}]}; null where a damaged manifest does not say; a metric that is not finite is "NaN", "Infinity" or "-Infinity".',
];

export const registerLs: RegisterCommand = (program, context) =>
  program
    .command('ls')
    .summary('list the checkpoints in a directory')
    .description('Lists the checkpoints in a directory: steps, metrics, sizes, and which is the latest, the best, or damaged.')
    .argument('<DIR>', 'the directory that the checkpoints are in')
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast ls checkpoints', 'a table'],
          ["holdfast ls checkpoints --json | jq -r '.checkpoints[] | select(.best).path'", 'the path of the best one'],
        ],
        NOTES,
      ),
    )
    .action(async (directory: string, { json }: CommonOptions) => {
      const { listDirectory } = await import('../../manager/describe.js');
      const checkpoints = await listDirectory(directory);
      if (json) printJson(await toJson(directory, checkpoints));
      else await printTable(directory, checkpoints);
      context.exitCode = checkpoints.some(isDamaged) ? EXIT_PROBLEM : EXIT_FINE;
    });

function isDamaged({ status }: ListedCheckpoint): boolean {
  return status === 'damaged';
}

async function toJson(directory: string, checkpoints: readonly ListedCheckpoint[]) {
  const { resolve } = await import('node:path');
  return {
    directory: resolve(directory),
    checkpoints: checkpoints.map((checkpoint) => {
      const { name, path, sequence, step, epoch, metrics, bytes, createdAt, contents, tags, status, best, latest } = checkpoint;
      // Without a sequence the manifest could not be read, so nothing is known of the metrics either.
      const known = sequence === null ? null : jsonMetrics(metrics);
      return { name, path, sequence, step, epoch, metrics: known, bytes, createdAt, contents, tags, status, best, latest };
    }),
  };
}

async function printTable(directory: string, checkpoints: readonly ListedCheckpoint[]): Promise<void> {
  if (checkpoints.length === 0) {
    await printEmpty(directory);
    return;
  }
  const { header, lines } = layOut(columnsFor(checkpoints, Date.now()), checkpoints, outputWidth());
  print(paint('bold', header));
  checkpoints.forEach((checkpoint, i) => {
    const line = lines[i] as string;
    print(checkpoint.best ? paint('green', line) : isDamaged(checkpoint) ? paint('red', line) : line);
    if (checkpoint.problem === undefined) return;
    const reason = escapeText(withoutName(checkpoint.problem.message, checkpoint.name));
    for (const part of wrap(reason, outputWidth() - 4)) print(paint('red', `    ${part}`));
  });
  print('');
  printSummary(directory, checkpoints);
}

async function printEmpty(directory: string): Promise<void> {
  const { isCheckpointDirectory } = await import('../../catalog/scan.js');
  const shown = escapeText(directory);
  if (await isCheckpointDirectory(directory))
    print(`There are no checkpoints in ${shown}: it is one itself. Try "holdfast inspect ${shown}".`);
  else print(`There are no checkpoints in ${shown} yet.`);
}

function printSummary(directory: string, checkpoints: readonly ListedCheckpoint[]): void {
  const bytes = checkpoints.reduce((sum, checkpoint) => sum + (checkpoint.bytes ?? 0), 0);
  const damaged = checkpoints.filter(isDamaged).length;
  const total = `${plural(checkpoints.length, 'checkpoint')}, ${formatBytes(bytes)}`;
  print(damaged === 0 ? total : `${total}, ${paint('red', `${formatInteger(damaged)} damaged`)}`);
  if (damaged > 0) print(`Try "holdfast verify ${escapeText(directory)}": it reads every byte and says what to do.`);
}

function columnsFor(checkpoints: readonly ListedCheckpoint[], now: number): Column<ListedCheckpoint>[] {
  const integer = (value: number | null) => (value === null ? '' : formatInteger(value));
  return [
    { title: ' ', value: ({ best, status }) => (status === 'damaged' ? '!' : best ? '*' : ' ') },
    { title: 'CHECKPOINT', value: ({ name }) => escapeText(name), shortest: 16 },
    { title: 'STEP', value: ({ step }) => integer(step), align: 'right', dispensable: 90 },
    { title: 'EPOCH', value: ({ epoch }) => integer(epoch), align: 'right', dispensable: 91 },
    ...metricColumns(checkpoints),
    { title: 'SIZE', value: ({ bytes }) => (bytes === null ? '' : formatBytes(bytes)), align: 'right' },
    { title: 'SAVED', value: ({ createdAt }) => (createdAt === null ? '' : formatAge(createdAt, now)), align: 'right', dispensable: 50 },
    { title: '', value: notesOf },
  ];
}

/** One column per metric, those of the newest checkpoint first; where there is no room, the last ones go. */
function metricColumns(checkpoints: readonly ListedCheckpoint[]): Column<ListedCheckpoint>[] {
  const names = new Set(checkpoints.toReversed().flatMap(({ metrics }) => Object.keys(metrics)));
  return [...names].map((name, i) => ({
    title: escapeText(name),
    value: ({ metrics }) => (Object.hasOwn(metrics, name) ? formatMetric(metrics[name] as number) : ''),
    align: 'right',
    dispensable: 60 + i / names.size,
  }));
}

function notesOf({ best, latest, status, contents, tags }: ListedCheckpoint): string {
  const notes = [
    status === 'damaged' && 'damaged',
    best && 'best',
    latest && 'latest',
    contents === 'weights' && 'weights',
    ...tags.map((tag) => escapeText(tag)),
  ];
  return notes.filter((note) => note !== false).join(', ');
}

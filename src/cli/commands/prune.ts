/** `holdfast prune`: lets go of checkpoints by rules. */
import type { PruneReport, RetentionRule } from '../../index.js';
import { formatBytes, formatInteger, plural } from '../../terminal/format.js';
import { escapeText } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { EXIT_FINE, EXIT_PROBLEM, UsageError } from '../exit.js';
import { outputWidth, paint, print, printJson } from '../output.js';
import { type Column, layOut } from '../table.js';
import { collect, parseBest, parseBytes, parseCount, parseDuration, parseInterval, parseSteps, type Rule } from './prune-options.js';

const NOTES = [
  'A checkpoint stays if one of the --keep options wants it; those of weights only are counted separately. Whatever they say, the newest stays, the newest that training can go on from, the best, every one that a link beside it points at (a tag), and damaged ones. Without :min or :max a metric is better the way that the manifests say, or if they watch another, the way that Keras infers from its name: more of acc, auc, precision, recall and fmeasure, less of all others. With --max-bytes alone everything is wanted, as far as it fits.',
  'The directory must not be written by a running process (ERR_LOCKED): that one prunes for itself, by its option keep. --dry-run takes no lock and changes nothing.',
  'JSON: {directory, dryRun, kept: [{name, sequence, step, bytes, reasons}], removed: [{name, sequence, step, bytes}], damaged: [name], bytes, warnings}; bytes: of what is removed. Exits with 1 if something could not be removed.',
];

interface PruneCommandOptions extends CommonOptions {
  readonly keepLast?: number;
  readonly keepBest?: readonly Rule[];
  readonly keepEvery?: readonly Rule[];
  readonly keepSteps?: readonly number[];
  readonly keepYounger?: Rule;
  readonly maxBytes?: number;
  readonly dryRun?: true;
}

export const registerPrune: RegisterCommand = (program, context) =>
  program
    .command('prune')
    .summary('remove checkpoints that no rule keeps')
    .description('Removes the checkpoints of a directory that none of the rules keeps. --dry-run shows which those are.')
    .argument('<DIR>', 'the directory that the checkpoints are in')
    .option('--keep-last <N>', 'the N newest', parseCount)
    .option(
      '--keep-best <METRIC:N>',
      'the N best by a metric, such as val_loss:3, or with the way that is better, score:3:max (repeatable)',
      collect(parseBest),
    )
    .option(
      '--keep-every <INTERVAL>',
      'one of every so many steps (1000) or minutes (30m, 2h), for ever (repeatable)',
      collect(parseInterval),
    )
    .option('--keep-steps <LIST>', 'these steps, such as 1000,5000', parseSteps)
    .option('--keep-younger <AGE>', 'what was saved within this time, such as 90m, 12h or 7d', parseDuration)
    .option('--max-bytes <SIZE>', 'of all that, the newest that fit into SIZE together, such as 100GiB', parseBytes)
    .option('--dry-run', 'only show what would be removed')
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast prune checkpoints --keep-last 5 --keep-best val_loss:3 --dry-run', 'what would go'],
          ['holdfast prune checkpoints --keep-last 3 --keep-every 10000', 'the last three, and one of every 10,000 steps'],
          ['holdfast prune checkpoints --max-bytes 100GiB', 'the newest, up to 100 GiB'],
        ],
        NOTES,
      ),
    )
    .action(async (directory: string, options: PruneCommandOptions) => {
      const { pruneDirectory } = await import('../../manager/prune.js');
      const report = await pruneDirectory(directory, {
        keep: await toRules(options),
        dryRun: options.dryRun ?? false,
        signal: context.signal,
      });
      if (options.json) printJson(await toJson(directory, report));
      else printReport(report);
      context.exitCode = report.warnings.length > 0 ? EXIT_PROBLEM : EXIT_FINE;
    });

async function toRules(options: PruneCommandOptions): Promise<RetentionRule[]> {
  const { keep } = await import('../../policy/keep.js');
  const { keepLast, keepBest = [], keepEvery = [], keepSteps, keepYounger, maxBytes } = options;
  const rules = [
    ...(keepLast === undefined ? [] : [keep.last(keepLast)]),
    ...[...keepBest, ...keepEvery, ...(keepYounger === undefined ? [] : [keepYounger])].map((rule) => rule(keep)),
    ...(keepSteps === undefined ? [] : [keep.steps(keepSteps)]),
  ];
  if (maxBytes !== undefined) return [keep.maxBytes(maxBytes, rules.length === 0 ? keep.all() : rules)];
  if (rules.length > 0) return rules;
  throw new UsageError('ERR_INVALID_ARGUMENT', 'Say what is to be kept, such as --keep-last 5.');
}

/** The fields spelled out: they are an interface to other programs. */
async function toJson(given: string, { dryRun, kept, removed, damaged, bytes, warnings }: PruneReport) {
  const { resolve } = await import('node:path');
  return {
    directory: resolve(given),
    dryRun,
    kept: kept.map(({ name, sequence, step, bytes: size, reasons }) => ({ name, sequence, step, bytes: size, reasons })),
    removed: removed.map(({ name, sequence, step, bytes: size }) => ({ name, sequence, step, bytes: size })),
    ...{ damaged, bytes, warnings },
  };
}

interface Row {
  readonly name: string;
  readonly step: number;
  readonly bytes: number;
  readonly why: string;
  readonly gone: boolean;
}

function printReport({ dryRun, kept, removed, damaged, bytes, warnings }: PruneReport): void {
  const verb = dryRun ? 'would go' : 'removed';
  const rows: (Row & { readonly sequence: number })[] = [
    ...kept.map((each) => ({ ...each, why: each.reasons.join(', '), gone: false })),
    ...removed.map((each) => ({ ...each, why: verb, gone: true })),
  ].sort((a, b) => a.sequence - b.sequence);
  if (rows.length > 0) {
    const { header, lines } = layOut(COLUMNS, rows, outputWidth());
    print(paint('bold', header));
    rows.forEach(({ gone }, i) => {
      print(gone ? paint('red', lines[i] as string) : (lines[i] as string));
    });
    print('');
  }
  for (const name of damaged) print(paint('red', `! ${escapeText(name)} is damaged, and stays. Try "holdfast repair".`));
  for (const warning of warnings) print(paint('red', `! ${escapeText(warning)}`));
  print(`${plural(removed.length, 'checkpoint')}, ${formatBytes(bytes)}, ${verb}; ${formatInteger(kept.length)} kept.`);
}

const COLUMNS: Column<Row>[] = [
  { title: ' ', value: ({ gone }) => (gone ? '-' : ' ') },
  { title: 'CHECKPOINT', value: ({ name }) => escapeText(name), shortest: 16 },
  { title: 'STEP', value: ({ step }) => formatInteger(step), align: 'right', dispensable: 90 },
  { title: 'SIZE', value: ({ bytes }) => formatBytes(bytes), align: 'right' },
  { title: 'WHY', value: ({ why }) => escapeText(why), shortest: 8 },
];

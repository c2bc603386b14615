/** `holdfast repair`: mends a directory of checkpoints. */
import type { EngineName, RepairAction, RepairReport } from '../../index.js';
import { plural } from '../../terminal/format.js';
import { escapeText, withoutName, wrap } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { EXIT_FINE, EXIT_PROBLEM } from '../exit.js';
import { outputWidth, paint, print, printJson } from '../output.js';
import { engineOption, showingProgress } from '../reading.js';

const NOTES = [
  'Sweeps what processes that died have left (.tmp-*), moves damaged checkpoints to .quarantine/, points the links latest and best at what they should point at, takes away links that point at nothing, and makes registry.json anew of the manifests. No byte of a checkpoint is changed or removed. If no good checkpoint would be left, damaged ones stay where they are: an empty directory looks like a first run.',
  'Try --dry-run first: it shows the same list and changes nothing, not even a lock. Every byte is read to find damage; --quick looks at manifests and sizes only.',
  'JSON: {directory, dryRun, verified, lockBroken, locked, actions: [{action: "sweep", name} | {action: "quarantine", name, to, problems: [{code, message}]} | {action: "link", name, from, to} | {action: "registry", why}], left: [{name, why, problems}], warnings}. Exits with 1 if, with --dry-run, there is something to mend, or else if something was left.',
];

interface RepairCommandOptions extends CommonOptions {
  readonly dryRun?: true;
  readonly quick?: true;
  readonly breakLock?: true;
  readonly engine: EngineName | 'auto';
}

export const registerRepair: RegisterCommand = (program, context) =>
  program
    .command('repair')
    .summary('mend registry and links, sweep leftovers, move damaged checkpoints aside')
    .description('Mends a directory of checkpoints: registry, links, what died in the middle, and damaged checkpoints out of the way.')
    .argument('<DIR>', 'the directory that the checkpoints are in')
    .option('--dry-run', 'only show what would be done')
    .option('--quick', 'look at manifests and sizes only, not at every byte')
    .option('--break-lock', 'take the lock from a holder that cannot be asked: on another host, or of before a restart')
    .addOption(engineOption())
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast repair checkpoints --dry-run', 'what is wrong, and what would be done about it'],
          ['holdfast repair checkpoints', 'do it'],
          ['holdfast repair checkpoints --break-lock', 'of a run on a machine that is gone'],
        ],
        NOTES,
      ),
    )
    .action(async (directory: string, options: RepairCommandOptions) => {
      const { repairDirectory } = await import('../../manager/repair.js');
      const { dryRun, quick, breakLock, engine } = options;
      const what = { dryRun: dryRun === true, quick: quick === true, breakLock: breakLock === true, engine, signal: context.signal };
      const report = await showingProgress((onProgress) => repairDirectory(directory, { ...what, onProgress }));
      if (options.json) printJson(toJson(report));
      else printReport(report);
      context.exitCode = isFine(report) ? EXIT_FINE : EXIT_PROBLEM;
    });

function isFine({ dryRun, actions, left, warnings }: RepairReport): boolean {
  return left.length === 0 && warnings.length === 0 && (!dryRun || actions.length === 0);
}

/** The fields spelled out: they are an interface to other programs. */
function toJson({ directory, dryRun, verified, lockBroken, locked, actions, left, warnings }: RepairReport) {
  return { directory, dryRun, verified, lockBroken, locked, actions, left, warnings };
}

function printReport(report: RepairReport): void {
  const { dryRun, verified, lockBroken, locked, actions, left, warnings } = report;
  const width = Math.min(outputWidth(), 100);
  const say = (text: string, indent = 0) => {
    for (const line of wrap(escapeText(text), width - indent)) print(`${' '.repeat(indent)}${line}`);
  };
  if (locked !== null) say(`Somebody writes here; what is unfinished is not looked at. ${locked}`);
  if (lockBroken) say('Took the lock away.');
  for (const action of actions) {
    say(lineFor(action));
    if (action.action !== 'quarantine') continue;
    for (const { code, message } of action.problems.slice(0, MAX_PROBLEMS)) say(`${code}: ${withoutName(message, action.name)}`, 4);
    if (action.problems.length > MAX_PROBLEMS) say(`… and ${action.problems.length - MAX_PROBLEMS} more`, 4);
  }
  for (const { name, why, problems } of left) {
    print(paint('red', `! ${escapeText(name)} stays`));
    say(why, 4);
    for (const { code, message } of problems.slice(0, MAX_PROBLEMS)) say(`${code}: ${withoutName(message, name)}`, 4);
  }
  for (const warning of warnings) print(paint('red', `! ${escapeText(warning)}`));
  if (actions.length + left.length + warnings.length > 0) print('');
  say(summaryOf(dryRun, verified, actions.length, left.length + warnings.length));
}

const MAX_PROBLEMS = 3;

function summaryOf(dryRun: boolean, verified: boolean, done: number, open: number): string {
  const looked = verified ? '' : ' The bytes were not looked at (--quick).';
  if (done + open === 0) return `Nothing to mend.${looked}`;
  const rest = open === 0 ? '' : ` ${plural(open, 'problem')} left.`;
  return `${plural(done, 'repair')} ${dryRun ? 'to do' : 'done'}.${rest}${dryRun && done > 0 ? ' Run it again without --dry-run to do it.' : ''}${looked}`;
}

function lineFor(action: RepairAction): string {
  switch (action.action) {
    case 'sweep':
      return `sweep       ${action.name}`;
    case 'quarantine':
      return `quarantine  ${action.name} to ${action.to}`;
    case 'link':
      return `link        ${action.name}: ${action.from ?? 'nothing'} to ${action.to ?? 'nothing'}`;
    case 'registry':
      return `registry    made anew: ${action.why}`;
  }
}

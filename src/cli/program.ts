/** The `holdfast` command: its subcommands, and what every one of them has in common. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.js';
import type { CommandContext } from './command.js';
import { registerBench } from './commands/bench.js';
import { registerConvert } from './commands/convert.js';
import { registerDiff } from './commands/diff.js';
import { registerDoctor } from './commands/doctor.js';
import { registerInspect } from './commands/inspect.js';
import { registerLs } from './commands/ls.js';
import { registerPrune } from './commands/prune.js';
import { registerRepair } from './commands/repair.js';
import { registerSimulate } from './commands/simulate.js';
import { registerTune } from './commands/tune.js';
import { registerVerify } from './commands/verify.js';
import { EXIT_FINE, EXIT_USAGE, reportFailure, UsageError } from './exit.js';
import { listenForInterrupt } from './interrupt.js';
import { guardStreams } from './output.js';

/** One per subcommand, in the order of the help. The modules are small: what does the work is loaded when it is wanted. */
const COMMANDS = [
  ...[registerLs, registerInspect, registerVerify, registerDiff],
  ...[registerPrune, registerRepair, registerConvert, registerBench, registerTune, registerSimulate, registerDoctor],
];

const HELP = `
Examples:
  $ holdfast ls checkpoints              what is there, which is the latest and which the best
  $ holdfast inspect checkpoints/latest  its metrics, files and tensors
  $ holdfast verify checkpoints          read every byte and compare the checksums
  $ holdfast diff a/latest b/latest      which tensors differ, and by how much
  $ holdfast prune checkpoints --keep-last 5 --dry-run
                                         what would go by that rule
  $ holdfast repair checkpoints --dry-run
                                         what is to be mended there
  $ holdfast convert checkpoints model.npz
                                         the newest good one for NumPy
  $ holdfast bench save --dir /mnt/nvme  saves to that disk against its limit and against others
  $ holdfast tune --cost 5s --mtbf 24h   which interval between checkpoints costs least
  $ holdfast simulate --scenario llama3  what checkpoint intervals are worth for a job that fails
  $ holdfast doctor /mnt/nvme            what this machine and that disk can do

With --json, a command prints one JSON document on stdout; an error is one line of JSON on stderr:
{"error":{"code":…,"message":…}}.

Exit codes:
  0  all is well
  1  something is wrong with what was looked at: damage, a missing file, an I/O error; or two things differ
  2  wrong usage, or a path that does not exist or may not be read`;

/** Runs the command line `args` (without node and script) and gives the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  guardStreams();
  const interrupt = listenForInterrupt();
  const context: CommandContext = { signal: interrupt.signal, exitCode: EXIT_FINE };
  const json = wantsJson(args);
  let code: number;
  try {
    await createProgram(context, json).parseAsync(args, { from: 'user' });
    code = context.exitCode;
  } catch (error) {
    code = interrupt.exitCode() ?? failureCode(error, json);
  } finally {
    interrupt.release();
  }
  return interrupt.exitCode() ?? code;
}

function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? args.length : end).includes('--json');
}

function createProgram(context: CommandContext, json: boolean): Command {
  const program = new Command('holdfast')
    .description('Looks after the checkpoints of training runs: lists them, shows what is in them, checks every byte.')
    .version(VERSION, '-V, --version', 'print the version of holdfast')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', HELP)
    .exitOverride()
    // What commander says about wrong usage is reported in failureCode, as every other error is.
    .configureOutput({ outputError: () => {}, ...(json ? { writeErr: () => {} } : {}) });
  for (const register of COMMANDS) {
    for (const command of [register(program, context)].flat()) command.option('--json', 'print one JSON document and nothing else');
  }
  return program;
}

/** Reports `error`; commander's way of ending after --help and --version is none. */
function failureCode(error: unknown, json: boolean): number {
  if (!(error instanceof CommanderError)) return reportFailure(error, json);
  if (error.exitCode === 0) return EXIT_FINE;
  // No subcommand was given, and the help was printed on stderr.
  if (error.code === 'commander.help' && !json) return EXIT_USAGE;
  return reportFailure(toUsageError(error), json);
}

function toUsageError({ code, message }: CommanderError): UsageError {
  if (code === 'commander.help') return new UsageError('ERR_INVALID_ARGUMENT', 'Name a command, such as ls.');
  const words = message.replace(/^error: /, '').replaceAll('\n', ' ');
  const sentence = `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.)]$/.test(words) ? '' : '.'}`;
  return new UsageError(code === 'commander.unknownOption' ? 'ERR_UNKNOWN_OPTION' : 'ERR_INVALID_ARGUMENT', sentence);
}

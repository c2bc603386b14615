/** `holdfast verify`: is every byte what was saved? */
import type { EngineName, Problem, VerifyReport } from '../../index.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { EXIT_FINE, EXIT_PROBLEM, EXIT_USAGE } from '../exit.js';
import { printJson } from '../output.js';
import { engineOption, showingProgress } from '../reading.js';
import { resolveLink } from '../target.js';

const NOTES = [
  'Nothing is changed. A bare .safetensors file has no checksums: only its structure is checked (checksummed: false).',
  'JSON: {ok, checksummed, checked: {checkpoints, files, tensors, bytes}, problems: [{code, checkpoint, file, offset, bytes, tensors, expected, actual, message}], seconds, bytesPerSecond}. docs/ERRORS.md lists the codes.',
  'Exits with 0 if all is well, 1 if anything is damaged or missing, 2 if the only trouble is that files may not be read.',
];

interface VerifyOptions extends CommonOptions {
  readonly engine: EngineName | 'auto';
}

export const registerVerify: RegisterCommand = (program, context) =>
  program
    .command('verify')
    .summary('read every byte and compare the checksums')
    .description('Reads every byte of a checkpoint, or of all checkpoints in a directory, and names what is damaged.')
    .argument('<PATH>', 'a directory of checkpoints, one checkpoint, or a .safetensors file')
    .addOption(engineOption())
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast verify checkpoints', 'every checkpoint of a run'],
          ['holdfast verify checkpoints/latest', 'only the newest'],
          ["holdfast verify checkpoints --json | jq -r '.problems[].tensors[]'", 'the names of damaged tensors'],
        ],
        NOTES,
      ),
    )
    .action(async (given: string, { json, engine }: VerifyOptions) => {
      const target = resolveLink(given);
      const { verifyPath } = await import('../../manager/describe.js');
      const { signal } = context;
      const report = await showingProgress((onProgress) => verifyPath(target, { engine, signal, onProgress }));
      if (json) printJson(toJson(report));
      else (await import('../verdict.js')).printVerdict(report, given, engine);
      context.exitCode = exitCodeOf(report);
    });

/** Where the only trouble is that files may not be read, nothing is known to be damaged. */
function exitCodeOf({ ok, problems }: VerifyReport): number {
  if (ok) return EXIT_FINE;
  return problems.every(({ code }) => code === 'ERR_PERMISSION') ? EXIT_USAGE : EXIT_PROBLEM;
}

/** The fields spelled out: they are an interface to other programs. */
function toJson({ ok, checksummed, checked, problems, seconds, bytesPerSecond }: VerifyReport) {
  const { checkpoints, files, tensors, bytes } = checked;
  return {
    ok,
    checksummed,
    checked: { checkpoints, files, tensors, bytes },
    problems: problems.map(problemToJson),
    seconds,
    bytesPerSecond,
  };
}

function problemToJson({ code, checkpoint, file, offset, bytes, tensors, expected, actual, message }: Problem) {
  return { code, checkpoint, file, offset, bytes, tensors, expected, actual, message };
}

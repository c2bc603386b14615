/** `holdfast convert`: checkpoints, TensorFlow.js, safetensors and NumPy, into one another. */
import path from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import type { ConvertDtype, ConvertKind, ConvertReport } from '../../index.js';
import { formatBytes, plural } from '../../terminal/format.js';
import { parseSize } from '../../terminal/sizes.js';
import { escapeText } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { UsageError } from '../exit.js';
import { paint, print, printError, printJson } from '../output.js';
import { showingProgress } from '../reading.js';
import { collect } from './prune-options.js';

const NOTES = [
  'SOURCE is found out by what is there: a checkpoint or a directory of them (the newest good one, or --best, --step), a directory or model.json of TensorFlow.js, a .safetensors file, the index or directory of several, or a .npz file. TARGET is made by its name: .safetensors, .npz, else a directory of checkpoints in which one is saved; or by --to. Nothing is written over without --force.',
  'To make a tfjs model of plain tensors, name a model.json of the same model with --topology, and --map where the names differ: a JSON file of new names by old ones, in which * stands for anything, such as {"encoder.*.weight": "encoder_*/kernel"}. Shapes are not turned: a Linear of PyTorch is [out, in], a dense layer [in, out].',
  '--dtype rounds to nearest even; numbers that become infinite are told. It leaves integers, booleans and the optimizer alone. NumPy has no bfloat16: --dtype f32. docs/CONVERT.md says what becomes what.',
  'JSON: {source, target, from, to, tensors, bytes, dtype, renamed: [{from, to}], warnings}. Exits with 1 if the source is damaged.',
];

interface ConvertCommandOptions extends CommonOptions {
  readonly from?: ConvertKind;
  readonly to?: ConvertKind;
  readonly step?: number;
  readonly best?: true;
  readonly map?: string;
  readonly dtype?: ConvertDtype;
  readonly only?: readonly string[];
  readonly optimizer?: boolean;
  readonly topology?: string;
  readonly shardBytes?: number;
  readonly force?: true;
}

const KINDS = ['checkpoint', 'tfjs', 'safetensors', 'npz'];

export const registerConvert: RegisterCommand = (program, context) =>
  program
    .command('convert')
    .summary('make a checkpoint, tfjs model, .safetensors or .npz of another')
    .description('Converts between checkpoints, TensorFlow.js, safetensors and NumPy, piece by piece, whatever the size.')
    .argument('<SOURCE>', 'a checkpoint or a directory of them, a tfjs model, a .safetensors or .npz file')
    .argument('<TARGET>', 'what to make: NAME.safetensors, NAME.npz, or a directory')
    .addOption(new Option('--from <KIND>', 'what the source is, where that is not plain').choices(KINDS))
    .addOption(new Option('--to <KIND>', "what to make, where the target's name does not say").choices(KINDS))
    .option('--step <N>', 'the checkpoint of this step', parseStep)
    .option('--best', 'the best checkpoint')
    .option('--map <FILE>', 'JSON: new names of tensors by old ones')
    .addOption(new Option('--dtype <TYPE>', 'convert floating-point weights').choices(['f16', 'bf16', 'f32']))
    .option('--only <GLOB>', 'only tensors of such names, such as "encoder.*" (repeatable)', collect(String))
    .option('--optimizer', "with the optimizer's state (default to checkpoints and tfjs, if there is one)")
    .option('--no-optimizer', 'without it')
    .option('--topology <FILE>', 'a model.json of the model that the tensors are the weights of')
    .option('--shard-bytes <SIZE>', 'most weights in one file, such as 64MiB', parseShardBytes)
    .option('--force', 'replace what is there; a checkpoint is added')
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast convert checkpoints web/model --to tfjs --best', 'the best model, for stock TensorFlow.js'],
          ['holdfast convert checkpoints/latest model.safetensors --dtype bf16', 'its weights in half of the room'],
          ['holdfast convert model.npz checkpoints --topology web/model/model.json', 'from NumPy, for holdfast/tfjs'],
          ["holdfast convert checkpoints model.npz --only 'encoder/*' --json", 'a part, for other programs'],
        ],
        NOTES,
      ),
    )
    .action(async (source: string, target: string, options: ConvertCommandOptions) => {
      const { convert } = await import('../../convert/convert.js');
      const { step, best, map, json, ...rest } = options;
      if (step !== undefined && best === true) throw new UsageError('ERR_INVALID_ARGUMENT', 'Give --step or --best, not both.');
      const checkpoint = step === undefined ? best && ('best' as const) : { step };
      const names = map === undefined ? undefined : await readMap(map);
      const report = await showingProgress((onProgress) =>
        convert(source, target, { ...rest, map: names, checkpoint, signal: context.signal, onProgress }),
      );
      if (json) printJson(toJson(report));
      else printReport(target, report);
    });

function parseStep(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number.');
}

function parseShardBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new InvalidArgumentError('Give a size, such as 64MiB or 4096.');
}

/** As strict as a file of names should be: a name that stands there twice is a mistake. */
async function readMap(file: string): Promise<Record<string, string>> {
  const { readFile } = await import('node:fs/promises');
  const { parseJson } = await import('../../format/json.js');
  const refuse = (why: string) => new UsageError('ERR_INVALID_ARGUMENT', `The map ${file} ${why}.`);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(error.code === 'ENOENT' ? 'ERR_NOT_FOUND' : 'ERR_PERMISSION', `The map ${file} cannot be read: ${error.message}.`);
  });
  let root: ReturnType<typeof parseJson>;
  try {
    root = parseJson(text);
  } catch (error) {
    throw refuse(`is not JSON: ${(error as Error).message}`);
  }
  if (!(root instanceof Map)) throw refuse('must be a JSON object of new names by old ones');
  const names: Record<string, string> = Object.create(null);
  for (const [from, to] of root) {
    if (typeof to !== 'string') throw refuse(`gives no name for ${JSON.stringify(from)}`);
    names[from] = to;
  }
  return names;
}

/** The fields spelled out: they are an interface to other programs. */
function toJson({ source, target, from, to, tensors, bytes, dtype, renamed, warnings }: ConvertReport) {
  return { source, target, from, to, tensors, bytes, dtype, renamed: renamed.map((each) => ({ from: each.from, to: each.to })), warnings };
}

function printReport(given: string, { target, from, to, tensors, bytes, dtype, renamed, warnings }: ConvertReport): void {
  for (const warning of warnings) printError(`! ${escapeText(warning)}`);
  const facts = [plural(tensors, 'tensor'), formatBytes(bytes)];
  if (dtype !== null) facts.push(`as ${dtype}`);
  if (renamed.length > 0) facts.push(`${renamed.length} renamed`);
  // The checkpoint's own name is news; the rest of the path is as it was given.
  const made = to === 'checkpoint' ? path.join(given, path.basename(target)) : given;
  print(`${paint('bold', escapeText(made))}: ${from} to ${to}, ${facts.join(', ')}.`);
}

/** The command line of train.mjs. */
import { parseArgs } from 'node:util';

const HELP = `Trains a small network on handwritten digits, as the loop of a classic tutorial does, with a checkpoint after every epoch.

Usage: node examples/classic-loop/train.mjs [options]

  --dir DIR        directory of the checkpoints (default: classic-loop-run)
  --epochs N       epochs in all, those of before included (default: 5)
  --resume WHICH   latest, best, or the name or path of a checkpoint: go on from there.
                   latest and best begin anew where there is no checkpoint yet
  --samples N      take no more than N digits for training (default: all)
  --help           this text

Examples:
  node examples/classic-loop/train.mjs
  node examples/classic-loop/train.mjs --epochs 8 --resume latest
  node examples/classic-loop/train.mjs --epochs 8 --resume best
  node examples/classic-loop/train.mjs --dir /tmp/digits --epochs 2 --samples 500`;

/** Wrong input: the program says so and exits with 2. */
export class UsageError extends Error {}

/** The options; ends the process for --help. */
export function readOptions(args) {
  const options = {
    dir: { type: 'string', default: 'classic-loop-run' },
    epochs: { type: 'string', default: '5' },
    resume: { type: 'string' },
    samples: { type: 'string', default: 'all' },
    help: { type: 'boolean', default: false },
  };
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new UsageError(`${error.message}\nTry --help.`);
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const { dir, resume } = values;
  if (dir === '') throw new UsageError('--dir needs the path of a directory.');
  if (resume === '') throw new UsageError('--resume needs latest, best, or the name or path of a checkpoint.');
  return {
    dir,
    resume,
    epochs: wholeNumber('--epochs', values.epochs),
    samples: values.samples === 'all' ? undefined : wholeNumber('--samples', values.samples),
  };
}

function wholeNumber(name, text) {
  const number = Number(text);
  if (/^\d+$/.test(text) && number > 0 && Number.isSafeInteger(number)) return number;
  throw new UsageError(`${name} must be a whole number of at least 1, not ${JSON.stringify(text)}.`);
}

/** The command line of train.mjs. */
import { parseOptions, UsageError, wholeNumber } from '../command-line.mjs';

const HELP = `Trains a small GPT on Isaac Newton's Opticks, character by character, and lets it go on with a text. It is written with core operations
and has a loop of its own. It may be killed at any moment: started again it goes on at the very batch, and ends with the same bits.

Usage: node examples/gpt/train.mjs [options]

  --dir DIR        directory of the checkpoints (default: gpt-run)
  --steps N        steps in all, those of before included (default: 200)
  --every N        steps from one checkpoint to the next (default: 20)
  --kill-at N      end with SIGKILL behind step N; start again without it to go on
  --compare        train twice, into DIR/straight and DIR/killed: the second run is killed in the middle (or at --kill-at) and
                   started again; then compare the two bit by bit
  --sample N       characters to write at the end (default: 200)
  --prompt TEXT    what they go on from (default: The )
  --layers N, --heads N, --width N, --context N, --batch N
                   the size of the network and of a batch (default: 2, 4, 48, 32, 8)
  --seed N         of weights, dropout, and order of the data (default: 1)
  --backend NAME   cpu, or node: tfjs-node, where it is set up (npm run setup:tfjs-node) (default: cpu)
  --help           this text

Examples:
  node examples/gpt/train.mjs
  node examples/gpt/train.mjs --kill-at 130; node examples/gpt/train.mjs
  node examples/gpt/train.mjs --dir /tmp/gpt --compare --steps 40 --every 10
  node examples/gpt/train.mjs --dir /tmp/large --backend node --layers 4 --width 128 --context 64 --batch 16 --steps 3000 --every 250`;

const text = (value) => ({ type: 'string', default: value });

/** The options; ends the process for --help. */
export function readOptions(args) {
  const values = parseOptions(args, HELP, {
    ...{ dir: text('gpt-run'), steps: text('200'), every: text('20'), sample: text('200'), prompt: text('The '), backend: text('cpu') },
    ...{ layers: text('2'), heads: text('4'), width: text('48'), context: text('32'), batch: text('8'), seed: text('1') },
    'kill-at': { type: 'string' },
    compare: { type: 'boolean', default: false },
  });
  const number = (name, limits) => wholeNumber(`--${name}`, values[name], limits);
  const { dir, prompt, backend, compare } = values;
  const options = {
    ...{ dir, prompt, backend, compare },
    ...{ steps: number('steps'), every: number('every'), killAt: number('kill-at'), sample: number('sample', { min: 0 }) },
    ...{ layers: number('layers'), heads: number('heads'), width: number('width'), context: number('context'), batch: number('batch') },
    seed: number('seed', { min: 0, max: 2 ** 31 }),
  };
  if (options.width % options.heads !== 0) {
    throw new UsageError(`--width must be a multiple of --heads: ${options.width} cannot be shared among ${options.heads} heads.`);
  }
  if (options.killAt > options.steps) throw new UsageError(`--kill-at ${options.killAt} lies behind the last step, ${options.steps}.`);
  return options;
}

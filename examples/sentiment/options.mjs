/** The command line of train.mjs. */
import { parseOptions, wholeNumber } from '../command-line.mjs';

const HELP = `Learns whether a movie review is good or bad (embedding, LSTM), with the callbacks that Keras users know: the best model is kept, every few batches
a backup is made, a plateau lowers the learning rate, and training ends early where nothing gets better. Killed at any moment and started
again, it goes on at the very batch.

Usage: node examples/sentiment/train.mjs [options]

  --dir DIR        directory for the best models and the backup (default: sentiment-run)
  --epochs N       most epochs (default: 8)
  --backup N       batches from one backup to the next (default: 10)
  --vocabulary N   how many words are told apart (default: 1500)
  --samples N      take no more than N reviews (default: all)
  --seed N         of weights, dropout, and order of the data (default: 1)
  --kill-at N      end with SIGKILL behind batch N; start again without it to go on
  --backend NAME   cpu, or node: tfjs-node, where it is set up (npm run setup:tfjs-node) (default: cpu)
  --help           this text

Examples:
  node examples/sentiment/train.mjs
  node examples/sentiment/train.mjs --kill-at 100; node examples/sentiment/train.mjs
  node examples/sentiment/train.mjs --dir /tmp/reviews --samples 800 --epochs 4`;

const text = (value) => ({ type: 'string', default: value });

/** The options; ends the process for --help. */
export function readOptions(args) {
  const values = parseOptions(args, HELP, {
    ...{
      dir: text('sentiment-run'),
      epochs: text('8'),
      backup: text('10'),
      vocabulary: text('1500'),
      seed: text('1'),
      backend: text('cpu'),
    },
    samples: { type: 'string' },
    'kill-at': { type: 'string' },
  });
  const number = (name, limits) => wholeNumber(`--${name}`, values[name], limits);
  const options = {
    ...{ dir: values.dir, backend: values.backend },
    ...{ epochs: number('epochs'), backup: number('backup'), vocabulary: number('vocabulary', { min: 10 }) },
    ...{ samples: number('samples', { min: 50 }), seed: number('seed', { min: 0 }), killAt: number('kill-at') },
  };
  return options;
}

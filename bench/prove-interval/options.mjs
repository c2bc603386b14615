// The command line of the proof.
import { choice, fileName, positiveNumber, readOptions, refuse, sizeOf, wholeNumber } from '../lib/options.mjs';

export const HELP = `Proves the checkpoint interval by real failures: a training with real saves, killed by SIGKILL again and again.

  node bench/prove-interval/run.mjs [options]        npm run prove:interval -- [options]

  --minutes        minutes of training per policy. Default 15
  --mtbf           mean time between failures in seconds. Default 25
  --factors        the fixed intervals, as multiples of the optimum for the measured cost. Default 0.25,0.5,1,2,4
  --prior          what the controller believes of the mean time between failures, in seconds. Default: its own, a day, on a scale on which --mtbf is
                   that of Llama 3 (419 failures in 54 days): 7.76 times as long as --mtbf
  --mode           sync: training waits until each save is durable; async: it goes on meanwhile. Default sync
  --state          weights and optimizer. Default 192MiB
  --verify-writes  yes: each save reads back what it has written; no. Default yes
  --backend        cpu: @tensorflow/tfjs; node: the real tfjs-node ("npm run setup:tfjs-node" installs it). Default cpu
  --lanes          policies that train at a time, each on a core of its own. Default 1
  --seed           of the times at which lives end, the order of the policies and the training. Default 1
  --smoke          a run of less than a minute, to see that everything works: its figures say nothing
  --out            directory for results.json, plot.svg and fragment.md. Default bench-run/prove-interval
  --dir            directory for the checkpoints. Default: work, in --out
  --resume         go on with the run whose results are in this directory; other options are taken from there
  --json           one JSON document, the results, on standard output
  --help           this text

A life goes from the start of a process to its kill. The lives of all policies are killed after the same times, exponentially distributed, drawn from the
seed. Policies take turns life by life.

  realised useful fraction = (net steps x time of a step) / (seconds from the start of each process to its kill)

Net steps of a life: from the step it went on from to the step that the next one goes on from. The time of a step is measured while nothing is saved, in lives in
between. All policies begin from a checkpoint of step 0. Predicted is U = (T/M) e^(-(R+P)/M) / (e^((T+c)/M) - 1), with what was measured: T the work between
two saves (median), c what a save takes from training, P until it is durable, R the time that a process takes beyond its steps, and M as given.

Results are written after every turn. After Ctrl-C they are written, and --resume goes on. The exit code is 1 if a checkpoint was lost, or training did not go
on exactly from where it was; 0 also where the bar is missed.

Examples
  npm run prove:interval -- --smoke
  npm run prove:interval -- --lanes 2 --out proof
  npm run prove:interval -- --resume proof
  npm run prove:interval -- --mode async --minutes 30 --mtbf 40 --backend node`;

/** As many seconds as a day is on a scale on which the mean time between failures is that of Llama 3: 419 in 54 days. */
const PRIOR_IN_MTBF = 86_400 / ((54 * 86_400) / 419);

/** With this seed the first of three lives is the longest: there are checkpoints to go on from. */
const SMOKE = { minutes: 0.2, mtbf: 4, factors: [1], state: 8 * 2 ** 20, seed: 30 };

/** The settings; `undefined` after --help. */
export function readSettings() {
  const settings = readOptions(
    HELP,
    {
      minutes: positiveNumber(15),
      mtbf: positiveNumber(25),
      factors: factors('0.25,0.5,1,2,4'),
      prior: { value: 'scaled', parse: (text) => (text === 'scaled' ? text : positiveNumber().parse(text)) },
      mode: choice(['sync', 'async']),
      state: sizeOf('192MiB', 1),
      'verify-writes': choice(['yes', 'no']),
      backend: choice(['cpu', 'node']),
      lanes: wholeNumber(1),
      seed: wholeNumber(1, 0),
      resume: fileName(),
    },
    ['smoke'],
  );
  if (settings === undefined) return undefined;
  const { out = 'bench-run/prove-interval', dir, resume, json, smoke, 'verify-writes': verify, ...rest } = settings;
  const chosen = { ...rest, ...(smoke ? SMOKE : {}), smoke, verifyWrites: verify === 'yes' };
  if (chosen.prior === 'scaled') chosen.prior = PRIOR_IN_MTBF * chosen.mtbf;
  if (60 * chosen.minutes < 2 * chosen.mtbf) refuse('--minutes must be at least twice --mtbf');
  return { out: resume === '' ? out : resume, dir, json, isResumed: resume !== '', settings: chosen };
}

function factors(value) {
  const parse = (text) => {
    const numbers = text.split(',').map(Number);
    const isFine = numbers.every((number) => Number.isFinite(number) && number > 0) && new Set(numbers).size === numbers.length;
    return isFine ? numbers.sort((a, b) => a - b) : undefined;
  };
  return { value, parse };
}

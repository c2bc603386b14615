// The command line and the environment of run.mjs.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

export const HELP = `Simulated histories: the real manager over a simulated file system, clock and chance, killed, cut off and damaged at random.

Usage: npm run test:torture [-- options]        or: node test/simulation/run.mjs [options]

  --seeds N       how many histories (default 100000, env HOLDFAST_SIMULATIONS)
  --from N        the first seed (default 1)
  --seed N        only this one, with every operation on standard output: replays exactly what it did before
  --control NAME  on a machine that is broken on purpose; then the violations are what is wanted. "list" lists them
  --jobs N        processes at a time (default: the cores, at most one per 100 seeds)
  --json          one JSON document on standard output
  --help

Examples:
  npm run test:torture
  npm run test:torture -- --seeds 1000000 --from 200000
  node test/simulation/run.mjs --seed 4711
  node test/simulation/run.mjs --control no-dirsync --seeds 500

0: no violation (with --control: one was found). 1: otherwise. 2: usage.
`;

/** Throws a TypeError with a sentence for a wrong command line. */
export function parseOptions(args, environment) {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string' },
      from: { type: 'string' },
      seed: { type: 'string' },
      control: { type: 'string' },
      jobs: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  const seed = values.seed === undefined ? undefined : integer('--seed', values.seed, 0);
  const seeds = seed === undefined ? integer('--seeds', values.seeds ?? environment.HOLDFAST_SIMULATIONS ?? '100000', 1) : 1;
  return {
    seeds,
    from: seed ?? integer('--from', values.from ?? '1', 0),
    replay: seed !== undefined,
    control: values.control,
    jobs: Math.min(integer('--jobs', values.jobs ?? String(availableParallelism()), 1), Math.ceil(seeds / 100)),
    json: values.json === true,
    help: values.help === true,
  };
}

function integer(name, text, min) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min) throw new TypeError(`${name} takes an integer of at least ${min}, not "${text}"`);
  return value;
}

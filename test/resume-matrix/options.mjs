// What run.mjs is asked to do.
import { parseArgs } from 'node:util';
import { BACKENDS } from './backends.mjs';
import { NAMES, PAIRWISE } from './cases.mjs';

export const HELP = `Trains every case straight, and once more in a process that is killed on the way and gone on from in
another; every bit of weights, optimizer, history and losses must be the same.

  npm run test:resume
  node test/resume-matrix/run.mjs [options]

  --backend NAME   ${BACKENDS.join(', ')}; default cpu
  --cases WHICH    all (54, default), pairwise (12), or names separated by commas: '${NAMES[0]},…'
  --seed N         what chance decides follows from it: where a case dies, and how often it saves; default 1
  --rounds N       so many times, with seeds that follow; default 1
  --help

With the seed and the name of a case it is trained again in the same way. Needs "npm run build:ts" before; the backend node
also "npm run setup:tfjs-node".
`;

/** Throws for what it does not know. */
export function parseOptions(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      backend: { type: 'string', default: 'cpu' },
      cases: { type: 'string', default: 'all' },
      seed: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  const { backend, help } = values;
  if (!BACKENDS.includes(backend)) throw new Error(`there is no backend "${backend}"; there are ${BACKENDS.join(', ')}`);
  const cases = values.cases === 'all' ? NAMES : values.cases === 'pairwise' ? PAIRWISE : values.cases.split(',');
  const unknown = cases.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new Error(`there is no case ${unknown.join(', ')}; a name is such as "${NAMES[0]}"`);
  return { backend, help, cases, seed: toNumber('seed', values.seed, 0), rounds: toNumber('rounds', values.rounds, 1) };
}

function toNumber(name, text, least) {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} takes a whole number of at least ${least}`);
}

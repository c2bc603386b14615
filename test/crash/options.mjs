// The command line and the environment of run.mjs.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { LIBRARY } from './adapter.mjs';
import { CONTROLS } from './protocol.mjs';

export const HELP = `Power-loss test: replays recorded block writes as crash states, mounts each, and checks the checkpoints.

Usage: npm run test:crash [-- options]        or: node test/crash/run.mjs [options]

  --states N         crash states of the library in all (default 400, env HOLDFAST_CRASH_STATES)
  --seed N           seed of contents and crash states (default 1, env HOLDFAST_CRASH_SEED)
  --steps N          saves per recording (default 26)
  --engine NAME      native, portable or both (default: both where the addon is built, env HOLDFAST_ENGINE)
  --fs NAME          ext4, xfs or btrfs (default ext4); data blocks are torn on ext4 only
  --protocol NAME    library, or standin: the plain protocol in protocol.mjs (default library)
  --library DIR      the library's build (default dist/ of this repository); a mutant, to see it fail
  --control NAME     only this control, a stand-in for the library that is broken on purpose:
${Object.entries(CONTROLS)
  .map(([name, text]) => `                       ${name.padEnd(16)} ${text}`)
  .join('\n')}
  --no-controls      leave the controls out
  --keep DIR         keep the recordings in DIR (those with violations are always kept)
  --recording DIR    judge a kept recording instead of making one
  --state N          judge only state N; exact with --recording, otherwise of a fresh recording
  --verbose          one line per state
  --help

Examples:
  npm run test:crash
  npm run test:crash -- --states 5000 --seed 7
  node test/crash/run.mjs --control no-dirsync
  node test/crash/run.mjs --recording DIR --states 120 --state 41 --verbose

It needs Linux, root, FUSE, loop devices and qemu-storage-daemon. Where one is missing it says which and
ends with status 3 (with CI=true: 1). 0: no violation, and every control found one. 1: anything else. 2: usage.
HOLDFAST_CRASH_DIR chooses where images lie (default: /dev/shm where there is room, else the temporary directory).
`;

/** Throws a TypeError with a sentence for a wrong command line. */
export function parseOptions(args, environment) {
  const { values } = parseArgs({
    args,
    options: {
      states: { type: 'string' },
      seed: { type: 'string' },
      steps: { type: 'string' },
      engine: { type: 'string' },
      fs: { type: 'string' },
      protocol: { type: 'string' },
      library: { type: 'string' },
      control: { type: 'string' },
      'no-controls': { type: 'boolean' },
      keep: { type: 'string' },
      recording: { type: 'string' },
      state: { type: 'string' },
      verbose: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  return {
    states: integer('--states', values.states ?? environment.HOLDFAST_CRASH_STATES ?? '400', 1),
    seed: integer('--seed', values.seed ?? environment.HOLDFAST_CRASH_SEED ?? '1', 0),
    steps: integer('--steps', values.steps ?? '26', 4),
    engine: oneOf('--engine', values.engine ?? (environment.HOLDFAST_ENGINE || 'both'), ['native', 'portable', 'both']),
    fileSystem: oneOf('--fs', values.fs ?? 'ext4', ['ext4', 'xfs', 'btrfs']),
    protocol: oneOf('--protocol', values.protocol ?? 'library', ['library', 'standin']),
    library: path.resolve(values.library ?? LIBRARY),
    control: values.control === undefined ? undefined : oneOf('--control', values.control, Object.keys(CONTROLS)),
    controls: values['no-controls'] !== true,
    keep: values.keep,
    recording: values.recording,
    state: values.state === undefined ? undefined : integer('--state', values.state, 0),
    verbose: values.verbose === true,
    help: values.help === true,
  };
}

function integer(name, text, min) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min) throw new TypeError(`${name} takes an integer of at least ${min}, not "${text}"`);
  return value;
}

function oneOf(name, value, allowed) {
  if (!allowed.includes(value)) throw new TypeError(`${name} takes one of ${allowed.join(', ')}, not "${value}"`);
  return value;
}

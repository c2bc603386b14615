import { ended, startNode } from './child.js';
import { freshDirectory } from './directory.js';
import { checkpoints, leftovers } from './leftovers.js';

/** What every script of a process that is going to be told to end begins with. */
const PRELUDE = `
  import { writeSync } from 'node:fs';
  import { CheckpointManager } from 'holdfast';
  const [directory, engine] = process.argv.slice(1);
  const say = (...words) => writeSync(1, words.join(' ') + '\\n');
  const stays = setInterval(() => {}, 1000);
  const manager = await CheckpointManager.open(directory, { engine, maxInFlight: 4 });
  manager.on('preempted', (event) => say('event', JSON.stringify(event)));
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const request = (step) => ({ step, tensors: { x: { dtype: 'I32', shape: [1000], data: new Int32Array(1000).fill(step) } } });
  const slow = (step, ms) => ({ step, tensors: { x: { dtype: 'U8', shape: [8], data: {
    byteLength: 8,
    async *[Symbol.asyncIterator]() { await (ms === undefined ? new Promise(() => {}) : later(ms)); yield new Uint8Array(8).fill(step); },
  } } } });
`;

/** How a process ended that was told to. */
export interface Preempted {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  /** Lines of the script. */
  readonly said: readonly string[];
  /** Lines of the library. */
  readonly log: readonly string[];
  /** The events `preempted`. */
  readonly events: readonly Record<string, unknown>[];
  readonly directory: string;
  readonly checkpoints: readonly string[];
  readonly leftovers: readonly string[];
}

/** Runs `script` (which says `ready` when it may be told), sends it the signals, and waits for its end. */
export async function preempt(
  script: string,
  { signals = ['SIGTERM'], engine = 'auto' }: { signals?: readonly NodeJS.Signals[]; engine?: string } = {},
): Promise<Preempted> {
  const directory = freshDirectory();
  const child = startNode(PRELUDE + script, [directory, engine], { NODE_OPTIONS: '--unhandled-rejections=strict' });
  const end = ended(child);
  const ready = new Promise<void>((resolve) => {
    let seen = '';
    child.stdout?.on('data', (chunk) => {
      seen += chunk;
      if (seen.includes('ready')) resolve();
    });
  });
  await Promise.race([ready, end]);
  for (const signal of signals) child.kill(signal);
  const { stdout, stderr, code, signal } = await end;
  const lines = stdout.split('\n').filter((line) => line !== '');
  return {
    signal,
    code,
    said: lines.filter((line) => line !== 'ready' && !line.startsWith('event ')),
    log: stderr.split('\n').filter((line) => line !== ''),
    events: lines.filter((line) => line.startsWith('event ')).map((line) => JSON.parse(line.slice('event '.length))),
    directory,
    checkpoints: checkpoints(directory),
    leftovers: leftovers(directory),
  };
}

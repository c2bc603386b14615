import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { random32 } from '../helpers/random.js';

/** How many processes are killed in all; every one of them is a fresh one. */
const KILLS = Number(process.env['HOLDFAST_KILLS'] ?? 200);
/** Processes at work at the same time, each in a directory of its own. */
const LANES = 2;

/** Long enough for the first save's worker to start and for some saves after that. */
const MAX_DELAY_MS = 240;

/** Saves that `saveAsync` may have in flight. */
const IN_FLIGHT = 2;

/** Saves without end, resuming where the directory ends; prints a step once its save was acknowledged. */
const TRAIN = `
  import { writeSync } from 'node:fs';
  import { CheckpointManager, keep } from 'holdfast';
  const [directory, engine, how] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { engine, keep: keep.last(3), maxShardBytes: 300_000, maxInFlight: ${IN_FLIGHT} });
  const restored = await manager.restore();
  const elements = 1 << 16;
  const acknowledge = (step) => writeSync(1, step + '\\n');
  const scratch = ['a', 'b', 'c'].map(() => new Int32Array(elements));
  writeSync(1, 'ready\\n');
  for (let step = (restored?.info.step ?? 0) + 1; ; step++) {
    // In the background memory is copied, and changed by the next step while it is written.
    const tensors = ['a', 'b', 'c'].map((name, i) => {
      const data = how === 'save' ? new Int32Array(elements) : scratch[i];
      return { name, dtype: 'I32', shape: [elements], data: data.fill(step * 4 + i), stable: how === 'save' };
    });
    if (how === 'save') await manager.save({ step, tensors, state: { step } }).then(() => acknowledge(step));
    else (await manager.saveAsync({ step, tensors, state: { step } })).committed.then(() => acknowledge(step));
  }
`;

type How = 'save' | 'saveAsync';

interface Lane {
  readonly directory: string;
  acknowledged: number;
  killed: number;
  halfWritten: number;
}

/** Starts a training process, kills it after a random while, and checks what it left. */
async function killOnce(lane: Lane, engine: string, how: How, delayMs: number): Promise<void> {
  const child = startNode(TRAIN, [lane.directory, engine, how]);
  const end = ended(child);
  let ready = () => {};
  const started = new Promise<void>((resolve) => {
    ready = resolve;
  });
  child.stdout?.once('data', () => ready());
  await Promise.race([started, end]);
  await sleep(delayMs);
  child.kill('SIGKILL');
  const { stdout, stderr, signal } = await end;
  expect(signal, stderr).toBe('SIGKILL');
  const lines = stdout.split('\n');
  for (const line of lines.slice(0, -1)) if (line !== 'ready') lane.acknowledged = Math.max(lane.acknowledged, Number(line));
  lane.killed++;
  if (readdirSync(lane.directory).some((name) => name.startsWith('.tmp-') && !name.startsWith('.tmp-lock'))) lane.halfWritten++;
  await check(lane, engine, how, `${JSON.stringify(stdout)} ${stderr}`);
}

/** Invariant I: what was acknowledged is there bit by bit; what is listed as good is good. */
async function check(lane: Lane, engine: string, how: How, said: string): Promise<void> {
  const manager = await CheckpointManager.open(lane.directory, { engine: engine as 'native' });
  try {
    expect(readdirSync(lane.directory).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
    const report = await manager.verify();
    expect(report.problems).toEqual([]);
    const restored = await manager.restore();
    const step = restored?.info.step ?? 0;
    // What was under way may have been committed a moment before its acknowledgement was printed.
    expect(step, `listing: ${readdirSync(lane.directory).join(' ')}; process said: ${said}`).toBeGreaterThanOrEqual(lane.acknowledged);
    expect(step).toBeLessThanOrEqual(lane.acknowledged + (how === 'save' ? 1 : IN_FLIGHT + 1));
    expect(restored?.skipped ?? []).toEqual([]);
    if (restored !== null) {
      ['a', 'b', 'c'].forEach((name, i) => {
        const data = restored.tensors.get(name)?.data as Int32Array;
        expect(data.length).toBe(1 << 16);
        expect(data.every((value) => value === step * 4 + i)).toBe(true);
      });
      expect(restored.state).toEqual({ step });
    }
    lane.acknowledged = step;
    const good = readdirSync(lane.directory).filter((name) => name.startsWith('checkpoint'));
    expect(good.length).toBeGreaterThanOrEqual(Math.min(3, step));
  } finally {
    await manager.close();
  }
}

const KINDS: readonly How[] = ['save', 'saveAsync'];

describe.each(ENGINES.flatMap((engine) => KINDS.map((how) => [engine, how] as const)))(
  'SIGKILL during saves, %s engine, %s',
  (engine, how) => {
    const kills = Math.ceil(KILLS / ENGINES.length / KINDS.length);

    test(`${kills} times at random moments`, { timeout: kills * 20_000 + 60_000 }, async () => {
      const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()) + (engine === 'native' ? 1 : 2) + (how === 'save' ? 0 : 2));
      const lanes: Lane[] = Array.from({ length: LANES }, () => ({
        directory: path.join(freshDirectory(), 'c'),
        acknowledged: 0,
        killed: 0,
        halfWritten: 0,
      }));
      const total = (key: 'killed' | 'halfWritten' | 'acknowledged') => lanes.reduce((sum, lane) => sum + lane[key], 0);
      // A test that hardly hits the middle of a save proves nothing, and a few kills may all miss it: then there are more.
      const enough = () => total('killed') >= kills && total('halfWritten') > kills / 10;
      await Promise.all(
        lanes.map(async (lane) => {
          while (!enough() && lane.killed < Math.max(2 * kills, 50)) await killOnce(lane, engine, how, next() % MAX_DELAY_MS);
        }),
      );
      expect(total('killed')).toBeGreaterThanOrEqual(kills);
      expect(total('halfWritten')).toBeGreaterThan(kills / 10);
      console.log(
        `${engine}, ${how}: ${total('killed')} processes killed, ${total('halfWritten')} of them in the middle of a save; ${total('acknowledged')} saves acknowledged, none lost`,
      );
    });
  },
);

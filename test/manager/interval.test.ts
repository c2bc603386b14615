/** The interval that tunes itself: over the manager, with a clock of the test's own, and with processes that really die. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readHistory } from '../../src/catalog/history.js';
import { selectEngine } from '../../src/engine/select.js';
import { auto, type CheckpointManager, every, type IntervalChange, keep, type OpenOptions, type StepRequest } from '../../src/index.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection, thrown } from '../helpers/errors.js';
import { checkpoints } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';
import { replaceInSystem } from '../helpers/system.js';

const HISTORY = '.history.jsonl';
const events = (directory: string) =>
  readFileSync(path.join(directory, HISTORY), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { event: string });

/** A clock that only goes on when it is told to. */
function ownClock() {
  const clock = { ms: 1000 };
  replaceInSystem({ monotonicMs: () => clock.ms });
  return clock;
}

/** Trains `steps` steps of `seconds` each from `from` on, and gives the steps at which a checkpoint was saved. */
async function train(manager: CheckpointManager, clock: { ms: number }, { from = 0, steps = 100, seconds = 1 } = {}): Promise<number[]> {
  const saved: number[] = [];
  for (let step = from + 1; step <= from + steps; step++) {
    clock.ms += seconds * 1000;
    const { due, pending } = await manager.step(smallRequest(step, 10));
    if (!due) continue;
    saved.push(step);
    await pending.committed;
  }
  return saved;
}

describe('auto', () => {
  it('saves soon to learn what a save costs, and then when its interval has gone by', async () => {
    const clock = ownClock();
    const manager = await openManager(freshDirectory(), { trigger: auto({ maxInterval: { seconds: 50 } }) });
    const changes: IntervalChange[] = [];
    manager.on('intervalChanged', (change) => changes.push(change));
    const saved = await train(manager, clock, { steps: 160 });
    expect(saved[0]).toBe(10);
    const { interval_s, cost, reason } = manager.interval.explain();
    // Of the last one the next step will tell.
    expect([saved.length - 1, saved.length].map((count) => Math.min(count, 9))).toContain(cost?.saves);
    expect(changes.map((change) => change.interval_s).at(-1)).toBe(interval_s);
    expect(changes[0]?.previous_s).toBe(10);
    expect(['optimum', 'maxInterval']).toContain(reason);
  });

  it('keeps to its limits', async () => {
    const clock = ownClock();
    const limits = { minInterval: { seconds: 20 }, maxInterval: { seconds: 20 } };
    const manager = await openManager(freshDirectory(), { trigger: auto(limits) });
    expect(await train(manager, clock, { steps: 100 })).toEqual([20, 40, 60, 80, 100]);
  });

  it('waits with the second save until the first has shown what it costs', async () => {
    const clock = ownClock();
    const manager = await openManager(freshDirectory(), { trigger: auto(), maxInFlight: 3 });
    const dueAt = async (seconds: number, request: StepRequest) => {
      clock.ms += seconds * 1000;
      return await manager.step(request);
    };
    const stream = new HeldStream();
    const first = await dueAt(11, heldRequest(1, stream));
    expect(first.due).toBe(true);
    for (let step = 2; step <= 9; step++) expect((await dueAt(11, smallRequest(step))).due).toBe(false);
    stream.open();
    if (first.due) await first.pending.committed;
    // The step behind its end shows what it has cost.
    const due = [];
    for (let step = 10; step <= 40; step++) due.push((await dueAt(11, smallRequest(step))).due);
    expect(due.slice(0, 3)).toEqual([false, false, false]);
    expect(due).toContain(true);
  });

  it('in steps: as many as take that time', async () => {
    const clock = ownClock();
    const trigger = auto({ minInterval: { seconds: 20 }, maxInterval: { seconds: 20 }, unit: 'steps' });
    const manager = await openManager(freshDirectory(), { trigger });
    expect(await train(manager, clock, { steps: 30, seconds: 5 })).toEqual([4, 8, 12, 16, 20, 24, 28]);
    expect(manager.interval.explain()).toMatchObject({ interval_s: 20, steps: 4 });
  });

  it('does not save again right after a resume', async () => {
    const directory = freshDirectory();
    const clock = ownClock();
    const trigger = auto({ minInterval: { seconds: 20 }, maxInterval: { seconds: 20 }, unit: 'steps' });
    const first = await openManager(directory, { trigger });
    await train(first, clock, { steps: 45 });
    await first.close();
    const second = await openManager(directory, { trigger });
    const restored = await second.restore();
    expect(restored?.step).toBe(40);
    expect(await train(second, clock, { from: 40, steps: 45 })).toEqual([60, 80]);
  });

  it('knows what earlier lives have measured', async () => {
    const directory = freshDirectory();
    const clock = ownClock();
    const trigger = auto({ maxInterval: { seconds: 5 } });
    const first = await openManager(directory, { trigger });
    await train(first, clock, { steps: 100 });
    const { cost } = first.interval.explain();
    await first.close();
    const second = await openManager(directory, { trigger });
    const known = second.interval.explain();
    expect(known.reason).not.toBe('firstSave');
    expect(known.cost?.saves).toBe(9);
    // The last save of the first life was not measured when it was asked.
    expect(known.cost?.low_s).toBeLessThanOrEqual(cost?.high_s ?? 0);
    expect(known.cost?.high_s).toBeGreaterThanOrEqual(cost?.low_s ?? 0);
  });
});

describe('what a save costs', () => {
  const costOf = async (options: OpenOptions, wait: boolean) => {
    const clock = ownClock();
    const manager = await openManager(freshDirectory(), options);
    await train(manager, clock, { steps: 10, seconds: 0.1 });
    // The test's clock goes on by two seconds while it is written: a loop that waits for it loses them.
    const pending = await manager.saveAsync(smallRequest(11));
    if (wait) clock.ms += 2000;
    await pending.committed;
    clock.ms += 100;
    await manager.step(smallRequest(12));
    return manager.interval.explain().cost;
  };

  it('is all of its time where the loop waits for it', async () => {
    expect((await costOf({ trigger: every.steps(1000) }, true))?.slowdown).toBe(1);
  });

  it('is its stall alone where training goes on as before', async () => {
    const cost = await costOf({ trigger: every.steps(1000) }, false);
    expect(cost?.slowdown).toBe(0);
    expect(cost?.cost_s).toBe(cost?.stall_s);
    expect(cost?.persist_s).toBeGreaterThan(0);
  });

  it('of save is taken for all of its time where no steps tell', async () => {
    const manager = await openManager(freshDirectory());
    await manager.save(smallRequest(1));
    const cost = manager.interval.explain().cost;
    expect(cost).toMatchObject({ saves: 1, slowdown: 1 });
    expect(cost?.cost_s).toBeCloseTo((cost?.stall_s ?? 0) + (cost?.persist_s ?? 0), 9);
  });
});

describe('explain', () => {
  it('says so where nothing is known yet', async () => {
    const manager = await openManager(freshDirectory(), { trigger: auto() });
    expect(manager.interval.explain()).toMatchObject({ interval_s: 10, reason: 'firstSave', steps: undefined, expected: undefined });
    expect(manager.interval.explain().text).toBe(
      'A checkpoint every 10 s of work. Nothing is known yet of what a save costs: the first one will show it. ' +
        'A failure comes every 1 d (0 failures in 0 s, so it is mostly the prior that tells; 95 %: 6 h 30 min 22 s to 39 d 11 h 57 min, which is little to go by).',
    );
  });

  it('says why, what it costs, and what a failure would lose', async () => {
    const clock = ownClock();
    const manager = await openManager(freshDirectory(), { trigger: auto({ mtbf: { hours: 10 } }) });
    await train(manager, clock, { steps: 100 });
    const { text, steps, expected, realisedEttr } = manager.interval.explain();
    expect(text).toMatch(
      /^A checkpoint every [\d.]+ (ms|s|min)[\w ]* of work, about \d+ steps?\. That is where saving and what failures lose cost least together\. /,
    );
    expect(text).toMatch(
      /A save costs [\d.]+ \S+ \(.*\): it blocks for [\d.]+ \S+, and (slows training down by [\d.]+ % for [\d.]+ \S+ until it is durable|is durable [\d.]+ \S+ later)\./,
    );
    expect(text).toContain('A failure comes every 10 h, as was given; seen: 0 failures in 1 min 39 s.');
    expect(text).toMatch(
      /Expected: saving takes [\d.]+ % of the work's time, [\d.]+ % of all time is useful, and a failure loses [\d.]+ \w+ of work on average;/,
    );
    expect(text).toMatch(/So far [\d.]+ % of the time went into steps that are not lost\.$/);
    expect(steps).toBeGreaterThan(0);
    expect(expected?.ettr).toBeGreaterThan(0.99);
    expect(expected?.overheadFraction).toBeCloseTo(1 / (expected?.ettr ?? 0) - 1, 9);
    // The first step began before anybody knew of it.
    expect(realisedEttr).toBeGreaterThan(0.98);
  });

  it('says what auto would choose where another trigger decides, and changes nothing', async () => {
    const clock = ownClock();
    const directory = freshDirectory();
    const manager = await openManager(directory, { trigger: every.steps(25) });
    const changes: unknown[] = [];
    manager.on('intervalChanged', (change) => changes.push(change));
    expect(await train(manager, clock, { steps: 101 })).toEqual([25, 50, 75, 100]);
    expect(manager.interval.explain().cost?.saves).toBe(4);
    expect(manager.interval.explain().text).toMatch(/^As a trigger, auto would make a checkpoint every /);
    await manager.close();
    expect(changes).toEqual([]);
    expect(events(directory).map(({ event }) => event)).not.toContain('interval');
  });

  it('needs a manager that saves', async () => {
    const directory = freshDirectory();
    mkdirSync(directory, { recursive: true });
    const reader = await openManager(directory, { readOnly: true });
    expect(thrown(() => reader.interval, 'ERR_READ_ONLY').message).toContain('readOnly');
  });
});

const LIFE = `
  import { auto, CheckpointManager } from 'holdfast';
  const [directory, how] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { trigger: auto({ minInterval: { seconds: 3600 } }) });
  const restored = await manager.restore();
  let step = restored?.step ?? 0;
  const request = () => ({ step, tensors: { x: { dtype: 'I32', shape: [10], data: new Int32Array(10).fill(step) } } });
  const run = async (steps) => { for (let i = 0; i < steps; i++) { step++; await manager.step(request()); } };
  await run(10);
  await manager.save(request());
  if (how === 'loses') await run(5);
  if (how === 'killed') { await manager.flush(); process.kill(process.pid, 'SIGKILL'); }
  await manager.close();
`;

describe('failures', () => {
  const live = async (directory: string, how: 'killed' | 'closes' | 'loses') => {
    const { stderr } = await ended(startNode(LIFE, [directory, how]));
    expect(stderr).toBe('');
  };
  const seen = async (directory: string) => {
    const manager = await openManager(directory, { trigger: auto() });
    const restored = await manager.restore();
    await manager.step(smallRequest((restored?.step ?? 0) + 1));
    const { mtbf, restart_s } = manager.interval.explain();
    await manager.save(smallRequest((restored?.step ?? 0) + 1));
    await manager.close();
    return { failures: mtbf.failures, restarts: restart_s !== undefined };
  };

  it('are processes that died, not those that ended in good order', async () => {
    const directory = freshDirectory();
    await live(directory, 'closes');
    expect(await seen(directory)).toEqual({ failures: 0, restarts: true });
    await live(directory, 'killed');
    await live(directory, 'killed');
    expect(await seen(directory)).toEqual({ failures: 2, restarts: true });
  });

  it('are also those that ended in good order, but with work that was lost', async () => {
    const directory = freshDirectory();
    await live(directory, 'loses');
    expect((await seen(directory)).failures).toBe(1);
  });

  it('are not made by somebody who loads what he likes, and closes again', async () => {
    const directory = freshDirectory();
    const run = await openManager(directory, { keep: keep.all(), trigger: every.steps(1000) });
    for (const step of [50, 100]) {
      await run.step(smallRequest(step));
      await run.save(smallRequest(step));
    }
    await run.step(smallRequest(110));
    await run.close();
    const exported = await openManager(directory);
    expect((await exported.restore({ step: 50 }))?.step).toBe(50);
    expect(exported.interval.explain().mtbf.failures).toBe(0);
    await exported.close();
    // Who looks first, and then goes on from elsewhere, has gone on from there.
    const next = await openManager(directory, { trigger: every.steps(1000) });
    await next.restore({ step: 50 });
    await next.restore();
    await next.step(smallRequest(101));
    expect(next.interval.explain().mtbf.failures).toBe(1);
    await next.close();
    expect((await readHistory(directory, selectEngine('auto'))).failures).toBe(1);
    expect((await readHistory(directory, selectEngine('auto'))).lives.map(({ restoredStep, end }) => [restoredStep, end])).toEqual([
      [undefined, 'failed'],
      [undefined, 'ended'],
      [100, 'ended'],
    ]);
  });

  it('are not processes that were told to end, and have saved once more', async () => {
    const directory = freshDirectory();
    const ending = await ended(
      startNode(
        `
        import { anyOf, auto, CheckpointManager, every, on } from 'holdfast';
        const [directory] = process.argv.slice(1);
        const manager = await CheckpointManager.open(directory, { trigger: anyOf(every.steps(10), on.preemption()) });
        for (let step = 1; step <= 1000; step++) {
          const { due, pending } = await manager.step({ step, tensors: { x: { dtype: 'I32', shape: [10], data: new Int32Array(10) } } });
          if (due) await pending.committed;
          if (step === 20) process.kill(process.pid, 'SIGTERM');
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      `,
        [directory],
      ),
    );
    expect(ending.signal).toBe('SIGTERM');
    const last = events(directory).findLast(({ event }) => event === 'saved');
    expect(events(directory).at(-1)).toMatchObject({ event: 'preempted' });
    // That of the last save is told of, although no step came behind it.
    expect(checkpoints(directory).at(-1)).toContain(String((last as { step?: number } | undefined)?.step));
    expect((last as { step?: number } | undefined)?.step).toBeGreaterThan(20);
    expect((await seen(directory)).failures).toBe(0);
  });
});

describe('a restart', () => {
  it('in a process that has done other things before is counted from where the directory was opened', async () => {
    const clock = ownClock();
    const directory = freshDirectory();
    for (const step of [1, 2]) {
      const manager = await openManager(directory, { trigger: auto() });
      clock.ms += 3000;
      await manager.restore();
      await manager.step(smallRequest(step));
      await manager.save(smallRequest(step));
      if (step === 2) expect(manager.interval.explain().restart_s).toBe(3);
      await manager.close();
    }
  });

  it('is none where training has begun, also by saving alone', async () => {
    const manager = await openManager(freshDirectory(), { trigger: auto() });
    await manager.save(smallRequest(1));
    await manager.restore();
    const { restart_s, mtbf } = manager.interval.explain();
    expect(restart_s).toBeUndefined();
    expect(mtbf.uptime_s).toBeGreaterThan(0);
  });
});

describe('the history', () => {
  it('is not made by those who only look', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    await manager.close();
    expect(existsSync(path.join(directory, HISTORY))).toBe(false);
  });

  it.each(['not JSON\n', '{"event":"saved"', '\0\0\0\0', `${'x'.repeat(100_000)}\n`])(
    'that is damaged is passed over where it is: %j',
    async (damage) => {
      const directory = freshDirectory();
      const first = await openManager(directory);
      await first.save(smallRequest(1));
      await first.close();
      appendFileSync(path.join(directory, HISTORY), damage);
      const second = await openManager(directory);
      expect(second.interval.explain().cost?.saves).toBe(1);
      await second.save(smallRequest(2));
      await second.close();
      const third = await openManager(directory);
      expect(third.interval.explain().cost?.saves).toBe(2);
      expect((await readHistory(directory, selectEngine('auto'))).lives).toHaveLength(2);
    },
  );

  it('that could not be written for a while lacks nothing later', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, HISTORY);
    const manager = await openManager(directory, { trigger: auto() });
    mkdirSync(file);
    await manager.step(smallRequest(1));
    await manager.save(smallRequest(1));
    rmSync(file, { recursive: true });
    await manager.close();
    expect(events(directory).map(({ event }) => event)).toEqual(['opened', 'alive', 'saved', 'interval', 'closed']);
  });

  it.skipIf(process.platform === 'win32')('that is a pipe, or something else, is left alone', async () => {
    const directory = freshDirectory();
    mkdirSync(directory, { recursive: true });
    execFileSync('mkfifo', [path.join(directory, HISTORY)]);
    const manager = await openManager(directory, { trigger: auto() });
    await manager.save(smallRequest(1));
    await manager.close();
    expect(lstatSync(path.join(directory, HISTORY)).isFIFO()).toBe(true);
    expect((await rejection(readHistory(directory, selectEngine('auto')), 'ERR_FORMAT')).message).toContain('Move it away');
  });

  it('that cannot be read or written costs nothing but itself', async () => {
    const directory = freshDirectory();
    mkdirSync(path.join(directory, HISTORY), { recursive: true });
    writeFileSync(path.join(directory, HISTORY, 'in the way'), '');
    const manager = await openManager(directory, { trigger: auto() });
    await manager.save(smallRequest(1));
    expect(manager.interval.explain().cost?.saves).toBe(1);
    await manager.close();
    expect((await (await openManager(directory)).restore())?.step).toBe(1);
  });
});

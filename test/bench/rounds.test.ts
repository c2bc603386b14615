/** The order of turns, who is left out, and what an interruption leaves. With contenders that only keep a record. */
import { describe, expect, test } from 'vitest';
import type { Contender } from '../../src/bench/contender.js';
import { planSpace } from '../../src/bench/memory-plan.js';
import type { RowKind } from '../../src/bench/report.js';
import { type RoundsOptions, runRounds } from '../../src/bench/rounds.js';
import { restAfter } from '../../src/bench/settle.js';
import { HoldfastError } from '../../src/errors.js';
import { rejection } from '../helpers/errors.js';

interface Fake extends Contender {
  readonly runs: number[];
}

function cast(log: string[], fail: Readonly<Record<string, (count: number) => boolean>> = {}) {
  const make = (name: string, kind: RowKind, memoryBytes = 100): Fake => {
    const runs: number[] = [];
    return {
      name,
      kind,
      bytes: 1,
      memoryBytes,
      diskBytes: 10,
      runs,
      unavailable: async () => undefined,
      start: async () => void log.push(`start ${name}`),
      stop: async () => void log.push(`stop ${name}`),
      run: async () => {
        log.push(name);
        runs.push(runs.length);
        if (fail[name]?.(runs.length) === true) throw new HoldfastError('ERR_IO', `${name} broke.\nA second line.`);
        return { seconds: runs.length, cpuSeconds: null, maxRssBytes: null };
      },
    };
  };
  return { make };
}

const OPTIONS: RoundsOptions = { runs: 6, together: true, settle: async () => {} };

/** The turns of a log, a list for each round; the limit has two, but not in the first. */
function roundsOf(log: readonly string[]): string[][] {
  const turns = log.filter((entry) => !/^(start|stop) /.test(entry));
  const rounds = [turns.slice(0, 3)];
  for (let at = 3; at < turns.length; at += 4) rounds.push(turns.slice(at, at + 4));
  return rounds;
}

describe('rounds', () => {
  test('each has every contender once and the limit twice, in an order that changes', async () => {
    const log: string[] = [];
    const { make } = cast(log);
    const all = [make('holdfast', 'ours'), make('fio', 'limit'), make('peer', 'peer')];
    const { measured, runs, failed, interrupted } = await runRounds(all, OPTIONS);
    expect({ runs, failed, interrupted }).toEqual({ runs: 6, failed: [], interrupted: false });
    const [first, ...rest] = roundsOf(log);
    expect([...(first ?? [])].sort()).toEqual(['fio', 'holdfast', 'peer']);
    expect(rest).toHaveLength(6);
    for (const round of rest) expect([...round].sort()).toEqual(['fio', 'fio', 'holdfast', 'peer']);
    expect(new Set(rest.map((round) => round.join(' '))).size).toBeGreaterThan(2);
    expect([...measured.values()].map((list) => list.length)).toEqual([6, 12, 6]);
    // The one that warms up is not among them.
    expect(measured.get(all[0] as Contender)?.map(({ seconds }) => seconds)).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test('the order is the same in the next run', async () => {
    const logs = [[], []] as string[][];
    for (const log of logs) {
      const { make } = cast(log);
      await runRounds([make('holdfast', 'ours'), make('fio', 'limit'), make('peer', 'peer')], OPTIONS);
    }
    expect(logs[0]).toEqual(logs[1]);
  });

  test('kept ready, each is started once; else for every turn, with a run before it that does not count', async () => {
    const log: string[] = [];
    const { make } = cast(log);
    const both = [make('holdfast', 'ours'), make('peer', 'peer')];
    await runRounds(both, OPTIONS);
    expect(log.filter((entry) => entry === 'start holdfast')).toHaveLength(1);
    log.length = 0;
    const { measured } = await runRounds(both, { ...OPTIONS, together: false, runs: 2 });
    expect(log.filter((entry) => entry === 'start holdfast')).toHaveLength(3);
    expect(log.filter((entry) => entry === 'holdfast')).toHaveLength(5);
    expect([...measured.values()].map((list) => list.length)).toEqual([2, 2]);
    // Never two of them at the same time.
    let ready = 0;
    for (const entry of log.slice(0, -2)) {
      if (entry.startsWith('start')) expect(++ready).toBe(1);
      if (entry.startsWith('stop')) ready--;
    }
  });

  test('a peer that fails is left out, with the reason; the others go on', async () => {
    const { make } = cast([], { peer: (count) => count === 3 });
    const { measured, failed, runs } = await runRounds([make('holdfast', 'ours'), make('peer', 'peer')], OPTIONS);
    expect(failed).toEqual([{ name: 'peer', why: 'it failed: peer broke' }]);
    expect({ runs, names: [...measured.keys()].map(({ name }) => name) }).toEqual({ runs: 6, names: ['holdfast'] });
  });

  test('ours that fails is an error, and everybody is stopped', async () => {
    const log: string[] = [];
    const { make } = cast(log, { holdfast: (count) => count === 2 });
    await rejection(runRounds([make('holdfast', 'ours'), make('peer', 'peer')], OPTIONS), 'ERR_IO');
    expect(log.slice(-2).sort()).toEqual(['stop holdfast', 'stop peer']);
  });

  test('interrupted, it gives the whole rounds until then', async () => {
    const stop = new AbortController();
    const log: string[] = [];
    const interruptInThird = (count: number) => {
      if (count === 4) stop.abort();
      return count === 4;
    };
    const { make } = cast(log, { peer: interruptInThird });
    const all = [make('holdfast', 'ours'), make('peer', 'peer')];
    const { measured, runs, failed, interrupted } = await runRounds(all, { ...OPTIONS, signal: stop.signal });
    expect({ runs, failed, interrupted }).toEqual({ runs: 2, failed: [], interrupted: true });
    expect([...measured.values()].map((list) => list.length)).toEqual([2, 2]);
    expect(log.slice(-2).sort()).toEqual(['stop holdfast', 'stop peer']);
  });

  test('interrupted at once, it gives nothing', async () => {
    const { make } = cast([]);
    const rounds = await runRounds([make('holdfast', 'ours')], { ...OPTIONS, signal: AbortSignal.abort() });
    expect(rounds).toMatchObject({ runs: 0, interrupted: true });
    expect(rounds.measured.size).toBe(0);
  });
});

test.each([
  [1024, 10],
  [8 * 2 ** 20, 62.5],
  [64 * 2 ** 20, 500],
  [2 ** 33, 500],
])('after a turn with %i bytes there is a rest of %d ms', (bytes, expected) => expect(restAfter(bytes)).toBe(expected));

describe('the plan', () => {
  const { make } = cast([]);

  test('keeps all ready where three quarters of the memory are enough', () => {
    const all = [make('holdfast', 'ours'), make('peer', 'peer', 200)];
    expect(planSpace(all, { memoryBytes: 400, diskBytes: 100 })).toEqual({ contenders: all, leftOut: [], together: true });
    expect(planSpace(all, { memoryBytes: 399, diskBytes: 100 })).toMatchObject({ contenders: all, together: false });
  });

  test('leaves out peers that do not fit even alone, with the figures; never ours', () => {
    const all = [make('holdfast', 'ours', 5000), make('peer', 'peer', 2048), make('little', 'peer', 10)];
    const { contenders, leftOut } = planSpace(all, { memoryBytes: 1365.34, diskBytes: 100 });
    expect(contenders.map(({ name }) => name)).toEqual(['holdfast', 'little']);
    expect(leftOut).toEqual([{ name: 'peer', why: 'it needs 2.00 KiB of memory, and 1.00 KiB can be used' }]);
  });

  test('gives the disk out in order', () => {
    const all = [make('holdfast', 'ours'), make('a', 'peer'), make('b', 'peer')];
    const { contenders, leftOut } = planSpace(all, { memoryBytes: 1e6, diskBytes: 25 });
    expect(contenders.map(({ name }) => name)).toEqual(['holdfast', 'a']);
    expect(leftOut).toEqual([{ name: 'b', why: 'it needs 10 B on the disk, and 5 B can be used' }]);
  });
});

/** What happens within one simulated run: by hand, and that the arithmetic for fixed intervals does what the events do. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exactInterval_s } from '../../src/interval/optimal.js';
import {
  completeJob,
  type Failures,
  fixed,
  formula,
  oracle,
  predictedFraction,
  type SimulatedJob,
  type SimulatedRun,
  simulate,
} from '../../src/interval/simulate/index.js';

function trace(...times_s: number[]): Failures {
  return { kind: 'trace', times_s };
}

/** Both ways to simulate it, which must agree. */
function run(job: SimulatedJob, interval_s: number): SimulatedRun {
  const found = simulate(job, fixed(interval_s), { seed: 1, everyEvent: true });
  const fast = simulate(job, fixed(interval_s), { seed: 1 });
  expect(fast).toEqual(close(found));
  return found;
}

/** The same, but for rounding. */
function close(expected: SimulatedRun): unknown {
  const near = (value: number) => expect.closeTo(value, 6);
  const lost = Object.fromEntries(Object.entries(expected.lost).map(([name, value]) => [name, near(value)]));
  const { wall_s, work_s, usefulFraction, meanInterval_s } = expected;
  return {
    ...expected,
    ...{ wall_s: near(wall_s), work_s: near(work_s), usefulFraction: near(usefulFraction), lost },
    meanInterval_s: meanInterval_s === undefined ? undefined : near(meanInterval_s),
  };
}

function sumOf({ work_s, lost }: SimulatedRun): number {
  return work_s + lost.saving_s + lost.rework_s + lost.restart_s + lost.slowdown_s;
}

describe('a run by hand', () => {
  // Saves are begun after 20 s of work, take 2 s, and are durable 5 s later.
  const job = { wall_s: 100, stall_s: 2, persist_s: 5, restart_s: 10 } as const;

  test('without failures', () => {
    expect(run({ ...job, failures: trace() }, 20)).toMatchObject({
      wall_s: 100,
      work_s: 92,
      saves: 4,
      failures: 0,
      lost: { saving_s: 8, rework_s: 0 },
    });
  });

  test('a failure takes what was done since the last durable save', () => {
    // Snapshots at 22 and 44, the second durable at 49; on from 60, with snapshots at 82.
    expect(run({ ...job, failures: trace(50) }, 20)).toMatchObject({
      work_s: 78,
      saves: 3,
      failures: 1,
      lost: { saving_s: 6, rework_s: 6, restart_s: 10 },
    });
  });

  test('a failure while it persists takes that checkpoint too', () => {
    // The second save would have been durable at 49; on from 58, snapshot at 80, durable at 85.
    expect(run({ ...job, failures: trace(48) }, 20)).toMatchObject({
      work_s: 60,
      saves: 2,
      lost: { saving_s: 6, rework_s: 24, restart_s: 10 },
    });
  });

  test('a failure in the stall is one', () => {
    expect(run({ ...job, failures: trace(43) }, 20)).toMatchObject({
      work_s: 63,
      saves: 2,
      lost: { saving_s: 7, rework_s: 20, restart_s: 10 },
    });
  });

  test('a failure during a restart begins it anew', () => {
    const found = run({ ...job, failures: trace(30, 35, 44) }, 20);
    expect(found).toMatchObject({ failures: 3, saves: 2, work_s: 20 + 42, lost: { restart_s: 24, rework_s: 8, saving_s: 6 } });
  });

  test('the end may come in a restart, and what fails after it counts no more', () => {
    expect(run({ ...job, failures: trace(95, 99, 101) }, 20)).toMatchObject({
      wall_s: 100,
      failures: 2,
      work_s: 80,
      lost: { restart_s: 5, rework_s: 7 },
    });
  });

  test('saves wait for their turn at the end of their stall', () => {
    // One at a time: snapshots have their turn at 12, 42 and 72, durable 30 later.
    const one = run({ wall_s: 100, stall_s: 2, persist_s: 30, failures: trace() }, 10);
    expect(one).toMatchObject({ work_s: 40, saves: 2, lost: { saving_s: 60 } });
    // Two at a time: 12, 24, then 42, 54, 72, 84.
    const two = run({ wall_s: 100, stall_s: 2, persist_s: 30, maxInFlight: 2, failures: trace() }, 10);
    expect(two).toMatchObject({ work_s: 70, saves: 4, lost: { saving_s: 30 } });
  });

  test('training is slower while it persists', () => {
    // Snapshots at 22 and 22 + 20 + 2 + 0.5·10 = 49, 76.
    const found = run({ wall_s: 80, stall_s: 2, persist_s: 10, slowdown: 0.5, failures: trace() }, 20);
    expect(found).toMatchObject({ work_s: 62, saves: 2, lost: { saving_s: 6, slowdown_s: 12 } });
  });

  test('synchronous saves block for all of it', () => {
    expect(run({ ...job, synchronous: true, slowdown: 0.5, failures: trace() }, 20)).toMatchObject({
      work_s: 79,
      saves: 3,
      lost: { saving_s: 21, slowdown_s: 0 },
    });
  });

  test('a save may be durable before the one that was begun before it', () => {
    // Snapshots at 12 and 24, durable at 62 and at 29: what fails at 40 has the second.
    const persist_s = { start: 50, steps: [{ from_s: 15, value: 5 }] };
    const found = simulate({ wall_s: 50, stall_s: 2, persist_s, maxInFlight: 3, failures: trace(40) }, fixed(10), { seed: 1 });
    // The third has its snapshot at 36, durable at 41.
    expect(found).toMatchObject({ saves: 1, work_s: 20 + 10, lost: { rework_s: 14 } });
  });

  test('what drifts stays as it is at the end of its drift', () => {
    const stall_s = { start: 1, end: 4, over_s: 20 };
    const found = simulate({ wall_s: 100, stall_s, failures: trace() }, fixed(10), { seed: 1 });
    // Saves at 10 (2 s), 22 (4 s), 36, 50, 64, 78 and 92.
    expect(found).toMatchObject({ saves: 7, lost: { saving_s: 2 + 6 * 4 } });
  });

  test('a job of some work ends when its last save is durable', () => {
    const found = run({ work_s: 50, stall_s: 2, persist_s: 5, restart_s: 10, failures: trace(30) }, 20);
    // Snapshot at 22; fails at 30 with 28 done; on from 40: snapshots at 62 and 74, durable at 79.
    expect(found).toMatchObject({ wall_s: 79, work_s: 50, finished: true, saves: 3, lost: { saving_s: 11, rework_s: 8, restart_s: 10 } });
    // What is durable at the limit is done by then.
    for (const synchronous of [false, true]) {
      const job = { work_s: 20, stall_s: 2, persist_s: 5, synchronous, failures: trace() };
      expect(run({ ...job, limit_s: 27 }, 20)).toMatchObject({ wall_s: 27, saves: 1, finished: true });
      expect(run({ ...job, limit_s: 26.5 }, 20)).toMatchObject({ wall_s: 26.5, saves: 0, finished: false });
    }
    // Its last save is lost.
    expect(run({ work_s: 20, stall_s: 2, persist_s: 5, restart_s: 10, failures: trace(25) }, 20)).toMatchObject({
      wall_s: 62,
      saves: 1,
      failures: 1,
    });
  });

  test('a job that does not get on is given up at its limit', () => {
    const job: SimulatedJob = {
      work_s: 1000,
      limit_s: 5000,
      stall_s: 100,
      restart_s: 10,
      failures: trace(...Array.from({ length: 100 }, (_, i) => 50 * (i + 1))),
    };
    expect(run(job, 500)).toMatchObject({
      wall_s: 5000,
      work_s: 40,
      usefulFraction: 0.008,
      saves: 0,
      finished: false,
      meanInterval_s: undefined,
    });
  });
});

test('the interval is that between saves: work that a failure cut off is none', () => {
  const job = { wall_s: 100, stall_s: 2, persist_s: 5, restart_s: 10 } as const;
  // Snapshots at 22 and 44; 6, 8 and 18 s of work are cut off.
  expect(run({ ...job, failures: trace(50, 68, 96) }, 20)).toMatchObject({ failures: 3, meanInterval_s: 20 });
  // The last segment of a job is one, though it is shorter: 20, 20 and 10 s.
  expect(run({ work_s: 50, stall_s: 2, persist_s: 5, failures: trace() }, 20).meanInterval_s).toBeCloseTo(50 / 3, 9);
  // Saves at once when it is warned, after 8 s of work of the 20 that were to be.
  const warned: Failures = { kind: 'trace', times_s: [60], warning_s: 8 };
  expect(simulate({ ...job, failures: warned }, fixed(20), { seed: 1 })).toMatchObject({ saves: 4, meanInterval_s: 20 });
  // What knows the same at every moment as another policy at the beginning keeps the same interval.
  const often = { wall_s: 1e6, stall_s: { start: 300, end: 300 * (1 + 1e-9), over_s: 1e6 }, restart_s: 600 } as const;
  const failures: Failures = { kind: 'poisson', mtbf_s: 900 };
  expect(simulate({ ...often, failures }, oracle(), { seed: 1 }).meanInterval_s).toBeCloseTo(
    exactInterval_s({ cost_s: 300, mtbf_s: 900 }),
    4,
  );
});

describe('preemption with a warning', () => {
  const job = { wall_s: 100, stall_s: 2, persist_s: 5, restart_s: 10 } as const;
  const warned = (warning_s: number, ...times_s: number[]) =>
    simulate({ ...job, failures: { kind: 'trace', times_s, warning_s } }, fixed(20), { seed: 1 });

  test('of at least the stall and what persisting takes: a last save is made, and no work is lost', () => {
    // Warned at 52, with 48 s of work; waits until 60; on from 70, with a snapshot at 92.
    expect(warned(8, 60)).toMatchObject({ work_s: 76, saves: 4, lost: { rework_s: 0, saving_s: 4 + 8 + 2, restart_s: 10 } });
    expect(warned(7, 60)).toMatchObject({ lost: { rework_s: 0 } });
  });

  test('too short a one is of no use', () => {
    const { failures, ...unwarned } = warned(6, 60);
    const expected = simulate({ ...job, failures: trace(60) }, fixed(20), { seed: 1 });
    expect(unwarned).toEqual({ ...expected, failures: undefined });
    expect(failures).toBe(expected.failures);
  });

  test('too short a one is of no use after a restart either', () => {
    // Fails at 30 with 28 s of work, 20 of them durable; on at 40, after the warning at 37; at 43 that is lost too, and on at 53.
    expect(warned(6, 30, 43)).toMatchObject({ failures: 2, work_s: 20 + 43, saves: 2, lost: { rework_s: 8 + 3, restart_s: 20 } });
  });

  test('while a save is on its way, that is the last one', () => {
    // Warned at 43, in the stall from 42 to 44; durable at 49.
    expect(warned(8, 51)).toMatchObject({ saves: 3, lost: { rework_s: 0, saving_s: 2 + 9 + 2 } });
  });

  test('while as many saves are on their way as may be, it has to leave time for the turn', () => {
    const ofTrace = (at_s: number, warning_s: number, maxInFlight: number) =>
      simulate({ ...job, persist_s: 20, maxInFlight, failures: { kind: 'trace', times_s: [at_s], warning_s } }, fixed(25), { seed: 1 });
    // Snapshot at 27, durable at 47; warned at 28: it has its turn at 47, and is durable at 67.
    expect(ofTrace(67, 39, 1)).toMatchObject({ lost: { rework_s: 0 } });
    expect(ofTrace(66, 38, 1).lost.rework_s).toBeGreaterThan(10);
    expect(ofTrace(50, 22, 2)).toMatchObject({ lost: { rework_s: 0 } });
  });

  test('while it restarts, there is nothing to save, and it does not begin', () => {
    expect(warned(8, 30, 45)).toMatchObject({ failures: 2, lost: { rework_s: 0, restart_s: 15 + 10 } });
  });

  test('at once after the beginning', () => {
    // The first failure leaves 5 s, which are too few; on from 15, with snapshots at 37; warned at 42; on from 60, with a snapshot at 82.
    expect(warned(8, 5, 50)).toMatchObject({ failures: 2, saves: 3, lost: { rework_s: 5, restart_s: 20, saving_s: 2 + 8 + 2 } });
    // 7.5 s are enough: it saves at once, what there is, and waits for the failure.
    expect(warned(8, 7.5, 50)).toMatchObject({ failures: 2, saves: 4, lost: { rework_s: 0, restart_s: 20, saving_s: 7.5 + 2 + 8 + 2 } });
  });

  test.each([false, true])('of exactly the stall and what persisting takes, but for rounding, with synchronous: %s', (synchronous) => {
    // 0.1 + 0.2 is above 0.3.
    const short = { wall_s: 3e7, stall_s: 0.1, persist_s: 0.2, restart_s: 10, synchronous } as const;
    const lost = (warning_s: number) => {
      const failures: Failures = { kind: 'poisson', mtbf_s: 9000, warning_s };
      const { lost, failures: met } = simulate({ ...short, failures }, fixed(2000), { seed: 1 });
      expect(met).toBeGreaterThan(3000);
      return lost;
    };
    expect(lost(0.3).rework_s).toBe(lost(0.301).rework_s);
    expect(lost(0.3).restart_s).toBeCloseTo(lost(0.301).restart_s, 1);
    expect(lost(0.299).rework_s).toBeGreaterThan(1e6);
    expect(lost(0.301).rework_s).toBeLessThan(1000);
    const predicted = (warning_s: number) =>
      predictedFraction(completeJob({ ...short, failures: { kind: 'poisson', mtbf_s: 9000, warning_s } }), 2000);
    expect([predicted(0.3), predicted(0.299)]).toEqual([undefined, expect.any(Number)]);
  });

  test('a job is done when its last save is durable, also if it was made because of the warning', () => {
    const job = { work_s: 20, stall_s: 2, persist_s: 5, restart_s: 10 } as const;
    const ofTrace = (at_s: number, warning_s: number, stall_s = 2) =>
      simulate({ ...job, stall_s, failures: { kind: 'trace', times_s: [at_s], warning_s } }, fixed(20), { seed: 1 });
    // Warned at the end of its work, in the stall of its last save, while that has no stall, and just before the end of its work.
    expect(ofTrace(28, 8)).toMatchObject({ wall_s: 27, saves: 1, failures: 0, finished: true, lost: { saving_s: 7 } });
    expect(ofTrace(28, 7)).toMatchObject({ wall_s: 27, saves: 1, failures: 0, finished: true });
    expect(ofTrace(28, 8, 0)).toMatchObject({ wall_s: 25, saves: 1, failures: 0, finished: true });
    // Warned at 19: saves, waits until 28, restarts until 38, and does the second that is left.
    expect(ofTrace(28, 9)).toMatchObject({ wall_s: 46, saves: 2, failures: 1, finished: true, lost: { rework_s: 0, saving_s: 9 + 7 } });
  });

  test('its last save is the one that counts, also if one before it takes longer', () => {
    // A save begun at 10 is durable at 62; warned at 36, with snapshots that take 5 s.
    const persist_s = { start: 50, steps: [{ from_s: 15, value: 5 }] };
    const failures: Failures = { kind: 'trace', times_s: [46], warning_s: 10 };
    const found = simulate({ wall_s: 46.5, stall_s: 2, persist_s, maxInFlight: 3, failures }, fixed(10), { seed: 1 });
    expect(found).toMatchObject({ failures: 1, work_s: 30.5, lost: { rework_s: 0, saving_s: 6 + 10 } });
  });
});

/** Evenly: the doubles of fast-check are nearly all next to 0. */
function between(low: number, high: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 10_007 }).map((part) => low + ((high - low) * part) / 10_007);
}

/** Jobs of some hundred seconds in which everything happens. */
const costs = {
  stall_s: between(0.01, 20),
  persist_s: between(0, 60),
  restart_s: between(0, 40),
  slowdown: fc.oneof(fc.constant(0), between(0, 0.3)),
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  synchronous: fc.boolean(),
};
const mtbf_s = between(10, 3000);
const failures = fc.oneof(
  fc.record({ kind: fc.constant('poisson' as const), mtbf_s }),
  fc.record({ kind: fc.constant('weibull' as const), mtbf_s, shape: between(0.4, 3) }),
);
const length = fc.oneof(fc.record({ wall_s: fc.constant(5000) }), fc.record({ work_s: fc.constant(2000), limit_s: fc.constant(8000) }));
const interval_s = between(1, 400);
const seed = fc.nat();

test('arithmetic for fixed intervals gives what the events give', () => {
  let fast = 0;
  fc.assert(
    fc.property(fc.record({ ...costs, failures }), length, interval_s, seed, (cost, long, every_s, from) => {
      const job = { ...cost, ...long } as SimulatedJob;
      const expected = simulate(job, fixed(every_s), { seed: from, everyEvent: true });
      const found = simulate(job, fixed(every_s), { seed: from });
      expect(found).toEqual(close(expected));
      if (found.work_s !== expected.work_s || found.lost.saving_s !== expected.lost.saving_s) fast += 1;
    }),
    { seed: 77, numRuns: 1000 },
  );
  // They differ by rounding in many: both were there.
  expect(fast).toBeGreaterThan(100);
});

test('work and what was lost add up to the wall time', () => {
  const drift = (value: fc.Arbitrary<number>) => fc.record({ start: value, end: value, over_s: fc.constant(4000) });
  const changing = fc.record({ ...costs, stall_s: drift(costs.stall_s), persist_s: drift(between(0.1, 60)) });
  const warned = fc.record({
    kind: fc.constant('poisson' as const),
    mtbf_s: drift(mtbf_s),
    warning_s: between(0, 90),
  });
  const policy = fc.oneof(
    interval_s.map((each) => fixed(each)),
    fc.constant(oracle()),
    fc.constant(formula('exact')),
  );
  fc.assert(
    fc.property(fc.oneof(fc.record(costs), changing), fc.oneof(failures, warned), length, policy, seed, (cost, fails, long, by, from) => {
      const found = simulate({ ...cost, ...long, failures: fails } as SimulatedJob, by, { seed: from });
      expect(sumOf(found) / found.wall_s).toBeCloseTo(1, 11);
      for (const each of [found.work_s, ...Object.values(found.lost)]) expect(each).toBeGreaterThan(-1e-8);
      expect(found.usefulFraction).toBe(found.work_s / found.wall_s);
      if ('wall_s' in long) expect(found.wall_s).toBe(5000);
      else if (found.finished) expect(found.work_s).toBeCloseTo(2000, 5);
    }),
    { seed: 77, numRuns: 1000 },
  );
});

/** Simulations on worker threads: the same result as without them, progress, and how they end. */
import { describe, expect, test } from 'vitest';
import {
  completeJob,
  type PolicySpec,
  policyOf,
  type SimulatedJob,
  simulateRuns,
  summarisePolicy,
} from '../../src/interval/simulate/index.js';
import { runSimulation } from '../../src/simulation/run-simulation.js';

const job: SimulatedJob = { wall_s: 1e6, stall_s: 5, persist_s: 60, restart_s: 100, failures: { kind: 'poisson', mtbf_s: 5000 } };
const policies: readonly PolicySpec[] = [{ kind: 'fixed', interval_s: 300, name: 'five minutes' }, { kind: 'exact' }, { kind: 'oracle' }];

test('worker threads give what one thread gives', async () => {
  const runs = 250;
  const found = await runSimulation({ job, policies, runs, seed: 4, threads: 2 });
  expect(found).toMatchObject([{ interval_s: 300, constant: true }, { predicted: expect.any(Number) }, {}]);
  const made = policies.map(policyOf);
  const all = simulateRuns(job, made, { seed: 4, from: 0, count: runs });
  expect(found.map(({ name }) => name)).toEqual(['five minutes', 'exact', 'oracle']);
  for (const [i, policy] of made.entries()) {
    const expected = summarisePolicy(completeJob(job), policy, all.slice(i, i + 1));
    expect(found[i]?.usefulFraction).toEqual(expected.usefulFraction);
    expect(found[i]?.lost.rework).toBeCloseTo(expected.lost.rework, 12);
  }
  expect(await runSimulation({ job, policies, runs, seed: 4, threads: 1 })).toEqual(found);
});

test('tells how far it is', async () => {
  const shares: number[] = [];
  await runSimulation({ job, policies, runs: 30, seed: 1, threads: 2, onProgress: (share) => shares.push(share) });
  expect(shares).toHaveLength(30);
  expect(shares.at(-1)).toBe(1);
  expect(shares.every((share, i) => share > (shares[i - 1] ?? 0))).toBe(true);
});

describe('a simulation ends', () => {
  const endless = {
    job: { ...job, stall_s: { start: 5, end: 6, over_s: 10 } },
    policies: [{ kind: 'fixed', interval_s: 0.01 }],
    runs: 1000,
    seed: 1,
  } as const;

  test('when the signal fires, also in the middle of a run', async () => {
    const stop = new AbortController();
    const running = runSimulation({ ...endless, signal: stop.signal });
    setTimeout(() => stop.abort(), 300);
    await expect(running).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    await expect(runSimulation({ ...endless, signal: stop.signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });

  test('when the signal fires while it starts', async () => {
    const stop = new AbortController();
    const shares: number[] = [];
    const running = runSimulation({ job, policies, runs: 5, seed: 1, signal: stop.signal, onProgress: (share) => shares.push(share) });
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(shares).toEqual([]);
  });

  test('with the code of what went wrong in a worker', async () => {
    const short = { ...job, failures: { kind: 'poisson', mtbf_s: 2 } } as const;
    await expect(runSimulation({ job: short, policies: [{ kind: 'dalyFirst' }], runs: 5, seed: 1 })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('dalyFirst'),
    });
  });

  test.each([
    [{ runs: 0 }, 'runs must be a whole number'],
    [{ runs: 1e15 }, 'runs must be at most 10000000'],
    [{ runs: 1.5 }, 'runs must be a whole number'],
    [{ threads: 0 }, 'threads must be a whole number'],
    [{ seed: -1 }, 'seed must be a whole number'],
    [{ policies: [] }, 'at least one policy'],
    [{ policies: [{ kind: 'best' }] as unknown as PolicySpec[] }, 'There is no policy "best"'],
    [{ job: { ...job, stall_s: Number.NaN } }, 'stall_s must be a finite number'],
  ])('before it begins, with %j', async (wrong, message) => {
    await expect(runSimulation({ job, policies, runs: 2, seed: 1, ...wrong })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });
});

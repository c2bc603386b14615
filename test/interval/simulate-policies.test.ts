/** What policies are told and may answer in the simulator, what the built-in ones do, and what the simulator refuses. */
import { describe, expect, test } from 'vitest';
import { controlled } from '../../src/interval/simulate/controlled.js';
import { FailureTimes } from '../../src/interval/simulate/failure-times.js';
import {
  completeJob,
  type Failures,
  fixed,
  formula,
  oracle,
  type PolicySpec,
  policyOf,
  type SimulatedJob,
  type SimulatedPolicy,
  simulate,
  simulateRuns,
  summariseRuns,
} from '../../src/interval/simulate/index.js';

const poisson: Failures = { kind: 'poisson', mtbf_s: 3600 };

/** Always 20 s, and writes down what it is told. */
function witness(): { policy: SimulatedPolicy; told: unknown[] } {
  const told: unknown[] = [];
  const policy: SimulatedPolicy = {
    name: 'witness',
    start: () => ({
      next_s: ({ now_s }) => {
        told.push(['next', now_s]);
        return 20;
      },
      saved: (save) => told.push(['saved', save]),
      failed: (failure) => told.push(['failed', failure]),
      restored: (restore) => told.push(['restored', restore]),
    }),
  };
  return { policy, told };
}

test('a policy is asked and told in the order of the events', () => {
  const { policy, told } = witness();
  const failures = { kind: 'trace', times_s: [60, 65] } as const;
  simulate({ wall_s: 100, stall_s: 2, persist_s: 5, restart_s: 10, slowdown: 0.5, failures }, policy, { seed: 1 });
  const save = { stall_s: 2, persist_s: 5, slowdown: 0.5 };
  expect(told).toEqual([
    ['next', 0],
    ['next', 22],
    ['saved', { ...save, now_s: 27 }],
    ['next', 46.5],
    ['saved', { ...save, now_s: 51.5 }],
    ['failed', { uptime_s: 60, now_s: 60 }],
    ['failed', { uptime_s: 5, now_s: 65 }],
    ['restored', { restart_s: 10, now_s: 75 }],
    ['next', 75],
    ['next', 97],
  ]);
});

test('the stall that a policy is told has the wait for its turn in it', () => {
  const { policy, told } = witness();
  simulate({ wall_s: 200, stall_s: 2, persist_s: 30, failures: { kind: 'trace', times_s: [] } }, policy, { seed: 1 });
  expect(told.filter((each) => Array.isArray(each) && each[0] === 'saved').slice(0, 2)).toEqual([
    ['saved', { stall_s: 2, persist_s: 30, slowdown: 0, now_s: 52 }],
    ['saved', { stall_s: 10, persist_s: 30, slowdown: 0, now_s: 82 }],
  ]);
});

describe('the oracle', () => {
  const drift = (start: number, factor: number) => ({ start, end: start * factor, over_s: 5 * 86_400 });

  function mean(job: SimulatedJob, policy: SimulatedPolicy): number {
    const [found] = simulateRuns(job, [policy], { seed: 2, from: 0, count: 60 });
    return summariseRuns(found?.usefulFraction ?? new Float64Array(1)).mean;
  }

  test('is worth more than any fixed interval where costs and failures change', () => {
    const failures: Failures = { kind: 'poisson', mtbf_s: drift(40_000, 0.01) };
    const job: SimulatedJob = { wall_s: 5 * 86_400, stall_s: drift(1, 2), restart_s: 20, failures };
    const known = mean(job, oracle());
    const best = Math.max(...Array.from({ length: 12 }, (_, i) => mean(job, fixed(30 * 1.6 ** i))));
    expect(known).toBeGreaterThan(best);
    expect(mean(job, formula('exact'))).toBeLessThan(known - 0.005);
  });

  test('is the exact interval where nothing changes, and no shorter than saves become durable', () => {
    const job: SimulatedJob = { stall_s: 5, persist_s: 60, failures: poisson };
    expect(simulate(job, oracle(), { seed: 1 })).toEqual(simulate(job, formula('exact'), { seed: 1 }));
    const slow: SimulatedJob = { stall_s: 1, persist_s: 600, failures: poisson };
    expect(simulate(slow, oracle(), { seed: 1 }).meanInterval_s).toBeGreaterThan(598);
    expect(simulate(slow, oracle(), { seed: 1 }).lost.saving_s).toBeLessThan(simulate(slow, formula('exact'), { seed: 1 }).lost.saving_s);
  });

  test('where saves take nothing from training, saves whenever it can', () => {
    const found = simulate({ stall_s: 0, persist_s: 60, failures: poisson, wall_s: 1e6 }, oracle(), { seed: 1 });
    expect(found.meanInterval_s).toBe(60);
    // For as long as they cost nothing at all, some interval there must be.
    const free: SimulatedJob = { stall_s: { start: 0, steps: [{ from_s: 5e5, value: 10 }] }, failures: poisson, wall_s: 1e6 };
    const half = simulate({ ...free, stall_s: 10 }, oracle(), { seed: 1 });
    expect(simulate(free, oracle(), { seed: 1 }).usefulFraction).toBeCloseTo((1 + half.usefulFraction) / 2, 2);
  });
});

test('formulas take what they are given in place of what is so', () => {
  const job: SimulatedJob = { stall_s: 5, failures: poisson, wall_s: 1e6 };
  const found = simulate(job, formula('young', { mtbf_s: 360 }), { seed: 1 });
  expect(found).toEqual(simulate(job, fixed(60), { seed: 1 }));
  expect(simulate(job, formula('young', { cost_s: 0.5, mtbf_s: 3600 }), { seed: 1 })).toEqual(found);
});

test('a policy as data is the same policy', () => {
  const job: SimulatedJob = { stall_s: 5, failures: poisson, wall_s: 1e6 };
  const pairs: [PolicySpec, SimulatedPolicy][] = [
    [{ kind: 'fixed', interval_s: 77 }, fixed(77)],
    ...(['young', 'dalyFirst', 'dalyHigher', 'exact'] as const).map((kind): [PolicySpec, SimulatedPolicy] => [{ kind }, formula(kind)]),
    [{ kind: 'oracle' }, oracle()],
  ];
  for (const [spec, policy] of pairs) {
    expect(policyOf(spec).name).toBe(policy.name);
    expect(policyOf({ ...spec, name: 'mine' }).name).toBe('mine');
    expect(simulate(job, policyOf(spec), { seed: 1 })).toEqual(simulate(job, policy, { seed: 1 }));
  }
});

test('the controller knows how many saves the job has in flight, whatever else it is told', () => {
  const job: SimulatedJob = { stall_s: 1, persist_s: 600, maxInFlight: 3, failures: poisson, wall_s: 1e6 };
  const found = simulate(job, controlled({ maxInFlight: 1 }), { seed: 1 });
  expect(found).toEqual(simulate(job, controlled(), { seed: 1 }));
  expect(found).not.toEqual(simulate({ ...job, maxInFlight: 1 }, controlled(), { seed: 1 }));
});

test('restarts may take longer by and by', () => {
  const restart_s = { start: 10, steps: [{ from_s: 60, value: 30 }] };
  const job: SimulatedJob = { wall_s: 200, stall_s: 1, restart_s, failures: { kind: 'trace', times_s: [50, 100] } };
  expect(simulate(job, fixed(20), { seed: 1 }).lost.restart_s).toBe(40);
});

describe('a summary of runs', () => {
  test('has mean, interval and quantiles', () => {
    const values = Float64Array.from({ length: 101 }, (_, i) => ((i * 37) % 101) / 100);
    const { mean, low, high, ...quantiles } = summariseRuns(values);
    expect(mean).toBeCloseTo(0.5, 12);
    expect(quantiles).toEqual({ median: expect.closeTo(0.5, 12), p05: expect.closeTo(0.05, 12), p95: expect.closeTo(0.95, 12) });
    // Variance of 0 to 100 is 101·102/12; t with 100 degrees of freedom is 1.98397.
    const half = (1.98397 * Math.sqrt((101 * 102) / 12 / 101)) / 100;
    expect([low, high]).toEqual([expect.closeTo(0.5 - half, 5), expect.closeTo(0.5 + half, 5)]);
  });

  test('of two runs is wide, of one has no interval, of equal ones no width', () => {
    expect(summariseRuns(Float64Array.of(0.4, 0.6))).toMatchObject({ low: expect.closeTo(0.5 - 1.2706, 3), median: 0.5 });
    expect(summariseRuns(Float64Array.of(0.4))).toEqual({ mean: 0.4, low: null, high: null, median: 0.4, p05: 0.4, p95: 0.4 });
    expect(summariseRuns(new Float64Array(50).fill(0.1))).toMatchObject({ mean: 0.1, low: 0.1, high: 0.1 });
  });

  test('covers the true mean in 95 of 100 cases', () => {
    const job: SimulatedJob = { wall_s: 2e5, stall_s: 5, failures: poisson };
    const [all] = simulateRuns(job, [fixed(200)], { seed: 9, from: 0, count: 8000 });
    const values = all?.usefulFraction ?? new Float64Array(1);
    const truth = summariseRuns(values).mean;
    const covered = Array.from({ length: 400 }, (_, i) => summariseRuns(values.slice(20 * i, 20 * i + 20))).filter(
      ({ low, high }) => (low ?? 1) <= truth && truth <= (high ?? 0),
    );
    expect(covered.length / 400).toBeGreaterThan(0.92);
    expect(covered.length / 400).toBeLessThan(0.98);
  });
});

describe('the simulator refuses', () => {
  const job: SimulatedJob = { stall_s: 5, persist_s: 10, failures: poisson };
  const bad = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number];

  test.each([
    ...bad.map((wall_s) => [{ wall_s }, 'wall_s must be a finite number above 0']),
    ...bad.map((work_s) => [{ work_s }, 'work_s must be a finite number above 0']),
    ...bad.slice(1).map((stall_s) => [{ stall_s }, 'stall_s must be a finite number of at least 0']),
    ...bad.slice(1).map((persist_s) => [{ persist_s }, 'persist_s must be a finite number of at least 0']),
    ...bad.slice(1).map((restart_s) => [{ restart_s }, 'restart_s must be a finite number of at least 0']),
    ...bad.map((mtbf_s) => [{ failures: { kind: 'poisson', mtbf_s } }, 'failures.mtbf_s must be a finite number above 0']),
    ...bad
      .slice(1)
      .map((warning_s) => [{ failures: { ...poisson, warning_s } }, 'failures.warning_s must be a finite number of at least 0']),
    ...[0, -1, Number.NaN, 0.01].map((shape) => [{ failures: { kind: 'weibull', mtbf_s: 1, shape } }, 'failures.shape must be a number']),
    ...[0, 1.5, Number.NaN].map((maxInFlight) => [{ maxInFlight }, 'maxInFlight must be a whole number']),
    ...[-0.1, 1, Number.NaN].map((slowdown) => [{ slowdown }, 'slowdown must be a number from 0 to below 1']),
    [{ slowdown: 0.4, maxInFlight: 3 }, 'training would stand still'],
    [{ wall_s: 5, work_s: 5 }, 'wall_s or work_s long, not both'],
    [{ stall_s: 0, persist_s: 0 }, 'what costs nothing needs no interval'],
    [{ stall_s: { start: 0, end: 5, over_s: 1 } }, 'stall_s.start must be a finite number above 0'],
    [{ stall_s: { start: 1, end: 5, over_s: Number.NaN } }, 'stall_s.over_s must be a finite number above 0'],
    [{ stall_s: { start: 1, steps: [{ from_s: 5, value: -1 }] } }, 'stall_s.steps[0].value must be'],
    [{ stall_s: { start: 1, steps: [5, 5].map((from_s) => ({ from_s, value: 1 })) } }, 'stall_s.steps[1].from_s (5) must be above'],
    [{ stall_s: { start: 1, steps: 5 } }, 'stall_s.steps must be a list'],
    [{ stall_s: { start: 1, steps: [null] } }, 'stall_s.steps[0] takes its numbers by name'],
    [{ stall_s: { start: 1e200, end: 1, over_s: 1000 } }, 'stall_s.start must be from 1e-100 to 1e+100'],
    [{ failures: { kind: 'poisson', mtbf_s: { start: 1e200, end: 1e-200, over_s: 1000 } } }, 'failures.mtbf_s.start must be from'],
    [{ failures: { kind: 'poisson', mtbf_s: { start: 1, end: 1, over_s: 1e-101 } } }, 'failures.mtbf_s.over_s must be from'],
    [{ slowdown: '0.1' }, 'slowdown must be a number from 0 to below 1'],
    [{ synchronous: 'no' }, 'synchronous must be true or false, not "no"'],
    [{ failures: { kind: 'trace', times_s: [1], randomStart: 'no' } }, 'failures.randomStart must be true or false'],
    [{ wall_s: 5, limit_s: 6 }, 'limit_s is for jobs of work_s'],
    [{ limit_s: 6 }, 'limit_s is for jobs of work_s'],
    [{ wall_s: 1e6, failures: { kind: 'poisson', mtbf_s: 0.0099 } }, 'are more than 100000000, which there is no room for. Make the job'],
    [{ work_s: 1e6, failures: { kind: 'weibull', shape: 0.7, mtbf_s: 0.0099 } }, 'expected in 1000000 s, are more than'],
    [
      { wall_s: 1e6, failures: { kind: 'poisson', mtbf_s: { start: 1, steps: [{ from_s: 5e5, value: 0.0049 }] } } },
      'that are expected in 1000000 s',
    ],
    [{ wall_s: 1e6, failures: { kind: 'trace', times_s: [0.0099], randomStart: true } }, 'that are expected in 1000000 s'],
    [{ failures: { kind: 'toString' } }, 'failures.kind must be one of poisson, weibull, trace, not toString'],
    [{ failures: null }, 'failures.kind must be one of'],
    [{ failures: undefined }, 'failures.kind must be one of poisson, weibull, trace'],
    [{ failures: { kind: 'meteor' } }, 'failures.kind must be one of'],
    [{ failures: { kind: 'trace', times_s: [5, 4] } }, 'must ascend'],
    [{ failures: { kind: 'trace', times_s: [Number.NaN] } }, 'must ascend'],
    [{ failures: { kind: 'trace', times_s: [5], period_s: 4 } }, 'period_s must be at least'],
    [{ failures: { kind: 'trace', times_s: [], randomStart: true } }, 'randomStart needs a trace of some length'],
  ] as [object, string][])('%j: %s', (wrong, message) => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(message) });
    expect(() => simulate({ ...job, ...wrong }, fixed(60), { seed: 1 })).toThrow(refused);
  });

  test.each([
    [{ stall: 5 }, 'no option "stall"'],
    [{ failures: { ...poisson, shape: 1 } }, 'no option "shape"'],
  ])('%j, which is misspelled', (wrong, message) => {
    const refused = expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION', message: expect.stringContaining(message) });
    expect(() => simulate({ ...job, ...wrong }, fixed(60), { seed: 1 })).toThrow(refused);
  });

  test.each(bad)('an interval of %s', (interval_s) => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    expect(() => fixed(interval_s)).toThrow(refused);
    const policy: SimulatedPolicy = { name: 'bad', start: () => ({ next_s: () => interval_s as number }) };
    expect(() => simulate(job, { ...policy, constant_s: () => undefined }, { seed: 1 })).toThrow(refused);
    // Also if it is one throughout, which no run asks for again.
    const constant: SimulatedPolicy = { ...fixed(60), name: 'bad', constant_s: () => interval_s as number };
    expect(() => simulate(job, constant, { seed: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('The policy bad gave') }),
    );
    expect(() => simulateRuns(job, [constant], { seed: 1, from: 0, count: 1 })).toThrow(refused);
  });

  test('what is no policy, no options, and no runs', () => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    const nothing = [undefined, null, 'fixed', {}] as never[];
    for (const policy of nothing) expect(() => simulate(job, policy, { seed: 1 })).toThrow(refused);
    for (const spec of [...nothing, { kind: 'toString' } as never]) expect(() => policyOf(spec)).toThrow(refused);
    for (const options of nothing) expect(() => simulate(job, fixed(60), options)).toThrow(refused);
    for (const policies of nothing) expect(() => simulateRuns(job, policies, { seed: 1, from: 0, count: 1 })).toThrow(refused);
    for (const range of nothing) expect(() => simulateRuns(job, [fixed(60)], range)).toThrow(refused);
    expect(() => simulateRuns(job, [fixed(60)], { seed: 1, from: 0, count: 1e15 })).toThrow(/count must be at most 10000000/);
    for (const values of [[], undefined] as never[]) expect(() => summariseRuns(values)).toThrow(refused);
  });

  test('failures without end, before they fill the memory', () => {
    const times = new FailureTimes({ kind: 'poisson', mtbf_s: 1 }, 2000);
    expect(times.at(1999)).toBeGreaterThan(1500);
    expect(() => times.at(2000)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });

  test('nothing that can be: a complete job, and as many steps as one likes', () => {
    const complete = completeJob(job);
    expect(completeJob(complete as SimulatedJob)).toEqual(complete);
    const steps = Array.from({ length: 300_000 }, (_, i) => ({ from_s: i + 1, value: 1 + (i % 7) }));
    expect(completeJob({ ...job, stall_s: { start: 1, steps } }).stall_s).toMatchObject({ start: 1 });
  });

  test('formulas without an interval, and names that are none', () => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    expect(() => simulate({ ...job, failures: { kind: 'poisson', mtbf_s: 2 } }, formula('dalyFirst'), { seed: 1 })).toThrow(refused);
    expect(() => simulate({ ...job, failures: { kind: 'trace', times_s: [] } }, formula('exact'), { seed: 1 })).toThrow(
      /the trace has none/,
    );
    expect(() => formula('best' as 'exact')).toThrow(refused);
    expect(() => policyOf({ kind: 'best' } as unknown as PolicySpec)).toThrow(refused);
    for (const seed of [-1, 0.5, Number.NaN]) expect(() => simulate(job, fixed(60), { seed })).toThrow(refused);
  });
});

test('auto is told of lives as a manager is: not of those that die in their restart', () => {
  const times_s = [5000, 5010, 5020, 5030, 5040];
  const job: SimulatedJob = { wall_s: 12_000, stall_s: 10, restart_s: 60, failures: { kind: 'trace', times_s } };
  const once: SimulatedJob = { ...job, failures: { kind: 'trace', times_s: [5000] } };
  const [found, compared] = [job, once].map((each) => simulate(each, controlled(), { seed: 1 }));
  expect(found?.failures).toBe(5);
  // Forty seconds later, and that is all.
  expect(found?.saves).toBe(compared?.saves);
});

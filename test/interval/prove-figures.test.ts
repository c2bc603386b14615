/** The proof by real failures, its arithmetic: schedules, useful fractions and their intervals, against lives that are worked out by hand or simulated. */
import { describe, expect, test } from 'vitest';
import { analyse } from '../../bench/prove-interval/analysis.mjs';
import { pairedInterval } from '../../bench/prove-interval/bootstrap.mjs';
import { realisedFraction, replayedFraction } from '../../bench/prove-interval/fraction.mjs';
import { compareLosses, type LifeEvent, type LifeRecord, recordLife, violationsOf } from '../../bench/prove-interval/record.mjs';
import { killTimes, planTurns } from '../../bench/prove-interval/schedule.mjs';
import { exactInterval_s, usefulFraction } from '../../src/interval/index.js';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('the times of kills', () => {
  const times = killTimes({ seed: 3, mtbf_s: 25, total_s: 900 });

  test('are the same for the same seed, and others for another', () => {
    expect(killTimes({ seed: 3, mtbf_s: 25, total_s: 900 })).toEqual(times);
    expect(killTimes({ seed: 4, mtbf_s: 25, total_s: 900 })).not.toEqual(times);
  });

  test('are exponential: one of them in each n-th of the distribution, in no order, and as much in all as was asked for', () => {
    const shares = times.map((time_s) => 1 - Math.exp(-time_s / 25));
    expect(shares.map((share) => Math.floor(share * times.length)).sort((a, b) => a - b)).toEqual(times.map((_, i) => i));
    expect(times).not.toEqual([...times].sort((a, b) => a - b));
    expect(sum(times)).toBeGreaterThanOrEqual(900);
    expect(sum(times)).toBeLessThanOrEqual(918);
  });

  test('need room for two lives', () => {
    expect(() => killTimes({ seed: 1, mtbf_s: 25, total_s: 49 })).toThrow(RangeError);
    expect(killTimes({ seed: 1, mtbf_s: 25, total_s: 50 })).toHaveLength(2);
  });
});

describe('the turns', () => {
  const times = killTimes({ seed: 1, mtbf_s: 25, total_s: 900 });

  test.each([
    [6, 1],
    [6, 2],
    [5, 2],
    [6, 4],
  ])('of %i policies in %i lanes: every policy lives every life once, in order, never two in one lane', (policies, lanes) => {
    const turns = planTurns({ seed: 1, policies, times, lanes });
    for (const { places } of turns) expect(new Set(places.map(({ lane }) => lane)).size).toBe(places.length);
    for (let policy = 0; policy < policies; policy++) {
      const own = turns.filter(({ places }) => places.some((place) => place.policy === policy));
      expect(own.map(({ life }) => life)).toEqual(times.map((_, i) => i));
      expect(own.map(({ time_s }) => time_s)).toEqual(times);
    }
  });

  test('give each policy the same time in each lane, and other neighbours', () => {
    const turns = planTurns({ seed: 1, policies: 6, times, lanes: 2 });
    for (let policy = 0; policy < 6; policy++) {
      const own = turns.flatMap(({ places, time_s }) =>
        places.filter((place) => place.policy === policy).map(({ lane }) => ({ lane, time_s })),
      );
      const first_s = sum(own.filter(({ lane }) => lane === 0).map(({ time_s }) => time_s));
      expect(first_s / sum(times)).toBeGreaterThan(0.45);
      expect(first_s / sum(times)).toBeLessThan(0.55);
      const neighbours = turns.flatMap(({ places }) => {
        const all = places.map((place) => place.policy);
        return all.includes(policy) ? all.filter((each) => each !== policy) : [];
      });
      expect(new Set(neighbours).size).toBe(5);
    }
  });
});

describe('the useful fraction', () => {
  test('is what of the steps is kept, by the time of all lives', () => {
    const lives = [
      { fromStep: 0, durableStep: 100, wall_s: 10 },
      // Killed before it had a checkpoint of its own.
      { fromStep: 100, durableStep: 100, wall_s: 2 },
      { fromStep: 100, durableStep: 400, wall_s: 28 },
    ];
    expect(realisedFraction(lives, 0.05)).toBeCloseTo((400 * 0.05) / 40, 12);
  });

  test('of the model is counted in whole intervals that are durable', () => {
    const model = { interval_s: 4, cost_s: 1, restart_s: 2, persist_s: 0 };
    expect(replayedFraction(model, [1, 6.9, 7, 11.9, 12])).toBeCloseTo((4 * (0 + 0 + 1 + 1 + 2)) / 38.8, 12);
    expect(replayedFraction({ ...model, persist_s: 0.5 }, [7, 7.5])).toBeCloseTo(4 / 14.5, 12);
  });

  test('of the model is that of the formula over many lives', () => {
    const times = killTimes({ seed: 1, mtbf_s: 25, total_s: 500_000 });
    for (const interval_s of [1, 4.2, 17]) {
      const expected = usefulFraction({ interval_s, stall_s: 0.4, persist_s: 0.3, restart_s: 1.5, mtbf_s: 25 });
      expect(replayedFraction({ interval_s, cost_s: 0.4, restart_s: 1.5, persist_s: 0.3 }, times) / expected).toBeCloseTo(1, 2);
    }
  });
});

describe('the bootstrap', () => {
  const mean = (values: readonly number[]) => sum(values) / values.length;
  const noise = [3, 9, 4, 7, 1, 8, 2, 6, 5, 10];

  test('gives the interval of a mean: about 1.96 of its standard errors to each side', () => {
    const { low, high } = pairedInterval([noise], ([drawn = []]) => mean(drawn));
    const error = Math.sqrt(mean(noise.map((value) => (value - 5.5) ** 2)) / noise.length);
    expect((high - low) / (2 * 1.96 * error)).toBeGreaterThan(0.9);
    expect((high - low) / (2 * 1.96 * error)).toBeLessThan(1.1);
    expect(pairedInterval([noise], ([drawn = []]) => mean(drawn))).toEqual({ low, high });
  });

  test('draws the same lives of all policies: a ratio that every life has is sure', () => {
    const ratio = ([a = [], b = []]: readonly (readonly number[])[]) => mean(b) / mean(a);
    const { low, high } = pairedInterval([noise, noise.map((value) => 2 * value)], ratio);
    expect(low).toBeCloseTo(2, 12);
    expect(high).toBeCloseTo(2, 12);
  });
});

describe('a life', () => {
  const event = (event: string, step: number, at_s: number, more: object = {}): LifeEvent => ({ event, step, at_s, ...more });
  const save = { steps: 4, work_s: 0.4, cost_s: 0.1, persist_s: 0, interval_s: 1 };
  const events = [
    event('restored', 8, 1, { skipped: 0 }),
    event('saving', 10, 1.2, { loss: 2 }),
    event('saved', 10, 1.3, save),
    event('step', 12, 1.5, { loss: 1.5 }),
    event('saving', 14, 1.7, { loss: 1.25 }),
  ];
  const facts = { life: 3, lane: 1, wall_s: 1.8, fromStep: 8, events };

  test('is kept in numbers', () => {
    const record = recordLife({ ...facts, durableStep: 10 });
    expect(record).toMatchObject({ restoredStep: 8, lastStep: 12, acknowledgedStep: 10, sign: { step: 12, at_s: 1.5, saves: 1 } });
    expect(record.saves).toEqual([{ step: 10, ...save }]);
    const early = recordLife({ ...facts, durableStep: 8, events: [] });
    expect(early).toMatchObject({ restoredStep: null, lastStep: null, acknowledgedStep: null, sign: null, saves: [] });
  });

  test.each([
    ['the last acknowledged', 10, []],
    ['a later one that was durable before anybody heard of it', 14, []],
    ['one before the last acknowledged', 8, ['acknowledged step 10, and the newest checkpoint after the kill is of step 8']],
    ['one that nobody has made', 12, ['left a checkpoint of step 12, which it never began']],
  ])('leaves %s', (_, durableStep, wrong) => {
    expect(violationsOf(recordLife({ ...facts, durableStep }), events)).toEqual(wrong);
  });

  test('must go on from what the one before has left, and from nothing damaged', () => {
    expect(violationsOf(recordLife({ ...facts, fromStep: 9, durableStep: 10 }), events)).toEqual([
      'went on from step 8, and step 9 was durable',
    ]);
    const past = [event('restored', 8, 1, { skipped: 2 }), ...events.slice(1)];
    expect(violationsOf(recordLife({ ...facts, events: past, durableStep: 10 }), past)).toEqual(['passed over 2 damaged checkpoints']);
  });

  test('says the same losses as those before it, if it is the same training', () => {
    const known = new Map<number, number>();
    expect(compareLosses(known, events)).toEqual({ compared: 0, different: 0 });
    expect(compareLosses(known, events)).toEqual({ compared: 3, different: 0 });
    expect(compareLosses(known, [event('step', 12, 1, { loss: 1.5000001 })])).toEqual({ compared: 1, different: 1 });
  });
});

describe('the analysis', () => {
  const model = { cost_s: 0.4, restart_s: 1.5, mtbf_s: 25 };
  const step_s = 0.025;
  const times = killTimes({ seed: 2, mtbf_s: 25, total_s: 900 });

  /** Lives that keep exactly to the model. */
  function livesOf(wanted_s: number): LifeRecord[] {
    const steps = Math.round(wanted_s / step_s);
    const interval_s = steps * step_s;
    let fromStep = 0;
    return times.map((wall_s, life) => {
      const count = Math.max(0, Math.floor((wall_s - model.restart_s) / (interval_s + model.cost_s)));
      const restoredStep = fromStep;
      const durableStep = fromStep + count * steps;
      const saves = Array.from({ length: count }, (_, i) => ({
        ...{ step: restoredStep + (i + 1) * steps, steps, work_s: interval_s, cost_s: model.cost_s, persist_s: 0, interval_s },
      }));
      const sign = { step: durableStep, at_s: model.restart_s + count * (interval_s + model.cost_s), saves: count };
      fromStep = durableStep;
      const acknowledgedStep = count === 0 ? null : durableStep;
      const more = { restored_s: 1, lastStep: durableStep, sign, acknowledgedStep, saves };
      return { life, lane: 0, wall_s, fromStep: restoredStep, durableStep, restoredStep, ...more };
    });
  }

  const best_s = exactInterval_s({ cost_s: model.cost_s, mtbf_s: model.mtbf_s });
  const policies = [0.25, 1, 4].map((factor) => ({ name: `x${factor}`, kind: 'fixed' as const, factor, lives: livesOf(factor * best_s) }));
  const calibration = { steady: [{ step_s, restart_s: model.restart_s }], cost: { cost_s: 9, persist_s: 0 } };
  const settings = { mtbf: 25, mode: 'sync' as const };
  const controller = { name: 'auto', kind: 'auto' as const, lives: livesOf(best_s * 1.3) };
  const analysis = analyse({ settings, calibration, times, policies: [...policies, controller] });

  test('finds what the lives were made of', () => {
    expect(analysis?.model).toMatchObject({ cost_s: expect.closeTo(0.4, 10), persist_s: 0, restart_s: 1.5, mtbf_s: 25 });
    expect(analysis?.model.fitted?.perSave_s).toBeCloseTo(0.4, 1);
    expect(analysis?.model.fitted?.restart_s).toBeCloseTo(1.5, 1);
  });

  test('of lives that keep to the model: realised is replayed, and predicted within the interval', () => {
    for (const row of analysis?.rows ?? []) {
      expect(row.realised / (row.replayed as number)).toBeCloseTo(1, 2);
      expect(row.predicted).toBeGreaterThan(row.low);
      expect(row.predicted).toBeLessThan(row.high);
    }
    expect(analysis?.rows).toHaveLength(4);
    expect(analysis?.curve[0]?.interval_s).toBeLessThan(0.25 * best_s);
  });

  test('compares the controller with the best of the grid', () => {
    const [, best, , auto] = analysis?.rows ?? [];
    expect(analysis?.comparison).toMatchObject({ best: 'x1', bar: 0.97, ratio: (auto?.realised as number) / (best?.realised as number) });
    const worst = analyse({ settings, calibration, times, policies: [...policies, { ...controller, lives: livesOf(best_s * 6) }] });
    expect(worst?.comparison?.met).toBe(false);
    expect(worst?.comparison?.high).toBeLessThan(0.97);
  });

  test('says nothing before there are two lives of each, and compares nothing without a controller', () => {
    const short = policies.map((policy, i) => ({ ...policy, lives: policy.lives.slice(0, i + 1) }));
    expect(analyse({ settings, calibration, times, policies: short })).toBeUndefined();
    expect(analyse({ settings, calibration, times, policies })?.comparison).toBeNull();
  });
});

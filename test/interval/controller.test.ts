/** The controller: what moves the interval, what holds it, and that it is never nonsense. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ControllerOptions, IntervalController } from '../../src/interval/controller.js';
import { FailureEstimate } from '../../src/interval/failure-estimate.js';
import { exactInterval_s } from '../../src/interval/optimal.js';
import { recommendInterval } from '../../src/interval/recommend.js';
import { thrown } from '../helpers/errors.js';

const DAY_S = 86_400;

/** After `count` saves that blocked for `stall_s` and were durable `persist_s` later. */
function afterSaves(options: ControllerOptions, stall_s: number, persist_s = 0, slowdown = 0, count = 9): IntervalController {
  const controller = new IntervalController(options);
  for (let i = 0; i < count; i++) controller.saved({ stall_s, persist_s, slowdown });
  return controller;
}

describe('the interval', () => {
  it('is the optimum of what saves cost and how often the run fails', () => {
    const { interval_s, decision } = afterSaves({ mtbf_s: DAY_S }, 5);
    expect(interval_s).toBe(exactInterval_s({ cost_s: 5, mtbf_s: DAY_S }));
    expect(decision.reason).toBe('optimum');
  });

  it('counts what slows training down while a save is written', () => {
    expect(afterSaves({ mtbf_s: DAY_S }, 1, 20, 0.25).interval_s).toBe(exactInterval_s({ cost_s: 6, mtbf_s: DAY_S }));
  });

  it('takes the slowdown of other saves where that of one was not seen', () => {
    const controller = afterSaves({ mtbf_s: DAY_S }, 1, 20, 0.25);
    controller.saved({ stall_s: 1, persist_s: 20 });
    expect(controller.decision.cost?.cost_s).toBeCloseTo(6, 9);
  });

  it('follows costs and failures, both ways', () => {
    const controller = afterSaves({}, 5);
    const [before, up] = [controller.interval_s, afterSaves({}, 50).interval_s];
    expect(up / before).toBeCloseTo(Math.sqrt(10), 1);
    for (let i = 0; i < 9; i++) controller.saved({ stall_s: 50, persist_s: 0 });
    expect(Math.abs(controller.interval_s / up - 1)).toBeLessThan(0.1);
    for (let i = 0; i < 30; i++) {
      controller.exposed(3600);
      controller.failed();
    }
    expect(controller.interval_s / exactInterval_s({ cost_s: 50, mtbf_s: 3600 })).toBeCloseTo(1, 0);
    for (let i = 0; i < 9; i++) controller.saved({ stall_s: 5, persist_s: 0 });
    expect(controller.interval_s).toBeLessThan(up / 2);
  });

  it('stays as it is for small changes', () => {
    const controller = afterSaves({ mtbf_s: DAY_S }, 5);
    const { interval_s } = controller;
    for (let i = 0; i < 9; i++) controller.saved({ stall_s: 5.6, persist_s: 0 });
    expect(controller.interval_s).toBe(interval_s);
    for (let i = 0; i < 9; i++) controller.saved({ stall_s: 7, persist_s: 0 });
    expect(controller.interval_s).toBeGreaterThan(interval_s);
  });

  it('does not move for a single save that took ten times as long', () => {
    const controller = afterSaves({ mtbf_s: DAY_S }, 5);
    const { interval_s } = controller;
    controller.saved({ stall_s: 50, persist_s: 0 });
    expect(controller.interval_s).toBe(interval_s);
  });

  it('is that of the failures given, whatever happens, where they are given', () => {
    const controller = afterSaves({ mtbf_s: DAY_S }, 5);
    const { interval_s } = controller;
    for (let i = 0; i < 20; i++) {
      controller.exposed(60);
      controller.failed();
    }
    expect(controller.interval_s).toBe(interval_s);
    expect(controller.decision.mtbf).toMatchObject({ mtbf_s: DAY_S, failures: 20, uptime_s: 1200 });
  });
});

describe('limits', () => {
  it('a save has to be durable before the next one: τ + c ≥ P / N', () => {
    expect(afterSaves({ mtbf_s: 60 }, 1, 100).decision).toMatchObject({ interval_s: 99, reason: 'inFlight' });
    expect(afterSaves({ mtbf_s: 60, maxInFlight: 4 }, 1, 100).decision).toMatchObject({ interval_s: 24, reason: 'inFlight' });
  });

  it('what slows training down while it is written is time in which there is no work: τ + c + σP ≥ P / N', () => {
    expect(afterSaves({ mtbf_s: 60 }, 1, 100, 0.25).decision).toMatchObject({ interval_s: 74, reason: 'inFlight' });
    // Training waits for all of it: the next save cannot come too early.
    const { interval_s, reason } = afterSaves({ mtbf_s: 60 }, 1, 100, 1).decision;
    expect([interval_s, reason]).toEqual([exactInterval_s({ cost_s: 101, mtbf_s: 60 }), 'optimum']);
    expect(recommendInterval({ stall_s: 1, persist_s: 100, slowdown: 1, mtbf_s: 60 }).interval.recommended_s).toBe(interval_s);
  });

  it('hold although the interval would stay for a small change', () => {
    const budget = afterSaves({ mtbf_s: 600, maxOverhead: 0.01 }, 5);
    for (let i = 0; i < 9; i++) budget.saved({ stall_s: 5.4, persist_s: 0 });
    expect(budget.interval_s).toBeCloseTo(540, 9);
    const inFlight = afterSaves({ mtbf_s: 60 }, 1, 100);
    for (let i = 0; i < 9; i++) inFlight.saved({ stall_s: 1, persist_s: 105 });
    expect(inFlight.interval_s).toBe(104);
    for (let i = 0; i < 9; i++) inFlight.saved({ stall_s: 1, persist_s: 100 });
    expect(inFlight.interval_s).toBe(104);
  });

  it('saving takes no more than maxOverhead', () => {
    expect(afterSaves({ mtbf_s: 600, maxOverhead: 0.01 }, 5).decision).toMatchObject({ interval_s: 500, reason: 'maxOverhead' });
  });

  it('minInterval and maxInterval hold', () => {
    expect(afterSaves({ mtbf_s: 600, minInterval_s: 300 }, 5).decision).toMatchObject({ interval_s: 300, reason: 'minInterval' });
    expect(afterSaves({ mtbf_s: 600, maxInterval_s: 30 }, 5).decision).toMatchObject({ interval_s: 30, reason: 'maxInterval' });
  });

  it('the longest interval holds whatever else would make it longer, also where nobody gave one', () => {
    expect(afterSaves({ mtbf_s: 600, maxInterval_s: 30, maxOverhead: 0.001 }, 5).decision).toMatchObject({
      interval_s: 30,
      reason: 'maxInterval',
    });
    expect(afterSaves({ mtbf_s: 1e9 }, 300).interval_s).toBe(12 * 3600);
  });
});

describe('measurements that are noise', () => {
  it('below zero are as good as those above: their mean counts', () => {
    const controller = new IntervalController({ mtbf_s: DAY_S });
    for (const slowdown of [0.3, -0.3, 0.2, -0.2, 0.1, -0.1, 0.4, -0.4, 0]) controller.saved({ stall_s: 0.05, persist_s: 60, slowdown });
    expect(controller.decision.cost?.slowdown).toBeCloseTo(0, 9);
    expect(controller.decision.cost?.cost_s).toBeCloseTo(0.05, 9);
    expect(controller.decision.cost?.low_s).toBe(0.05);
  });

  it('never make a save cost less than its stall', () => {
    expect(afterSaves({ mtbf_s: DAY_S }, 2, 30, -0.5).decision.cost).toMatchObject({ slowdown: 0, cost_s: 2, low_s: 2, high_s: 2 });
  });
});

describe('lives that end before they have saved anything', () => {
  /** Lives of `life_s` each, behind the one that has learned what a save costs; gives how many were in vain before the first that saved. */
  function inVain(controller: IntervalController, life_s: number): number {
    controller.restored(1);
    for (let lives = 0; ; lives++) {
      if (controller.interval_s < life_s || lives > 100) return lives;
      controller.exposed(life_s);
      controller.failed();
      controller.restored(1);
    }
  }

  it('are two, not dozens, whatever the prior says', () => {
    for (const [life_s, cost_s] of [
      [600, 60],
      [300, 30],
      [60, 10],
      [600, 5],
    ] as const) {
      const controller = afterSaves({}, cost_s);
      expect(controller.interval_s).toBeGreaterThan(life_s);
      expect(inVain(controller, life_s)).toBe(2);
      expect(controller.interval_s).toBeCloseTo(exactInterval_s({ cost_s, mtbf_s: life_s }), 6);
      expect(controller.decision.mtbf).toMatchObject({ isPriorLeftOut: true, failures: 2 });
      expect(controller.decision.mtbf.mtbf_s).toBeCloseTo(life_s, 4);
    }
  });

  it('are no reason to save that often for ever: a run that goes on is believed, and the prior comes back', () => {
    const controller = afterSaves({}, 60);
    const { interval_s } = controller;
    inVain(controller, 600);
    for (let hour = 0; hour < 48; hour++) {
      controller.exposed(3600);
      controller.saved({ stall_s: 60, persist_s: 0 });
    }
    expect(controller.decision.mtbf.isPriorLeftOut).toBe(false);
    expect(controller.interval_s).toBeGreaterThan(0.9 * interval_s);
  });

  it('are none where the life had saved, where it is told that it has not failed, and where the failures are given', () => {
    for (const tell of [
      (controller: IntervalController) => controller.lived({ seconds: 600, hasSaved: true, hasFailed: true }),
      (controller: IntervalController) => controller.lived({ seconds: 600, hasSaved: false, hasFailed: false }),
    ]) {
      const controller = afterSaves({}, 60);
      for (let i = 0; i < 3; i++) tell(controller);
      expect(controller.decision.mtbf.isPriorLeftOut).toBe(false);
    }
    const given = afterSaves({ mtbf_s: DAY_S }, 60);
    const { interval_s } = given;
    for (let i = 0; i < 3; i++) given.lived({ seconds: 600, hasSaved: false, hasFailed: true });
    expect(given.interval_s).toBe(interval_s);
    expect(given.decision.mtbf.isPriorLeftOut).toBe(false);
  });

  it('would be 18 by the prior: ten minutes each, and saves that cost one', () => {
    const estimate = new FailureEstimate();
    let lives = 0;
    for (; exactInterval_s({ cost_s: 60, mtbf_s: estimate.mtbf_s }) > 600; lives++) {
      estimate.exposed(600);
      estimate.failed();
    }
    expect(lives).toBe(18);
  });

  it('are chance where there is only one of them, or one that had saved in between', () => {
    const controller = afterSaves({}, 60);
    for (const hasSaved of [false, true, false, true]) controller.lived({ seconds: 600, hasSaved, hasFailed: true });
    expect(controller.decision.mtbf.isPriorLeftOut).toBe(false);
  });

  it('that failed at once are no reason to save all the time', () => {
    const controller = afterSaves({}, 30);
    const { interval_s } = controller;
    for (let i = 0; i < 10; i++) {
      controller.restored(1);
      controller.exposed(0.05);
      controller.failed();
    }
    expect(controller.decision.mtbf).toMatchObject({ isPriorLeftOut: false, failures: 10 });
    expect(controller.interval_s).toBeGreaterThan(interval_s / 4);
  });

  it('tell the same live, as a history, and where it only turns out later that one had failed', () => {
    const live = afterSaves({}, 60);
    const history = afterSaves({}, 60);
    const late = afterSaves({}, 60);
    for (const [seconds, hasSaved] of [
      [5000, true],
      [600, false],
      [700, false],
      [900, true],
      [300, false],
    ] as const) {
      live.restored(1);
      live.exposed(seconds);
      if (hasSaved) live.saved({ stall_s: 60, persist_s: 0 });
      live.failed();
      history.lived({ seconds, hasSaved, hasFailed: true });
      late.lived({ seconds, hasSaved, hasFailed: false });
      late.failed({ seconds, hasSaved });
    }
    expect(history.decision.mtbf).toEqual(live.decision.mtbf);
    expect(late.decision.mtbf).toEqual(live.decision.mtbf);
    // But for the tenth by which an interval stays what it was.
    for (const { interval_s } of [history, late]) expect(Math.abs(Math.log(interval_s / live.interval_s))).toBeLessThan(Math.log(1.1));
    expect(live.decision.mtbf.isPriorLeftOut).toBe(true);
  });

  it('that take no time at all are no reason for nonsense', () => {
    const controller = afterSaves({}, 1);
    for (let i = 0; i < 20_000; i++) controller.lived({ seconds: 0, hasSaved: i % 2 === 0, hasFailed: true });
    expect(controller.interval_s).toBeGreaterThan(0);
    const { low_s, mtbf_s, high_s } = controller.decision.mtbf;
    expect([low_s <= mtbf_s, mtbf_s <= high_s]).toEqual([true, true]);
  });
});

describe('before the first save', () => {
  it('the interval is short, so that its cost becomes known', () => {
    expect(new IntervalController().decision).toMatchObject({ interval_s: 10, reason: 'firstSave', cost: undefined });
    expect(new IntervalController({ minInterval_s: 300 }).interval_s).toBe(300);
    expect(new IntervalController({ maxInterval_s: 3 }).interval_s).toBe(3);
  });

  it('failures make it shorter still: who never gets to save learns nothing', () => {
    const controller = new IntervalController();
    for (let i = 0; i < 200; i++) {
      controller.exposed(10);
      controller.failed();
    }
    expect(controller.interval_s).toBeLessThan(6);
  });
});

describe('what is no number', () => {
  it.each([
    [{ mtbf_s: Number.NaN }, 'mtbf_s'],
    [{ mtbf_s: 0 }, 'mtbf_s'],
    [{ maxInterval_s: Number.NaN }, 'maxInterval_s'],
    [{ maxInterval_s: 0 }, 'maxInterval_s'],
    [{ minInterval_s: -1 }, 'minInterval_s'],
    [{ minInterval_s: Number.POSITIVE_INFINITY }, 'minInterval_s'],
    [{ minInterval_s: 50_000 }, 'minInterval_s must be at most maxInterval_s'],
    [{ maxOverhead: 1 }, 'maxOverhead'],
    [{ maxInFlight: 0 }, 'maxInFlight'],
    [{ prior: { mtbf_s: Number.NaN, weight: 1 } }, 'mtbf_s'],
    [{ prior: { mtbf_s: 3600, weight: 0 } }, 'weight'],
    [{ prior: { mtbf_s: 3600 } }, 'weight'],
  ])('%j is refused', (options, what) => {
    expect(thrown(() => new IntervalController(options as never), 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });

  it.each([{ maxIntervall_s: 5 }, { prior: { mtbf_s: 1, wight: 1 } }])('%j is misspelled', (options) => {
    expect(thrown(() => new IntervalController(options as never), 'ERR_UNKNOWN_OPTION').message).toMatch(
      /Did you mean "(maxInterval_s|weight)"\?/,
    );
  });

  it.each([
    ['stall_s', (controller: IntervalController) => controller.saved({ stall_s: Number.NaN, persist_s: 1 })],
    ['persist_s', (controller: IntervalController) => controller.saved({ stall_s: 1, persist_s: -1 })],
    ['slowdown', (controller: IntervalController) => controller.saved({ stall_s: 1, persist_s: 1, slowdown: 1.5 })],
    ['slowdown', (controller: IntervalController) => controller.saved({ stall_s: 1, persist_s: 1, slowdown: Number.NaN })],
    ['seconds', (controller: IntervalController) => controller.lived({ seconds: -1, hasSaved: true, hasFailed: true })],
    ['restart_s', (controller: IntervalController) => controller.restored(Number.POSITIVE_INFINITY)],
    ['seconds', (controller: IntervalController) => controller.exposed(-5)],
    ['seconds', (controller: IntervalController) => controller.exposed(Number.NaN)],
  ])('%s that it is told is refused, and everything stays as it was', (what, tell) => {
    const controller = afterSaves({}, 5);
    controller.restored(30);
    const before = controller.decision;
    expect(thrown(() => tell(controller), 'ERR_INVALID_ARGUMENT').message).toContain(what);
    expect(controller.decision).toEqual(before);
    controller.failed();
    expect(Number.isFinite(controller.interval_s)).toBe(true);
  });
});

it('is never anything but a length of time within its limits, whatever it is told', () => {
  const amount = fc.double({ min: 0, max: 1e9, noNaN: true });
  const event = fc.oneof(
    fc.record({
      kind: fc.constant('saved' as const),
      stall_s: amount,
      persist_s: amount,
      slowdown: fc.option(fc.double({ min: -1, max: 1, noNaN: true }), { nil: undefined }),
    }),
    fc.record({ kind: fc.constant('exposed' as const), seconds: amount }),
    fc.record({ kind: fc.constant('failed' as const) }),
    fc.record({ kind: fc.constant('restored' as const), seconds: amount }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const controller = new IntervalController({ minInterval_s: 1, maxInterval_s: 1e5 });
      for (const each of events) {
        if (each.kind === 'saved') controller.saved(each);
        if (each.kind === 'exposed') controller.exposed(each.seconds);
        if (each.kind === 'failed') controller.failed();
        if (each.kind === 'restored') controller.restored(each.seconds);
        expect(controller.interval_s).toBeGreaterThanOrEqual(1);
        expect(controller.interval_s).toBeLessThanOrEqual(1e5);
        expect(Number.isFinite(controller.decision.mtbf.mtbf_s)).toBe(true);
      }
    }),
  );
});

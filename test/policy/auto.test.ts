/** The trigger auto: what it takes, and when it is due. */
import { describe, expect, it } from 'vitest';
import { allOf, anyOf, auto, every } from '../../src/index.js';
import type { IntervalReason } from '../../src/interval/index.js';
import { thrown } from '../helpers/errors.js';
import { facts } from './facts.js';

interface Moment {
  readonly step_s?: number;
  readonly step?: number;
  readonly previousSave?: number;
  readonly reason?: IntervalReason;
  readonly isMeasuring?: boolean;
}

const at = (interval_s: number, worked_s: number, { step_s, reason = 'optimum', isMeasuring = false, ...more }: Moment = {}) =>
  facts({ ...more, previous: { step: (more.step ?? 10) - 1, epoch: 0 }, interval: { interval_s, reason, worked_s, step_s, isMeasuring } });

describe('auto', () => {
  it('is due when the interval has gone by', () => {
    expect(auto().due(at(100, 99))).toBeUndefined();
    expect(auto().due(at(100, 100))).toBe('100 s have gone by since the last save, of an interval of 100 s');
  });

  it('is due at the step that is nearest to the moment', () => {
    expect(auto().due(at(100, 94, { step_s: 10 }))).toBeUndefined();
    expect(auto().due(at(100, 96, { step_s: 10 }))).toContain('of an interval of 100 s');
  });

  it('waits until it is seen what saves cost, but not beyond the longest interval', () => {
    for (const trigger of [auto({ maxInterval: { minutes: 10 } }), auto({ maxInterval: { minutes: 10 }, unit: 'steps' })]) {
      const seen = { step_s: 1, step: 200, previousSave: 20 };
      expect(trigger.due(at(100, 180, seen))).toBeDefined();
      expect(trigger.due(at(100, 180, { ...seen, isMeasuring: true }))).toBeUndefined();
      expect(trigger.due(at(100, 600, { ...seen, isMeasuring: true }))).toContain('600 s have gone by');
    }
  });

  it('in steps: when as many have gone by as usually take that time', () => {
    const inSteps = auto({ unit: 'steps' });
    expect(inSteps.due(at(100, 500, { step_s: 10, step: 29, previousSave: 20 }))).toBeUndefined();
    expect(inSteps.due(at(100, 5, { step_s: 10, step: 30, previousSave: 20 }))).toBe(
      '10 steps have gone by since the last save, of an interval of 10',
    );
    // A step is longer than the interval.
    expect(inSteps.due(at(1, 5, { step_s: 10, step: 21, previousSave: 20 }))).toContain('of an interval of 1');
    // Nothing is known of steps yet.
    expect(inSteps.due(at(100, 100, { step: 21, previousSave: 20 }))).toContain('100 s have gone by');
  });

  it('in steps too the longest interval is one of time: steps may have become slow', () => {
    const inSteps = auto({ unit: 'steps', maxInterval: { minutes: 10 } });
    expect(inSteps.due(at(600, 599, { step_s: 1, step: 30, previousSave: 20 }))).toBeUndefined();
    expect(inSteps.due(at(600, 600, { step_s: 1, step: 30, previousSave: 20 }))).toContain('600 s have gone by');
  });

  it('holds limits to the step', () => {
    const short = { step_s: 10, reason: 'minInterval' } as const;
    expect(auto().due(at(100, 99, short))).toBeUndefined();
    expect(auto().due(at(100, 100, short))).toContain('100 s have gone by');
    const inSteps = auto({ unit: 'steps' });
    expect(inSteps.due(at(104, 100, { ...short, step: 30, previousSave: 20 }))).toBeUndefined();
    expect(inSteps.due(at(104, 110, { ...short, step: 31, previousSave: 20 }))).toContain('of an interval of 11');

    const long = auto({ maxInterval: { seconds: 104 } });
    expect(long.due(at(104, 90, { step_s: 10, reason: 'maxInterval' }))).toBeUndefined();
    expect(long.due(at(104, 100, { step_s: 10, reason: 'maxInterval' }))).toContain('100 s have gone by');
    // The nearest step would be behind the longest interval.
    expect(long.due(at(103, 96, { step_s: 9 }))).toContain('96 s have gone by');
    expect(auto().due(at(103, 96, { step_s: 9 }))).toBeUndefined();
  });

  it('is not due where nobody controls an interval', () => {
    expect(auto().due(facts())).toBeUndefined();
  });

  it('says what it was given', () => {
    expect(auto().description).toBe('auto()');
    expect(auto({ mtbf: { hours: 24 }, maxOverhead: 0.03, maxInterval: { hours: 1 }, unit: 'steps' }).description).toBe(
      'auto(mtbf 24 hours, maxInterval 1 hours, maxOverhead 0.03, in steps)',
    );
  });

  it('goes together with other triggers, but not with another auto', () => {
    const both = anyOf(auto({ minInterval: { minutes: 1 } }), every.steps(10));
    expect(both.needs?.interval?.controller.minInterval_s).toBe(60);
    expect(both.due(at(100, 1, { step: 10 }))).toBe('step 10 was reached');
    expect(both.due(at(100, 100, { step: 9 }))).toContain('of an interval of 100 s');
    expect(anyOf(auto(), allOf(auto(), every.steps(2))).needs?.interval).toBeDefined();
    const { message } = thrown(() => anyOf(auto(), auto({ maxOverhead: 0.1 })), 'ERR_INVALID_ARGUMENT');
    expect(message).toBe('anyOf has auto with different options: give it once.');
  });

  it.each([
    [{ mtbf: { hours: 0 } }, 'auto.mtbf needs a length of time'],
    [{ mtbf: { hours: -1 } }, 'not hours: -1'],
    [{ mtbf: { hours: Number.NaN } }, 'not hours: NaN'],
    [{ mtbf: { hours: Number.POSITIVE_INFINITY } }, 'not hours: Infinity'],
    [{ mtbf: 3600 }, 'auto.mtbf takes a length of time such as { hours: 24 }, not 3600'],
    [{ mtbf: '24h' }, 'not "24h"'],
    [{ mtbf: null }, 'not null'],
    [{ mtbf: { hours: 1e308 } }, 'auto.mtbf needs a length of time'],
    [{ mtbf: { fortnights: 1 } }, 'fortnights'],
    [{ prior: {} }, 'auto.prior.mtbf needs a length of time'],
    [{ prior: { mtbf: { hours: 1 }, weight: 0 } }, 'a number of failures above 0, not 0'],
    [{ prior: { mtbf: { hours: 1 }, weight: Number.NaN } }, 'not NaN'],
    [{ prior: { mtbf: { hours: 1 } }, mtbf: { hours: 1 } }, 'give one'],
    [{ maxOverhead: 0 }, 'a share between 0 and 1'],
    [{ maxOverhead: 1 }, 'a share between 0 and 1'],
    [{ maxOverhead: 3 }, 'such as 0.03, not 3'],
    [{ maxOverhead: '3%' }, 'not 3%'],
    [{ minInterval: { minutes: 2 }, maxInterval: { minutes: 1 } }, 'minInterval is longer than maxInterval'],
    [{ minInterval: { hours: 13 } }, 'longer than the longest interval, which is 12 hours unless you give another'],
    [{ unit: 'epochs' }, '"time" or "steps", not epochs'],
  ])('refuses %j', (options, what) => {
    expect(thrown(() => auto(options as never), 'ERR_INVALID_ARGUMENT').message).toContain(what);
  });

  it('refuses a list', () => {
    expect(thrown(() => auto([] as never), 'ERR_INVALID_ARGUMENT').message).toBe('auto takes an object of options, not a list.');
  });

  it.each([{ mtfb: { hours: 1 } }, { p: 0.5 }, { prior: { mttf: { hours: 1 } } }])('refuses %j, which it does not know', (options) => {
    expect(thrown(() => auto(options as never), 'ERR_UNKNOWN_OPTION').message).toContain('It takes');
  });
});

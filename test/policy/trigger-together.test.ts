/** Triggers that are made of others, and what makes none. */
import { describe, expect, test } from 'vitest';
import { allOf, anyOf, at, every, on, type Trigger, type TriggerFacts } from '../../src/policy/trigger.js';
import { thrown } from '../helpers/errors.js';
import { facts, improving, steps } from './facts.js';

const anything = (value: unknown) => value as never;

describe('together', () => {
  const yes = (reason: string): Trigger => ({ description: reason, due: () => reason });
  const no: Trigger = { description: 'no', due: () => undefined };

  test.each<[string, Trigger[], string | undefined, string | undefined]>([
    ['one that is due', [yes('a')], 'a', 'a'],
    ['one that is not', [no], undefined, undefined],
    ['both', [yes('a'), yes('b')], 'a, b', 'a, b'],
    ['the first', [yes('a'), no], 'a', undefined],
    ['the second', [no, yes('b')], 'b', undefined],
    ['neither', [no, no], undefined, undefined],
    ['for no reason in words', [yes('')], '', ''],
  ])('%s', (_, triggers, any, all) => {
    expect(anyOf(...triggers).due(facts())).toBe(any);
    expect(allOf(...triggers).due(facts())).toBe(all);
  });

  test('in each other', () => {
    const trigger = allOf(anyOf(every.steps(10), at.steps([3])), on.improvement());
    expect(trigger.description).toBe('allOf(anyOf(every.steps(10), at.steps(3)), on.improvement())');
    const due = (from: number, step: number, loss: number) =>
      trigger.due({ ...improving(5, loss), ...steps(from, step), metrics: { loss }, bestOf: () => 5 });
    expect(due(2, 3, 4)).toBe('step 3 was reached, loss improved from 5 to 4');
    expect(due(9, 10, 6)).toBe(undefined);
    expect(due(10, 11, 4)).toBe(undefined);
  });

  test('they need all that each of them needs, once', () => {
    const trigger = anyOf(
      allOf(on.signal('SIGUSR1', 'SIGUSR2'), on.improvement({ monitor: 'acc' })),
      on.signal('SIGUSR2', 'SIGHUP'),
      on.improvement({ monitor: 'loss', minDelta: 1 }),
      on.improvement(),
      allOf(every.steps(3), on.preemption({ deadlineMs: 7000 })),
    );
    expect(trigger.needs).toEqual({
      signals: ['SIGUSR1', 'SIGUSR2', 'SIGHUP'],
      monitors: [
        { metric: 'acc', mode: 'max' },
        { metric: 'loss', mode: 'min', minDelta: 1 },
      ],
      best: true,
      preemption: { deadlineMs: 7000 },
    });
    expect(allOf(every.steps(1)).needs).toEqual({ signals: [], monitors: [] });
  });

  test('the end of the process is one thing: what it means must be said in one way', () => {
    const twice = allOf(on.preemption({ deadlineMs: 7 }), on.preemption({ deadlineMs: 7 }));
    expect(twice.needs?.preemption).toEqual({ deadlineMs: 7 });
    for (const combine of [anyOf, allOf]) {
      for (const other of [on.preemption(), on.preemption({ deadlineMs: 8 }), on.preemption({ deadlineMs: 7, signals: ['SIGUSR2'] })]) {
        const { message } = thrown(() => combine(on.preemption({ deadlineMs: 7 }), anyOf(other)), 'ERR_INVALID_ARGUMENT');
        expect(message).toContain('on.preemption');
      }
    }
  });

  test('triggers of one’s own are asked with the same facts, each once', () => {
    const seen: TriggerFacts[] = [];
    const own: Trigger = {
      description: 'mine',
      due(given) {
        seen.push(given);
        return given.metrics['lr'] === 0 ? 'the rate is 0' : undefined;
      },
      needs: { monitors: [{ metric: 'lr', mode: 'min' }] },
    };
    const now = facts({ metrics: { lr: 0 } });
    expect(anyOf(own, every.steps(10)).due(now)).toBe('the rate is 0, step 10 was reached');
    expect(allOf(no, own).due(now)).toBe(undefined);
    expect(seen.every((given) => given === now) && seen.length === 2).toBe(true);
    expect(anyOf(own).needs).toEqual({ signals: [], monitors: [{ metric: 'lr', mode: 'min' }] });
  });

  test.each([
    [every.steps(1000), 'every.steps(1000)'],
    [every.epochs(2), 'every.epochs(2)'],
    [every.minutes(10), 'every.minutes(10)'],
    [every.seconds(0.5), 'every.seconds(0.5)'],
    [on.improvement({ monitor: 'acc' }), 'on.improvement(acc max)'],
    [on.signal('SIGUSR1', 'SIGUSR2'), 'on.signal(SIGUSR1, SIGUSR2)'],
    [on.preemption(), 'on.preemption()'],
    [anyOf(every.steps(1), on.preemption()), 'anyOf(every.steps(1), on.preemption())'],
  ])('$description describes itself', (trigger, description) => {
    expect(trigger.description).toBe(description);
  });
});

describe('bad arguments are refused at once:', () => {
  test.each<unknown>([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '3', null, undefined, {}])(
    'an interval of %s',
    (interval) => {
      expect(thrown(() => every.steps(anything(interval)), 'ERR_INVALID_ARGUMENT').message).toMatch(/^every\.steps needs a whole number/);
      expect(thrown(() => every.epochs(anything(interval)), 'ERR_INVALID_ARGUMENT').message).toMatch(/^every\.epochs needs a whole number/);
    },
  );

  test.each<unknown>([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '3', null, undefined, { minutes: 3 }])('a time of %s', (amount) => {
    expect(thrown(() => every.minutes(anything(amount)), 'ERR_INVALID_ARGUMENT').message).toMatch(/^every\.minutes needs a number above 0/);
    expect(thrown(() => every.seconds(anything(amount)), 'ERR_INVALID_ARGUMENT').message).toMatch(/^every\.seconds needs a number above 0/);
  });

  test.each<unknown>([[], [1.5], [-1], ['1'], '123', 5, null, undefined, {}])('the steps %j', (list) => {
    expect(thrown(() => at.steps(anything(list)), 'ERR_INVALID_ARGUMENT').message).toContain('at.steps');
  });

  test.each([
    [{ mode: 'max' }, 'ERR_INVALID_ARGUMENT', 'needs a monitor'],
    [{ minDelta: 1 }, 'ERR_INVALID_ARGUMENT', 'needs a monitor'],
    [{ threshold: 1 }, 'ERR_INVALID_ARGUMENT', 'needs a monitor'],
    [{ monitor: '' }, 'ERR_INVALID_ARGUMENT', 'name of a metric'],
    [{ monitor: 3 }, 'ERR_INVALID_ARGUMENT', 'name of a metric'],
    [{ monitor: 'a', mode: 'auto' }, 'ERR_INVALID_ARGUMENT', '"min" or "max"'],
    [{ monitor: 'a', minDelta: -1 }, 'ERR_INVALID_ARGUMENT', 'minDelta'],
    [{ monitor: 'a', minDelta: Number.NaN }, 'ERR_INVALID_ARGUMENT', 'minDelta'],
    [{ monitor: 'a', threshold: Number.POSITIVE_INFINITY }, 'ERR_INVALID_ARGUMENT', 'threshold'],
    [{ monitor: 'a', threshold: '5' }, 'ERR_INVALID_ARGUMENT', 'threshold'],
    [{ monitor: 'a', min_delta: 1 }, 'ERR_UNKNOWN_OPTION', '"min_delta"'],
    [null, 'ERR_INVALID_ARGUMENT', 'on.improvement'],
    ['acc', 'ERR_INVALID_ARGUMENT', 'on.improvement'],
  ] as const)('on.improvement(%j)', (options, code, text) => {
    const { message } = thrown(() => on.improvement(anything(options)), code);
    expect(message).toContain(text);
    expect(message).toContain('on.improvement');
  });

  test.each<unknown[][]>([[[]], [['USR1']], [['sigusr1']], [['SIG']], [[undefined]], [[['SIGUSR1']]], [['SIGUSR1', 5]], [['SIGUSR1 ']]])(
    'on.signal(...%j)',
    (names) => {
      expect(thrown(() => on.signal(...(names as NodeJS.Signals[])), 'ERR_INVALID_ARGUMENT').message).toContain('on.signal');
    },
  );

  test('on.preemption with what it does not know', () => {
    expect(thrown(() => on.preemption(anything({ deadline: 5 })), 'ERR_UNKNOWN_OPTION').message).toContain('deadlineMs');
    thrown(() => on.preemption(anything(null)), 'ERR_INVALID_ARGUMENT');
  });

  test.each<unknown[][]>([
    [[]],
    [[undefined]],
    [[null]],
    [[every.steps(1), 'every.steps(1)']],
    [[[every.steps(1)]]],
    [[every.steps]],
    [[{}]],
  ])('anyOf and allOf of %j', (triggers) => {
    for (const [name, combine] of [
      ['anyOf', anyOf],
      ['allOf', allOf],
    ] as const) {
      expect(thrown(() => combine(...(triggers as Trigger[])), 'ERR_INVALID_ARGUMENT').message).toContain(`${name} needs triggers`);
    }
  });
});

/** When a save is due: every trigger by itself. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Monitor } from '../../src/policy/best.js';
import { at, every, on, type Trigger } from '../../src/policy/trigger.js';
import { epochs, facts, improving, LOSS, signals, steps } from './facts.js';

describe('every.steps', () => {
  test.each<[number, number, number, string | undefined]>([
    [10, 9, 10, 'step 10 was reached'],
    [10, 10, 11, undefined],
    [10, 10, 10, undefined],
    [10, 8, 9, undefined],
    [10, 19, 20, 'step 20 was reached'],
    // Over a multiple, and over several: once, for the last.
    [10, 7, 13, 'step 10 was reached'],
    [10, 8, 47, 'step 40 was reached'],
    [10, 10, 19, undefined],
    [1, 4, 5, 'step 5 was reached'],
    // Nothing has been done by step 0.
    [10, -1, 0, undefined],
    [1, -1, 0, undefined],
    [1, -1, 1, 'step 1 was reached'],
    [10, -1, 25, 'step 20 was reached'],
    // Back, after a resume that nobody told of.
    [10, 25, 14, undefined],
    [10, 9, 2 ** 53 - 1, `step ${Math.floor((2 ** 53 - 1) / 10) * 10} was reached`],
  ])('(%i) from %i to %i: %s', (interval, from, to, reason) => {
    expect(every.steps(interval).due(steps(from, to))).toBe(reason);
  });

  test('of any looks, each step behind the last: every multiple that was passed is due once at most, and none is left out', () => {
    const jumps = fc.array(
      fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 3 }) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 100 }) }),
      {
        maxLength: 60,
        size: 'max',
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), jumps, (interval, lengths) => {
        const trigger = every.steps(interval);
        const reached: number[] = [];
        let from = -1;
        for (const length of lengths) {
          const step = from + length;
          const reason = trigger.due(steps(from, step));
          const multiples = Array.from({ length: step - from }, (_, i) => from + 1 + i).filter((each) => each > 0 && each % interval === 0);
          // Due if and only if at least one was passed; the last one is told.
          expect(reason).toBe(multiples.length === 0 ? undefined : `step ${multiples.at(-1)} was reached`);
          if (reason !== undefined) reached.push(multiples.at(-1) as number);
          from = step;
        }
        expect(new Set(reached).size).toBe(reached.length);
        expect(reached.length).toBeLessThanOrEqual(Math.floor(Math.max(from, 0) / interval));
      }),
    );
  });
});

describe('every.epochs', () => {
  test.each<[number, number, number | undefined, string | undefined]>([
    [1, 0, 1, 'epoch 1 is done'],
    [2, 0, 1, undefined],
    [2, 1, 2, 'epoch 2 is done'],
    [2, 1, 5, 'epoch 4 is done'],
    [2, 2, 3, undefined],
    [1, 0, 0, undefined],
    [1, 3, 3, undefined],
    [1, 3, 2, undefined],
    [1, 0, undefined, undefined],
  ])('(%i) from %i to %s: %s', (interval, from, to, reason) => {
    expect(every.epochs(interval).due(epochs(from, to))).toBe(reason);
  });
});

describe('every.minutes and every.seconds', () => {
  test.each<[Trigger, number, string | undefined]>([
    [every.minutes(10), 599_999, undefined],
    [every.minutes(10), 600_000, '10 minutes have gone by since the last save'],
    [every.minutes(0.5), 30_000, '0.5 minutes have gone by since the last save'],
    [every.seconds(30), 29_999.9, undefined],
    [every.seconds(30), 30_000, '30 seconds have gone by since the last save'],
    [every.seconds(30), 1e9, '30 seconds have gone by since the last save'],
  ])('$description', (trigger, sinceSaveMs, reason) => {
    expect(trigger.due(facts({ sinceSaveMs }))).toBe(reason);
  });
});

describe('at.steps', () => {
  test.each<[number[], number, number, string | undefined]>([
    [[5], 4, 5, 'step 5 was reached'],
    [[5], 5, 6, undefined],
    [[5], 3, 4, undefined],
    [[5], 3, 9, 'step 5 was reached'],
    [[9, 5, 7, 5], 4, 8, 'step 7 was reached'],
    [[0], -1, 0, 'step 0 was reached'],
    [[0], 0, 1, undefined],
    [[5], 9, 4, undefined],
  ])('(%j) from %i to %i: %s', (list, from, to, reason) => {
    expect(at.steps(list).due(steps(from, to))).toBe(reason);
  });

  test('takes any iterable, once', () => {
    const trigger = at.steps(new Set([7, 3]).values());
    expect([trigger.due(steps(2, 3)), trigger.due(steps(6, 7)), trigger.description]).toEqual([
      'step 3 was reached',
      'step 7 was reached',
      'at.steps(3, 7)',
    ]);
  });

  test('each is due once, whatever the jumps', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(60), { minLength: 1, maxLength: 10 }),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (list, lengths) => {
          const trigger = at.steps(list);
          let from = -1;
          for (const length of lengths) {
            const passed = list.filter((step) => step > from && step <= from + length);
            const reason = trigger.due(steps(from, from + length));
            expect(reason).toBe(passed.length === 0 ? undefined : `step ${Math.max(...passed)} was reached`);
            from += length;
          }
        },
      ),
    );
  });
});

describe('on.improvement', () => {
  test.each<[string, number | undefined, number | undefined, string | undefined]>([
    ['the first', undefined, 3, 'loss is 3, the first'],
    ['a better one', 3, 2.5, 'loss improved from 3 to 2.5'],
    ['an equal one', 3, 3, undefined],
    ['a worse one', 3, 4, undefined],
    ['none', 3, undefined, undefined],
    ['none, for the first', undefined, undefined, undefined],
    ['NaN', 3, Number.NaN, undefined],
    ['NaN for the first', undefined, Number.NaN, undefined],
    ['-Infinity', 3, Number.NEGATIVE_INFINITY, undefined],
    ['Infinity for the first', undefined, Number.POSITIVE_INFINITY, undefined],
    ['-0 after 0', 0, -0, undefined],
  ])('%s', (_, best, loss, reason) => {
    expect(on.improvement().due(improving(best, loss))).toBe(reason);
  });

  test('as the directory watches: its metric, its way, by how much, from where', () => {
    const due = (monitor: Monitor, best: number | undefined, value: number) => on.improvement().due(improving(best, value, monitor));
    const accuracy: Monitor = { metric: 'acc', mode: 'max', minDelta: 0.1 };
    expect(due(accuracy, 0.5, 0.6)).toBe(undefined);
    expect(due(accuracy, 0.5, 0.61)).toBe('acc improved from 0.5 to 0.61');
    expect(due(accuracy, 0.5, 0.4)).toBe(undefined);
    const fromTwo: Monitor = { ...LOSS, threshold: 2 };
    expect(due(fromTwo, undefined, 2)).toBe(undefined);
    expect(due(fromTwo, undefined, 1.9)).toBe('loss improved from 2 to 1.9');
    expect(due(fromTwo, 1.5, 1.9)).toBe(undefined);
    expect(due({ ...fromTwo, minDelta: 1 }, undefined, 1.5)).toBe(undefined);
    expect(due({ ...fromTwo, minDelta: 1 }, undefined, 0.9)).toBe('loss improved from 2 to 0.9');
  });

  test('of a metric of its own, whose best value it asks for', () => {
    const asked: Monitor[] = [];
    const due = (trigger: Trigger, metrics: Record<string, number>, best: number | undefined) =>
      trigger.due(
        facts({
          metrics,
          bestOf: (monitor) => {
            asked.push(monitor);
            return best;
          },
        }),
      );
    const accuracy = on.improvement({ monitor: 'acc' });
    expect(due(accuracy, { acc: 0.6, loss: 9 }, 0.5)).toBe('acc improved from 0.5 to 0.6');
    expect(due(accuracy, { loss: 0 }, 0.5)).toBe(undefined);
    expect(asked.every((monitor) => monitor === accuracy.needs?.monitors?.[0])).toBe(true);
    expect(accuracy.needs).toEqual({ monitors: [{ metric: 'acc', mode: 'max' }] });
    const careful = on.improvement({ monitor: 'f1', mode: 'max', minDelta: 0.05, threshold: 0.5 });
    expect(careful.needs).toEqual({ monitors: [{ metric: 'f1', mode: 'max', minDelta: 0.05, threshold: 0.5 }] });
    expect(due(careful, { f1: 0.55 }, undefined)).toBe(undefined);
    expect(due(careful, { f1: 0.56 }, undefined)).toBe('f1 improved from 0.5 to 0.56');
    expect(on.improvement({ monitor: 'x', minDelta: 0 }).needs).toEqual({ monitors: [{ metric: 'x', mode: 'min' }] });
    expect(on.improvement().needs).toEqual({ best: true });
  });

  test('inherited properties are no metrics', () => {
    for (const metric of ['__proto__', 'constructor', 'toString']) expect(on.improvement({ monitor: metric }).due(facts())).toBe(undefined);
  });

  test('of any values: due if and only if it is better than all before', () => {
    const value = fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: -9, max: 9 }) },
      { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity) },
    );
    fc.assert(
      fc.property(fc.array(value, { size: 'max', maxLength: 40 }), (values) => {
        let best: number | undefined;
        for (const [i, loss] of values.entries()) {
          const before = values.slice(0, i).filter(Number.isFinite);
          const better = Number.isFinite(loss) && before.every((each) => loss < each);
          expect(on.improvement().due(improving(best, loss)) !== undefined).toBe(better);
          if (better) best = loss;
        }
      }),
    );
  });
});

describe('on.signal and on.preemption', () => {
  test('a signal that has come, of those that are meant', () => {
    const trigger = on.signal('SIGUSR1', 'SIGUSR2');
    expect(trigger.due(signals())).toBe(undefined);
    expect(trigger.due(signals('SIGHUP'))).toBe(undefined);
    expect(trigger.due(signals('SIGHUP', 'SIGUSR2'))).toBe('SIGUSR2 came');
    expect(trigger.due(signals('SIGUSR2', 'SIGUSR1'))).toBe('SIGUSR1 came');
    expect(trigger.needs).toEqual({ signals: ['SIGUSR1', 'SIGUSR2'] });
  });

  test('the end of the process', () => {
    expect(on.preemption().due(facts())).toBe(undefined);
    expect(on.preemption().due(facts({ preempted: true }))).toBe('the process is about to end');
    expect(on.preemption().needs).toEqual({ preemption: {} });
    const options = { signals: ['SIGUSR2'], deadlineMs: 100 } as const;
    expect(on.preemption(options).needs).toEqual({ preemption: options });
    // The signal itself is no other reason.
    expect(on.preemption(options).due(signals('SIGUSR2'))).toBe(undefined);
  });
});

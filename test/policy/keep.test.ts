/** The rules for what is kept, each by itself and together. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, toMilliseconds } from '../../src/policy/duration.js';
import { checkRules, keep } from '../../src/policy/keep.js';
import { decideRetention } from '../../src/policy/retention.js';
import { thrown } from '../helpers/errors.js';
import { anyEntries, checkpoints, keptBy, MINUTE, NOW, type Sketch, sequences, wantedBy } from './entries.js';

const weights = (sketch: Sketch = {}): Sketch => ({ ...sketch, contents: 'weights' });
const steps = (...all: number[]): Sketch[] => all.map((step) => ({ step }));
const minutes = (...all: number[]): Sketch[] => all.map((minute) => ({ minute }));

describe('keep.last', () => {
  test.each<[string, Sketch[], number, number[]]>([
    ['the newest', [{}, {}, {}, {}], 2, [3, 4]],
    ['all where there are fewer', [{}, {}], 5, [1, 2]],
    ['full and weights-only ones are counted apart', [{}, weights(), weights(), {}, {}, weights()], 2, [3, 4, 5, 6]],
    ['by commit order, not by step', steps(300, 100, 200), 2, [2, 3]],
    ['not by time either', minutes(9, 1, 2), 1, [3]],
  ])('%s', (_, sketches, count, wanted) => {
    expect(wantedBy(keep.last(count), checkpoints(sketches))).toEqual(wanted);
  });
});

describe('keep.best', () => {
  const losses = (...all: (number | undefined)[]): Sketch[] => all.map((loss) => ({ loss }));

  test.each<[string, Sketch[], number, number[]]>([
    ['the least', losses(5, 1, 3, 2), 2, [2, 4]],
    ['of equals the earlier', losses(1, 2, 1, 1), 2, [1, 3]],
    ['values that are none are none of them', losses(Number.NaN, 4, undefined, Number.NEGATIVE_INFINITY, 3), 3, [2, 5]],
    ['full and weights-only ones are counted apart', [{ loss: 1 }, { loss: 2 }, weights({ loss: 3 }), weights({ loss: 4 })], 1, [1, 3]],
  ])('%s', (_, sketches, count, wanted) => {
    expect(wantedBy(keep.best(count), checkpoints(sketches))).toEqual(wanted);
  });

  test('by the metric of the directory, or by one of its own, whose way is inferred or given', () => {
    const entries = checkpoints([
      { loss: 1, acc: 0.2 },
      { loss: 2, acc: 0.9 },
      { loss: 3, acc: 0.5 },
    ]);
    expect(wantedBy(keep.best(1), entries)).toEqual([1]);
    expect(wantedBy(keep.best(1), entries, { metric: 'acc', mode: 'max' })).toEqual([2]);
    expect(wantedBy(keep.best(1), entries, { metric: 'loss', mode: 'max' })).toEqual([3]);
    expect(wantedBy(keep.best(1, { monitor: 'acc' }), entries)).toEqual([2]);
    expect(wantedBy(keep.best(1, { monitor: 'acc', mode: 'min' }), entries)).toEqual([1]);
    expect(wantedBy(keep.best(2, { monitor: 'loss', mode: 'max' }), entries)).toEqual([2, 3]);
    expect(wantedBy(keep.best(2, { monitor: 'nobody has it' }), entries)).toEqual([]);
  });

  test('the way that the directory watches a metric counts before what its name looks like', () => {
    const entries = checkpoints([{ loss: 1 }, { loss: 2 }, { loss: 3 }]);
    const watched = { metric: 'loss', mode: 'max' } as const;
    expect(wantedBy(keep.best(1, { monitor: 'loss' }), entries, watched)).toEqual([3]);
    expect(wantedBy(keep.best(1, { monitor: 'loss', mode: 'min' }), entries, watched)).toEqual([1]);
    expect(wantedBy(keep.best(1, { monitor: 'loss' }), entries, { metric: 'acc', mode: 'max' })).toEqual([1]);
  });

  test('by value alone: minDelta and threshold are about which is the best, not about which are good', () => {
    const entries = checkpoints(losses(10, 9.5, 9.9));
    const monitor = { metric: 'loss', mode: 'min', minDelta: 1, threshold: 5 } as const;
    expect(wantedBy(keep.best(2), entries, monitor)).toEqual([2, 3]);
  });
});

describe('keep.everySteps', () => {
  test.each<[string, Sketch[], number, number[]]>([
    ['the multiples', steps(0, 10, 20, 30), 10, [1, 2, 3, 4]],
    ['what is behind a multiple, where there is none at it', steps(7, 14, 21, 28, 35), 10, [2, 3, 5]],
    ['nothing before the first multiple, but for step 0', steps(0, 1, 9), 10, [1]],
    ['the first step of each, whatever the order of the commits', steps(25, 21, 29), 10, [2]],
    ['of two of one step the later', steps(10, 10, 20, 10), 10, [3, 4]],
    ['after a resume, the earlier steps that were there before stay', steps(10, 20, 30, 15, 20, 35), 10, [1, 3, 5]],
    ['full and weights-only ones apart', [{ step: 10 }, weights({ step: 10 }), weights({ step: 12 })], 10, [1, 2]],
  ])('%s', (_, sketches, interval, wanted) => {
    expect(wantedBy(keep.everySteps(interval), checkpoints(sketches))).toEqual(wanted);
  });

  test('of any checkpoints: exactly one of each multiple that was passed, and nothing before it', () => {
    fc.assert(
      fc.property(anyEntries, fc.integer({ min: 1, max: 12 }), (entries, interval) => {
        for (const contents of ['full', 'weights'] as const) {
          const some = entries.filter((entry) => entry.contents === contents);
          const wanted = keep
            .everySteps(interval)
            .keeps(entries, { now: NOW, monitor: { metric: 'loss', mode: 'min' }, staying: new Set() })
            .filter((entry) => entry.contents === contents);
          const counted = some.filter(({ step }) => step === 0 || step >= interval);
          const multiples = new Set(counted.map(({ step }) => Math.floor(step / interval)));
          expect(new Set(wanted.map(({ step }) => Math.floor(step / interval)))).toEqual(multiples);
          expect(wanted).toHaveLength(multiples.size);
          for (const { step, sequence } of wanted) {
            const rivals = counted.filter((other) => Math.floor(other.step / interval) === Math.floor(step / interval));
            expect(rivals.every((other) => other.step > step || (other.step === step && other.sequence <= sequence))).toBe(true);
          }
        }
      }),
    );
  });
});

describe('keep.everyMinutes', () => {
  test.each<[string, Sketch[], number, number[]]>([
    ['the oldest, and each that is that much younger than the one kept before', minutes(0, 4, 9, 10, 19, 20, 31), 10, [1, 4, 6, 7]],
    ['exactly that much is enough', minutes(0, 10), 10, [1, 2]],
    ['fractions of a minute', minutes(0, 0.25, 0.5, 0.75), 0.5, [1, 3]],
    ['one where the clock has gone back: how far it is from the others is not known', minutes(100, 105, 50, 55, 60), 10, [1, 3, 5]],
    ['one where it has jumped ahead, and one where it has come back', minutes(0, 1000, 3, 8, 13), 10, [1, 2, 3, 5]],
    ['full and weights-only ones apart', [{ minute: 0 }, weights({ minute: 1 }), { minute: 2 }, weights({ minute: 11 })], 10, [1, 2, 4]],
  ])('%s', (_, sketches, interval, wanted) => {
    expect(wantedBy(keep.everyMinutes(interval), checkpoints(sketches))).toEqual(wanted);
  });

  test('however the clock jumps, what it does not want is close behind one that it does', () => {
    fc.assert(
      fc.property(anyEntries, fc.integer({ min: 1, max: 20 }), (entries, interval) => {
        const wanted = new Set(wantedBy(keep.everyMinutes(interval), entries));
        for (const { sequence, time, contents } of entries) {
          if (wanted.has(sequence)) continue;
          const before = entries.filter((entry) => wanted.has(entry.sequence) && entry.sequence < sequence && entry.contents === contents);
          const since = time - (before.at(-1)?.time ?? Number.NEGATIVE_INFINITY);
          expect(since >= 0 && since < interval * MINUTE).toBe(true);
        }
      }),
    );
  });
});

describe('keep.steps', () => {
  test.each<[string, Sketch[], Iterable<number>, number[]]>([
    ['these', steps(1, 2, 3, 4), [2, 4, 99], [2, 4]],
    ['step 0 as well', steps(0, 1), [0], [1]],
    ['of several of one step the latest', steps(5, 5, 6, 5), [5], [4]],
    ['full and weights-only ones apart', [{ step: 5 }, weights({ step: 5 })], [5], [1, 2]],
    ['any iterable will do', steps(1, 2, 3), new Set([3, 1]).values(), [1, 3]],
  ])('%s', (_, sketches, list, wanted) => {
    expect(wantedBy(keep.steps(list), checkpoints(sketches))).toEqual(wanted);
  });
});

describe('keep.youngerThan', () => {
  test('what was committed within that time before now, to the millisecond', () => {
    const entries = checkpoints(minutes(0, 29, 30, 31, 60));
    expect(wantedBy(keep.youngerThan({ minutes: 30 }), entries)).toEqual([4, 5]);
    expect(wantedBy(keep.youngerThan({ minutes: 30, seconds: 0.001 }), entries)).toEqual([3, 4, 5]);
    expect(wantedBy(keep.youngerThan({ hours: 0.5, minutes: 1 }), entries)).toEqual([3, 4, 5]);
  });

  test('what is younger than now, by a clock that has jumped, is young', () => {
    expect(wantedBy(keep.youngerThan({ minutes: 1 }), checkpoints(minutes(0, 1e6, 61, -1e6)))).toEqual([2, 3]);
  });
});

describe('keep.maxBytes', () => {
  const sized = (...all: number[]): Sketch[] => all.map((bytes) => ({ bytes }));

  test.each<[string, Sketch[], number, number[]]>([
    // The first is the best and the last is the newest: both are counted, and stay anyway.
    ['the newest that fit, beside those that stay anyway', sized(1, 10, 10, 10, 1), 22, [1, 3, 4, 5]],
    ['to the byte', sized(1, 10, 10, 10, 1), 31, [1, 3, 4, 5]],
    ['to the byte, and one more', sized(1, 10, 10, 10, 1), 32, [1, 2, 3, 4, 5]],
    ['no smaller, older one in the place of one that does not fit', sized(1, 1, 10, 5, 1), 10, [1, 4, 5]],
    ['what stays anyway stays also where it is larger', sized(100, 1, 100), 50, [1, 3]],
    ['nothing else where there is no room', sized(1, 1, 1, 1), 0, [1, 4]],
    ['of nothing any number', sized(0, 0, 0, 0), 0, [1, 2, 3, 4]],
    [
      'the tagged and the newest full one are counted first',
      [{ bytes: 1 }, { bytes: 9, tags: ['t'] }, { bytes: 5 }, { bytes: 9 }, weights({ bytes: 9 })],
      33,
      [1, 2, 3, 4, 5],
    ],
    ['and one byte less', [{ bytes: 1 }, { bytes: 9, tags: ['t'] }, { bytes: 5 }, { bytes: 9 }, weights({ bytes: 9 })], 32, [1, 2, 4, 5]],
  ])('%s', (_, sketches, bytes, kept) => {
    expect(keptBy([keep.maxBytes(bytes)], checkpoints(sketches))).toEqual(kept);
  });

  test('of what other rules want', () => {
    const entries = checkpoints(steps(10, 15, 20, 25, 30, 35, 40));
    // 10 is the best, 40 the newest.
    expect(keptBy([keep.maxBytes(50, keep.everySteps(10))], entries)).toEqual([1, 3, 5, 7]);
    expect(keptBy([keep.maxBytes(35, keep.everySteps(10))], entries)).toEqual([1, 5, 7]);
    expect(keptBy([keep.maxBytes(50, [keep.everySteps(10), keep.last(2)])], entries)).toEqual([1, 3, 5, 6, 7]);
    expect(keptBy([keep.maxBytes(1000, [keep.maxBytes(30), keep.steps([15])])], entries)).toEqual([1, 2, 6, 7]);
  });

  test('it is a reason to stay like any other: another rule keeps beyond it', () => {
    expect(keptBy([keep.maxBytes(0), keep.last(3)], checkpoints(sized(1, 1, 1, 1, 1)))).toEqual([1, 3, 4, 5]);
  });
});

describe('together', () => {
  test('one stays if any rule wants it, and says which', () => {
    const entries = checkpoints([
      { step: 1, loss: 9 },
      { step: 10, loss: 8 },
      { step: 11, loss: 7 },
      { step: 12, loss: 1 },
      { step: 13, loss: 6 },
    ]);
    const { kept, removed, reasons } = decideRetention(entries, [keep.last(1), keep.everySteps(10), keep.best(2)], {
      best: entries[3],
      monitor: { metric: 'loss', mode: 'min' },
      now: NOW,
    });
    expect(kept.map((entry) => [entry.sequence, reasons.get(entry)])).toEqual([
      [2, ['keep.everySteps(10)']],
      [4, ['best', 'keep.best(2)']],
      [5, ['newest', 'newest full', 'keep.last(1)', 'keep.best(2)']],
    ]);
    expect(sequences(removed)).toEqual([1, 3]);
  });

  test('keep.all keeps all', () => {
    expect(wantedBy(keep.all(), checkpoints([{}, weights(), {}]))).toEqual([1, 2, 3]);
  });

  test.each([
    [keep.last(5), 'keep.last(5)'],
    [keep.best(3), 'keep.best(3)'],
    [keep.best(3, { monitor: 'val_acc' }), 'keep.best(3, val_acc)'],
    [keep.best(3, { monitor: 'f1', mode: 'max' }), 'keep.best(3, f1 max)'],
    [keep.everySteps(1000), 'keep.everySteps(1000)'],
    [keep.everyMinutes(30), 'keep.everyMinutes(30)'],
    [keep.steps([3, 1, 3]), 'keep.steps(3, 1)'],
    [keep.youngerThan({ days: 1, hours: 12 }), 'keep.youngerThan(1 days 12 hours)'],
    [keep.maxBytes(100), 'keep.maxBytes(100)'],
    [keep.maxBytes(100, [keep.last(1), keep.best(2)]), 'keep.maxBytes(100, keep.last(1), keep.best(2))'],
    [keep.all(), 'keep.all()'],
  ])('$description describes itself', (rule, description) => {
    expect(rule.description).toBe(description);
  });
});

describe('bad arguments are refused at once:', () => {
  const anything = (value: unknown) => value as never;

  test.each<unknown>([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '3', null, undefined, {}, [2], 3n])(
    'a count of %s',
    (count) => {
      for (const make of [keep.last, keep.best, keep.everySteps]) {
        const { message } = thrown(() => make(anything(count)), 'ERR_INVALID_ARGUMENT');
        expect(message).toMatch(/^keep\.\w+ needs a whole number of at least 1, not /);
      }
      expect(thrown(() => keep.last(anything(count)), 'ERR_INVALID_ARGUMENT').message).toContain('keep.all()');
    },
  );

  test.each<unknown>([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '30', null, undefined, {}])('%s minutes', (interval) => {
    expect(thrown(() => keep.everyMinutes(anything(interval)), 'ERR_INVALID_ARGUMENT').message).toContain('keep.everyMinutes');
  });

  test.each<unknown>([[], [1.5], [-1], [1, Number.NaN], ['1'], '123', 5, null, undefined, {}, [2 ** 53]])('the steps %j', (list) => {
    expect(thrown(() => keep.steps(anything(list)), 'ERR_INVALID_ARGUMENT').message).toContain('keep.steps');
  });

  test.each<unknown>([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '100', '100GiB', null, undefined])('%s bytes', (bytes) => {
    expect(thrown(() => keep.maxBytes(anything(bytes)), 'ERR_INVALID_ARGUMENT').message).toContain('keep.maxBytes');
  });

  test.each<unknown>([
    {},
    { minutes: 0 },
    { minutes: -1 },
    { minutes: Number.NaN },
    { minutes: '5' },
    { weeks: 1 },
    { toString: 1 },
    5,
    '5m',
    [5],
    null,
    undefined,
  ])('the time %j', (age) => {
    expect(thrown(() => keep.youngerThan(anything(age)), 'ERR_INVALID_ARGUMENT').message).toContain('keep.youngerThan');
  });

  test.each([
    [{ mode: 'max' }, 'ERR_INVALID_ARGUMENT', 'metric'],
    [{ monitor: 'acc', mode: 'up' }, 'ERR_INVALID_ARGUMENT', '"min" or "max"'],
    [{ monitor: '' }, 'ERR_INVALID_ARGUMENT', 'metric'],
    [{ monitor: 5 }, 'ERR_INVALID_ARGUMENT', 'metric'],
    [null, 'ERR_INVALID_ARGUMENT', 'keep.best'],
    ['acc', 'ERR_INVALID_ARGUMENT', 'keep.best'],
    // It would keep the best by another metric, and the ones that were meant would go.
    [{ metric: 'acc' }, 'ERR_UNKNOWN_OPTION', '"metric"'],
  ] as const)('the metric %j', (options, code, text) => {
    expect(thrown(() => keep.best(3, anything(options)), code).message).toContain(text);
  });

  test.each<unknown>([
    [],
    null,
    undefined,
    5,
    'keep.last(5)',
    {},
    [keep.last(1), undefined],
    [keep.last],
    [keep.last(1), null],
    () => keep.last(1),
  ])('the rules %j', (rules) => {
    expect(thrown(() => checkRules('keep', rules), 'ERR_INVALID_ARGUMENT').message).toMatch(/^keep must be a rule/);
    // Of nothing is nothing wrong here: the default is everything.
    if (rules !== undefined) thrown(() => keep.maxBytes(1, anything(rules)), 'ERR_INVALID_ARGUMENT');
  });

  test('a list that changes once it was checked', () => {
    const rules = [keep.all()];
    const rule = keep.maxBytes(1000, rules);
    rules[0] = keep.last(1);
    rules.push(anything('nonsense'));
    expect(keptBy([rule], checkpoints([{}, {}, {}, {}]))).toEqual([1, 2, 3, 4]);
    // biome-ignore lint/suspicious/noSparseArray: a list with a hole is what is refused
    thrown(() => checkRules('keep', [keep.last(1), , keep.last(2)]), 'ERR_INVALID_ARGUMENT');
  });
});

describe('a length of time', () => {
  test.each([
    [{ days: 1 }, 86_400_000, '1 days'],
    [{ hours: 1.5 }, 5_400_000, '1.5 hours'],
    [{ minutes: 1, seconds: 0.5 }, 60_500, '1 minutes 0.5 seconds'],
    [{ days: 0, seconds: 1 }, 1000, '0 days 1 seconds'],
  ])('%j', (duration, ms, words) => {
    expect(toMilliseconds('here', duration)).toBe(ms);
    expect(formatDuration(duration)).toBe(words);
  });
});

/** Which checkpoint is the best, and what has to be beaten while saves are on their way. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Candidate,
  defaultMonitor,
  findBest,
  improves,
  inferMode,
  type Monitor,
  metricOf,
  rankByValue,
  toManifestMonitor,
} from '../../src/policy/best.js';
import { BestTracker } from '../../src/policy/best-tracker.js';

const LOSS: Monitor = { metric: 'loss', mode: 'min' };
const ACC: Monitor = { metric: 'acc', mode: 'max' };

/** A checkpoint for each value of the metric, committed in this order; none where it is undefined. */
function checkpoints(values: readonly (number | undefined)[], metric = 'loss'): Candidate[] {
  return values.map((value, i) => ({ sequence: i + 1, metrics: value === undefined ? {} : { [metric]: value } }));
}

/** What each checkpoint's manifest says, where the ones before it are all still there. */
function committed(values: readonly (number | undefined)[], monitor: Monitor): Candidate[] {
  const entries: Candidate[] = [];
  for (const { sequence, metrics } of checkpoints(values, monitor.metric)) {
    entries.push({ sequence, metrics, monitor: toManifestMonitor(monitor, metrics, entries) });
  }
  return entries;
}

const bestOf = (values: readonly (number | undefined)[], monitor: Monitor) =>
  findBest(checkpoints(values, monitor.metric), monitor)?.sequence;

describe('the way that is better', () => {
  test.each([
    ['acc', 'max'],
    ['accuracy', 'max'],
    ['val_acc', 'max'],
    ['val_sparse_categorical_accuracy', 'max'],
    ['auc', 'max'],
    ['val_auc_1', 'max'],
    ['fmeasure', 'max'],
    ['val_precision', 'max'],
    ['recall_at_5', 'max'],
    ['loss', 'min'],
    ['val_loss', 'min'],
    ['mae', 'min'],
    ['f1', 'min'],
    ['ACC', 'min'],
    ['', 'min'],
  ])('of "%s" is inferred as %s, as Keras does', (metric, mode) => {
    expect(inferMode(metric)).toBe(mode);
  });

  test('what is watched by default is the validation loss, or the loss where there is none', () => {
    expect(defaultMonitor([])).toEqual(LOSS);
    expect(defaultMonitor(checkpoints([1, 2]))).toEqual(LOSS);
    expect(defaultMonitor([...checkpoints([1]), ...checkpoints([2], 'val_loss')])).toEqual({ metric: 'val_loss', mode: 'min' });
    // A validation that came to nothing must not take the best by loss its place.
    expect(defaultMonitor([...checkpoints([1]), ...checkpoints([Number.NaN, Number.POSITIVE_INFINITY], 'val_loss')])).toEqual(LOSS);
  });
});

describe('the value that decides', () => {
  test.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    ['one that is missing', undefined],
  ])('%s never wins, and never blocks the next', (_, value) => {
    for (const monitor of [LOSS, ACC, { ...LOSS, minDelta: 0.5 }, { ...LOSS, threshold: 100 }]) {
      expect(bestOf([value], monitor)).toBe(undefined);
      expect(bestOf([value, 3], monitor)).toBe(2);
      expect(bestOf([3, value], monitor)).toBe(1);
      expect(bestOf([value, 3, value, monitor.mode === 'min' ? 2 : 4, value], monitor)).toBe(4);
    }
    const [entry] = checkpoints([value]);
    expect(toManifestMonitor(LOSS, entry!.metrics, [])).toEqual(LOSS);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])('a metric named %s is one like any other', (metric) => {
    const monitor: Monitor = { metric, mode: 'min' };
    const named = (value: number) => JSON.parse(`{${JSON.stringify(metric)}: ${value}}`) as Record<string, number>;
    expect(metricOf({ metrics: {} }, metric)).toBe(undefined);
    // An inherited number must not count either.
    expect(metricOf({ metrics: Object.create(named(5)) }, metric)).toBe(undefined);
    expect(metricOf({ metrics: named(2) }, metric)).toBe(2);
    const entries = [
      { sequence: 1, metrics: {} },
      { sequence: 2, metrics: named(2) },
      { sequence: 3, metrics: named(1) },
      { sequence: 4, metrics: { loss: 0 } },
    ];
    expect(findBest(entries, monitor)?.sequence).toBe(3);
    expect(rankByValue(entries, monitor).map(({ sequence }) => sequence)).toEqual([3, 2]);
  });

  test('may lie in an object without a prototype, as those of manifests do', () => {
    const metrics: Record<string, number> = Object.create(null);
    expect(metricOf({ metrics }, 'loss')).toBe(undefined);
    metrics['loss'] = 0.5;
    expect(metricOf({ metrics }, 'loss')).toBe(0.5);
  });
});

describe('the best', () => {
  test.each<[string, (number | undefined)[], Monitor, number | undefined]>([
    ['the least', [3, 1, 2], LOSS, 2],
    ['the greatest', [3, 1, 5, 2], ACC, 3],
    ['of equals the earliest', [2, 1, 1, 1], LOSS, 2],
    ['0 and -0 are equals', [0, -0], LOSS, 1],
    ['of none, none', [], LOSS, undefined],
    ['minDelta is too little by itself', [10, 9], { ...LOSS, minDelta: 1 }, 1],
    ['minDelta and a little more', [10, 8.99], { ...LOSS, minDelta: 1 }, 2],
    ['minDelta counts from the best, not from the one before', [10, 9.5, 8.9], { ...LOSS, minDelta: 1 }, 3],
    ['many small steps are no great one', [10, 9.5, 9.1, 9.05], { ...LOSS, minDelta: 1 }, 1],
    ['minDelta the other way', [1, 2, 1.5], { ...ACC, minDelta: 1 }, 1],
    ['a threshold that nobody beats', [5, 6, 7], { ...LOSS, threshold: 5 }, undefined],
    ['a threshold that the second beats', [5, 4.9, 4.95], { ...LOSS, threshold: 5 }, 2],
    ['a threshold the other way', [0.5, 0.8, 0.6], { ...ACC, threshold: 0.7 }, 2],
    ['a threshold and minDelta', [4.5, 3.9, 3.5], { ...LOSS, threshold: 5, minDelta: 1 }, 2],
  ])('%s', (_, values, monitor, sequence) => {
    expect(bestOf(values, monitor)).toBe(sequence);
    // Whatever the order in which they are listed.
    expect(findBest(checkpoints(values, monitor.metric).reverse(), monitor)?.sequence).toBe(sequence);
  });

  test('the first value improves on nothing, unless there is a threshold', () => {
    expect(improves(1e308, undefined, LOSS)).toBe(true);
    expect(improves(5, undefined, { ...LOSS, threshold: 5 })).toBe(false);
    expect(improves(4, undefined, { ...LOSS, threshold: 5 })).toBe(true);
  });

  test('one that became the best says so in its manifest, with what was asked of it', () => {
    const monitor = { ...LOSS, minDelta: 1, threshold: 20 };
    expect(committed([30, 10, 9.5, 8], monitor).map((entry) => entry.monitor)).toEqual([
      monitor,
      { ...monitor, improved: true },
      monitor,
      { ...monitor, improved: true },
    ]);
  });

  test('it stays the best when those are gone that it was compared with, and those that were none stay none', () => {
    const monitor = { ...LOSS, minDelta: 1 };
    const [first, slightly, best, later] = committed([10, 9.2, 8.9, 8], monitor) as [Candidate, Candidate, Candidate, Candidate];
    expect(findBest([first, slightly, best, later], monitor)).toBe(best);
    // Without what the manifest says, 9.2 would be the first now, and 8.9 not better by more than 1.
    expect(findBest([slightly, best, later], monitor)).toBe(best);
    expect(findBest([slightly, { ...best, monitor: undefined }, later], monitor)).toBe(later);
  });

  test('what a manifest says of another metric, or of the other way, does not count', () => {
    const monitor = { ...LOSS, minDelta: 1 };
    const [first, second] = checkpoints([10, 9.5]) as [Candidate, Candidate];
    const said = (metric: string, mode: 'min' | 'max') => ({ ...second, monitor: { metric, mode, improved: true } });
    expect(findBest([first, said('loss', 'min')], monitor)?.sequence).toBe(2);
    expect(findBest([first, said('acc', 'min')], monitor)?.sequence).toBe(1);
    expect(findBest([first, said('loss', 'max')], monitor)?.sequence).toBe(1);
    // Nor does it make the worse of two the best.
    expect(findBest([second, { ...said('loss', 'min'), sequence: 3, metrics: { loss: 9.6 } }], monitor)?.sequence).toBe(2);
  });
});

describe('ranking', () => {
  test.each<[string, (number | undefined)[], Monitor, number[]]>([
    ['by value', [3, 1, 2], LOSS, [2, 3, 1]],
    ['the other way', [3, 1, 2], ACC, [1, 3, 2]],
    ['the earlier of equals first', [2, 1, 2, 1], LOSS, [2, 4, 1, 3]],
    ['those without a value are none', [Number.NaN, 1, undefined, Number.POSITIVE_INFINITY, 0], LOSS, [5, 2]],
    ['the best is first, also where another is a little better', [10, 9.5, 9.2], { ...LOSS, minDelta: 1 }, [1, 3, 2]],
    ['nothing beats the threshold: by value all the same', [9, 8], { ...LOSS, threshold: 5 }, [2, 1]],
  ])('%s', (_, values, monitor, sequences) => {
    expect(rankByValue(checkpoints(values, monitor.metric), monitor).map(({ sequence }) => sequence)).toEqual(sequences);
  });
});

const odd = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, undefined);
/** Metrics as training gives them: a walk of steps about as long as a minDelta, and now and then something that is no number. */
const walk = fc
  .array(
    fc.record({
      step: fc.oneof(
        fc.integer({ min: -6, max: 5 }).map((n) => n / 4),
        fc.double({ min: -1.5, max: 1.25, noNaN: true }),
      ),
      odd: fc.oneof({ weight: 7, arbitrary: fc.constant('none' as const) }, { weight: 1, arbitrary: odd }),
      fails: fc.boolean(),
      others: fc.nat(2),
      survives: fc.infiniteStream(fc.boolean()),
    }),
    { maxLength: 30, size: 'max' },
  )
  .map((steps) => {
    let value = 0;
    return steps.map(({ step, odd: instead, ...rest }) => {
      value += step;
      return { ...rest, value: instead === 'none' ? value : instead };
    });
  });
const anyMonitor: fc.Arbitrary<Monitor> = fc.record(
  {
    metric: fc.constant('m'),
    mode: fc.constantFrom('min' as const, 'max' as const),
    minDelta: fc.oneof(fc.constantFrom(0.25, 0.5, 1, 3), fc.double({ min: 0, max: 2, noNaN: true })),
    threshold: fc.integer({ min: -3, max: 3 }),
  },
  { requiredKeys: ['metric', 'mode'] },
);
describe('over any history', () => {
  test('the best does not change when others are removed', () => {
    let removals = 0;
    fc.assert(
      fc.property(anyMonitor, walk, (monitor, saves) => {
        let entries: Candidate[] = [];
        for (const [i, { value: given, survives }] of saves.entries()) {
          const metrics: Record<string, number> = given === undefined ? {} : { m: given };
          const flags = toManifestMonitor(monitor, metrics, entries);
          entries.push({ sequence: i + 1, metrics, monitor: flags });
          const best = findBest(entries, monitor);
          // The new one is the best if and only if its manifest says that it became so.
          expect(best === entries.at(-1)).toBe(flags.improved === true);
          const left = entries.filter((entry) => entry === best || survives.next().value);
          removals += entries.length - left.length;
          entries = left;
          expect(findBest(entries, monitor)).toBe(best);
        }
      }),
      { numRuns: 500 },
    );
    expect(removals).toBeGreaterThan(1000);
  });

  test('nobody beats the best, and nobody is ranked before a better one', () => {
    fc.assert(
      fc.property(anyMonitor, walk, (monitor, saves) => {
        const entries = checkpoints(
          saves.map(({ value }) => value),
          'm',
        );
        const best = findBest(entries, monitor);
        const ranked = rankByValue(entries, monitor);
        expect(ranked).toHaveLength(entries.filter((entry) => metricOf(entry, 'm') !== undefined).length);
        if (best !== undefined) {
          const after = entries.slice(entries.indexOf(best) + 1).map((entry) => metricOf(entry, 'm'));
          const toBeat = metricOf(best, 'm') as number;
          expect(after.filter((each) => each !== undefined && improves(each, toBeat, monitor))).toEqual([]);
          expect(ranked[0]).toBe(best);
        }
        const rest = (best === undefined ? ranked : ranked.slice(1)).map((entry) => metricOf(entry, 'm') as number);
        const plain = { metric: 'm', mode: monitor.mode };
        expect(rest.filter((each, i) => i > 0 && improves(each, rest[i - 1], plain))).toEqual([]);
      }),
    );
  });
});

describe('the best so far', () => {
  const save = () => ({});

  test('is what is there, and whatever is on its way', () => {
    const tracker = new BestTracker(LOSS);
    expect(tracker.best).toBe(undefined);
    tracker.learn(checkpoints([5, 4, 6]));
    expect(tracker.best).toBe(4);
    const [first, second] = [save(), save()];
    tracker.accept(first, { loss: 3 });
    expect(tracker.best).toBe(3);
    tracker.accept(second, { loss: 3.5 });
    expect(tracker.best).toBe(3);
    tracker.settle(first, false);
    // What failed does not have to be beaten any more.
    expect(tracker.best).toBe(3.5);
    tracker.settle(second, true);
    expect(tracker.best).toBe(3.5);
    tracker.settle(second, true);
    tracker.settle(save(), true);
    expect(tracker.best).toBe(3.5);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, undefined])('does not become %s', (odd) => {
    for (const monitor of [LOSS, { ...LOSS, mode: 'max' as const }]) {
      const tracker = new BestTracker(monitor);
      tracker.learn(checkpoints([odd]));
      const metrics: Record<string, number> = odd === undefined ? {} : { loss: odd };
      const first = save();
      tracker.accept(first, metrics);
      expect(tracker.best).toBe(undefined);
      tracker.settle(first, true);
      expect(tracker.best).toBe(undefined);
      tracker.accept(save(), { loss: 7 });
      expect(tracker.best).toBe(7);
    }
  });

  test('is only replaced by what is better by more than minDelta, and better than the threshold', () => {
    const tracker = new BestTracker({ ...LOSS, minDelta: 1, threshold: 20 });
    tracker.learn(checkpoints([30]));
    expect(tracker.best).toBe(undefined);
    const saves = [19.5, 10, 9.5, 8.9].map((loss) => ({ loss }));
    for (const metrics of saves) tracker.accept(metrics, metrics);
    expect(tracker.best).toBe(8.9);
    tracker.settle(saves[0] as object, true);
    expect(tracker.best).toBe(8.9);
    tracker.settle(saves[3] as object, false);
    expect(tracker.best).toBe(10);
    tracker.settle(saves[1] as object, false);
    expect(tracker.best).toBe(9.5);
  });

  test('what is learned late takes nothing from what was settled', () => {
    const tracker = new BestTracker(LOSS);
    const early = save();
    tracker.accept(early, { loss: 2 });
    tracker.settle(early, true);
    tracker.learn(checkpoints([4]));
    expect(tracker.best).toBe(2);
    tracker.learn(checkpoints([1]));
    expect(tracker.best).toBe(1);
  });

  test('agrees with what is on the disk, whichever saves fail and whatever retention takes', () => {
    fc.assert(
      fc.property(anyMonitor, walk, fc.nat(5), (monitor, saves, there) => {
        const before = saves.slice(0, there).map(({ value }) => value);
        let entries = committed(before, monitor);
        const tracker = new BestTracker(monitor);
        tracker.learn(entries);
        let sequence = before.length;
        const waiting: { readonly metrics: Record<string, number>; readonly fails: boolean }[] = [];
        const settleOldest = (survives: Iterator<boolean>) => {
          const oldest = waiting.shift();
          if (oldest === undefined) return;
          const { metrics, fails } = oldest;
          if (!fails) {
            entries.push({ sequence: ++sequence, metrics, monitor: toManifestMonitor(monitor, metrics, entries) });
            const best = findBest(entries, monitor);
            entries = entries.filter((entry) => entry === best || survives.next().value);
          }
          tracker.settle(oldest, !fails);
        };
        for (const { value: each, fails, survives, others } of saves.slice(there)) {
          const request = { metrics: (each === undefined ? {} : { m: each }) as Record<string, number>, fails };
          tracker.accept(request, request.metrics);
          waiting.push(request);
          while (waiting.length > others) settleOldest(survives);
          const onDisk = findBest(entries, monitor);
          const settled = onDisk && metricOf(onDisk, 'm');
          const expected = waiting.reduce((best, { metrics }) => {
            const next = metricOf({ metrics }, 'm');
            return next !== undefined && improves(next, best, monitor) ? next : best;
          }, settled);
          expect(tracker.best).toBe(expected);
        }
      }),
      { numRuns: 300 },
    );
  });
});

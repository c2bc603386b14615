/** Which checkpoints may go: the decision itself, what stays whatever the rules say, and making room. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Monitor } from '../../src/policy/best.js';
import type { PolicyEntry } from '../../src/policy/entry.js';
import { keep } from '../../src/policy/keep.js';
import { decideRetention, decideRoom, type RetentionRule, type RetentionView } from '../../src/policy/retention.js';
import { thrown } from '../helpers/errors.js';
import { anyEntries, anyRule, bestOf, checkpoints, decide, keptBy, lastingRules, MINUTE, NOW, sequences } from './entries.js';

/** A rule that wants nothing. */
const NONE = keep.steps([999_999]);
const nothing = (description: string): RetentionRule => ({ description, keeps: () => [] });

describe('whatever the rules say', () => {
  test('the newest stays, the newest full one, the best, and those with a tag; each says why', () => {
    const entries = checkpoints([
      { step: 1 },
      { step: 2, loss: 0.1 },
      { step: 3, tags: ['paper', 'demo'] },
      { step: 4 },
      { step: 5 },
      { step: 6, contents: 'weights' },
      { step: 7, contents: 'weights' },
    ]);
    const { kept, removed, reasons } = decide(entries, [NONE]);
    expect([sequences(kept), sequences(removed)]).toEqual([
      [2, 3, 5, 7],
      [1, 4, 6],
    ]);
    expect(kept.map((entry) => reasons.get(entry))).toEqual([['best'], ['tag paper', 'tag demo'], ['newest full'], ['newest']]);
  });

  test('one may stay for many reasons, each told once, protection first', () => {
    const entries = checkpoints([
      { step: 1, loss: 2 },
      { step: 2, loss: 1, tags: ['t'] },
    ]);
    const twice: RetentionRule = { description: 'twice', keeps: (given) => [...given, ...given] };
    const { reasons } = decide(entries, [keep.last(1), twice]);
    expect([...reasons].map(([{ sequence }, why]) => [sequence, why])).toEqual([
      [2, ['newest', 'newest full', 'best', 'tag t', 'keep.last(1)', 'twice']],
      [1, ['twice']],
    ]);
  });

  test('where nothing is full, nothing is the newest full one; where nothing has a value, nothing is the best', () => {
    const weights = checkpoints([{ contents: 'weights' }, { contents: 'weights' }, { contents: 'weights' }]);
    expect(keptBy([NONE], weights)).toEqual([1, 3]);
    const valueless = checkpoints([{ loss: Number.NaN }, { loss: Number.NEGATIVE_INFINITY }, { loss: undefined }]);
    expect(keptBy([NONE], valueless)).toEqual([3]);
  });

  test('there may be nothing to decide', () => {
    expect(decide([], [keep.last(1)])).toMatchObject({ kept: [], removed: [] });
    expect(sequences(decide(checkpoints([{}, {}, {}]), []).kept)).toEqual([1, 3]);
  });

  test('the order of the commits counts, not the order of the list, nor step or time', () => {
    const entries = checkpoints([
      { step: 900, minute: 50 },
      { step: 800, minute: 40 },
      { step: 10, minute: 0 },
    ]);
    for (const given of [entries, entries.toReversed()]) expect(keptBy([keep.last(2)], given, undefined)).toEqual([2, 3]);
    expect(sequences(entries)).toEqual([1, 2, 3]);
  });

  test('several of one sequence, as copies of a checkpoint are, are none of them taken for the other', () => {
    const [first, second] = checkpoints([{}, {}]) as [PolicyEntry, PolicyEntry];
    const copy = { ...second, name: 'a copy' };
    const { kept, removed } = decideRetention([first, second, copy], [NONE], { best: second, monitor: LOSS, now: NOW });
    expect([kept, removed]).toEqual([[second, copy], [first]]);
  });
});

const LOSS: Monitor = { metric: 'loss', mode: 'min' };

describe('rules of one’s own', () => {
  const entries = checkpoints([{ loss: 1 }, { loss: 2 }, { loss: 3 }, { loss: 4 }, { loss: 5 }]);

  test('decide over the good ones, oldest first, with what they need to know', () => {
    const seen: unknown[] = [];
    const rule: RetentionRule = {
      description: 'odd ones',
      keeps(given, { now, monitor, staying }) {
        seen.push(sequences(given), now, monitor, sequences([...staying]).sort());
        return given.filter(({ sequence }) => sequence % 2 === 1);
      },
    };
    expect(keptBy([rule], entries.toReversed())).toEqual([1, 3, 5]);
    expect(seen).toEqual([[1, 2, 3, 4, 5], NOW, LOSS, [1, 5]]);
  });

  test.each<[string, (given: readonly PolicyEntry[]) => unknown]>([
    ['answers nothing', () => undefined],
    ['answers null', () => null],
    ['answers with a number', () => 3],
    ['answers with one entry', ([first]) => first],
    ['answers later', async (given) => given],
    ['answers with a set', (given) => new Set(given)],
    ['answers with copies', (given) => given.map((entry) => ({ ...entry }))],
    ['answers with names', (given) => given.map(({ name }) => name)],
    ['answers with something else among them', (given) => [...given, undefined]],
  ])('one that %s costs nothing', (_, keeps) => {
    const rule = { description: 'mine', keeps } as unknown as RetentionRule;
    for (const rules of [
      [rule],
      [keep.last(1), rule],
      [keep.maxBytes(1000, rule)],
      [keep.maxBytes(1000, [keep.all(), keep.maxBytes(9, rule)])],
    ]) {
      const { message } = thrown(() => decide(entries, rules), 'ERR_INVALID_ARGUMENT');
      expect(message).toContain('mine');
      expect(message).toContain('Nothing was removed');
    }
  });

  test('one that throws is heard', () => {
    const rule: RetentionRule = {
      description: 'mine',
      keeps: () => {
        throw new RangeError('no');
      },
    };
    for (const rules of [rule, keep.maxBytes(1, rule)]) expect(() => decide(entries, [rules])).toThrow(new RangeError('no'));
  });

  test('one that changes what it was given reaches nobody else', () => {
    const spoil: RetentionRule = {
      description: 'spoil',
      keeps: (given, { staying }) => {
        for (const entry of given) (staying as Set<PolicyEntry>).add(entry);
        return [];
      },
    };
    const rob: RetentionRule = {
      description: 'rob',
      keeps: (given) => {
        expect(() => (given as PolicyEntry[]).pop()).toThrow(TypeError);
        return [];
      },
    };
    expect(keptBy([spoil, rob, keep.maxBytes(40)], entries)).toEqual(keptBy([keep.maxBytes(40)], entries));
    expect(keptBy([spoil, rob, keep.maxBytes(40)], entries)).toEqual([1, 3, 4, 5]);
  });
});

describe('making room', () => {
  /** What may go before one more is written. */
  function room(now: readonly PolicyEntry[], added: PolicyEntry, rules: readonly RetentionRule[], then = [...now, added]): number[] {
    const view = (entries: readonly PolicyEntry[]): RetentionView => ({ entries, best: bestOf(entries, LOSS), monitor: LOSS, now: NOW });
    return sequences(decideRoom(view(now), view(then), rules));
  }
  const next = (now: readonly PolicyEntry[], change: Partial<PolicyEntry> = {}): PolicyEntry => ({
    ...(checkpoints([{ loss: 9 }])[0] as PolicyEntry),
    name: 'next',
    sequence: now.length + 1,
    ...change,
  });

  test('what the rules let go once it is there', () => {
    const now = checkpoints([{ loss: 5 }, { loss: 1 }, { loss: 5 }, { loss: 5 }]);
    expect(room(now, next(now), [keep.last(2)])).toEqual([1, 3]);
    expect(room(now, next(now), [keep.last(3)])).toEqual([1]);
    expect(room(now, next(now), [keep.all()])).toEqual([]);
  });

  test('but not what must stay while it is not: the newest, the newest full, the best, those with a tag', () => {
    const now = checkpoints([{ loss: 1 }, { loss: 5, tags: ['t'] }, { loss: 5 }, { loss: 5 }, { loss: 5, contents: 'weights' }]);
    // Once it is there it is the newest, the newest full and the best one, and has the tag.
    const added = next(now, { metrics: { loss: 0 }, tags: ['t'] });
    const then = [...now.map((entry) => ({ ...entry, tags: [] })), added];
    expect(room(now, added, [keep.last(1)], then)).toEqual([3]);
    expect(sequences(decide(then, [keep.last(1)]).removed)).toEqual([1, 2, 3, 4]);
  });

  test('nothing where nothing but that is there', () => {
    const now = checkpoints([{ loss: 1 }]);
    expect(room(now, next(now, { metrics: { loss: 0 } }), [keep.last(1)])).toEqual([]);
    expect(room([], next([]), [keep.last(1)])).toEqual([]);
  });

  test('never one that the rules keep when it is there, never one that stays now', () => {
    fc.assert(
      fc.property(anyEntries, fc.array(anyRule, { minLength: 1, maxLength: 3 }), (entries, rules) => {
        if (entries.length === 0) return;
        const now = entries.slice(0, -1);
        const added = entries.at(-1) as PolicyEntry;
        const gone = room(now, added, rules);
        const kept = sequences(decide(entries, rules).kept);
        const staying = sequences(decide(now, [nothing('nothing')]).kept);
        expect(gone.filter((sequence) => kept.includes(sequence) || staying.includes(sequence))).toEqual([]);
        expect(gone.length + new Set([...kept, ...staying]).size).toBe(entries.length);
      }),
    );
  });
});

describe('over any checkpoints and rules', () => {
  const someRules = fc.array(anyRule, { minLength: 1, maxLength: 3 });

  test('all are either kept, for a reason, or removed; never the newest, the newest full, the best or a tagged one', () => {
    fc.assert(
      fc.property(anyEntries, someRules, (entries, rules) => {
        const { kept, removed, reasons } = decide(entries, rules);
        expect(sequences([...kept, ...removed]).sort((a, b) => a - b)).toEqual(sequences(entries));
        expect(sequences(kept)).toEqual(sequences(kept).sort((a, b) => a - b));
        expect([...reasons.keys()].sort((a, b) => a.sequence - b.sequence)).toEqual(kept);
        expect([...reasons.values()].every((why) => why.length > 0 && new Set(why).size === why.length)).toBe(true);
        const gone = new Set(removed);
        for (const precious of [
          entries.at(-1),
          entries.findLast(({ contents }) => contents === 'full'),
          bestOf(entries, LOSS),
          ...entries.filter(({ tags = [] }) => tags.length > 0),
        ]) {
          if (precious !== undefined) expect(gone.has(precious)).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('at least what each rule wants by itself is kept, and another rule costs nothing', () => {
    fc.assert(
      fc.property(anyEntries, someRules, (entries, rules) => {
        const kept = new Set(decide(entries, rules).kept);
        for (const rule of rules) {
          const alone = decide(entries, [rule]);
          expect(alone.kept.filter((entry) => !kept.has(entry))).toEqual([]);
          for (const entry of alone.kept)
            expect(decide(entries, rules).reasons.get(entry)).toEqual(expect.arrayContaining([...(alone.reasons.get(entry) ?? [])]));
        }
      }),
      { numRuns: 100 },
    );
  });

  test('the order of the list does not matter, nor that of the rules', () => {
    fc.assert(
      fc.property(anyEntries, someRules, fc.func(fc.integer()), (entries, rules, shuffle) => {
        const mixed = [...entries].sort((a, b) => shuffle(a.sequence) - shuffle(b.sequence));
        expect(sequences(decide(mixed, rules.toReversed()).kept)).toEqual(sequences(decide(entries, rules).kept));
      }),
      { numRuns: 100 },
    );
  });

  test('deciding again over what was kept removes nothing more, however much later', () => {
    let removals = 0;
    fc.assert(
      fc.property(anyEntries, lastingRules, fc.nat(1e9), (entries, rules, later) => {
        const { kept, removed } = decide(entries, rules);
        removals += removed.length;
        expect(sequences(decide(kept, rules, NOW + later).removed)).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(removals).toBeGreaterThan(1000);
  });

  test('by age, only time takes more', () => {
    fc.assert(
      fc.property(anyEntries, fc.integer({ min: 1, max: 60 }), fc.nat(60), (entries, minutes, later) => {
        const rule = keep.youngerThan({ minutes });
        const { kept } = decide(entries, [rule]);
        expect(sequences(decide(kept, [rule]).removed)).toEqual([]);
        const then = decide(kept, [rule], NOW + later * MINUTE);
        expect(then.removed.every(({ time }) => NOW + later * MINUTE - time >= minutes * MINUTE)).toBe(true);
      }),
    );
  });

  test('after every save keeps what deciding once, at the end, would have kept', () => {
    const withoutSizes = lastingRules.filter((rules) => rules.every(({ description }) => !description.startsWith('keep.maxBytes')));
    fc.assert(
      fc.property(anyEntries, withoutSizes, (entries, rules) => {
        let there: readonly PolicyEntry[] = [];
        for (const entry of entries) there = decide([...there, entry], rules).kept;
        expect(sequences(there)).toEqual(expect.arrayContaining(sequences(decide(entries, rules).kept)));
      }),
      { numRuns: 300 },
    );
  });
});

describe('ten thousand checkpoints and more', () => {
  const RULES = [
    keep.last(10),
    keep.best(10),
    keep.everySteps(100),
    keep.everyMinutes(60),
    keep.steps([1, 2, 3, 5000]),
    keep.youngerThan({ hours: 1 }),
    keep.maxBytes(10_000, [keep.last(5000), keep.best(5000)]),
    keep.maxBytes(10_000),
  ];
  const many = (count: number) => checkpoints(Array.from({ length: count }, (_, i) => ({ step: i, loss: (i * 7919) % 10_007, minute: i })));

  test('each is looked at a few times, whatever their number', () => {
    const looks = (count: number) => {
      let seen = 0;
      const counted = many(count).map(
        (entry) =>
          new Proxy(entry, {
            get(target, key) {
              seen++;
              return target[key as keyof PolicyEntry];
            },
          }),
      );
      decideRetention(counted, RULES, { best: counted[0], monitor: LOSS, now: NOW });
      return seen / count;
    };
    // Sorting takes a look or two more for each doubling; a search per entry would take ten times as many.
    expect(looks(10_000)).toBeLessThan(2 * looks(1000));
  });

  test('nor are they searched for: hundreds of thousands do not take for ever', () => {
    const entries = many(150_000);
    const { kept, removed } = decide(entries, RULES);
    expect(kept.length + removed.length).toBe(150_000);
    expect(kept.length).toBeGreaterThan(3000);
    const view: RetentionView = { entries, best: entries[0], monitor: LOSS, now: NOW };
    expect(decideRoom(view, view, RULES)).toEqual(removed);
  });
});

/** The queue by itself, with work of every length, cancelled at every moment. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.js';
import { type QueuedSave, SaveQueue } from '../../src/saver/queue.js';
import { rejection } from '../helpers/errors.js';
import { deferred } from '../helpers/streams.js';

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
const cancelled = () => new HoldfastError('ERR_ABORTED', 'cancelled');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** One thing that happens: a save is called, or one of those called is cancelled, after some turns of the event loop. */
const happenings = fc.array(
  fc.record({
    after: fc.integer({ min: 0, max: 3 }),
    what: fc.oneof(
      fc.record({ kind: fc.constant('add' as const), turns: fc.integer({ min: 0, max: 5 }), fails: fc.boolean(), stops: fc.boolean() }),
      fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(20) }),
    ),
  }),
  { maxLength: 25 },
);

describe('SaveQueue', () => {
  test('runs one at a time, in the order of the calls; every save ends, once; what was cancelled while it waited never runs', async () => {
    await fc.assert(
      fc.asyncProperty(happenings, async (list) => {
        const queue = new SaveQueue();
        const saves: { save: QueuedSave<number>; cancelledWaiting: boolean }[] = [];
        const ran: number[] = [];
        const dropped: number[] = [];
        let running = 0;
        for (const { after, what } of list) {
          await turns(after);
          if (what.kind === 'add') {
            const id = saves.length;
            const work = async (signal: AbortSignal) => {
              ran.push(id);
              expect(++running).toBe(1);
              await turns(what.turns);
              running--;
              if (what.stops && signal.aborted) throw signal.reason;
              if (what.fails) throw new HoldfastError('ERR_IO', 'failed');
              return id;
            };
            const save = queue.add(work, { owner: queue, replaceable: true }, () => dropped.push(id));
            saves.push({ save, cancelledWaiting: false });
          } else {
            const one = saves[what.which];
            if (one === undefined) continue;
            one.cancelledWaiting ||= one.save.waiting;
            one.save.cancel(cancelled());
            one.save.cancel(cancelled());
          }
        }
        const outcomes = await Promise.allSettled(saves.map(({ save }) => save.outcome));
        expect(queue.length).toBe(0);
        const never = saves.flatMap(({ cancelledWaiting }, id) => (cancelledWaiting ? [id] : []));
        expect([...dropped].sort((a, b) => a - b)).toEqual(never);
        expect(ran).toEqual(saves.map((_, id) => id).filter((id) => !never.includes(id)));
        outcomes.forEach((outcome, id) => {
          if (outcome.status === 'fulfilled') expect(outcome.value).toBe(id);
          else expect(['ERR_IO', 'ERR_ABORTED']).toContain(outcome.reason.code);
          expect(saves[id]?.save).toMatchObject({ settled: true, waiting: false });
        });
      }),
      { numRuns: 60 },
    );
  });

  test('work begins at once where nothing is ahead of it, else when that is done', async () => {
    const queue = new SaveQueue();
    const gate = deferred();
    const begun: string[] = [];
    const add = (name: string, work: Promise<void>) => {
      const save = async () => {
        begun.push(name);
        await work;
      };
      return queue.add(save, { owner: queue, replaceable: false }, () => {});
    };
    const first = add('first', gate.promise);
    const second = add('second', Promise.resolve());
    expect([begun, first.waiting, second.waiting]).toEqual([['first'], false, true]);
    await turns(2);
    expect([begun, queue.length]).toEqual([['first'], 2]);
    gate.resolve();
    await second.outcome;
    expect([begun, queue.length]).toEqual([['first', 'second'], 0]);
    await turns(1);
    const third = add('third', Promise.resolve());
    expect(begun).toEqual(['first', 'second', 'third']);
    await third.outcome;
  });

  test('what a settled save still does is waited for by the next, and by those who ask', async () => {
    const queue = new SaveQueue();
    const tidying = deferred();
    const origin = { owner: queue, replaceable: false };
    const first = queue.add(
      async () => queue.keepBusy(tidying.promise),
      origin,
      () => {},
    );
    await first.outcome;
    const done: string[] = [];
    void queue.tidied().then(() => done.push('tidied'));
    const second = queue.add(
      async () => {
        done.push('second');
      },
      origin,
      () => {},
    );
    await turns(3);
    expect([done, queue.length]).toEqual([[], 1]);
    tidying.resolve();
    await second.outcome;
    expect(done).toEqual(['tidied', 'second']);
  });

  test('a failure that nobody listens to is no unhandled rejection', async () => {
    const queue = new SaveQueue();
    const unhandled: unknown[] = [];
    const listener = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', listener);
    const add = (work: () => Promise<void>) => queue.add(work, { owner: queue, replaceable: true }, () => {});
    add(async () => {
      throw new HoldfastError('ERR_IO', 'failed');
    });
    add(async () => {}).cancel(cancelled());
    await turns(4);
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });

  test('within waits for room, or for the end of what waits', async () => {
    const queue = new SaveQueue();
    const gates = [deferred(), deferred(), deferred()];
    const [first, second, third] = gates.map((gate) =>
      queue.add(
        () => gate.promise,
        { owner: queue, replaceable: true },
        () => {},
      ),
    );
    const resolved: string[] = [];
    const waits = [
      queue.within(1, first as QueuedSave<void>).then(() => resolved.push('first')),
      queue.within(1, second as QueuedSave<void>).then(() => resolved.push('second')),
      queue.within(2, third as QueuedSave<void>).then(() => resolved.push('third')),
    ];
    await turns(2);
    expect(resolved).toEqual(['first']);
    gates[0]?.resolve();
    await first?.outcome;
    await turns(1);
    expect(resolved.sort()).toEqual(['first', 'second', 'third']);
    await Promise.all(waits);
    const cancelledWait = queue.within(0, third as QueuedSave<void>);
    third?.cancel(cancelled());
    await rejection((third as QueuedSave<void>).outcome, 'ERR_ABORTED');
    await cancelledWait;
    gates[1]?.resolve();
    await second?.outcome;
  });

  test('whoever can be replaced: the newest of the owner that waits beyond those in flight', async () => {
    const queue = new SaveQueue();
    const gate = deferred();
    const [one, two] = [{}, {}];
    const add = (owner: object, replaceable: boolean) =>
      queue.add(
        () => gate.promise,
        { owner, replaceable },
        () => {},
      );
    const [running, own, others, , save] = [add(one, true), add(one, true), add(two, true), add(one, true), add(one, false)];
    await turns(2);
    const newest = queue.findReplaceable(1, one);
    expect([newest === running, newest === own, newest === others, newest === save]).toEqual([false, false, false, false]);
    newest?.cancel(cancelled());
    expect(queue.findReplaceable(1, one)).toBe(own);
    expect(queue.findReplaceable(1, two)).toBe(others);
    expect(queue.findReplaceable(2, one)).toBe(undefined);
    expect(queue.findReplaceable(0, {})).toBe(undefined);
    gate.resolve();
    await save?.outcome;
  });

  test.each(['committed', 'failed', 'cancelled'])('whoever keeps a save that was %s keeps nothing of what was saved', async (end) => {
    const queue = new SaveQueue();
    const gate = deferred<void>();
    queue.add(
      () => gate.promise,
      { owner: queue, replaceable: false },
      () => {},
    );
    // An error keeps the functions of its stack.
    const failure = new HoldfastError('ERR_IO', 'failed');
    const [save, memory] = (() => {
      const tensor = new Float32Array(10);
      const work = async () => {
        if (end === 'failed' && tensor.length > 0) throw failure;
      };
      return [queue.add(work, { owner: queue, replaceable: true }, () => tensor.fill(0)), new WeakRef(tensor)] as const;
    })();
    if (end === 'cancelled') save.cancel(cancelled());
    gate.resolve();
    await save.outcome.catch(() => {});
    await turns(2);
    collectGarbage();
    expect(save.settled).toBe(true);
    expect(memory.deref()).toBe(undefined);
  });
});

/** The history of a run: what events tell, what they do not, and that fewer of them tell the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { condenseHistory, foldHistory, usefulShare } from '../../src/format/history.js';
import { decodeHistoryEvent, encodeHistoryEvent, type HistoryEvent } from '../../src/format/history-events.js';

const at = (up_s: number) => ({ at_ms: 1_770_000_000_000 + Math.round(up_s * 1000), up_s });
const opened = (): HistoryEvent => ({ event: 'opened', run: 'r', ...at(0) });
const alive = (up_s: number, step: number): HistoryEvent => ({ event: 'alive', step, ...at(up_s) });
const saved = (up_s: number, step: number, more = {}): HistoryEvent => ({
  ...{ event: 'saved', step, bytes: 1000, stall_s: 0.1, persist_s: 1 },
  ...more,
  ...at(up_s),
});
const restored = (up_s: number, step: number): HistoryEvent => ({ event: 'restored', step, seconds: 0.5, restart_s: 2, ...at(up_s) });
const closed = (up_s: number, step?: number): HistoryEvent => ({ event: 'closed', ...(step === undefined ? {} : { step }), ...at(up_s) });
const ends = (events: readonly HistoryEvent[]) => foldHistory(events).lives.map(({ end }) => end);

describe('a life', () => {
  it('that the next one found without an end has failed', () => {
    expect(ends([opened(), alive(1, 1), opened()])).toEqual(['failed', 'open']);
  });

  it('that was closed has ended, if the next one went on where it stopped', () => {
    expect(ends([opened(), alive(1, 5), saved(2, 10), closed(3, 10), opened(), restored(1, 10)])).toEqual(['ended', 'open']);
  });

  it('that was closed has failed all the same, if the next one had to go back: an exception closes the manager too', () => {
    const wentBack = [opened(), saved(2, 10), alive(4, 17), closed(5, 17), opened(), restored(1, 10)];
    expect(ends([...wentBack, alive(2, 11)])).toEqual(['failed', 'open']);
    // Until then somebody may only be looking, or change his mind.
    expect(ends(wentBack)).toEqual(['ended', 'open']);
    expect(ends([...wentBack, restored(2, 17), alive(2, 18)])).toEqual(['ended', 'open']);
  });

  it('goes on from what was restored last before its first step', () => {
    const history = foldHistory([opened(), saved(2, 100), closed(3, 100), opened(), restored(1, 50), restored(2, 100), alive(3, 101)]);
    expect(history.restores.map(({ step }) => step)).toEqual([100]);
    expect(history.lives[1]).toMatchObject({ restoredStep: 100, trained: true });
  });

  it('can fail from its first step on, or from what it was restored to', () => {
    const trained = (events: readonly HistoryEvent[]) => foldHistory([opened(), ...events]).lives[0]?.trained_s;
    expect(trained([restored(30, 10), alive(40, 11), alive(100, 50)])).toBe(60);
    expect(trained([restored(30, 10), saved(100, 50)])).toBe(70);
    expect(trained([saved(100, 50)])).toBe(100);
    expect(trained([restored(30, 10)])).toBe(0);
  });

  it('has saved something if the next one went on from further than it did, also where it died before it could tell', () => {
    const died = [opened(), restored(1, 10), alive(2, 11), opened()];
    expect(foldHistory([...died, restored(1, 20), alive(2, 21)]).lives[0]?.hasSaved).toBe(true);
    expect(foldHistory([...died, restored(1, 10), alive(2, 11)]).lives[0]?.hasSaved).toBe(false);
    expect(foldHistory(died).lives[0]?.hasSaved).toBe(false);
  });

  it('that went back by itself, and was closed where it then was, has lost nothing', () => {
    const events = [
      opened(),
      alive(1, 1),
      alive(50, 100),
      alive(60, 60),
      saved(65, 70),
      closed(66, 70),
      opened(),
      restored(1, 70),
      alive(2, 71),
    ];
    expect(ends(events)).toEqual(['ended', 'open']);
  });

  it('that was told to end and has saved once more has ended, whenever the measure of that save came', () => {
    const preempted: HistoryEvent = { event: 'preempted', step: 20, ...at(20) };
    expect(ends([opened(), alive(1, 1), preempted, saved(21, 20), opened()])).toEqual(['ended', 'open']);
    expect(ends([opened(), alive(1, 1), preempted, saved(21, 21), { ...preempted, step: 21 }, opened()])).toEqual(['ended', 'open']);
    // This one went on.
    expect(ends([opened(), alive(1, 1), preempted, alive(25, 30), opened()])).toEqual(['failed', 'open']);
  });

  it('that was only looked at later is not taken for a failure', () => {
    const lookedBack = [opened(), saved(2, 10), closed(5, 20), opened(), alive(1, 21), restored(2, 10)];
    expect(ends(lookedBack)).toEqual(['ended', 'open']);
    expect(foldHistory(lookedBack).restores).toEqual([]);
  });

  it('that died before its first step counts for nothing', () => {
    const history = foldHistory([opened(), restored(3, 10), opened(), restored(3, 10), opened(), alive(5, 1), opened()]);
    expect(history).toMatchObject({ failures: 1, uptime_s: 5, restores: [] });
  });

  it('is as long as its last sign', () => {
    expect(foldHistory([opened(), alive(1, 1), saved(7, 3), opened(), alive(2, 4)]).lives).toEqual([
      { up_s: 7, trained: true, trained_s: 6, hasSaved: true, end: 'failed', lastStep: 3 },
      { up_s: 2, trained: true, trained_s: 0, hasSaved: false, end: 'open', lastStep: 4 },
    ]);
  });
});

describe('the useful share', () => {
  it('counts the steps that are not lost, by what a step takes', () => {
    const events = [
      opened(),
      saved(50, 40, { step_s: 1 }),
      alive(60, 50),
      opened(),
      restored(5, 40),
      saved(45, 70, { step_s: 1 }),
      alive(50, 75),
    ];
    // 40 steps of the first 60 seconds were kept, and 35 of the 50 that followed.
    expect(usefulShare(foldHistory(events))).toBeCloseTo(75 / 110, 12);
  });

  it('is not known before it is known what a step takes', () => {
    expect(usefulShare(foldHistory([opened(), saved(50, 40)]))).toBeUndefined();
    expect(usefulShare(foldHistory([]))).toBeUndefined();
  });
});

describe('lines', () => {
  it('come back as they were, to nine digits', () => {
    const events = [opened(), alive(1.5, 3), saved(2.25, 4, { slowdown: 0.125, step_s: 0.5 }), restored(1, 2), closed(3), closed(3, 4)];
    const preempted: HistoryEvent = { event: 'preempted', step: 9, ...at(4) };
    const interval: HistoryEvent = { event: 'interval', interval_s: 12.5, reason: 'optimum', ...at(5) };
    for (const event of [...events, preempted, interval]) expect(decodeHistoryEvent(encodeHistoryEvent(event))).toEqual(event);
    expect(encodeHistoryEvent(saved(1 / 3, 1))).toContain('"up_s":0.333333333');
  });

  it.each([
    '',
    '{"event":"saved"',
    'null',
    '7',
    '[]',
    '{"event":"toString","at_ms":1,"up_s":1}',
    '{"event":"alive","at_ms":1,"up_s":1}',
    '{"event":"alive","at_ms":1,"up_s":-1,"step":1}',
    '{"event":"alive","at_ms":1,"up_s":1,"step":"1"}',
    '{"event":"saved","at_ms":1,"up_s":1,"step":1,"bytes":1,"stall_s":1,"persist_s":1,"slowdown":null}',
    // Training that goes backwards, and times whose sum is no number: they would make the controller refuse all that it is told.
    '{"event":"saved","at_ms":1,"up_s":1,"step":1,"bytes":1,"stall_s":1,"persist_s":1,"slowdown":1.5}',
    '{"event":"saved","at_ms":1,"up_s":1,"step":1,"bytes":1,"stall_s":1,"persist_s":1,"slowdown":-1.5}',
    '{"event":"alive","at_ms":"1","up_s":1,"step":1}',
    '{"event":"saved","at_ms":1,"up_s":1,"step":1,"bytes":1,"stall_s":1e308,"persist_s":1}',
    '{"event":"alive","at_ms":1,"up_s":1e300,"step":1}',
    '{"event":"opened","at_ms":1,"up_s":0}',
    '{"event":"interval","at_ms":1,"up_s":0,"interval_s":3}',
  ])('of others are passed over: %s', (line) => {
    expect(decodeHistoryEvent(line)).toBeUndefined();
  });
});

describe('fewer events', () => {
  const event = fc.oneof(
    { weight: 2, arbitrary: fc.constant(opened()) },
    { weight: 3, arbitrary: fc.tuple(fc.nat(100), fc.nat(50)).map(([up_s, step]) => alive(up_s, step)) },
    { weight: 3, arbitrary: fc.tuple(fc.nat(100), fc.nat(50)).map(([up_s, step]) => saved(up_s, step)) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(100), fc.nat(50)).map(([up_s, step]) => restored(up_s, step)) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(100), fc.nat(50)).map(([up_s, step]) => closed(up_s, step)) },
  );

  /** As they come from one process after the other: time goes on within a life, and steps do, or go back. */
  const inOrder = (events: readonly HistoryEvent[]): HistoryEvent[] => {
    let up_s = 0;
    return events.map((each) => {
      up_s = each.event === 'opened' ? 0 : up_s + 1;
      return { ...each, up_s };
    });
  };

  it('tell the same', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const all = inOrder([opened(), ...events]);
        expect(foldHistory(condenseHistory(all))).toEqual(foldHistory(all));
      }),
      { numRuns: 2000 },
    );
  });

  it('are bounded, however many there were and of which kind, and keep the newest', () => {
    const tens = (make: (up_s: number, step: number) => HistoryEvent, life: number) =>
      Array.from({ length: 10 }, (_, k) => make(k + 1, life * 10 + k));
    for (const make of [saved, alive, restored, closed]) {
      const long = Array.from({ length: 2000 }, (_, life) => [opened(), alive(0, life), ...tens(make, life)]).flat();
      const kept = condenseHistory(long);
      expect(kept.length).toBeLessThan(8000);
      expect(foldHistory(kept).lives).toHaveLength(1000);
      expect(foldHistory(kept).uptime_s).toBe(10_000);
    }
    // Of those who only load, again and again.
    expect(condenseHistory([opened(), ...tens(restored, 1), opened(), ...tens(restored, 2)])).toHaveLength(4);
  });

  it('lose signs of life that later ones surpass', () => {
    const many = [opened(), ...Array.from({ length: 500 }, (_, i) => alive(i + 1, i))];
    expect(condenseHistory(many)).toEqual([opened(), alive(1, 0), many.at(-1)]);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decidePreemption, type PreemptionFacts } from '../../src/policy/preemption.js';

/** What is measured must fit this many times. */
const SAFETY = 1.5;

const facts = (change: Partial<PreemptionFacts> = {}): PreemptionFacts => ({
  deadlineSeconds: 25,
  bytesInFlight: 0,
  savesInFlight: 0,
  measured: { bytes: 1000, seconds: 2 },
  canSave: true,
  ...change,
});

const seconds = fc.double({ min: 0, max: 1e6, noNaN: true });
const bytes = fc.integer({ min: 0, max: 2 ** 45 });
const anything: fc.Arbitrary<PreemptionFacts> = fc
  .record({
    deadlineSeconds: seconds,
    savesInFlight: fc.integer({ min: 0, max: 5 }),
    bytesInFlight: bytes,
    measured: fc.option(fc.record({ bytes, seconds }), { nil: undefined }),
    canSave: fc.boolean(),
  })
  .map((given) => ({ ...given, bytesInFlight: given.savesInFlight === 0 ? 0 : given.bytesInFlight }));

/** What finishing takes at the measured speed. */
const restOf = ({ bytesInFlight, measured }: PreemptionFacts) =>
  measured === undefined || measured.bytes === 0 ? 0 : (bytesInFlight / measured.bytes) * measured.seconds;

describe('decidePreemption', () => {
  test.each<[string, Partial<PreemptionFacts>, string, number | null, string]>([
    ['it fits', {}, 'save', 2, '2.0 s expected (2.0 s for 1000 bytes in the newest save), times 1.5 for safety, fit into 25.0 s'],
    ['it fits exactly', { deadlineSeconds: 3 }, 'save', 2, 'fit into 3.0 s'],
    ['it nearly fits', { deadlineSeconds: 2.999 }, 'exit', 0, 'do not fit into 3.0 s'],
    [
      'what is in flight takes its time',
      { savesInFlight: 1, bytesInFlight: 500, deadlineSeconds: 4.5 },
      'save',
      3,
      'and 1.0 s for what is in flight',
    ],
    ['what is in flight takes too long', { savesInFlight: 2, bytesInFlight: 2000, deadlineSeconds: 8 }, 'finish', 4, 'do not fit'],
    ['nobody can save', { canSave: false }, 'exit', 0, 'no function for a last save was given'],
    ['nobody can save, something is in flight', { canSave: false, savesInFlight: 1, bytesInFlight: 500 }, 'finish', 1, 'no function'],
    ['nothing was measured', { measured: undefined }, 'save', null, 'no save has been measured yet'],
    ['nothing was measured, one is in flight', { measured: undefined, savesInFlight: 1, bytesInFlight: 9 }, 'save', null, 'no save has'],
    [
      'nothing was measured, and nobody can save',
      { measured: undefined, canSave: false, savesInFlight: 1, bytesInFlight: 9 },
      'finish',
      null,
      'no function',
    ],
    ['the measured save was empty', { measured: { bytes: 0, seconds: 0.01 }, savesInFlight: 1, bytesInFlight: 9 }, 'save', 0.01, '10.0 ms'],
    ['the measured one was huge', { measured: { bytes: 2 ** 40, seconds: 400 } }, 'exit', 0, 'do not fit into 25.0 s'],
  ])('%s', (_, change, choice, expectedSeconds, reason) => {
    const decision = decidePreemption(facts(change));
    expect([decision.choice, decision.expectedSeconds]).toEqual([choice, expectedSeconds]);
    expect(decision.reason).toContain(reason);
  });

  test('what is in flight is always finished, and never said to be nothing', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const { choice } = decidePreemption(given);
        expect(choice === 'exit').toBe(choice !== 'save' && given.savesInFlight === 0);
      }),
    );
  });

  test('a last save is made if and only if somebody can, and it fits or nothing is known', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const needed = (restOf(given) + (given.measured?.seconds ?? 0)) * SAFETY;
        const fits = given.measured === undefined || needed <= given.deadlineSeconds;
        expect(decidePreemption(given).choice === 'save').toBe(given.canSave && fits);
      }),
    );
  });

  test('more time never takes a last save away, more work in flight never brings one', () => {
    fc.assert(
      fc.property(anything, seconds, bytes, (given, moreSeconds, moreBytes) => {
        const saves = (change: Partial<PreemptionFacts>) => decidePreemption({ ...given, ...change }).choice === 'save';
        if (saves({})) expect(saves({ deadlineSeconds: given.deadlineSeconds + moreSeconds })).toBe(true);
        else expect(saves({ savesInFlight: given.savesInFlight + 1, bytesInFlight: given.bytesInFlight + moreBytes })).toBe(false);
      }),
    );
  });

  test('what it expects is a time, or not known because nothing was measured', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const { expectedSeconds, reason } = decidePreemption(given);
        if (expectedSeconds === null) expect(given.measured).toBe(undefined);
        else expect(Number.isFinite(expectedSeconds) && expectedSeconds >= 0).toBe(true);
        expect(reason).toMatch(/^[a-z0-9].*[^.]$/);
        expect(reason).not.toMatch(/NaN|undefined|null/);
      }),
    );
  });
});

/** Random histories of the real manager over a simulated machine. README.md says what happens in them and what must hold. */
import { expect, test } from 'vitest';
import { CONTROLS } from './controls.js';
import { type HistoryOutcome, runHistory } from './history.js';

const BASE = 1;
const COUNT = Number(process.env['HOLDFAST_SIMULATIONS'] ?? 2000);
/** Seeds per test, so that the time limit of a test is one for a few. */
const AT_ONCE = 100;
/** Within so many seeds every broken machine must be found out. */
const CONTROL_SEEDS = 1000;

const last = BASE + COUNT - 1;
console.log(`Simulated histories: seeds ${BASE} to ${last}.`);

function describeFailure({ seed, violations }: HistoryOutcome): string {
  const lines = violations.map(({ code, message }) => `  ${code}: ${message}`);
  return `seed ${seed}:\n${lines.join('\n')}\nReplay it: npm run test:torture -- --seed ${seed}`;
}

test.each(
  Array.from({ length: Math.ceil(COUNT / AT_ONCE) }, (_, i) => [BASE + i * AT_ONCE, Math.min(last, BASE + (i + 1) * AT_ONCE - 1)] as const),
)('what was promised holds in the histories of seeds %i to %i', async (from, to) => {
  const failures: string[] = [];
  let acknowledged = 0;
  for (let seed = from; seed <= to; seed++) {
    const outcome = await runHistory(seed);
    acknowledged += outcome.acknowledged;
    if (outcome.violations.length > 0) failures.push(describeFailure(outcome));
  }
  expect(failures.join('\n')).toBe('');
  expect(acknowledged).toBeGreaterThan(to - from);
});

test('a seed replays: the same operations in the same order with the same outcomes', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const once = await runHistory(seed);
    const again = await runHistory(seed);
    expect(again.hash, `seed ${seed}`).toBe(once.hash);
    expect(again.operations).toBe(once.operations);
  }
});

test.each(Object.entries(CONTROLS))('a broken machine is found out: %s', async (_, { breakage, finds }) => {
  const found = new Set<string>();
  for (let seed = 1; seed <= CONTROL_SEEDS && !finds.some((code) => found.has(code)); seed++) {
    const { violations } = await runHistory(seed, { breakage });
    for (const { code } of violations) found.add(code);
  }
  expect(finds.filter((code) => found.has(code))).not.toEqual([]);
});

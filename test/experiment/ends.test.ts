/** How a process may end, and what of its log is then there. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openExperiment } from '../../src/experiment/experiment.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { logFileOf, logLines, openTestExperiment } from '../helpers/experiment.js';
import { random32 } from '../helpers/random.js';

const PRELUDE = `
  import { statSync, writeSync } from 'node:fs';
  const { openExperiment } = await import(${JSON.stringify(new URL('../../dist/experiment/experiment.js', import.meta.url).href)});
  const [root] = process.argv.slice(1);
  const experiment = await openExperiment('x', { root });
`;

const KILLS = 10;
const MAX_DELAY_MS = 60;

/** Logs without end; says a step when everything up to it was handed to the operating system. */
const LOG = `${PRELUDE}
  const { records } = await experiment.history();
  let step = (records.findLast(({ event }) => event === 'log')?.step ?? 0) + 1;
  writeSync(1, 'ready\\n');
  for (;; step++) {
    experiment.log({ step, text: 'x'.repeat(step % 5000) });
    if (step % 50 === 0) {
      await experiment.history();
      writeSync(1, step + '\\n');
    }
    if (step % 7 === 0) await new Promise(setImmediate);
  }
`;

describe('a process that is killed in the middle of logging', () => {
  test(`${KILLS} times: what was handed over is there, in order, and the next one begins on a new line`, async () => {
    const root = freshDirectory();
    const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));
    let acknowledged = 0;
    for (let i = 0; i < KILLS; i++) {
      const child = startNode(LOG, [root]);
      const end = ended(child);
      await Promise.race([new Promise((resolve) => child.stdout?.once('data', resolve)), end]);
      await sleep(next() % MAX_DELAY_MS);
      child.kill('SIGKILL');
      const { signal, stdout, stderr } = await end;
      expect(signal, stderr).toBe('SIGKILL');
      for (const line of stdout.split('\n').slice(0, -1)) if (line !== 'ready') acknowledged = Number(line);
      const reader = await openTestExperiment(root, 'x', { readOnly: true });
      const { records, torn } = await reader.history();
      const logged = records.filter((record) => record.event === 'log');
      expect(logged.length).toBeGreaterThanOrEqual(acknowledged);
      expect(logged.every(({ step, text }, at) => step === at + 1 && (text as string).length === step % 5000)).toBe(true);
      expect(records.filter(({ event }) => event === 'started')).toHaveLength(i + 1);
      expect(torn).toBeLessThanOrEqual(i + 1);
    }
    expect(acknowledged).toBeGreaterThan(0);
    const writer = await openExperiment('x', { root });
    await writer.close();
    const lines = readFileSync(logFileOf(writer.directory), 'utf8').trimEnd().split('\n');
    expect(lines.slice(-2).map((line) => JSON.parse(line).event)).toEqual(['started', 'closed']);
  });
});

describe('a process that ends by itself without closing', () => {
  const log = (count: number) => `for (let step = 1; step <= ${count}; step++) experiment.log({ step, text: 'x'.repeat(step) });`;
  /** Goes on while a long batch is being written, by another thread, and has not been heard of yet. */
  const untilHalfWritten = "while (statSync(root + '/x/logs/training.jsonl').size < 1_000_000) await new Promise(setImmediate);";

  test.each([
    ['process.exit at once', 2000, 'process.exit(3);', 3],
    ['process.exit a moment later', 2000, 'setImmediate(() => process.exit(3));', 3],
    ['process.exit while lines are half written', 6000, `${untilHalfWritten} process.exit(3);`, 3],
    ['an exception that nobody catches', 2000, "throw new Error('training broke');", 1],
    ['a rejection that nobody handles', 2000, "await Promise.reject(new Error('training broke'));", 1],
    ['nothing left to do', 2000, '', 0],
  ])('%s: every line is there, once, in order', async (_, count, script, status) => {
    const root = freshDirectory();
    const { code, stderr } = await ended(startNode(PRELUDE + log(count) + script, [root]));
    expect(code, stderr).toBe(status);
    const logged = logLines(path.join(root, 'x')).filter(({ event }) => event === 'log');
    expect(logged.map(({ step }) => step)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    expect(logged.every(({ step, text }) => (text as string).length === step)).toBe(true);
  });

  test('a line that was torn before it came stays apart', async () => {
    const root = freshDirectory();
    const torn = `
      import { appendFileSync } from 'node:fs';
      appendFileSync(root + '/x/logs/training.jsonl', '{"half');
      experiment.log({ step: 1 });
      process.exit(0);
    `;
    await ended(startNode(PRELUDE + torn, [root]));
    const reader = await openTestExperiment(root, 'x', { readOnly: true });
    const { records, torn: count } = await reader.history();
    expect([count, records.map(({ event }) => event)]).toEqual([1, ['started', 'log']]);
  });

  test('closed in time, nothing is written twice', async () => {
    const root = freshDirectory();
    const { code } = await ended(startNode(`${PRELUDE} experiment.log({ step: 1 }); await experiment.close(); process.exit(0);`, [root]));
    expect(code).toBe(0);
    expect(logLines(path.join(root, 'x')).map(({ event }) => event)).toEqual(['started', 'log', 'closed']);
    expect(statSync(logFileOf(path.join(root, 'x'))).size).toBeGreaterThan(0);
  });
});

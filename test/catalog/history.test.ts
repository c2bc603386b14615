/** The file of a run's history: added to, never waited for, and never the end of a run. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { HistoryLog } from '../../src/catalog/history.js';
import { RunRecord } from '../../src/manager/run-record.js';
import { freshDirectory } from '../helpers/directory.js';

const fileIn = (directory: string) => path.join(directory, '.history.jsonl');
const linesOf = (directory: string) =>
  readFileSync(fileIn(directory), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { event: string; step?: number });

test('what waits for a file that cannot be written does not grow for ever, and keeps where it began and how it went on', async () => {
  const directory = freshDirectory();
  mkdirSync(fileIn(directory), { recursive: true });
  const log = await HistoryLog.open(directory);
  log.add({ event: 'opened', run: 'r', at_ms: 1, up_s: 0 });
  for (let step = 0; step < 5000; step++) {
    log.add({ event: 'alive', step, at_ms: 1, up_s: step });
    if (step % 100 === 0) await log.flush();
  }
  // More at once than a call can have arguments.
  for (let step = 5000; step < 300_000; step++) log.add({ event: 'restored', step, seconds: 1, restart_s: 1, at_ms: 1, up_s: step });
  await log.flush();
  rmSync(fileIn(directory), { recursive: true });
  log.add({ event: 'closed', at_ms: 1, up_s: 400_000 });
  await log.flush();
  const lines = linesOf(directory);
  expect(lines.length).toBeLessThanOrEqual(1001);
  expect([lines[0]?.event, lines.at(-1)?.event]).toEqual(['opened', 'closed']);
});

test('nothing is added behind the end: the directory may be another writer’s', async () => {
  const directory = freshDirectory();
  mkdirSync(directory, { recursive: true });
  const record = await RunRecord.open(directory, 'r');
  record.reached(7);
  await record.end('closed');
  await record.end('preempted');
  record.reached(8);
  await record.end('closed');
  expect(linesOf(directory).map(({ event }) => event)).toEqual(['opened', 'alive', 'closed']);
});

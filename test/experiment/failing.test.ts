/** A log that cannot be written: training goes on, the process is warned once, and close never claims success. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Experiment, openExperiment } from '../../src/experiment/experiment.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { collectWarnings, logFileOf, logLines, openTestExperiment } from '../helpers/experiment.js';
import { smallRequest } from '../helpers/manager.js';
import { CAN_MOUNT, mountTmpfs } from '../helpers/mounts.js';

/** Logs a line and waits until it was written, or lost. */
async function logAndWait(experiment: Experiment, step: number, more: Record<string, string> = {}): Promise<void> {
  experiment.log({ step, ...more });
  await experiment.history().catch(() => {});
}

describe('a log that cannot be written', () => {
  test('logs/ replaced by a file: one warning, and close says how much is missing and why', async () => {
    const warnings = collectWarnings();
    const root = freshDirectory();
    const experiment = await openTestExperiment(root, 'x');
    const logs = path.join(experiment.directory, 'logs');
    await logAndWait(experiment, 1);
    rmSync(logs, { recursive: true });
    writeFileSync(logs, 'in the way');
    await logAndWait(experiment, 2);
    await logAndWait(experiment, 3);
    const saved = await experiment.manager.save(smallRequest(3));
    const error = await rejection(experiment.close(), 'ERR_NOT_A_DIRECTORY');
    expect(error).toMatchObject({
      path: logFileOf(experiment.directory),
      cause: { code: 'ERR_NOT_A_DIRECTORY', errno: 'ENOTDIR' },
    });
    expect(error.message).toContain('4 lines');
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('training log')]);
    expect(readFileSync(logs, 'utf8')).toBe('in the way');
    // The checkpoint is as good as any, and the directory was given up.
    rmSync(logs);
    const again = await openTestExperiment(root, 'x');
    expect((await again.restore())?.info.name).toBe(saved.name);
  });

  test('the file moved away: what is logged later is in its place, and close says that the rest is not', async () => {
    const warnings = collectWarnings();
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const file = logFileOf(experiment.directory);
    await logAndWait(experiment, 1);
    renameSync(file, `${file}.1`);
    await logAndWait(experiment, 2);
    await logAndWait(experiment, 3);
    const error = await rejection(experiment.close(), 'ERR_NOT_FOUND');
    expect(error.message).toMatch(/may not be complete.*moved/);
    expect(warnings).toHaveLength(1);
    expect(logLines(experiment.directory).map(({ event, step }) => `${event}${step ?? ''}`)).toEqual(['log2', 'log3', 'closed']);
    expect(readFileSync(`${file}.1`, 'utf8').trimEnd().split('\n')).toHaveLength(2);
  });

  test('it is back: later lines are written, and close still rejects', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const logs = path.join(experiment.directory, 'logs');
    await logAndWait(experiment, 0);
    renameSync(logs, `${logs}.away`);
    await logAndWait(experiment, 1);
    mkdirSync(logs);
    await logAndWait(experiment, 2);
    const error = await rejection(experiment.close(), 'ERR_NOT_FOUND');
    expect(error.message).toContain('lacks a line');
    expect(logLines(experiment.directory).map(({ event, step }) => `${event}${step ?? ''}`)).toEqual(['log2', 'closed']);
  });

  test('a disk that is too slow: what may wait is limited, and close says what is missing', async () => {
    const warnings = collectWarnings();
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const text = 'x'.repeat(5 << 20);
    for (let step = 1; step <= 16; step++) experiment.log({ step, text });
    expect((await rejection(experiment.close(), 'ERR_RESOURCES')).message).toContain('lines');
    expect(warnings).toHaveLength(1);
    // As many as fit are there, the first ones, in order.
    const steps = logLines(experiment.directory).flatMap(({ event, step }) => (event === 'log' ? [step] : []));
    expect(steps).toEqual(Array.from({ length: steps.length }, (_, i) => i + 1));
    expect(steps.length).toBeGreaterThanOrEqual(12);
    expect(steps.length).toBeLessThan(16);
  });

  test('a save that failed comes first, the log second, and both let go', async () => {
    const root = freshDirectory();
    const experiment = await openExperiment('x', { root });
    const logs = path.join(experiment.directory, 'logs');
    rmSync(logs, { recursive: true });
    await rejection(experiment.manager.save({ ...smallRequest(1), state: { bad: Number.NaN } }), 'ERR_INVALID_STATE');
    const never = { byteLength: 8, async *[Symbol.asyncIterator]() {} };
    await experiment.manager.saveAsync({ step: 2, tensors: { x: { dtype: 'U8', shape: [8], data: never } } });
    await rejection(experiment.close(), 'ERR_SAVE_FAILED');
    await openTestExperiment(root, 'x');
  });

  test.skipIf(!CAN_MOUNT)('a full disk: what fits is whole lines and one torn one, and room again is used', async () => {
    const warnings = collectWarnings();
    const mount = mountTmpfs(1 << 20);
    const experiment = await openTestExperiment(mount, 'x');
    const ballast = path.join(mount, 'ballast');
    await logAndWait(experiment, 1);
    let free = 1 << 20;
    for (; free >= 4096; free /= 2) {
      try {
        writeFileSync(`${ballast}${free}`, Buffer.alloc(free));
      } catch {
        // It is about as full as this.
      }
    }
    for (let step = 2; step < 8; step++) await logAndWait(experiment, step, { text: 'x'.repeat(50_000) });
    for (let size = 1 << 20; size >= 4096; size /= 2) rmSync(`${ballast}${size}`, { force: true });
    await logAndWait(experiment, 9);
    const { records, torn } = await experiment.history();
    const steps = records.filter((record) => record.event === 'log').map(({ step }) => step);
    expect([steps[0], steps.at(-1), torn <= 1]).toEqual([1, 9, true]);
    expect(steps.length).toBeLessThan(8);
    const error = await rejection(experiment.close(), 'ERR_NO_SPACE');
    expect(error.cause).toMatchObject({ errno: 'ENOSPC' });
    expect(warnings).toHaveLength(1);
  });
});

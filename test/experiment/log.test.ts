/** The lines of the training log: what is taken down, in which order, and how it comes back. */
import { channel } from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openExperiment } from '../../src/experiment/experiment.js';
import type { LogRecord } from '../../src/experiment/records.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection, thrown } from '../helpers/errors.js';
import { logFileOf, logLines, openTestExperiment } from '../helpers/experiment.js';
import { until } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { random32 } from '../helpers/random.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe('log', () => {
  test('writes one JSON object per line, with time and event first', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    experiment.log({ step: 1, epoch: 0, loss: 0.5, phase: 'warm-up', improved: true, best: null, absent: undefined });
    await experiment.close();
    const [started, line, closed] = readFileSync(logFileOf(experiment.directory), 'utf8').split('\n') as [string, string, string];
    expect(line).toMatch(
      /^\{"time":"[^"]+Z","event":"log","step":1,"epoch":0,"loss":0\.5,"phase":"warm-up","improved":true,"best":null\}$/,
    );
    expect(JSON.parse(started)).toEqual({
      ...{ time: TIME, event: 'started', pid: process.pid, host: expect.any(String) },
      ...{ holdfast: expect.any(String), node: process.version },
    });
    expect(JSON.parse(closed)).toEqual({ time: TIME, event: 'closed' });
  });

  test('takes what is not finite as manifests do, and gives it back as numbers', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const values = { nan: Number.NaN, up: Number.POSITIVE_INFINITY, down: Number.NEGATIVE_INFINITY, zero: -0, tiny: 5e-324, text: 'NaN?' };
    experiment.log({ step: 2, ...values });
    const { records } = await experiment.history();
    expect(records.at(-1)).toStrictEqual({ time: TIME, event: 'log', step: 2, ...values });
    expect(logLines(experiment.directory).at(-1)).toMatchObject({ nan: 'NaN', up: 'Infinity', down: '-Infinity', zero: '-0' });
  });

  test('metrics may have any name but time and event', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const given = JSON.parse('{"step": 1, "__proto__": 2, "toString": 3, "a\\nb": 4, "ü\\u2028": 5, "": 6}');
    experiment.log(given);
    const record = (await experiment.history()).records.at(-1) as object;
    expect(JSON.parse(JSON.stringify(record))).toEqual({ time: TIME, event: 'log', ...given, ['__proto__']: 2 });
    expect(Object.getOwnPropertyDescriptor(record, '__proto__')?.value).toBe(2);
  });

  test.each([
    [{ loss: 1 }, 'step'],
    [{ step: -1 }, 'step'],
    [{ step: 1.5 }, 'step'],
    [{ step: Number.NaN }, 'step'],
    [{ step: '1' }, 'step'],
    [{ step: 1, epoch: 0.5 }, 'epoch'],
    [{ step: 1, time: 3 }, '"time"'],
    [{ step: 1, event: 'x' }, '"event"'],
    [{ step: 1, loss: [1] }, '"loss"'],
    [{ step: 1, loss: 1n }, '"loss"'],
    [{ step: 1, loss: () => 1 }, '"loss"'],
    [null, 'object'],
    [[], 'object'],
    [3, 'object'],
  ])('refuses %o, and writes nothing', async (record, named) => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    expect(thrown(() => experiment.log(record as unknown as LogRecord), 'ERR_INVALID_ARGUMENT').message).toContain(named);
    await experiment.close();
    expect(logLines(experiment.directory).map(({ event }) => event)).toEqual(['started', 'closed']);
  });

  test('of 1,000 concurrent tasks stands in the order of the calls', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const next = random32(7);
    const called: number[] = [];
    const delays = Array.from({ length: 1000 }, () => next() % 5);
    await Promise.all(
      delays.map(async (delay, i) => {
        if (delay === 1) await nextTurn();
        if (delay > 1) await sleep(delay);
        called.push(i);
        experiment.log({ step: i, text: 'x'.repeat(i) });
        if (i % 100 === 0) await experiment.history();
      }),
    );
    await experiment.close();
    const lines = logLines(experiment.directory).filter(({ event }) => event === 'log');
    expect(called).toHaveLength(1000);
    expect(lines.map(({ step }) => step)).toEqual(called);
    expect(lines.every(({ step, text }) => (text as string).length === step)).toBe(true);
  });

  test('is refused after close, and close may be called again', async () => {
    const experiment = await openExperiment('x', { root: freshDirectory() });
    await experiment.close();
    await experiment.close();
    thrown(() => experiment.log({ step: 1 }), 'ERR_CLOSED');
    thrown(() => experiment.logRestored(null), 'ERR_CLOSED');
    await rejection(experiment.history(), 'ERR_CLOSED');
    await rejection(experiment.restore(), 'ERR_CLOSED');
    expect(logLines(experiment.directory)).toHaveLength(2);
  });

  test('await using closes', async () => {
    const root = freshDirectory();
    {
      await using experiment = await openExperiment('x', { root });
      experiment.log({ step: 1 });
    }
    expect(logLines(path.join(root, 'x')).map(({ event }) => event)).toEqual(['started', 'log', 'closed']);
  });
});

describe('what happens to checkpoints is logged by itself', () => {
  test('a committed save, in the background or not', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const first = await experiment.manager.save(smallRequest(1));
    const pending = await experiment.manager.saveAsync({ ...smallRequest(2), epoch: 3 });
    await experiment.close();
    const second = await pending.committed;
    const saved = { time: TIME, event: 'saved', seconds: expect.any(Number) };
    expect(logLines(experiment.directory).slice(1, -1)).toEqual([
      { ...saved, step: 1, name: first.name, bytes: first.bytes },
      { ...saved, step: 2, epoch: 3, name: second?.name, bytes: second?.bytes },
    ]);
  });

  test('a failed one; and the caller hears of it all the same', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const stream = new HeldStream();
    stream.fail(new Error('the source broke'));
    await experiment.manager.saveAsync({ ...heldRequest(5, stream), epoch: 1 });
    await until(() => experiment.manager.counts.failed === 1);
    const error = await rejection(experiment.close(), 'ERR_SAVE_FAILED');
    expect(error.cause).toMatchObject({ code: 'ERR_SOURCE' });
    expect(logLines(experiment.directory).slice(1)).toEqual([
      { time: TIME, event: 'saveFailed', step: 5, epoch: 1, code: 'ERR_SOURCE', message: expect.stringContaining('the source broke') },
      { time: TIME, event: 'closed' },
    ]);
  });

  test('of other directories, and after close, nothing is logged', async () => {
    const root = freshDirectory();
    const experiment = await openExperiment('x', { root });
    const other = await openManager(freshDirectory());
    await other.save(smallRequest(1));
    const watched = ['saveCommitted', 'saveFailed'].map((event) => channel(`holdfast:${event}`));
    expect(watched.map(({ hasSubscribers }) => hasSubscribers)).toEqual([true, true]);
    await experiment.close();
    expect(watched.map(({ hasSubscribers }) => hasSubscribers)).toEqual([false, false]);
    expect(logLines(experiment.directory).map(({ event }) => event)).toEqual(['started', 'closed']);
  });

  test('a restore says which checkpoint, and which were passed over and why', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const good = await experiment.manager.save({ ...smallRequest(1), epoch: 4 });
    const damaged = await experiment.manager.save(smallRequest(2));
    writeFileSync(path.join(damaged.path, 'manifest.json'), '{}');
    const restored = await experiment.restore('latest', { tensors: ['x'] });
    expect(restored?.info.name).toBe(good.name);
    await experiment.manager.restore('latest');
    experiment.logRestored(restored);
    await experiment.close();
    const line = {
      ...{ time: TIME, event: 'restored', name: good.name, step: 1, epoch: 4 },
      skipped: [{ name: damaged.name, code: 'ERR_MANIFEST', message: expect.any(String) }],
    };
    expect(logLines(experiment.directory).slice(3)).toEqual([line, line, { time: TIME, event: 'closed' }]);
  });

  test('a restore that finds nothing says that it all begins anew; one that fails says nothing', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    expect(await experiment.restore()).toBe(null);
    await rejection(experiment.restore({ step: 3 }), 'ERR_NOT_FOUND');
    await experiment.close();
    expect(logLines(experiment.directory).slice(1)).toEqual([
      { time: TIME, event: 'restored', name: null, step: null, epoch: null, skipped: [] },
      { time: TIME, event: 'closed' },
    ]);
  });
});

/** The effective history: what was trained in vain is left out, and what cannot be read is counted. */
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Experiment, openExperiment } from '../../src/experiment/experiment.js';
import { freshDirectory } from '../helpers/directory.js';
import { logFileOf, openTestExperiment, tear } from '../helpers/experiment.js';
import { smallRequest } from '../helpers/manager.js';

/** Step and run of every `log` record of the history. */
async function logged(experiment: Experiment): Promise<unknown[]> {
  const { records } = await experiment.history();
  return records.filter((record) => record.event === 'log').map(({ step, run }) => `${step}${run}`);
}

/** Trains a few steps, logging each and saving some; dies where it does not close. */
async function train(root: string, run: string, steps: readonly number[], saves: readonly number[], from?: 'latest' | { step: number }) {
  const experiment = await openExperiment('x', { root });
  if (from !== undefined) await experiment.restore(from);
  for (const step of steps) {
    experiment.log({ step, run });
    if (saves.includes(step)) await experiment.manager.save(smallRequest(step));
  }
  await experiment.close();
}

describe('history', () => {
  test('leaves out what was logged after the step that a run was restored at', async () => {
    const root = freshDirectory();
    await train(root, 'a', [1, 2, 3, 4, 5], [2, 4], 'latest');
    await train(root, 'b', [5, 6, 7], [6], 'latest');
    const reader = await openTestExperiment(root, 'x', { readOnly: true });
    expect(await logged(reader)).toEqual(['1a', '2a', '3a', '4a', '5b', '6b', '7b']);
    await train(root, 'c', [3, 4], [], { step: 2 });
    expect(await logged(reader)).toEqual(['1a', '2a', '3c', '4c']);
    const text = readFileSync(logFileOf(reader.directory), 'utf8');
    expect(text.match(/"event":"log"/g)).toHaveLength(10);
    expect((await reader.history()).records.filter(({ event }) => event === 'saved')).toHaveLength(3);
  });

  test('begins anew where there was no checkpoint to go on from', async () => {
    const root = freshDirectory();
    await train(root, 'a', [0, 1, 2], [], 'latest');
    await train(root, 'b', [0, 1], [], 'latest');
    const reader = await openTestExperiment(root, 'x', { readOnly: true });
    expect(await logged(reader)).toEqual(['0b', '1b']);
  });

  test('of runs that restored nothing is everything', async () => {
    const root = freshDirectory();
    await train(root, 'a', [1, 2], [1]);
    await train(root, 'b', [2, 3], []);
    const reader = await openTestExperiment(root, 'x', { readOnly: true });
    expect(await logged(reader)).toEqual(['1a', '2a', '2b', '3b']);
  });

  test('has what was logged a moment ago', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    for (let step = 0; step < 100; step++) {
      experiment.log({ step, run: '' });
      expect(await logged(experiment)).toHaveLength(step + 1);
    }
  });

  test('of a long log, with lines longer than what is read at a time', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    const lengths = [0, 1, 300_000, 5, 262_144, 262_143, 700_000, ...Array.from({ length: 5000 }, (_, i) => i % 300)];
    for (const [step, length] of lengths.entries()) experiment.log({ step, text: 'ü'.repeat(length) });
    const { records, torn } = await experiment.history();
    expect(torn).toBe(0);
    expect(records.slice(1).map((record) => (record.event === 'log' ? (record['text'] as string).length : -1))).toEqual(lengths);
  });
});

describe('lines that are torn', () => {
  test('wherever the last line ends: the next run begins on a new one, and nothing else is lost', async () => {
    const root = freshDirectory();
    await train(root, 'a', [1], []);
    const file = logFileOf(path.join(root, 'x'));
    const whole = readFileSync(file);
    const last = Buffer.from('{"time":"2025-01-01T00:00:00.000Z","event":"log","step":2,"run":"ü"}');
    for (let length = 1; length <= last.length; length++) {
      writeFileSync(file, Buffer.concat([whole, last.subarray(0, length)]));
      const experiment = await openExperiment('x', { root });
      experiment.log({ step: 3, run: 'b' });
      const { torn } = await experiment.history();
      // A line that lacks nothing but its end is whole.
      const isWhole = length === last.length;
      expect([torn, await logged(experiment)], `${length} bytes`).toEqual(isWhole ? [0, ['1a', '2ü', '3b']] : [1, ['1a', '3b']]);
      await experiment.close();
      expect(readFileSync(file).subarray(0, whole.length + length + 1)).toEqual(
        Buffer.concat([whole, last.subarray(0, length), Buffer.from('\n')]),
      );
    }
  });

  test('are counted, and so is what is no line of ours; unknown events and empty lines are not', async () => {
    const root = freshDirectory();
    await train(root, 'a', [1], []);
    const file = logFileOf(path.join(root, 'x'));
    const time = '"time":"2025-01-01T00:00:00.000Z"';
    const unreadable = [
      '{"time":"2025',
      '7',
      'null',
      '[]',
      '{}',
      '{"event":"log","step":1}',
      `{${time},"event":"log"}`,
      `{${time},"event":"log","step":"1"}`,
      `{${time},"event":"log","step":-1}`,
      `{${time},"event":"saved","step":1}`,
      `{${time},"event":"restored","step":1}`,
      '\0\0\0\0',
    ];
    appendFileSync(file, `${unreadable.join('\n')}\n\n\n{${time},"event":"toString"}\n{${time},"event":"of a later version","step":1}\n`);
    appendFileSync(file, Buffer.from([0x22, 0xff, 0x22, 0x0a]));
    const experiment = await openTestExperiment(root, 'x');
    expect((await experiment.history()).torn).toBe(unreadable.length + 1);
    expect((await experiment.history()).records.map(({ event }) => event)).toEqual(['started', 'log', 'closed', 'started']);
  });

  test('a line that somebody tears while it is open does not take the next one with it', async () => {
    const experiment = await openTestExperiment(freshDirectory(), 'x');
    experiment.log({ step: 1, run: '' });
    await experiment.history();
    tear(experiment.directory, '{"half');
    experiment.log({ step: 2, run: '' });
    expect([await logged(experiment), (await experiment.history()).torn]).toEqual([['1', '2'], 1]);
    truncateSync(logFileOf(experiment.directory), 10);
    experiment.log({ step: 3, run: '' });
    expect([await logged(experiment), (await experiment.history()).torn]).toEqual([['3'], 1]);
  });
});

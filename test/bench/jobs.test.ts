/** What runs in the process of a contender: what is there when a call and what follows it are over. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bareSave, fsSave } from '../../src/bench/host/file-jobs.js';
import { holdfastLoad, holdfastSave } from '../../src/bench/host/holdfast-jobs.js';
import type { MakeJob } from '../../src/bench/host/job.js';
import { equalTensors } from '../../src/bench/workload.js';
import { TEMPORARY_PREFIX } from '../../src/format/names.js';
import { CheckpointManager } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';

const TENSORS = equalTensors(4 * 2 ** 20, 4);

function settings(engine: (typeof ENGINES)[number] = 'portable') {
  return { tensors: TENSORS, directory: freshDirectory(), engine, repeats: 1 };
}

describe('a save leaves nothing that the next contender would have to wait for', () => {
  test.each<[string, MakeJob]>([
    ['fs', fsSave],
    ['bare', bareSave],
  ])('%s: no file', async (_, make) => {
    const given = settings();
    const job = await make(given);
    for (const call of [0, 1]) {
      await job.run(call);
      expect(readdirSync(given.directory)).toHaveLength(1);
      await job.after?.(call);
      expect(readdirSync(given.directory)).toEqual([]);
    }
  });

  test.each(ENGINES)('holdfast: the last checkpoint alone, and nothing that is still being removed (%s)', async (engine) => {
    const given = settings(engine);
    const job = await holdfastSave(given);
    for (const call of [0, 1, 2]) {
      await job.run(call);
      await job.after?.(call);
      // At once: looking at the checkpoints takes its time.
      const names = readdirSync(given.directory);
      expect(await stepsIn(given.directory)).toEqual([call]);
      expect(names.filter((name) => name.startsWith(TEMPORARY_PREFIX))).toEqual([]);
    }
    await job.close?.();
  });
});

test.each(['used', 'new'] as const)('loads again and again into %s memory, and leaves the one checkpoint', async (memory) => {
  const given = settings();
  const job = await holdfastLoad(memory)(given);
  for (const call of [0, 1]) {
    await job.before?.(call);
    await job.run(call);
    await job.after?.(call);
  }
  await job.close?.();
  expect(await stepsIn(given.directory)).toEqual([0]);
});

async function stepsIn(directory: string): Promise<(number | null)[]> {
  const manager = await CheckpointManager.open(directory, { readOnly: true });
  try {
    const steps: (number | null)[] = [];
    for await (const { step } of manager.list()) steps.push(step);
    return steps;
  } finally {
    await manager.close();
  }
}

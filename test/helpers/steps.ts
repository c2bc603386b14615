import { expect } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { leftovers } from './leftovers.js';

/** Script text that makes a request whose every byte follows from its step; {@link expectInvariant} knows it. */
export const REQUEST_OF_STEP = `
  const ELEMENTS = 1 << 16;
  const requestOf = (step) => ({
    step,
    tensors: ['a', 'b', 'c'].map((name, i) => ({ name, dtype: 'I32', shape: [ELEMENTS], data: new Int32Array(ELEMENTS).fill(step * 4 + i) })),
    state: { step },
  });
`;

/**
 * Invariant I after a fault: the newest checkpoint is at least the newest acknowledged one, it loads bit by bit, everything that is
 * listed is good, and nothing half-written is left once the directory was opened. Gives the steps that are there.
 */
export async function expectInvariant(directory: string, acknowledged: readonly number[], label = ''): Promise<number[]> {
  const manager = await CheckpointManager.open(directory);
  try {
    expect(leftovers(directory), label).toEqual([]);
    expect((await manager.verify()).problems, label).toEqual([]);
    const steps: number[] = [];
    for await (const { step } of manager.list()) steps.push(step as number);
    const restored = await manager.restore();
    const newest = Math.max(0, ...acknowledged);
    expect(restored?.info.step ?? 0, label).toBeGreaterThanOrEqual(newest);
    expect(restored?.skipped ?? [], label).toEqual([]);
    if (restored === null) return steps;
    const step = restored.info.step as number;
    expect(restored.state, label).toEqual({ step });
    ['a', 'b', 'c'].forEach((name, i) => {
      const data = restored.tensors.get(name)?.data as Int32Array;
      expect([data.length, data.every((value) => value === step * 4 + i)], label).toEqual([1 << 16, true]);
    });
    return steps;
  } finally {
    await manager.close();
  }
}

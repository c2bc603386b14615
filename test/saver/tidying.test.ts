/** What retention removes is not waited for by the save, and by everything that follows. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { keep } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { openManager } from '../helpers/manager.js';

/** Removing this takes longer than a turn of the event loop. */
const BYTES = 96 * 2 ** 20;

describe.each(ENGINES)('what retention removes, %s engine', (engine) => {
  test('is out of sight when the save has resolved, and gone when flush has', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(1) });
    const data = new Uint8Array(BYTES).fill(3);
    const save = (step: number) => manager.save({ step, tensors: { x: { dtype: 'U8', shape: [BYTES], data, stable: true } } });
    const visible = () => readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
    await save(1);
    for (const step of [2, 3, 4]) {
      const { removed, warnings } = await save(step);
      expect([removed, warnings]).toEqual([[`checkpoint_step0000000${step - 1}`], []]);
      expect(visible()).toEqual([`checkpoint_step0000000${step}`]);
      await manager.flush();
      expect(readdirSync(directory).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
    }
    await save(5);
    await manager.close();
    expect(readdirSync(directory).sort()).toEqual(['.history.jsonl', 'checkpoint_step00000005', 'latest', 'registry.json']);
  });
});

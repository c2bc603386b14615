/** What a worker that died while it published may have left: under one name or the other, it goes, and nothing else does. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import { takeBack } from '../../src/saver/take-back.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { checkpoints, leftovers } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';

const TEMPORARY = '.tmp-0123456789abcdef';

/** A directory with three checkpoints, and who made them. */
async function three(engine: 'native' | 'portable') {
  const directory = freshDirectory();
  const manager = await openManager(directory, { engine, keep: keep.all() });
  const saved = [];
  for (const step of [1, 2, 3]) saved.push(await manager.save({ ...smallRequest(step), metrics: {} }));
  const { runId } = JSON.parse(readFileSync(path.join(saved[0]?.path ?? '', 'manifest.json'), 'utf8'));
  await manager.close();
  return { directory, runId: runId as string, names: saved.map(({ name }) => name) };
}

describe.each(ENGINES)('taking back, %s engine', (engine) => {
  test('what was published: only the checkpoint of that run and sequence', async () => {
    const { directory, runId, names } = await three(engine);
    await takeBack(directory, TEMPORARY, runId, 9);
    await takeBack(directory, TEMPORARY, '01234567-89ab-cdef-0123-456789abcdef', 3);
    expect(checkpoints(directory)).toEqual(names);
    await takeBack(directory, TEMPORARY, runId, 3);
    expect(checkpoints(directory)).toEqual(names.slice(0, 2));
    expect(leftovers(directory)).toEqual([]);
    const manager = await openManager(directory, { engine });
    expect((await manager.restore())?.info.step).toBe(2);
    expect((await manager.save(smallRequest(4))).sequence).toBe(4);
  });

  test('what has still its temporary name: that, and no checkpoint', async () => {
    const { directory, runId, names } = await three(engine);
    renameSync(path.join(directory, names[2] as string), path.join(directory, TEMPORARY));
    await takeBack(directory, TEMPORARY, runId, 3);
    expect([checkpoints(directory), leftovers(directory)]).toEqual([names.slice(0, 2), []]);
  });

  test('under a name that it got because its own was taken', async () => {
    const { directory, runId, names } = await three(engine);
    renameSync(path.join(directory, names[2] as string), path.join(directory, `${names[1]}.r3`));
    await takeBack(directory, TEMPORARY, runId, 3);
    expect(checkpoints(directory)).toEqual(names.slice(0, 2));
  });

  test('never what is damaged, nor somebody’s files', async () => {
    const { directory, runId, names } = await three(engine);
    writeFileSync(path.join(directory, names[2] as string, 'manifest.json'), 'damaged');
    await takeBack(directory, TEMPORARY, runId, 3);
    writeFileSync(path.join(directory, names[1] as string, 'notes.txt'), 'precious');
    mkdirSync(path.join(directory, 'mine'));
    await takeBack(directory, TEMPORARY, runId, 2).catch(() => {});
    expect(checkpoints(directory)).toEqual(names);
    expect(readFileSync(path.join(directory, names[1] as string, 'notes.txt'), 'utf8')).toBe('precious');
  });
});

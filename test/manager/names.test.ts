/** The rename of a commit never replaces what is there. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { selectEngine } from '../../src/engine/select.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { openManager, smallRequest } from '../helpers/manager.js';

const WANTED = 'checkpoint_step00000001_loss0.5000';

describe.each(ENGINES)('names that are taken, %s engine', (engine) => {
  test.each([
    ['an empty directory', (place: string) => mkdirSync(place)],
    ['a file', (place: string) => writeFileSync(place, 'precious')],
  ])('%s with the wanted name stays as it is', async (_, occupy) => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const place = path.join(directory, WANTED);
    occupy(place);
    const saved = await manager.save(smallRequest(1));
    expect(saved.name).toBe(`${WANTED}.r1`);
    expect((await manager.restore())?.info.name).toBe(saved.name);
    try {
      expect(readdirSync(place)).toEqual([]);
    } catch {
      expect(readFileSync(place, 'utf8')).toBe('precious');
    }
  });

  test('the engine’s rename says EEXIST', async () => {
    const directory = freshDirectory();
    for (const name of ['from', 'to']) mkdirSync(path.join(directory, name));
    const rename = selectEngine(engine).renameNoReplace(path.join(directory, 'from'), path.join(directory, 'to'));
    await expect(rename).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readdirSync(directory).sort()).toEqual(['from', 'to']);
  });
});

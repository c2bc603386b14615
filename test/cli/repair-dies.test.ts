/** `holdfast repair` that is killed at any moment: nothing is lost, and the next one finishes. */
import { mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { repairDirectory } from '../../src/index.js';
import { killAt } from '../helpers/kill-at.js';
import { contents } from '../helpers/listing.js';
import { copyOf, flipByte } from './checkpoints.js';
import { holdfast } from './command.js';
import { expectClean, fourCheckpoints } from './damaged.js';

/** Everything that can be wrong, at once. */
async function broken(): Promise<string> {
  const { directory, at, name } = await fourCheckpoints();
  flipByte(path.join(at(2000), 'model.safetensors'), 4100);
  truncateSync(path.join(at(4000), 'model.safetensors'), 10);
  for (const leftover of ['.tmp-one', '.tmp-two']) {
    mkdirSync(path.join(directory, leftover));
    writeFileSync(path.join(directory, leftover, 'model.safetensors'), 'half');
  }
  symlinkSync(name(4000), path.join(directory, 'paper'));
  symlinkSync('paper', path.join(directory, 'copy'));
  rmSync(path.join(directory, 'best'));
  writeFileSync(path.join(directory, 'registry.json'), 'nonsense');
  return directory;
}

/** What is in the checkpoints, each file with its place inside of its own, wherever that is. */
function checkpointFiles(directory: string): string[] {
  const files = Object.entries(contents(directory)).filter(([file, hash]) => /(^|\/)checkpoint_/.test(file) && hash !== 'directory');
  return files.map(([file, hash]) => `${file.replace('.quarantine/', '')} ${hash}`).sort();
}

/** All of a directory but the registry, which says when manifests were changed. */
function outcomeOf(directory: string): Record<string, string> {
  const { 'registry.json': _, ...rest } = contents(directory);
  return rest;
}

test('wherever it is killed, every checkpoint is where it was or set aside, whole, and the next one finishes', async () => {
  const made = await broken();
  const whole = checkpointFiles(made);
  const finished = copyOf(made);
  expect((await repairDirectory(finished)).actions).toHaveLength(9);
  let killed = 0;
  for (let n = 1; ; n++) {
    const directory = copyOf(made);
    const { code } = await holdfast(['repair', directory, '--engine', 'portable'], { env: { NODE_OPTIONS: killAt(n, directory) } });
    expect(checkpointFiles(directory), `call ${n}`).toEqual(whole);
    // The good ones have not moved.
    expect(
      readdirSync(directory).filter((name) => /step0000[13]/.test(name)),
      `call ${n}`,
    ).toHaveLength(2);
    if (code === null) killed++;
    else expect(code).toBe(0);
    const { left, warnings } = await repairDirectory(directory);
    expect([left, warnings], `call ${n}`).toEqual([[], []]);
    await expectClean(directory);
    expect(outcomeOf(directory), `call ${n}`).toEqual(outcomeOf(finished));
    if (code !== null) break;
  }
  // Lock, two leftovers, the registry, two checkpoints, four links: each is several calls.
  expect(killed).toBeGreaterThan(25);
});

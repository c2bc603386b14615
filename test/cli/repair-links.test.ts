/** `holdfast repair` and the links beside the checkpoints: `latest`, `best`, tags, and those of names without fields. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager, keep } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { listing } from '../helpers/listing.js';
import { tensors } from './checkpoints.js';
import { expectClean, fourCheckpoints, repair } from './damaged.js';

/** Points a link anew, or makes it. */
function point(directory: string, link: string, target: string): void {
  rmSync(path.join(directory, link), { force: true });
  symlinkSync(target, path.join(directory, link));
}

/** Where a link points; null where there is none. */
function target(directory: string, link: string): string | null {
  const found = lstatSync(path.join(directory, link), { throwIfNoEntry: false });
  return found?.isSymbolicLink() ? readlinkSync(path.join(directory, link)) : null;
}

/** Checkpoints `best_model.1`, … and the link `best_model`. */
async function numbered(count: number): Promise<string> {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { engine: 'portable', name: 'best_model', keep: keep.all() });
  for (let step = 1; step <= count; step++) await manager.save({ step, tensors: tensors(), metrics: { loss: step } });
  await manager.close();
  return directory;
}

/** The links that were mended: their names, and where they pointed and do now. */
async function mended(directory: string): Promise<(readonly [unknown, unknown, unknown])[]> {
  const before = listing(directory);
  const preview = await repair(directory, '--dry-run');
  expect(listing(directory)).toEqual(before);
  const { code, report } = await repair(directory);
  expect([code, report.warnings]).toEqual([0, []]);
  expect(preview.report.actions).toEqual(report.actions);
  const links = report.actions.filter(({ action }) => action === 'link');
  for (const { name, to } of links) expect(target(directory, name as string)).toBe(to);
  await expectClean(directory);
  return links.map(({ name, from, to }) => [name, from, to] as const);
}

describe('latest and best', () => {
  test.each<[string, (name: (step: number) => string) => string | null]>([
    ['are missing', () => null],
    ['point at the wrong one', (name) => name(1000)],
    ['point at nothing', () => 'checkpoint_that_was'],
    ['point at themselves', () => 'latest'],
    ['point at the right one in other words', (name) => `./${name(4000)}`],
    ['point somewhere else altogether', () => '/tmp'],
  ])('that %s are pointed at what they should', async (_, wrong) => {
    const { directory, name } = await fourCheckpoints();
    const from = wrong(name);
    for (const link of ['latest', 'best']) {
      if (from === null) unlinkSync(path.join(directory, link));
      else point(directory, link, from);
    }
    expect(await mended(directory)).toEqual([
      ['latest', from, name(4000)],
      ['best', from, name(2000)],
    ]);
  });

  test('that are no links are somebody’s', async () => {
    const { directory } = await fourCheckpoints();
    for (const link of ['latest', 'best']) unlinkSync(path.join(directory, link));
    writeFileSync(path.join(directory, 'latest'), 'precious');
    mkdirSync(path.join(directory, 'best'));
    expect(await mended(directory)).toEqual([]);
    expect(readFileSync(path.join(directory, 'latest'), 'utf8')).toBe('precious');
    expect(lstatSync(path.join(directory, 'best')).isDirectory()).toBe(true);
  });

  test('the newest that training can go on from is the latest, and what has no value is not the best', async () => {
    const { directory, at, name } = await fourCheckpoints();
    const manager = await CheckpointManager.open(directory, { engine: 'portable', keep: keep.all() });
    await manager.save({ step: 5000, tensors: tensors(), contents: 'weights', metrics: { loss: Number.NaN } });
    await manager.close();
    point(directory, 'latest', 'checkpoint_step00005000');
    truncateSync(path.join(at(2000), 'model.safetensors'), 10);
    expect(await mended(directory)).toEqual([
      ['latest', 'checkpoint_step00005000', name(4000)],
      ['best', name(2000), name(3000)],
    ]);
  });

  test('a best of which nothing is left goes; one where nothing is better stays', async () => {
    const directory = freshDirectory();
    const manager = await CheckpointManager.open(directory, { engine: 'portable', keep: keep.all() });
    for (const step of [1, 2]) await manager.save({ step, tensors: tensors() });
    await manager.close();
    point(directory, 'best', 'checkpoint_step00000001');
    expect(await mended(directory)).toEqual([]);
    truncateSync(path.join(directory, 'checkpoint_step00000001', 'model.safetensors'), 10);
    expect(await mended(directory)).toEqual([['best', 'checkpoint_step00000001', null]]);
  });
});

describe('tags', () => {
  test('that point at nothing go, also those that point at such', async () => {
    const { directory, name } = await fourCheckpoints();
    point(directory, 'paper', 'checkpoint_that_was');
    point(directory, 'copy', 'paper');
    point(directory, 'another', 'copy');
    point(directory, 'good', name(1000));
    expect((await mended(directory)).sort()).toEqual([
      ['another', 'copy', null],
      ['copy', 'paper', null],
      ['paper', 'checkpoint_that_was', null],
    ]);
    expect(target(directory, 'good')).toBe(name(1000));
  });

  test('of a checkpoint that was moved aside go with it', async () => {
    const { directory, at, name } = await fourCheckpoints();
    point(directory, 'paper', name(1000));
    point(directory, 'chain', 'paper');
    truncateSync(path.join(at(1000), 'model.safetensors'), 10);
    expect((await mended(directory)).sort()).toEqual([
      ['chain', 'paper', null],
      ['paper', name(1000), null],
    ]);
  });

  test('and whatever else points at something, or elsewhere, stays as it is', async () => {
    const { directory, name } = await fourCheckpoints();
    writeFileSync(path.join(directory, 'notes.txt'), 'x');
    mkdirSync(path.join(directory, 'logs'));
    const links = {
      notes: 'notes.txt',
      tensorboard: 'logs',
      chain: 'paper',
      paper: name(1000),
      newest: 'latest',
      weights: `${name(2000)}/model.safetensors`,
      absolute: '/nowhere/at/all',
      above: '../nowhere',
      up: '..',
    };
    for (const [link, to] of Object.entries(links)) point(directory, link, to);
    expect(await mended(directory)).toEqual([]);
    for (const [link, to] of Object.entries(links)) expect(target(directory, link)).toBe(to);
  });

  test('of one that stays though it is damaged stay as well', async () => {
    const { directory, at, name } = await fourCheckpoints();
    for (const step of [1000, 2000, 3000, 4000]) truncateSync(path.join(at(step), 'model.safetensors'), 10);
    point(directory, 'paper', name(1000));
    point(directory, 'gone', 'nowhere');
    const { code, report } = await repair(directory);
    expect([code, report.actions]).toEqual([1, [{ action: 'link', name: 'gone', from: 'nowhere', to: null }]]);
    expect(['latest', 'best', 'paper'].map((link) => target(directory, link))).toEqual([name(4000), name(2000), name(1000)]);
  });
});

describe('the link of a name without fields', () => {
  test('whose checkpoint is gone points at the newest that is left', async () => {
    const directory = await numbered(11);
    expect(target(directory, 'best_model')).toBe('best_model.11');
    for (const gone of ['best_model.11', 'best_model.10']) rmSync(path.join(directory, gone), { recursive: true });
    // Neither a tag, nor a file, nor a checkpoint that is only called like it.
    writeFileSync(path.join(directory, 'best_model.99'), '');
    mkdirSync(path.join(directory, 'best_model.old'));
    expect(await mended(directory)).toEqual([
      ['latest', 'best_model.11', 'best_model.9'],
      ['best_model', 'best_model.11', 'best_model.9'],
    ]);
  });

  test('whose checkpoint is damaged as well, but not at another damaged one', async () => {
    const directory = await numbered(3);
    for (const number of [2, 3]) truncateSync(path.join(directory, `best_model.${number}`, 'model.safetensors'), 10);
    expect(await mended(directory)).toEqual([
      ['latest', 'best_model.3', 'best_model.1'],
      ['best_model', 'best_model.3', 'best_model.1'],
    ]);
    expect(readdirSync(path.join(directory, '.quarantine')).sort()).toEqual(['best_model.2', 'best_model.3']);
  });

  test('goes where none is left', async () => {
    const directory = await numbered(2);
    const manager = await CheckpointManager.open(directory, { engine: 'portable', keep: keep.all() });
    await manager.save({ step: 9, tensors: tensors() });
    await manager.close();
    for (const number of [1, 2]) rmSync(path.join(directory, `best_model.${number}`), { recursive: true });
    expect(await mended(directory)).toEqual([
      ['best', 'best_model.1', null],
      ['best_model', 'best_model.2', null],
    ]);
  });

  test('a tag that somebody gave is no such link, whatever else is called like it', async () => {
    const directory = await numbered(2);
    point(directory, 'best_model', 'checkpoint_that_was');
    expect(await mended(directory)).toEqual([['best_model', 'checkpoint_that_was', null]]);
    expect(existsSync(path.join(directory, 'best_model.2'))).toBe(true);
  });
});

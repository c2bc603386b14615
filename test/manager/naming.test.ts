/** What checkpoints are called: templates, names of links, and tags. */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

/** Names of the checkpoints of a directory. */
function names(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
}

describe('templates', () => {
  test('with the fields of a save, as Keras users write them', async () => {
    const manager = await openManager(freshDirectory(), { name: 'epoch{epoch:03d}-{val_loss:.2f}' });
    await manager.save({ ...smallRequest(1), epoch: 3, metrics: { val_loss: 0.31557 } });
    const again = await manager.save({ ...smallRequest(2), epoch: 3, metrics: { val_loss: 0.32 } });
    expect(names(manager.directory)).toEqual(['epoch003-0.32', 'epoch003-0.32.r2']);
    expect(again.name).toBe('epoch003-0.32.r2');
    expect((await manager.restore())?.step).toBe(2);
  });

  test('a value that the save does not have is named, with those it has; nothing is saved or held', async () => {
    const manager = await openManager(freshDirectory(), { name: 'at{epoch:02d}_{acc:.3f}' });
    const error = await rejection(manager.save({ ...smallRequest(1), epoch: 1 }), 'ERR_INVALID_TEMPLATE');
    expect(error.message).toMatch(/"acc".*"step", "epoch", "loss"/);
    expect(names(manager.directory)).toEqual([]);
    expect((await manager.save({ ...smallRequest(1), epoch: 1, metrics: { acc: 1 } })).name).toBe('at01_1.000');
  });

  test.each(['../out_{step}', 'a/b_{step}', '.hidden_{step}', 'x_{step'])('%s is refused when the directory is opened', async (name) => {
    const directory = freshDirectory();
    const error = await CheckpointManager.open(directory, { name }).catch((caught) => caught);
    expect(error.code).toMatch(/^ERR_INVALID_(NAME|TEMPLATE)$/);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a name without fields', () => {
  test('is a link that moves; what it pointed at stays unchanged until retention takes it', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { name: 'best_model', keep: keep.last(2) });
    await manager.save(smallRequest(1));
    const first = readFileSync(path.join(directory, 'best_model.1', 'model.safetensors'));
    await manager.save(smallRequest(2));
    expect(readlinkSync(path.join(directory, 'best_model'))).toBe('best_model.2');
    expect(readFileSync(path.join(directory, 'best_model.1', 'model.safetensors')).equals(first)).toBe(true);
    const { removed } = await manager.save(smallRequest(3));
    expect(removed).toEqual(['best_model.1']);
    await manager.flush();
    expect(names(directory)).toEqual(['best_model.2', 'best_model.3']);
    const restored = await manager.restore('best_model');
    expect([restored?.step, restored?.info.name]).toEqual([3, 'best_model.3']);
  });

  test('is refused where something else has it', async () => {
    const directory = freshDirectory();
    mkdirSync(path.join(directory, 'best_model'));
    writeFileSync(path.join(directory, 'best_model', 'precious'), 'x');
    await rejection(CheckpointManager.open(directory, { name: 'best_model' }), 'ERR_INVALID_NAME');
    // It was let go of: another manager can have the directory.
    await openManager(directory);
    expect(readFileSync(path.join(directory, 'best_model', 'precious'), 'utf8')).toBe('x');
  });
});

describe('tags', () => {
  test('keep a checkpoint as long as it has one', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { keep: keep.last(1) });
    await manager.save({ ...smallRequest(1), metrics: {}, tags: ['paper', 'figure-3'] });
    await manager.save({ ...smallRequest(2), metrics: {} });
    await manager.save({ ...smallRequest(3), metrics: {} });
    await manager.flush();
    expect(names(directory)).toEqual(['checkpoint_step00000001', 'checkpoint_step00000003']);
    const listed = [];
    for await (const info of manager.list()) listed.push([info.step, info.tags]);
    expect(listed).toEqual([
      [1, ['figure-3', 'paper']],
      [3, []],
    ]);
    expect((await manager.restore('paper'))?.info.name).toBe('checkpoint_step00000001');
    expect([await manager.untag('paper'), await manager.untag('paper')]).toEqual([true, false]);
    await manager.save({ ...smallRequest(4), metrics: {} });
    expect(names(directory)).toContain('checkpoint_step00000001');
    await manager.untag('figure-3');
    const { removed } = await manager.save({ ...smallRequest(5), metrics: {} });
    expect(removed).toContain('checkpoint_step00000001');
  });

  test('move to the checkpoint that gets them next', async () => {
    const manager = await openManager(freshDirectory(), { keep: keep.last(1) });
    await manager.save({ ...smallRequest(1), metrics: {}, tags: ['production'] });
    const { removed } = await manager.save({ ...smallRequest(2), metrics: {}, tags: ['production'] });
    expect(removed).toEqual(['checkpoint_step00000001']);
    expect(readlinkSync(path.join(manager.directory, 'production'))).toBe('checkpoint_step00000002');
    await manager.save({ ...smallRequest(3), metrics: {} });
    expect(await manager.tag('production')).toBe('checkpoint_step00000003');
    expect(await manager.tag('newest', { step: 3 })).toBe('checkpoint_step00000003');
  });

  test('are links: one that somebody makes by hand counts', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { keep: keep.last(1) });
    await manager.save({ ...smallRequest(1), metrics: {} });
    symlinkSync('checkpoint_step00000001', path.join(directory, 'mine'));
    await manager.save({ ...smallRequest(2), metrics: {} });
    expect(names(directory)).toContain('checkpoint_step00000001');
    unlinkSync(path.join(directory, 'mine'));
    const { removed } = await manager.save({ ...smallRequest(3), metrics: {} });
    expect(removed).toEqual(['checkpoint_step00000001', 'checkpoint_step00000002']);
  });

  test('are links, however they say where they point, and if it is into a checkpoint', async () => {
    const directory = freshDirectory();
    const alias = path.join(freshDirectory(), 'alias');
    symlinkSync(directory, alias);
    const manager = await openManager(directory, { keep: keep.last(1) });
    const links = [
      (name: string) => `./${name}`,
      (name: string) => `../${path.basename(directory)}/${name}/`,
      (name: string) => path.join(directory, name),
      (name: string) => path.join(alias, name),
      (name: string) => `${name}/model.safetensors`,
      (name: string) => path.join(alias, name, 'model.safetensors'),
    ];
    for (const [i, link] of links.entries()) {
      const { name } = await manager.save({ ...smallRequest(i), metrics: {} });
      symlinkSync(link(name), path.join(directory, `tag${i}`));
    }
    // These say nothing about any checkpoint of this directory.
    const { name } = await manager.save({ ...smallRequest(90), metrics: {} });
    symlinkSync(path.join(path.dirname(alias), name), path.join(directory, 'elsewhere'));
    symlinkSync('latest', path.join(directory, 'newest'));
    symlinkSync('latest/model.safetensors', path.join(directory, 'weights'));
    symlinkSync('/nowhere/at/all', path.join(directory, 'dangling'));
    const { removed } = await manager.save({ ...smallRequest(91), metrics: {} });
    expect(removed).toEqual([name]);
    const listed = [];
    for await (const { step, tags } of manager.list()) listed.push([step, tags]);
    expect(listed).toEqual([...links.map((_, i) => [i, [`tag${i}`]]), [91, []]]);
  });

  test('a link is called by the name of what it points at, also by its path, and with its tags', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    await manager.save({ ...smallRequest(1), metrics: {}, tags: ['paper'] });
    for (const target of ['paper', path.join(directory, 'latest'), path.join(directory, 'paper'), 'checkpoint_step00000001']) {
      const restored = await manager.restore(target);
      expect([restored?.info.name, restored?.info.tags]).toEqual(['checkpoint_step00000001', ['paper']]);
    }
    expect(await manager.tag('again', path.join(directory, 'latest'))).toBe('checkpoint_step00000001');
    expect(readlinkSync(path.join(directory, 'again'))).toBe('checkpoint_step00000001');
    symlinkSync(path.join(directory, 'checkpoint_step00000001'), path.join(directory, 'absolute'));
    expect((await manager.restore('absolute'))?.info.tags).toEqual(['absolute', 'again', 'paper']);
  });

  test('nothing but a link is replaced by latest and best', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    writeFileSync(path.join(directory, 'latest'), 'precious');
    const { warnings } = await manager.save(smallRequest(1));
    expect(warnings.join()).toContain('latest');
    expect(readFileSync(path.join(directory, 'latest'), 'utf8')).toBe('precious');
  });

  test.each(['latest', 'best', 'registry.json', '../x', 'a/b', '.hidden', 'x.safetensors', '', 3])('%s cannot be one', async (tag) => {
    const manager = await openManager(freshDirectory());
    await rejection(manager.save({ ...smallRequest(1), tags: [tag as string] }), 'ERR_INVALID_NAME');
    await manager.save(smallRequest(1));
    await rejection(manager.tag(tag as string), 'ERR_INVALID_NAME');
  });

  test('one that is something else’s name is refused, or where a save is durable already, a warning', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    writeFileSync(path.join(directory, 'notes'), 'precious');
    const { warnings } = await manager.save({ ...smallRequest(1), tags: ['notes'] });
    expect(warnings.join()).toContain('notes');
    await rejection(manager.tag('notes'), 'ERR_INVALID_NAME');
    expect(readFileSync(path.join(directory, 'notes'), 'utf8')).toBe('precious');
    await rejection(manager.tag('new', { step: 7 }), 'ERR_NOT_FOUND');
  });
});

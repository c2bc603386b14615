/** The configuration in force, and that no older one is lost. */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { changedPaths } from '../../src/experiment/config.js';
import { openExperiment } from '../../src/experiment/experiment.js';
import type { Json } from '../../src/format/state.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { collectWarnings, logLines, openTestExperiment } from '../helpers/experiment.js';
import { replaceInSystem } from '../helpers/system.js';

/** Opens, closes, and gives what was in force. */
async function visit(root: string, config?: Json): Promise<Json | undefined> {
  const experiment = await openExperiment('x', config === undefined ? { root } : { root, config });
  await experiment.close();
  return experiment.config;
}

const file = (root: string) => path.join(root, 'x', 'config.json');
const older = (root: string) => readdirSync(path.join(root, 'x', 'logs')).filter((name) => name.startsWith('config-'));
const said = (root: string) => logLines(path.join(root, 'x')).filter(({ event }) => event === 'config');

const CONFIG = { lr: 0.001, layers: [{ units: 64 }, { units: 10 }], note: 'ü\u2028"', none: null } as const;

describe('config', () => {
  test('is written as JSON for people, comes back as it was, and is in force until another is given', async () => {
    const root = freshDirectory();
    expect(await visit(root)).toBe(undefined);
    expect(await visit(root, CONFIG)).toEqual(CONFIG);
    expect(readFileSync(file(root), 'utf8')).toBe(`${JSON.stringify(CONFIG, null, 2)}\n`);
    expect(await visit(root)).toEqual(CONFIG);
    expect(await visit(root, structuredClone(CONFIG))).toEqual(CONFIG);
    expect([older(root), said(root)]).toEqual([[], []]);
  });

  test('is a copy: what the caller changes later is not in force', async () => {
    const config = { lr: 1 };
    const experiment = await openTestExperiment(freshDirectory(), 'x', { config });
    config.lr = 2;
    expect(experiment.config).toEqual({ lr: 1 });
  });

  test('one that differs replaces it; the older one is kept, byte by byte, and the log says where they differ', async () => {
    const root = freshDirectory();
    await visit(root, CONFIG);
    const before = readFileSync(file(root));
    const next = { ...CONFIG, lr: 0.01, layers: [{ units: 128 }, { units: 10 }] };
    expect(await visit(root, next)).toEqual(next);
    const [kept] = older(root) as [string];
    expect(kept).toMatch(/^config-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.json$/);
    expect(readFileSync(path.join(root, 'x', 'logs', kept))).toEqual(before);
    expect(JSON.parse(readFileSync(file(root), 'utf8'))).toEqual(next);
    expect(said(root)).toEqual([{ time: expect.any(String), event: 'config', changed: ['config.lr', 'config.layers[0].units'], kept }]);
  });

  test('the same members in another order, or other white space, are no difference', async () => {
    const root = freshDirectory();
    await visit(root, { a: 1, b: [1, { c: 2, d: 3 }] });
    writeFileSync(file(root), '{"b":[1,{"d":3,"c":2}],"a":1}');
    await visit(root, { a: 1, b: [1, { c: 2, d: 3 }] });
    expect(readFileSync(file(root), 'utf8')).toBe('{"b":[1,{"d":3,"c":2}],"a":1}');
    expect([older(root), said(root)]).toEqual([[], []]);
  });

  test('several in one millisecond are all kept', async () => {
    const root = freshDirectory();
    replaceInSystem({ now: () => 0 });
    for (let lr = 0; lr < 4; lr++) await visit(root, { lr });
    const kept = older(root).map((name) => JSON.parse(readFileSync(path.join(root, 'x', 'logs', name), 'utf8')).lr);
    expect(kept.sort()).toEqual([0, 1, 2]);
  });
});

describe('a config.json that is not JSON', () => {
  const DAMAGED = [
    ['cut short', Buffer.from('{"lr": 0.0')],
    ['empty', Buffer.alloc(0)],
    ['zeros, as power loss may leave', Buffer.alloc(100)],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ] as const;

  test.each(DAMAGED)('%s: it is kept when another is given, and the log says so', async (_, bytes) => {
    const root = freshDirectory();
    await visit(root, { lr: 1 });
    writeFileSync(file(root), bytes);
    expect(await visit(root, { lr: 2 })).toEqual({ lr: 2 });
    const [kept] = older(root) as [string];
    expect(readFileSync(path.join(root, 'x', 'logs', kept))).toEqual(bytes);
    expect(said(root)).toEqual([{ time: expect.any(String), event: 'config', changed: ['config'], kept, damaged: expect.any(String) }]);
  });

  test.each(DAMAGED)('%s: where none is given it stays, none is in force, and the process is warned', async (_, bytes) => {
    const root = freshDirectory();
    await visit(root, { lr: 1 });
    writeFileSync(file(root), bytes);
    const warnings = collectWarnings();
    expect(await visit(root)).toBe(undefined);
    const reader = await openTestExperiment(root, 'x', { readOnly: true });
    expect(reader.config).toBe(undefined);
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('config.json'),
      expect.stringContaining('config.json'),
    ]);
    expect([readFileSync(file(root)), older(root)]).toEqual([bytes, []]);
    expect(said(root)).toMatchObject([{ changed: [], kept: null, damaged: expect.any(String) }]);
  });

  test('what is no file at all is refused and left alone', async () => {
    const root = freshDirectory();
    await visit(root, { lr: 1 });
    rmSync(file(root));
    symlinkSync('elsewhere.json', file(root));
    await rejection(openExperiment('x', { root, config: { lr: 2 } }), 'ERR_INVALID_ARGUMENT');
    rmSync(file(root));
    mkdirSync(file(root));
    const error = await rejection(openExperiment('x', { root, config: { lr: 2 } }), 'ERR_INVALID_ARGUMENT');
    expect(error.path).toBe(file(root));
    expect(readdirSync(file(root))).toEqual([]);
    rmSync(file(root), { recursive: true });
    expect(await visit(root, { lr: 2 })).toEqual({ lr: 2 });
  });
});

describe('where two configurations differ', () => {
  test.each<[Json, Json, string[]]>([
    [1, 1, []],
    [1, '1', ['config']],
    [null, {}, ['config']],
    [[], {}, ['config']],
    [{ a: 1 }, { a: 1, b: 2 }, ['config.b']],
    [{ a: 1, b: 2 }, { a: 1 }, ['config.b']],
    [{ a: [1, 2] }, { a: [1, 3, 4] }, ['config.a[1]', 'config.a[2]']],
    [{ 'learning rate': 1 }, { 'learning rate': 2 }, ['config["learning rate"]']],
    [JSON.parse('{"__proto__": 1}'), {}, ['config.__proto__']],
    [{}, { toString: 1 }, ['config.toString']],
    [{ a: { b: { c: true } } }, { a: { b: { c: false } } }, ['config.a.b.c']],
  ])('%j and %j', (before, after, paths) => {
    expect(changedPaths(before, after, 'config')).toEqual(paths);
  });
});

/** Results that are kept. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/bench/report.js';
import { keepResult, newestResult, resultsDirectory } from '../../src/bench/results.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';

const report = (date: string, more = {}) => ({ scenario: 'save', environment: { date }, partial: false, ...more }) as unknown as Report;

describe('results', () => {
  test('where they are', () => {
    expect(resultsDirectory({ HOLDFAST_STATE: '/s', XDG_STATE_HOME: '/x' })).toBe('/s/bench');
    expect(resultsDirectory({ XDG_STATE_HOME: '/x' })).toBe('/x/holdfast/bench');
    expect(resultsDirectory({ XDG_STATE_HOME: 'relative' })).toMatch(/\/\.local\/state\/holdfast\/bench$/);
  });

  test('the newest whole one of a scenario is found', async () => {
    const directory = path.join(freshDirectory(), 'not', 'there', 'yet');
    expect(await newestResult('save', directory)).toBeUndefined();
    await keepResult(report('2026-01-02T00:00:00.000Z'), directory);
    await keepResult(report('2026-01-01T00:00:00.000Z'), directory);
    await keepResult(report('2026-01-03T00:00:00.000Z', { partial: true }), directory);
    await keepResult(report('2026-01-04T00:00:00.000Z', { scenario: 'load' }), directory);
    writeFileSync(path.join(directory, 'save-2026-01-05T00-00-00-000Z.json'), '{"scena');
    expect(readdirSync(directory)).toHaveLength(5);
    expect((await newestResult('save', directory))?.environment.date).toBe('2026-01-02T00:00:00.000Z');
  });

  test('what is in the way is said', async () => {
    const file = path.join(freshDirectory(), 'file');
    writeFileSync(file, '');
    await rejection(keepResult(report('2026-01-01T00:00:00.000Z'), path.join(file, 'bench')), 'ERR_NOT_A_DIRECTORY');
    mkdirSync(`${file}.d`);
    await expect(keepResult(report('2026-01-01T00:00:00.000Z'), `${file}.d`)).resolves.toContain('save-2026-01-01');
  });

  // mkdir of Node.js 20 tries for ever here.
  test.runIf(process.platform === 'linux')('a directory that nobody can make is an error', async () => {
    await rejection(keepResult(report('2026-01-01T00:00:00.000Z'), '/proc/nowhere/bench'), 'ERR_NOT_FOUND');
  });
});

/** Every program in bench/, run with as little as it takes: that it runs, what it says and refuses, and that nothing is left. Not how fast anything is. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, type TestContext, test } from 'vitest';
import { type Ended, ended } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';

const BENCH = fileURLToPath(new URL('../../bench', import.meta.url));
if (!existsSync(path.join(BENCH, '../dist/index.js')))
  throw new Error('dist/ is not there: run "npm run build:ts" first. "npm test" does.');

/** Something that a program needs is not on this machine. */
const MISSING = 3;

const positive = expect.toSatisfy((value) => Number.isFinite(value) && value > 0);
const aNumber = expect.toSatisfy((value) => Number.isFinite(value));
const summary = { median: positive, min: positive, max: positive };

interface Script {
  readonly args: (directory: string) => readonly string[];
  /** What the words on standard output hold, and the result. */
  readonly words: RegExp;
  readonly result: object;
}

const SCRIPTS: Readonly<Record<string, Script>> = {
  controller: {
    args: () => ['--runs', '4'],
    words: /^4 random jobs of 54 days[\s\S]*^auto|^ {2}auto +[\d.]+/m,
    result: { auto: { median: positive, worst: positive }, oracle: { median: positive }, met: expect.any(Boolean) },
  },
  crc32c: {
    args: () => ['--mib', '0.0625', '--runs', '3', '--peer-mib', '1', '--pairs', '1'],
    words: /^ {2}portable +[\d.]+ GB\/s [\s\S]*Beside Intel ISA-L/m,
    result: {
      bytes: 65536,
      results: expect.arrayContaining(['portable', 'memcpy'].map((name) => expect.objectContaining({ name, correct: true }))),
    },
  },
  engines: {
    args: () => ['--size', '0.002', '--runs', '1', '--rest', '0', '--sweep', '--operations', '256', '--depths', '2,4'],
    words: /^ {2}256 KiB, 4 deep\n {4}write {2}threads/m,
    result: {
      cases: [2, 4].map((queueDepth) => ({ operationBytes: 262_144, queueDepth, write: { speed: summary }, read: { speed: summary } })),
    },
  },
  'event-loop': {
    args: (directory) => ['--params', '0.01', '--runs', '1', '--around', '20', '--svg', path.join(directory, 'plot.svg')],
    words: /^ {2}holdfast: saveModelAsync +[\d.]+ ms/m,
    result: { ways: { ours: { seconds: positive }, stock: { seconds: positive }, buffered: { seconds: positive } } },
  },
  fit: {
    args: () => ['--backend', 'cpu', '--batches', '4', '--every', '2', '--batch-size', '2', '--width', '2', '--runs', '2'],
    words: /^An epoch of 4 batches[\s\S]*^ {2}without against itself/m,
    result: { ratio: summary, noise: summary, seconds: { without: summary, checkpointed: summary }, met: expect.any(Boolean) },
  },
  huge: {
    args: () => ['--size', '16MiB', '--tensors', '2', '--chunk', '1MiB', '--whole', 'read', '--engine', ENGINES[0] as string],
    words: /^0\.0156 GiB in 2 tensors from a stream[\s\S]*^ {2}verify +0\.0156 GiB[\s\S]*Every byte that was looked at is right\./m,
    result: { ok: true, wrong: [], phases: { save: { seconds: positive }, slices: { bytes: positive }, read: { bytes: 16 * 2 ** 20 } } },
  },
  tuner: {
    args: () => ['--steps', '100', '--runs', '2'],
    words: /^ {2}auto +[\d.]+/m,
    result: { microseconds: { auto: summary, autoInSteps: summary, everySteps: summary }, met: expect.any(Boolean) },
  },
  'many-checkpoints': {
    args: () => ['--checkpoints', '8', '--runs', '2'],
    words: /^8 checkpoints in one directory[\s\S]*^ {2}open, without +[\d.]+ s/m,
    result: { seconds: { openWithRegistry: summary, openWithout: summary, list: summary, save: summary }, met: expect.any(Boolean) },
  },
  map: {
    args: () => ['--size', '4MiB', '--tensor', '64KiB', '--others', '128KiB', '--runs', '2', '--engine', ENGINES[0] as string],
    words: /^The first of 32 tensors, of 0\.0625 MiB, of 3\.94 MiB in all[\s\S]*^ {2}map +[\d.]+ ms/m,
    result: { tensors: 32, milliseconds: { map: summary, read: summary } },
  },
  'parallel-files': {
    args: () => ['--scale', '0.001', '--runs', '1', '--at-once', '2,3', '--rest', '0', '--engine', ENGINES[0] as string],
    words: /^ {2}many: 64 files[\s\S]*^ {4}3 at a time/m,
    result: {
      cases: Object.fromEntries(
        [
          ['shards', 4],
          ['pair', 2],
          ['tiny', 4],
          ['many', 64],
        ].map(([name, files]) => [name, { files, bytes: positive, speed: { 2: summary, 3: summary }, noise: summary }]),
      ),
    },
  },
  simulate: {
    args: () => ['--jobs', '200', '--runs', '2', '--threads', '2', '--aim', '100'],
    words: /^A job of 54 days with 419 failures[\s\S]*^ {2}exact: 200 runs +[\d.]+ s[\s\S]*The aim is met\./m,
    result: { jobs: { exact: 200, events: 2 }, seconds: { exact: summary, events: summary }, useful: { mean: positive }, met: true },
  },
  soak: {
    args: () => ['--saves', '24', '--samples', '8'],
    words: /^24 of 24 saves committed[\s\S]*^ {2}descriptors /m,
    result: { counts: { committed: 24 }, samples: { length: 8 }, growth: { files: { growth: 0 }, tensors: { growth: 0 } } },
  },
  tfjs: {
    args: () => ['--params', '0.01', '--runs', '1'],
    words: /saveModelAsync: stall +[\d.]+ ms/,
    result: {
      ours: { stallMs: summary, blockMs: { median: aNumber } },
      tensorsLeaked: { ours: 0 },
      settings: { runs: 1, tensors: positive },
    },
  },
};

const NAMES = readdirSync(BENCH)
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => path.basename(file, '.mjs'));

function run(name: string, args: readonly string[], cwd = freshDirectory()): Promise<Ended> {
  return ended(spawn(process.execPath, [path.join(BENCH, `${name}.mjs`), ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] }));
}

test('every program has its place in the table', () => {
  expect(NAMES.sort()).toEqual(Object.keys(SCRIPTS).sort());
});

describe.each(NAMES)('bench/%s.mjs', (name) => {
  const { args, words, result } = SCRIPTS[name] as Script;

  test('--help has every option and an example', async () => {
    const { code, stdout, stderr } = await run(name, ['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Examples\n {2}node bench/${name}\\.mjs`, 'm'));
    for (const option of args('').filter((arg) => arg.startsWith('--'))) expect(stdout).toMatch(new RegExp(`^ {2}${option} `, 'm'));
  });

  test.each([
    [['--steam'], "Unknown option '--steam'."],
    [['--json', 'steam'], "Unexpected argument 'steam'."],
    [['--runs', '1. 5'], ['soak', 'huge'].includes(name) ? "Unknown option '--runs'." : '--runs cannot be "1. 5".'],
  ])('refuses %j in one line', async (wrong, message) => {
    const outcome = await run(name, wrong);
    expect(outcome).toEqual({ code: 2, signal: null, stdout: '', stderr: `${message} --help shows what there is.\n` });
  });

  test('runs, says what came of it, and leaves nothing', async (context: TestContext) => {
    const directory = freshDirectory();
    const work = path.join(directory, 'work');
    const out = path.join(directory, 'out.json');
    const { code, stdout, stderr } = await run(name, [...args(directory), '--dir', work, '--out', out]);
    expect(readdirSync(work)).toEqual([]);
    if (code === MISSING) {
      const [last = ''] = stderr.trimEnd().split('\n').slice(-1);
      expect(last).toMatch(/^Left out: ./);
      console.log(`bench/${name}.mjs: ${last}`);
      context.skip(last);
    }
    const document = JSON.parse(readFileSync(out, 'utf8'));
    // After so few saves memory may still grow; what the program says of it and its exit code must agree.
    expect(code, stderr).toBe(document.ok === false ? 1 : 0);
    expect(stdout).toMatch(words);
    expect(document).toMatchObject({ benchmark: name, environment: { node: process.version }, ...result });
    if (name === 'crc32c') checkPeer(document.peer);
    if (name === 'event-loop') expect(readFileSync(path.join(directory, 'plot.svg'), 'utf8')).toMatch(/^<svg [\s\S]*saveModelAsync/);
  });
});

test('without --dir it works in a directory of its own here, which is gone afterwards', async () => {
  const cwd = freshDirectory();
  const { code, stdout } = await run('tfjs', ['--params', '0.001', '--runs', '1', '--json'], cwd);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ benchmark: 'tfjs' });
  expect(readdirSync(cwd)).toEqual([]);
});

test.runIf(ENGINES.includes('native'))('what is missing is said in one line, and is no failure of its own', async () => {
  const child = spawn(process.execPath, [path.join(BENCH, 'crc32c.mjs')], {
    cwd: freshDirectory(),
    env: { ...process.env, HOLDFAST_ADDON: '/nowhere/at/all.node' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  expect(await ended(child)).toEqual({
    code: MISSING,
    signal: null,
    stdout: '',
    stderr: expect.stringMatching(/^Left out: the native engine is not there: [^\n]+\n$/),
  });
});

function checkPeer(peer: { leftOut?: string }): void {
  if (peer.leftOut === undefined) {
    expect(peer).toMatchObject({ correct: true, ratio: summary });
  } else {
    console.log(`bench/crc32c.mjs beside ISA-L is left out: ${peer.leftOut}.`);
    expect(peer.leftOut).toMatch(/libisal-dev|no g\+\+/);
  }
}

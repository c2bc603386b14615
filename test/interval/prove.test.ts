/** `npm run prove:interval`, as little of it as it takes: real trainings that are really killed. Not how good any interval is. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Analysis, ProofResults } from '../../bench/prove-interval/analysis.mjs';
import { realisedFraction } from '../../bench/prove-interval/fraction.mjs';
import { type Ended, ended } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';

const PROGRAM = fileURLToPath(new URL('../../bench/prove-interval/run.mjs', import.meta.url));
if (!existsSync(path.join(path.dirname(PROGRAM), '../../dist/index.js')))
  throw new Error('dist/ is not there: run "npm run build:ts" first. "npm test" does.');

interface Results extends ProofResults {
  readonly state: string;
  readonly turnsDone: number;
  readonly lost: readonly string[];
  readonly losses: { readonly compared: number; readonly different: number };
  readonly analysis: Analysis | null;
}

const SMOKE_MS = 120_000;

/** Lives of a few seconds come nowhere on a machine that does other things, and then there is nothing to check. */
const IS_TORTURE = process.env['HOLDFAST_TORTURE'] === '1';
if (!IS_TORTURE)
  console.warn('The smoke run of prove:interval is left out, as it needs a machine for itself: set HOLDFAST_TORTURE=1 to run it.');

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: freshDirectory(), stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => {
    child.kill('SIGTERM');
  });
  return child;
}

const run = (args: readonly string[]): Promise<Ended> => ended(start(args));
const readResults = (out: string): Results => JSON.parse(readFileSync(path.join(out, 'results.json'), 'utf8')) as Results;

describe('the proof', () => {
  test.runIf(IS_TORTURE)(
    'survives Ctrl-C, goes on, and its lives lose nothing that was acknowledged',
    async () => {
      const out = path.join(freshDirectory(), 'out');
      const child = start(['--smoke', '--lanes', '2', '--out', out]);
      // In the middle of the second life of both.
      child.stderr.on('data', (chunk: Buffer) => {
        if (/life 1\/3 auto: killed/.test(String(chunk))) setTimeout(() => child.kill('SIGINT'), 500);
      });
      const interrupted = await ended(child);
      expect(interrupted.code, interrupted.stderr).toBe(130);
      const before = readResults(out);
      expect(before).toMatchObject({ state: 'interrupted', turnsDone: 1, lost: [], losses: { different: 0 } });
      // Both policies have begun with the same steps.
      expect(before.losses.compared).toBeGreaterThan(0);
      const { code, stdout, stderr } = await run(['--resume', out]);
      expect(code, stdout + stderr).toBe(0);
      expect(stdout).toMatch(/^ {2}every\.seconds\([\d.]+\) x1 [\s\S]*^ {2}auto [\s\S]*No acknowledged checkpoint was lost\./m);
      const results = readResults(out);
      expect(results).toMatchObject({ state: 'complete', turnsDone: 3, lost: [], losses: { different: 0 } });
      // What was lost was done again, and came out the same.
      expect(results.losses.compared).toBeGreaterThan(before.losses.compared);
      checkLives(results);
      expect(readFileSync(path.join(out, 'plot.svg'), 'utf8')).toMatch(/^<svg [\s\S]*fixed interval[\s\S]*auto/);
      expect(readFileSync(path.join(out, 'fragment.md'), 'utf8')).toMatch(/npm run prove:interval -- --smoke[\s\S]*\| `auto` \|/);
      expect(existsSync(path.join(out, 'work'))).toBe(false);
      // It is not begun anew over what is there.
      expect(await run(['--smoke', '--out', out])).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/--resume .* goes on with them/),
      });
    },
    SMOKE_MS,
  );

  test('--help has every option and an example, and what is wrong with options is said in a line', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    for (const option of ['minutes', 'mtbf', 'factors', 'prior', 'mode', 'state', 'lanes', 'seed', 'smoke', 'out', 'resume']) {
      expect(stdout).toMatch(new RegExp(`^ {2}--${option} `, 'm'));
    }
    for (const [wrong, message] of [
      [['--steam'], "Unknown option '--steam'."],
      [['--factors', '1,x'], '--factors cannot be "1,x".'],
      [['--prior', '0'], '--prior cannot be "0".'],
      [['--minutes', '0.5'], '--minutes must be at least twice --mtbf.'],
      [['--resume', '/nowhere'], 'there are no results in /nowhere to go on with.'],
    ] as const) {
      expect(await run(wrong)).toMatchObject({ code: 2, stdout: '', stderr: `${message} --help shows what there is.\n` });
    }
  });
});

function checkLives({ policies, times, analysis }: Results): void {
  expect(policies.map(({ kind }) => kind)).toEqual(['fixed', 'auto']);
  for (const { lives } of policies) {
    expect(lives.map(({ life }) => life)).toEqual([0, 1, 2]);
    for (const [i, life] of lives.entries()) {
      // Killed when it was to be, or as soon as this machine came to it.
      expect(life.wall_s).toBeGreaterThanOrEqual((times[i] as number) - 0.01);
      const before = i === 0 ? 0 : (lives[i - 1]?.durableStep as number);
      expect(life.fromStep).toBe(before);
      expect(life.durableStep).toBeGreaterThanOrEqual(life.acknowledgedStep ?? life.fromStep);
      // The second one was begun twice, the first time up to Ctrl-C.
      if (i !== 1 && life.restoredStep !== null) expect(life.restoredStep).toBe(before);
    }
    expect(lives.at(-1)?.durableStep).toBeGreaterThan(0);
  }
  expect(analysis?.rows).toHaveLength(2);
  for (const [i, { realised, low, high, wall_s }] of (analysis?.rows ?? []).entries()) {
    // How good it is depends on what else this machine does; beside others a step may even take less time than when it was measured.
    expect(realised).toBeGreaterThan(0);
    expect(realised).toBe(realisedFraction(policies[i]?.lives ?? [], analysis?.step_s as number));
    expect(low).toBeLessThanOrEqual(realised);
    expect(high).toBeGreaterThanOrEqual(realised);
    expect(wall_s).toBeGreaterThanOrEqual(15);
  }
}

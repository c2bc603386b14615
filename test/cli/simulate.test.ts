/** `holdfast simulate`: what it prints, reads and refuses. How right it is: test/interval. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { registerSimulate } from '../../src/cli/commands/simulate.js';
import { freshDirectory } from '../helpers/directory.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

interface Policy {
  readonly name: string;
  readonly interval_s: number;
  readonly usefulFraction: { readonly mean: number; readonly low: number; readonly high: number };
  readonly predicted: number | null;
  readonly failures: number;
  readonly lost: Readonly<Record<string, number>>;
}

interface Document {
  readonly scenario: string | null;
  readonly job: Readonly<Record<string, unknown>>;
  readonly failures: Readonly<Record<string, unknown>>;
  readonly runs: number;
  readonly policies: readonly Policy[];
  readonly warnings: readonly string[];
}

async function simulate(...args: string[]): Promise<Document> {
  const { code, document } = await holdfastJson(['simulate', ...args]);
  expect(code).toBe(0);
  return document as Document;
}

/** Runs the command in this process, as far as it gets: for what it refuses. */
async function parse(...args: string[]): Promise<void> {
  const program = new Command().exitOverride().configureOutput({ outputError: () => {} });
  registerSimulate(program, { signal: new AbortController().signal, exitCode: 0 });
  await program.parseAsync(['simulate', ...args], { from: 'user' });
}

function traceFile(text: string): string {
  const file = path.join(freshDirectory(), 'trace.txt');
  writeFileSync(file, text);
  return file;
}

const aNumber = expect.any(Number);

describe('simulate --json', () => {
  test('has exactly these fields', async () => {
    const document = await simulate('--scenario', 'llama3', '--runs', '40', '--policy', 'exact,oracle', '--seed', '5');
    const policy = {
      interval_s: expect.closeTo(330.37, 1),
      usefulFraction: { mean: aNumber, low: aNumber, high: aNumber, median: aNumber, p05: aNumber, p95: aNumber },
      predicted: expect.closeTo(0.934413, 5),
      saves: aNumber,
      failures: aNumber,
      lost: { saving: aNumber, rework: aNumber, restart: aNumber, slowdown: 0 },
      unfinished: 0,
    };
    expect(document).toStrictEqual({
      scenario: 'llama3',
      job: {
        ...{ wall_s: 54 * 86_400, work_s: null, stall_s: 5, persist_s: 120 },
        ...{ synchronous: false, slowdown: 0, maxInFlight: 1, restart_s: 300 },
      },
      failures: { kind: 'poisson', mtbf_s: (54 * 86_400) / 419 },
      runs: 40,
      seed: 5,
      policies: [
        { name: 'exact', ...policy },
        { name: 'oracle', ...policy },
      ],
      warnings: [],
    });
    for (const { usefulFraction: useful, predicted, lost } of document.policies) {
      expect(useful.low).toBeLessThan(predicted ?? 0);
      expect(useful.high).toBeGreaterThan(predicted ?? 1);
      expect(useful.mean + Object.values(lost).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    }
  });

  test('is the same for the same seed, whatever the number of threads', async () => {
    const args = ['--scenario', 'mlcommons', '--runs', '60'];
    const one = await simulate(...args, '--threads', '1');
    expect(await simulate(...args, '--threads', '3')).toEqual(one);
    expect(await simulate(...args, '--seed', '2')).not.toEqual(one);
  });

  test("numbers of one's own", async () => {
    const costs = ['--cost', '60s', '--persist', '2min', '--restart', '5min', '--in-flight', '2', '--sync'];
    const document = await simulate(
      ...costs,
      '--failures',
      '419',
      '--during',
      '27d',
      '--runs',
      '2',
      '--policy',
      'fixed:1h30min',
      '--policy',
      'young',
    );
    expect(document).toMatchObject({
      scenario: null,
      job: { wall_s: 27 * 86_400, stall_s: 60, persist_s: 120, restart_s: 300, slowdown: 0, maxInFlight: 2, synchronous: true },
      failures: { kind: 'poisson', mtbf_s: (27 * 86_400) / 419 },
      policies: [
        { name: 'fixed:1h30min', interval_s: 5400 },
        { name: 'young', interval_s: expect.closeTo(Math.sqrt(2 * 180 * ((27 * 86_400) / 419)), 6) },
      ],
    });
  });

  test.each([
    [['--mtbf', '3h'], { kind: 'poisson', mtbf_s: 10_800 }],
    [['--nodes', '64', '--node-mtbf', '1y'], { kind: 'poisson', mtbf_s: (365.25 * 86_400) / 64 }],
    [['--failures', '419'], { kind: 'poisson', mtbf_s: (54 * 86_400) / 419 }],
    [['--mtbf', '3h', '--weibull', '0.7'], { kind: 'weibull', mtbf_s: 10_800, shape: 0.7 }],
    [['--mtbf', '3h', '--warning', '30s'], { kind: 'poisson', mtbf_s: 10_800, warning_s: 30 }],
    [
      ['--mtbf', '3h', '--drift-mtbf', '0.1', '--during', '10d'],
      { kind: 'poisson', mtbf_s: { start: 10_800, end: 1080, over_s: 864_000 } },
    ],
    [['--scenario', 'spot', '--mtbf', '3h'], { kind: 'poisson', mtbf_s: 10_800, warning_s: 30 }],
    [['--mtbf', '3h', '--work', '2d'], { kind: 'poisson', mtbf_s: 10_800 }],
  ])('%j: failures', async (args, failures) => {
    const document = await simulate('--cost', '5s', '--runs', '2', '--policy', 'exact', ...args);
    expect(document.failures).toEqual(failures);
  });

  test('options replace what a scenario has', async () => {
    const { job } = await simulate('--scenario', 'opt175b', '--async', '--cost', '1s', '--persist', '10s', '--runs', '2');
    expect(job).toMatchObject({ synchronous: false, stall_s: 1, persist_s: 10, restart_s: 1800 });
    const drifting = await simulate('--scenario', 'llama3', '--drift-cost', '10', '--runs', '2');
    const over_s = 54 * 86_400;
    expect(drifting.job).toMatchObject({ stall_s: { start: 5, end: 50, over_s }, persist_s: { start: 120, end: 1200, over_s } });
    expect(drifting.policies).toMatchObject([{ name: 'young', predicted: null }, { name: 'exact' }, { name: 'oracle' }]);
  });

  test('--list has the scenarios', async () => {
    const { scenarios } = (await simulate('--list')) as unknown as { scenarios: { name: string; description: string }[] };
    expect(scenarios.map(({ name }) => name)).toEqual(expect.arrayContaining(['llama3', 'opt175b', 'mlcommons', 'spot']));
    for (const { description } of scenarios) expect(description).toMatch(/Assumed: |Daly 2006/);
  });
});

describe('a trace', () => {
  const args = ['--cost', '2s', '--restart', '10s', '--policy', 'fixed:20s'];
  const kept = { kind: 'trace', count: 2, randomStart: false };

  test.each([
    ['seconds', '50\n\n# the second\n100 # twice as late\n'],
    ['JSON', '[50, 100]'],
    ['dates and times', '2024-09-01T00:00:00Z\n2024-09-01 00:00:50\n2024-09-01T02:01:40+02:00\n'],
    ['dates in JSON', '["2024-09-01", "2024-09-01T00:00:50Z", "2024-09-01T00:01:40.000Z"]'],
  ])('of %s is met once, as it was', async (_, text) => {
    const document = await simulate('--trace', traceFile(text), ...args);
    // Snapshots at 22, 44, 82; fails at 50; the job ends with the trace.
    expect(document).toMatchObject({
      job: { wall_s: 100 },
      failures: kept,
      runs: 1,
      policies: [{ saves: 3, failures: 1, usefulFraction: { mean: 0.78, low: null, high: null } }],
    });
  });

  test('ends the job, also one of a scenario that is longer', async () => {
    const file = traceFile('50\n100\n');
    const document = await simulate('--scenario', 'llama3', '--trace', file, ...args);
    expect(document).toMatchObject({ job: { wall_s: 100, persist_s: 120 }, runs: 1, policies: [{ failures: 1 }] });
    expect(await simulate('--scenario', 'llama3', '--trace', file, '--during', '150s', ...args)).toMatchObject({ job: { wall_s: 150 } });
  });

  test('is met from random moments on in several runs', async () => {
    const document = await simulate('--trace', traceFile('50\n100\n'), ...args, '--runs', '20', '--during', '1000s');
    expect(document).toMatchObject({ failures: { randomStart: true }, runs: 20, policies: [{ usefulFraction: { low: aNumber } }] });
    expect(document.policies[0]?.failures).toBeGreaterThan(10);
  });

  test.each([
    ['', 'has no moments in it'],
    ['# nothing\n', 'has no moments in it'],
    ['50\nsoon\n', 'has "soon" as line 2, which is no number of seconds'],
    ['50\n-1\n', 'has "-1" as line 2'],
    ['50\nNaN\n', 'has "NaN" as line 2'],
    ['50\n2024-09-01\n', 'has "2024-09-01" as line 2'],
    ['2024-09-01\n50\n', 'which is no date and time as the first is'],
    ['2024-09-31T99:00\n2024-10-01\n', 'has "2024-09-31T99:00" as line 1'],
    ['2024-02-28\n2024-02-30\n', 'has "2024-02-30" as line 2'],
    ['2023-02-29T10:00Z\n2024-02-29\n', 'has "2023-02-29T10:00Z" as line 1'],
    ['2024-09-01\n', 'has one date'],
    ['50\n40\n', 'must ascend, and line 2 is earlier'],
    ['[50, null]', 'has "null" as item 2'],
    ['[50, ', 'is not JSON'],
  ])('%j is refused: %s', async (text, why) => {
    await expect(parse('--trace', traceFile(text), ...args)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(why),
    });
  });

  test('that is not there is refused', async () => {
    const { code, error } = await holdfastError(['simulate', '--trace', '/nowhere/at/all', ...args]);
    expect({ code, error: error['code'] }).toEqual({ code: 2, error: 'ERR_NOT_FOUND' });
  });
});

describe('simulate', () => {
  test('reads well', async () => {
    const { code, stdout, stderr } = await holdfast(['simulate', '--scenario', 'llama3', '--runs', '20', '--policy', 'exact,fixed:1h']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^POLICY +INTERVAL +USEFUL +± +PREDICTED +SAVING +REWORK +RESTART\n/);
    expect(stdout).toMatch(/^exact +5 min 30 s +9[34]\.\d{3} % +0\.\d{3} % +93\.441 % /m);
    expect(stdout).toMatch(/^fixed:1h +1 h /m);
    expect(stdout).toContain('llama3: 54 d of wall time; training waits 5 s for saves, durable 2 min later; restarts of 5 min;');
    expect(stdout).not.toMatch(/NaN|Infinity|undefined/);
  });

  test('says that a few failures say little', async () => {
    const rare = ['--cost', '5s', '--mtbf', '1y', '--policy', 'fixed:1h,exact', '--threads', '1'];
    const few = 'in all runs together: the 95 % intervals (±) are too narrow. Simulate more --runs.';
    const none = await holdfast(['simulate', ...rare, '--during', '1h', '--runs', '10']);
    expect(none).toMatchObject({ code: 0, stderr: `! No failure ${few}\n` });
    const some = await simulate(...rare, '--during', '10d', '--runs', '500');
    const met = Math.round(500 * (some.policies[0]?.failures ?? 0));
    expect([met > 1 && met < 30, some.warnings]).toEqual([true, [`Only ${met} failures ${few}`]]);
    expect((await simulate(...rare, '--during', '10d', '--runs', '2000')).warnings).toEqual([]);
    // There is no interval that could be too narrow.
    expect((await simulate(...rare, '--during', '10d', '--runs', '1')).warnings).toEqual([]);
  });

  test('says when a job of some work has drifted', async () => {
    const { stdout } = await holdfast(['simulate', '--cost', '5s', '--mtbf', '3h', '--work', '2d', '--drift-cost', '2', '--runs', '4']);
    expect(stdout).toMatch(/training waits 5 s, after 2 d 10 s\s+for saves/);
  });

  test('says what cannot be predicted, and what did not get on', async () => {
    const spot = await holdfast(['simulate', '--scenario', 'spot', '--runs', '5', '--policy', 'exact,oracle', '--drift-mtbf', '2']);
    expect(spot.stdout).not.toContain('PREDICTED');
    expect(spot.stdout).toMatch(/^oracle +~ /m);
    expect(spot.stdout).toContain('announced 30 s before');
    const stuck = await holdfast(['simulate', '--cost', '1h', '--mtbf', '1s', '--work', '1h', '--policy', 'fixed:1h', '--runs', '3']);
    expect(stuck.code).toBe(0);
    expect(stuck.stderr).toBe('! fixed:1h: 3 runs of 3 did not get on, and ended unfinished.\n');
    expect(stuck.stdout).not.toMatch(/NaN|Infinity|PREDICTED/);
  });

  test.each([
    [[], 'Say how long training waits for a save'],
    [['--cost', '5s'], 'Say how often it fails'],
    [['--cost', '5', '--mtbf', '3h'], '--cost cannot be "5": it has no unit'],
    [['--cost', '-5s', '--mtbf', '3h'], '--cost cannot be "-5s": it is below zero'],
    [['--cost', 'NaN', '--mtbf', '3h'], '--cost cannot be "NaN"'],
    [['--cost', '0s', '--mtbf', '3h'], 'what costs nothing needs no interval'],
    [['--cost', '5s', '--mtbf', '0s'], '--mtbf cannot be "0s": it must be more than zero'],
    [['--cost', '5s', '--mtbf', '3h', '--failures', '5'], 'Say only once how often it fails: --mtbf or --failures'],
    [['--cost', '5s', '--nodes', '64'], '--nodes and --node-mtbf go together'],
    [['--cost', '5s', '--failures', '0'], 'Give a number above 0'],
    [['--cost', '5s', '--failures', '5', '--work', '1d'], '--work leaves that open'],
    [['--cost', '5s', '--mtbf', '3h', '--work', '1d', '--during', '1d'], 'Give --during or --work'],
    [['--cost', '5s', '--mtbf', '3h', '--weibull', '0.01'], 'Give a number from 0.1 to 100'],
    [['--cost', '5s', '--mtbf', '3h', '--slowdown', '100%'], 'Give a share from 0 to below 1'],
    [['--cost', '5s', '--persist', '9s', '--mtbf', '3h', '--slowdown', '60%', '--in-flight', '2'], 'training would stand still'],
    [['--cost', '5s', '--mtbf', '3h', '--slowdown', '60%'], 'give that too, with --persist'],
    [['--scenario', 'llama3', '--sync', '--slowdown', '5%'], 'not both'],
    [['--scenario', 'opt175b', '--persist', '9s', '--slowdown', '5%'], 'Training waits for the saves of opt175b: give --async too'],
    [['--cost', '--mtbf', '3h'], '--cost cannot be "--mtbf": that is an option'],
    [['--cost', '5s', '--mtbf', '3h', '--sync', '--async'], 'Give --sync or --async'],
    [['--cost', '5s', '--mtbf', '3h', '--policy', 'best'], 'There is no policy "best"'],
    [['--cost', '5s', '--mtbf', '3h', '--policy', 'fixed'], 'such as fixed:10min'],
    [['--cost', '5s', '--mtbf', '3h', '--policy', 'fixed:10'], 'it has no unit'],
    [['--cost', '5s', '--mtbf', '2s', '--policy', 'dalyFirst'], 'The formula dalyFirst has no interval'],
    [['--cost', '5s', '--mtbf', '3h', '--runs', '0'], 'Give a whole number'],
    [['--cost', '5s', '--mtbf', '3h', '--seed', '-1'], 'Give a whole number'],
    [['--scenario', 'gpt9'], 'There is no scenario "gpt9". There are llama3'],
    [['--scenario', 'llama3', '--trace', 'x', '--mtbf', '1h'], 'cannot be read'],
  ])('refuses %j', async (args, message) => {
    await expect(parse(...args)).rejects.toThrow(message);
  });

  test('tells in one line what it refuses', async () => {
    const { code, error } = await holdfastError(['simulate', '--cost', '5', '--mtbf', '3h']);
    expect({ code, error }).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    const inWorker = await holdfastError(['simulate', '--cost', '5s', '--mtbf', '2s', '--policy', 'dalyFirst']);
    expect(inWorker).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
  });

  test('refuses what is misspelled', async () => {
    const { code, error } = await holdfastError(['simulate', '--scenario', 'llama3', '--run', '5']);
    expect({ code, error: error['code'] }).toEqual({ code: 2, error: 'ERR_UNKNOWN_OPTION' });
    expect(error['message']).toContain('Did you mean --runs?');
  });

  test('SIGINT ends it', async () => {
    const args = ['simulate', '--scenario', 'llama3', '--policy', 'fixed:1s', '--drift-cost', '2', '--runs', '1000000', '--json'];
    expect(await holdfast(args, { signal: 'SIGINT', signalAfterMs: 1500 })).toEqual({ code: 130, stdout: '', stderr: '' });
  });
});

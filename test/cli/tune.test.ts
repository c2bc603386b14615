/** `holdfast tune`: what it recommends, from numbers, benchmarks and runs, and what it refuses. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { stallReport, sweepReport, trainReport } from '../helpers/bench-reports.js';
import { freshDirectory } from '../helpers/directory.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

interface Document {
  readonly interval: Readonly<Record<string, number>>;
  readonly expected: Readonly<Record<string, number>>;
  readonly within1Percent_s: readonly [number, number];
  readonly [member: string]: unknown;
}

async function tune(...args: string[]): Promise<Document> {
  const { code, document } = await holdfastJson(['tune', ...args]);
  expect(code).toBe(0);
  return document as Document;
}

const aNumber = expect.any(Number);

describe('tune --json', () => {
  test('has exactly these fields, and the exact optimum', async () => {
    expect(await tune('--cost', '5min', '--mtbf', '24h')).toStrictEqual({
      input: {
        ...{ stall_s: 300, persist_s: 0, slowdown: 0, restart_s: 0, mtbf_s: 86_400, maxInFlight: 1 },
        ...{ maxOverhead: null, minInterval_s: null, maxInterval_s: null, step_s: null },
      },
      interval: {
        young_s: 7200,
        dalyFirst_s: 6900,
        dalyHigher_s: expect.closeTo(7001.3889, 4),
        exact_s: expect.closeTo(7001.4044, 4),
        recommended_s: expect.closeTo(7001.4044, 4),
      },
      steps: null,
      binding: 'optimum',
      cost_s: 300,
      expected: {
        overheadFraction: expect.closeTo(0.08818, 5),
        ettr: expect.closeTo(0.918965, 5),
        saving: expect.closeTo(300 / 7001.4044, 5),
        lost: aNumber,
        lostWork_s: expect.closeTo(3500.7022, 4),
      },
      within1Percent_s: [expect.closeTo(4270.56, 1), expect.closeTo(11_402.6, 1)],
      confidence: { cost_s: null, mtbf_s: null },
      source: 'options',
      bytes: null,
      seen: null,
      warnings: [],
    });
  });

  test.each([
    [['--mtbf', '1d'], 86_400],
    [['--nodes', '64', '--node-mtbf', '1y'], (365.25 * 86_400) / 64],
    [['--failures', '419', '--during', '54d'], (54 * 86_400) / 419],
    [['--failure-probability', '50%', '--during', '10h'], 36_000 / Math.LN2],
    [['--failure-probability', '0.5', '--during', '10h'], 36_000 / Math.LN2],
  ])('a failure every so often: %j', async (args, mtbf_s) => {
    const { input } = await tune('--cost', '60s', ...args);
    expect((input as { mtbf_s: number }).mtbf_s).toBeCloseTo(mtbf_s, 6);
  });

  test('in steps, and asynchronous', async () => {
    const document = await tune(
      '--cost',
      '1s',
      '--persist',
      '60s',
      '--slowdown',
      '5%',
      '--restart',
      '2min',
      '--mtbf',
      '11135s',
      '--step-time',
      '2s',
    );
    expect(document['cost_s']).toBeCloseTo(4, 9);
    expect(document['steps']).toBe(Math.round((document.interval['recommended_s'] as number) / 2));
    expect(document.expected['lostWork_s']).toBeCloseTo((document.interval['recommended_s'] as number) / 2 + 57, 6);
  });

  test.each([
    [['--persist', '10min'], 'inFlight', 599],
    [['--persist', '10min', '--in-flight', '4', '--mtbf', '60s'], 'inFlight', 149],
    [['--max-overhead', '0.1%'], 'maxOverhead', 1000],
    [['--min-interval', '1h'], 'minInterval', 3600],
    [['--max-interval', '10s'], 'maxInterval', 10],
    [['--max-interval', '10s', '--max-overhead', '0.1%'], 'maxInterval', 10],
    [['--sync', '--persist', '10min'], 'optimum', undefined],
  ])('limits: %j', async (args, binding, recommended_s) => {
    const mtbf = args.includes('--mtbf') ? [] : ['--mtbf', '1h'];
    const document = await tune('--cost', '1s', ...mtbf, ...args);
    expect(document['binding']).toBe(binding);
    expect(document.interval['recommended_s']).toBeCloseTo(recommended_s ?? (document.interval['exact_s'] as number), 6);
  });
});

describe('from a benchmark', () => {
  const file = (document: unknown) => {
    const name = path.join(freshDirectory(), 'results.json');
    writeFileSync(name, typeof document === 'string' ? document : JSON.stringify(document));
    return name;
  };

  test('of asynchronous saves: stall and time until durable, for the largest size or another', async () => {
    const report = stallReport();
    const largest = Math.max(...report.rows.map(({ bytes }) => bytes));
    const document = await tune('--bench', file(report), '--mtbf', '24h');
    expect(document).toMatchObject({ source: 'bench', bytes: largest, seen: null });
    const input = document['input'] as Record<string, number>;
    expect(input['stall_s']).toBeGreaterThan(0);
    expect(input['persist_s']).toBeGreaterThan(input['stall_s'] as number);
    expect((document['confidence'] as { cost_s: [number, number] }).cost_s).toEqual([aNumber, aNumber]);
    const half = await tune('--bench', file(report), '--mtbf', '24h', '--bytes', String(largest / 2));
    expect((half['input'] as Record<string, number>)['persist_s']).toBeLessThan(input['persist_s'] as number);
  });

  test('of saves that training waits for: all of their time', async () => {
    const report = sweepReport('size');
    const document = await tune('--bench', file(report), '--mtbf', '24h');
    expect(document['input']).toMatchObject({ persist_s: 0 });
    expect(document['cost_s']).toBeGreaterThan(0);
    const far = await tune('--bench', file(report), '--mtbf', '24h', '--bytes', '100TiB');
    expect(far['warnings']).toEqual([expect.stringContaining('far from those that were measured')]);
  });

  test.each([
    [trainReport(), 'holdfast bench train'],
    [{}, 'is not a result of holdfast bench'],
    ['{', 'is not a result of holdfast bench'],
  ])('refuses what has no saves', async (document, what) => {
    const { code, error } = await holdfastError(['tune', '--bench', file(document), '--mtbf', '24h']);
    expect([code, error.code]).toEqual([2, 'ERR_INVALID_ARGUMENT']);
    expect(error.message).toContain(what);
  });

  test('refuses a file that is not there', async () => {
    const { code, error } = await holdfastError(['tune', '--bench', path.join(freshDirectory(), 'nothing.json'), '--mtbf', '24h']);
    expect([code, error.code]).toEqual([2, 'ERR_NOT_FOUND']);
  });
});

describe('from a run', () => {
  const at = (up_s: number) => ({ at_ms: 1_770_000_000_000, up_s });
  const history = (events: readonly object[]) => {
    const directory = freshDirectory();
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, '.history.jsonl'), events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    return directory;
  };
  const life = (from: number, saves: number) => [
    { event: 'opened', run: 'r', ...at(0) },
    ...(from === 0 ? [] : [{ event: 'restored', step: from, seconds: 1, restart_s: 20, ...at(1) }]),
    ...Array.from({ length: saves }, (_, i) => ({
      ...{ event: 'saved', step: from + (i + 1) * 100, bytes: 1e9, stall_s: 0.5, persist_s: 4, slowdown: 0.25, step_s: 1 },
      ...at(20 + (i + 1) * 102),
    })),
  ];

  test('takes costs, restarts, step and failures from its history, and says how sure they are', async () => {
    const directory = history([...life(0, 5), ...life(500, 4), ...life(900, 3), ...life(1200, 6), ...life(1800, 2)]);
    const document = await tune('--run', directory);
    expect(document).toMatchObject({ source: 'run', bytes: 1e9, seen: { failures: 4, uptime_s: 5 * 20 + 20 * 102 }, warnings: [] });
    expect(document['input']).toMatchObject({ stall_s: 0.5, persist_s: 4, slowdown: 0.25, restart_s: 20, step_s: 1 });
    expect(document['cost_s']).toBeCloseTo(1.5, 9);
    const { mtbf_s } = document['confidence'] as { mtbf_s: [number, number] };
    expect(mtbf_s[0]).toBeLessThan((document['input'] as { mtbf_s: number }).mtbf_s);
    expect(mtbf_s[1]).toBeGreaterThan((document['input'] as { mtbf_s: number }).mtbf_s);
  });

  test('says so where it has hardly failed or saved, and takes what is given before what was seen', async () => {
    const once = history([...life(0, 1), ...life(100, 1)]);
    expect((await tune('--run', once))['warnings']).toEqual([
      expect.stringContaining('Only 2 of the run'),
      expect.stringContaining('failed only once'),
    ]);
    const never = await tune('--run', history(life(0, 5)), '--restart', '3s');
    expect(never['warnings']).toEqual([expect.stringContaining('has not failed yet')]);
    expect(never['input']).toMatchObject({ restart_s: 3 });
    const given = await tune('--run', once, '--mtbf', '2h', '--step-time', '5s');
    expect(given['input']).toMatchObject({ mtbf_s: 7200, step_s: 5 });
  });

  test('refuses one without a history, and one that is not there', async () => {
    const empty = freshDirectory();
    mkdirSync(empty, { recursive: true });
    expect((await holdfastError(['tune', '--run', empty])).error.message).toContain('There is no history of saves');
    expect((await holdfastError(['tune', '--run', path.join(empty, 'nothing')])).error.code).toBe('ERR_NOT_FOUND');
  });
});

describe('for people', () => {
  test('says what to do, what it costs, how flat it is, and draws it', async () => {
    const { code, stdout, stderr } = await holdfast(['tune', '--cost', '5min', '--mtbf', '24h', '--step-time', '2s']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^A checkpoint every 1 h 56 min 41 s of work, or 3,501 steps\n/);
    expect(stdout).toContain("overhead         8.82 % of the work's time: 4.28 % for saving, 4.53 % lost to failures\n");
    expect(stdout).toContain('useful           91.9 % of all time (ETTR)\n');
    expect(stdout).toContain('within 1 %       1 h 11 min 11 s to 3 h 10 min 3 s');
    expect(stdout).toMatch(/^ *0 %┼─+━+▲━+─+$/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test('--html writes a page that needs nothing else', async () => {
    const file = path.join(freshDirectory(), 'interval.html');
    mkdirSync(path.dirname(file), { recursive: true });
    expect((await holdfast(['tune', '--cost', '5min', '--mtbf', '24h', '--html', file])).code).toBe(0);
    const page = readFileSync(file, 'utf8');
    expect(page).toContain('A checkpoint every 1 h 56 min 41 s of work: 8.82 % overhead');
    expect(page).toContain('<polyline class="line all"');
    expect(page).not.toMatch(/https?:|NaN|undefined|Infinity/);
    const nowhere = await holdfastError(['tune', '--cost', '5min', '--mtbf', '24h', '--html', path.join(file, 'x.html')]);
    expect(nowhere.code).toBe(2);
  });
});

describe('refuses', () => {
  test.each([
    [['--mtbf', '24h'], 'Say what a save costs'],
    [['--cost', '5s'], 'Say how often the run fails'],
    [['--cost', '5s', '--bench', 'x', '--mtbf', '1h'], 'Say only once what a save costs'],
    [['--cost', '5s', '--mtbf', '1h', '--failures', '3', '--during', '1d'], 'Say only once how often the run fails'],
    [['--cost', '5s', '--failures', '3', '--failure-probability', '0.5', '--during', '1d'], 'Say only once how often the run fails'],
    [['--cost', '5s', '--failures', '3'], 'need --during'],
    [['--cost', '5s', '--mtbf', '1h', '--during', '3d'], '--during goes with'],
    [['--cost', '5s', '--nodes', '3'], '--nodes and --node-mtbf go together'],
    [['--cost', '5s', '--mtbf', '1h', '--bytes', '1GiB'], 'goes with --bench'],
    [['--cost', '0s', '--mtbf', '1h'], '--cost cannot be'],
    [['--cost', '-5s', '--mtbf', '1h'], '--cost cannot be'],
    [['--cost', '5', '--mtbf', '1h'], 'it has no unit'],
    [['--cost', 'NaN', '--mtbf', '1h'], '--cost cannot be'],
    [['--cost', '5s', '--mtbf', 'Infinity'], '--mtbf cannot be'],
    [['--cost', '5s', '--failure-probability', '1', '--during', '1h'], '--failure-probability'],
    [['--cost', '5s', '--failure-probability', '0', '--during', '1h'], 'failureProbability must be'],
    [['--cost', '5s', '--failures', '0', '--during', '1h'], '--failures'],
    [['--cost', '5s', '--mtbf', '1h', '--slowdown', '1.5'], '--slowdown'],
    [['--cost', '5s', '--mtbf', '1h', '--sync', '--slowdown', '0.5'], 'not both'],
    [['--cost', '5s', '--mtbf', '1h', '--min-interval', '2h', '--max-interval', '1h'], 'minInterval_s is longer'],
    [['--cost', '5s', '--mtbf', '1h', '--max-overhead', '0'], 'maxOverhead'],
    [['--cost', '5s', '--mtbf', '1h', '--p', '0.5'], '--p'],
  ])('%j', async (args, what) => {
    const { code, error } = await holdfastError(['tune', ...args]);
    expect(code).toBe(2);
    expect(error.message).toContain(what);
  });
});

/** `holdfast tune`: what it recommends, from numbers, benchmarks and runs, and what it refuses. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { describe, expect, test, vi } from 'vitest';
import { registerTune } from '../../src/cli/commands/tune.js';
import { every } from '../../src/index.js';
import { comparisonReport, stallReport, sweepReport, trainReport } from '../helpers/bench-reports.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

interface Document {
  readonly interval: Readonly<Record<string, number>>;
  readonly expected: Readonly<Record<string, number>>;
  readonly within1Percent_s: readonly [number, number];
  readonly [member: string]: unknown;
}

/** Runs the command in this process, which is faster than as one of its own, and gives what it printed. Rejects with what it refuses. */
async function inProcess(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const program = new Command().exitOverride().configureOutput({ outputError: () => {} });
  registerTune(program, { signal: new AbortController().signal, exitCode: 0 }).option('--json');
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    }),
  );
  try {
    await program.parseAsync(['tune', ...args], { from: 'user' });
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return printed;
}

async function tune(...args: string[]): Promise<Document> {
  const { stdout, stderr } = await inProcess([...args, '--json']);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Document;
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
      other: { availability_s: expect.closeTo(Math.sqrt(2 * 86_400 * 300 + 300 ** 2), 6), pccheckSteps: null },
      steps: null,
      binding: 'optimum',
      limits: { inFlight_s: null, maxOverhead_s: null, minInterval_s: null, maxInterval_s: null },
      cost_s: 300,
      expected: {
        overheadFraction: expect.closeTo(0.08818, 5),
        ettr: expect.closeTo(0.918965, 5),
        saving: expect.closeTo(300 / 7001.4044, 5),
        lost: expect.closeTo(0.08818 - 300 / 7001.4044, 5),
        rework: expect.closeTo(0.08818 - 300 / 7001.4044, 5),
        persisting: 0,
        restarts: 0,
        // Half an interval, and the saves that failures come during.
        lostWork_s: expect.closeTo(3590, -2),
      },
      within1Percent_s: [expect.closeTo(4270.56, 1), expect.closeTo(11_402.6, 1)],
      confidence: { cost_s: null, mtbf_s: null, recommended_s: null, beyondBest: null },
      source: 'options',
      bytes: null,
      memory: null,
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
    expect(document.expected['lostWork_s']).toBeCloseTo((document.interval['recommended_s'] as number) / 2 + 57, -1);
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

describe('what else is said', () => {
  test('steps keep to the limit that decided', async () => {
    const args = ['--cost', '1s', '--mtbf', '1h', '--step-time', '7s'];
    // 85.5 steps would be best.
    expect((await tune(...args))['steps']).toBe(12);
    expect((await tune(...args, '--min-interval', '100s'))['steps']).toBe(15);
    expect((await tune(...args, '--max-interval', '20s'))['steps']).toBe(2);
    expect((await tune(...args, '--max-interval', '2s'))['steps']).toBe(1);
    expect((await tune(...args, '--min-interval', '140s'))['steps']).toBe(20);
  });

  test('PCcheck and CheckFreq, with the values of the published formulas', async () => {
    const args = ['--cost', '1s', '--persist', '60s', '--step-time', '500ms', '--max-overhead', '5%', '--mtbf', '3h'];
    const document = await tune(...args, '--in-flight', '2');
    expect(document['other']).toMatchObject({ pccheckSteps: 58 });
    expect(document['limits']).toMatchObject({ inFlight_s: 29, maxOverhead_s: 20 });
  });

  test('the parts of the overhead add up, and the useful fraction is that of the published case', async () => {
    const { expected, interval } = await tune(
      ...['--cost', '5s', '--persist', '120s', '--restart', '300s', '--mtbf', '11135s', '--in-flight', '2'],
    );
    expect(interval['recommended_s']).toBeCloseTo(330.366, 3);
    expect(expected['ettr']).toBeCloseTo(0.934413, 6);
    const { saving, rework, persisting, restarts, lost, overheadFraction } = expected as Record<string, number>;
    expect((saving as number) + (lost as number)).toBeCloseTo(overheadFraction as number, 12);
    expect((rework as number) + (persisting as number) + (restarts as number)).toBeCloseTo(lost as number, 12);
    expect(restarts).toBeGreaterThan(persisting as number);
  });

  test('a count of failures says how sure it is, and that few of them are not', async () => {
    const many = await tune('--cost', '60s', '--failures', '419', '--during', '54d');
    const { mtbf_s, recommended_s, beyondBest } = many['confidence'] as Record<string, [number, number]>;
    expect(mtbf_s).toEqual([expect.closeTo(10_118, -1), expect.closeTo(12_283, -1)]);
    expect((recommended_s as [number, number])[0]).toBeLessThan(many.interval['recommended_s'] as number);
    expect(beyondBest).toBeLessThan(0.001);
    expect(many['warnings']).toEqual([]);
    const few = await tune('--cost', '60s', '--failures', '1', '--during', '54d');
    expect(few['warnings']).toEqual([expect.stringContaining('If one failure was counted')]);
    expect((few['confidence'] as { beyondBest: number }).beyondBest).toBeGreaterThan(0.002);
    const expectation = await tune('--cost', '60s', '--failures', '1.5', '--during', '54d');
    expect(expectation['confidence']).toMatchObject({ mtbf_s: null, recommended_s: null });
  });

  test.each([
    [['--cost', '30d', '--mtbf', '1s'], 'Hardly anything gets done'],
    [['--cost', '1y', '--mtbf', '1ms', '--restart', '1y'], 'Hardly anything gets done'],
    [['--cost', '1h', '--mtbf', '1h'], 'More than half of all time is lost'],
    [
      ['--cost', '5s', '--mtbf', '1h', '--min-interval', '1y'],
      'The limit leaves hardly any time that is useful: the best interval is 3 min 6 s',
    ],
    [['--cost', '5s', '--mtbf', '1h', '--min-interval', '30min'], 'The limit costs 23.5 % of the run: the best interval is 3 min 6 s'],
    [['--cost', '5s', '--mtbf', '24h', '--max-interval', '1s'], 'The limit costs 494 % of the run'],
    [['--cost', '5min', '--mtbf', '1h', '--step-time', '1h'], 'That a step takes so long costs'],
    [['--cost', '5s', '--mtbf', '24h', '--step-time', '30s', '--max-interval', '10s'], 'A step takes longer than --max-interval'],
    [['--cost', '5s', '--mtbf', '1h', '--persist', '10min', '--max-interval', '1min'], 'faster than they become durable'],
    [['--cost', '5s', '--mtbf', '1h', '--max-overhead', '1%', '--max-interval', '5min'], 'Saving takes more than --max-overhead'],
    [['--cost', '1ms', '--mtbf', '1000y'], undefined],
  ])('%j: numbers stay numbers, and what is wrong is said', async (args, warning) => {
    const file = path.join(freshDirectory(), 'page.html');
    const { stdout, stderr } = await inProcess([...args, '--html', file]);
    expect(`${stdout}${readFileSync(file, 'utf8')}`).not.toMatch(/NaN|Infinity|undefined|e[+-]\d\d/);
    expect(stderr).toContain(warning ?? '');
    const { interval, expected, within1Percent_s } = await tune(...args);
    for (const value of [...Object.values(interval), ...Object.values(expected), ...within1Percent_s]) {
      expect(Number.isFinite(value) && value >= 0).toBe(true);
    }
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });
});

describe('what cannot be kept', () => {
  test('below what saves in flight allow training waits, which is in all that is expected', async () => {
    const { expected, limits, binding } = await tune('--cost', '5s', '--persist', '10min', '--mtbf', '24h', '--max-interval', '1s');
    expect(limits).toMatchObject({ inFlight_s: 595 });
    expect(binding).toBe('maxInterval');
    // A save is durable after ten minutes, and in those a second of work is done.
    expect(expected['saving']).toBeCloseTo(599, 9);
    expect(expected['ettr']).toBeLessThan(1 / 600);
    const within = (await tune('--cost', '5s', '--persist', '10min', '--mtbf', '24h'))['within1Percent_s'] as [number, number];
    expect(within[0]).toBe(595);
  });

  test('no interval is shorter than a step', async () => {
    const { interval, steps, binding, expected } = await tune(
      '--cost',
      '5s',
      '--mtbf',
      '24h',
      '--step-time',
      '30s',
      '--max-interval',
      '10s',
    );
    expect([interval['recommended_s'], steps, binding]).toEqual([30, 1, 'step']);
    expect(expected['saving']).toBeCloseTo(5 / 30, 9);
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
    expect(far['warnings']).toContainEqual(expect.stringContaining('far from those that were measured'));
  });

  test('saves of one kind of memory, not a mixture of all', async () => {
    const name = file(stallReport());
    const stalls: (readonly [unknown, number | undefined])[] = [];
    for (const source of [[], ['--source', 'copied'], ['--source', 'pinned'], ['--source', 'stream']]) {
      const document = await tune('--bench', name, '--mtbf', '24h', ...source);
      stalls.push([document['memory'], (document['input'] as Record<string, number>)['stall_s']]);
    }
    expect(stalls.map(([memory]) => memory)).toEqual(['copied', 'copied', 'pinned', 'stream']);
    // 0.45 of 4 GiB at 9.5 GB/s, 0.9 ms and 0.4 ms.
    expect(stalls[0]?.[1]).toBeCloseTo(0.2, 1);
    expect(stalls[1]).toEqual(stalls[0]);
    expect(stalls[2]?.[1]).toBeCloseTo(0.0009, 4);
    expect(stalls[3]?.[1]).toBeCloseTo(0.0004, 4);
    const { error } = await holdfastError(['tune', '--bench', file(sweepReport('size')), '--mtbf', '1h', '--source', 'pinned']);
    expect(error['message']).toContain('--source is about results of "holdfast bench stall"');
  });

  test('beside it, what training loses and what a load takes', async () => {
    const files = [stallReport(), trainReport(), comparisonReport('load')].flatMap((report) => ['--bench', file(report)]);
    const document = await tune(...files, '--mtbf', '24h');
    const { slowdown, persist_s, stall_s, restart_s } = document['input'] as Record<string, number>;
    // What is lost by the stall itself is no slowdown.
    const rows = trainReport().rows.filter(({ kind }) => kind === 'ours');
    const whole = (rows[0]?.speeds ?? []).map((speed) => Math.max(0, 1 - speed));
    expect(slowdown).toBeGreaterThan(0);
    expect(slowdown).toBeLessThan(whole.reduce((sum, share) => sum + share, 0) / whole.length);
    expect(document['cost_s']).toBeCloseTo((stall_s as number) + (slowdown as number) * (persist_s as number), 9);
    expect(restart_s).toBeCloseTo(2.05, 1);
    expect(document['warnings']).toEqual([expect.stringContaining('the load alone')]);
    const alone = await tune('--bench', file(trainReport()), '--mtbf', '24h');
    expect((alone['input'] as Record<string, number>)['stall_s']).toBe(0);
    expect(alone['cost_s']).toBeGreaterThan(0);
    expect(alone['source']).toBe('bench');
  });

  test('--sync and --async', async () => {
    const both = ['--bench', file(stallReport()), '--bench', file(sweepReport('size')), '--mtbf', '24h'];
    expect(((await tune(...both))['input'] as Record<string, number>)['persist_s']).toBeGreaterThan(1);
    expect(((await tune(...both, '--sync'))['input'] as Record<string, number>)['persist_s']).toBe(0);
    const { code, error } = await holdfastError(['tune', '--bench', file(sweepReport('size')), '--mtbf', '24h', '--async']);
    expect([code, error['code']]).toEqual([2, 'ERR_INVALID_ARGUMENT']);
    expect(error['message']).toContain('--async needs');
    const waited = await tune('--cost', '1s', '--persist', '1min', '--sync', '--mtbf', '1h');
    expect([waited['cost_s'], waited.expected['persisting']]).toEqual([61, 0]);
  });

  test.each([
    [comparisonReport('verify'), 'holdfast bench verify'],
    [comparisonReport('load'), 'has no saves in it'],
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

  const closed = { event: 'closed', ...at(224) };

  test('takes costs, restarts, step and failures from its history, and says how sure they are', async () => {
    const directory = history([...life(0, 5), ...life(500, 4), ...life(900, 3), ...life(1200, 6), ...life(1800, 2), closed]);
    const document = await tune('--run', directory);
    expect(document).toMatchObject({ source: 'run', bytes: 1e9, seen: { failures: 4, uptime_s: 5 * 20 + 20 * 102 } });
    expect(document['warnings']).toEqual([
      expect.stringContaining('a failure comes every 8 min 54 s; that it is longer here is due to the prior'),
    ]);
    expect(document['input']).toMatchObject({ stall_s: 0.5, persist_s: 4, slowdown: 0.25, restart_s: 20, step_s: 1 });
    expect(document['cost_s']).toBeCloseTo(1.5, 9);
    const { mtbf_s } = document['confidence'] as { mtbf_s: [number, number] };
    expect(mtbf_s[0]).toBeLessThan((document['input'] as { mtbf_s: number }).mtbf_s);
    expect(mtbf_s[1]).toBeGreaterThan((document['input'] as { mtbf_s: number }).mtbf_s);
  });

  test('says so where it has hardly failed or saved, and takes what is given before what was seen', async () => {
    const once = history([...life(0, 1), ...life(100, 1), closed]);
    expect((await tune('--run', once))['warnings']).toEqual([
      expect.stringContaining('Only 2 of the run'),
      expect.stringContaining('failed only once'),
    ]);
    const never = await tune('--run', history([...life(0, 5), closed]), '--restart', '3s');
    expect(never['warnings']).toEqual([expect.stringContaining('has not failed yet')]);
    expect(never['input']).toMatchObject({ restart_s: 3 });
    const given = await tune('--run', once, '--mtbf', '2h', '--step-time', '5s');
    expect(given['input']).toMatchObject({ mtbf_s: 7200, step_s: 5 });
  });

  test('a process that is gone without a word has failed, and one that writes has not', async () => {
    expect(await tune('--run', history(life(0, 5)))).toMatchObject({ seen: { failures: 1 } });
    const directory = history(life(0, 5));
    const manager = await openManager(directory, { trigger: every.steps(1) });
    await manager.step(smallRequest(501));
    await manager.flush();
    await vi.waitFor(() => expect(readFileSync(path.join(directory, '.history.jsonl'), 'utf8')).toContain('alive'));
    expect(await tune('--run', directory)).toMatchObject({ seen: { failures: 1 } });
    await manager.close();
    expect(await tune('--run', directory)).toMatchObject({ seen: { failures: 1 } });
  });

  test('after two lives in vain the prior counts for nothing, as for auto', async () => {
    const inVain = [
      { event: 'opened', run: 'r', ...at(0) },
      { event: 'restored', step: 500, seconds: 1, restart_s: 20, ...at(1) },
      { event: 'alive', step: 501, ...at(20) },
      { event: 'alive', step: 900, ...at(620) },
    ];
    const once = (await tune('--run', history([...life(0, 5), ...inVain, ...life(500, 1), closed])))['input'] as Record<string, number>;
    expect(once['mtbf_s']).toBeGreaterThan(20_000);
    const twice = (await tune('--run', history([...life(0, 5), ...inVain, ...inVain, ...life(500, 0), closed])))['input'] as Record<
      string,
      number
    >;
    expect(twice['mtbf_s']).toBeCloseTo(600, 3);
  });

  test('saves that seem to cost less than nothing are noise', async () => {
    const noisy = [0.4, -0.3, 0.5, -0.2, 0.1].map((slowdown, i) => ({
      ...{ event: 'saved', step: i + 1, bytes: 1e9, stall_s: 0.5, persist_s: 4, slowdown, step_s: 1 },
      ...at(20 + i),
    }));
    const document = await tune('--run', history([...life(0, 0), ...noisy, closed]));
    expect((document['input'] as { slowdown: number }).slowdown).toBeCloseTo(0.1, 9);
    expect(document['cost_s']).toBeCloseTo(0.9, 9);
  });

  test('manifests stand in for a history that is not there, and it is said', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    for (const step of [10, 20, 30]) {
      await manager.save(smallRequest(step, 1000));
      await sleep(15);
    }
    await manager.close();
    rmSync(path.join(directory, '.history.jsonl'), { force: true });
    const refused = await holdfastError(['tune', '--run', directory]);
    expect([refused.code, refused.error['code']]).toEqual([1, 'ERR_NOT_FOUND']);
    expect(refused.error['message']).toContain('Say what a save costs beside --run');
    const document = await tune('--run', directory, '--cost', '50ms', '--mtbf', '1h');
    expect(document).toMatchObject({ source: 'options', warnings: [expect.stringContaining('from 3 manifests')] });
    expect((document['input'] as Record<string, number>)['step_s']).toBeGreaterThan(0.0015);
    const result = path.join(freshDirectory(), 'stall.json');
    writeFileSync(result, JSON.stringify(stallReport()));
    const measured = await tune('--run', directory, '--bench', result, '--mtbf', '1h');
    const [{ bytes }] = ((await holdfastJson(['ls', directory])).document as { checkpoints: { bytes: number }[] }).checkpoints.slice(
      -1,
    ) as [{ bytes: number }];
    expect(measured).toMatchObject({ source: 'bench', bytes });
  });

  test('refuses one without a history, and one that is not there', async () => {
    const empty = freshDirectory();
    mkdirSync(empty, { recursive: true });
    const nothing = await holdfastError(['tune', '--run', empty]);
    expect([nothing.code, nothing.error['code']]).toEqual([1, 'ERR_NOT_FOUND']);
    expect(nothing.error['message']).toContain('nothing was saved there');
    // Who knows what a save costs may ask all the same: failures are then the prior’s.
    expect((await tune('--run', empty, '--cost', '5s'))['warnings']).toEqual([expect.stringContaining('There is no history of failures')]);
    expect((await holdfastError(['tune', '--run', path.join(empty, 'nothing')])).error.code).toBe('ERR_NOT_FOUND');
  });
});

describe('for people', () => {
  test('says what to do, what it costs, how flat it is, and draws it', async () => {
    const { code, stdout, stderr } = await holdfast(['tune', '--cost', '5min', '--mtbf', '24h', '--step-time', '2s']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^A checkpoint every 1 h 56 min 41 s of work, or 3,501 steps\n/);
    expect(stdout).toContain("overhead         8.82 % of the work's time: 4.28 % for saving, 4.53 % for work\n");
    expect(stdout).toContain('useful           91.9 % of all time (ETTR)\n');
    expect(stdout).toContain('within 1 %       1 h 11 min 11 s to 3 h 10 min 3 s (2,136 to 5,701 steps)');
    expect(stdout).toMatch(/^ *0 %┼─+━+▲━+─+$/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
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
    [['--cost', '5s', '--failure-probability', '0', '--during', '1h'], '--failure-probability must be above 0'],
    [['--cost', '5s', '--failures', '0', '--during', '1h'], '--failures'],
    [['--cost', '5s', '--mtbf', '1h', '--slowdown', '1.5'], '--slowdown'],
    [['--cost', '5s', '--mtbf', '1h', '--sync', '--slowdown', '0.5'], 'not both'],
    [['--cost', '5s', '--mtbf', '1h', '--slowdown', '0.5'], 'give that too, with --persist'],
    [['--cost', '5s', '--mtbf', '1h', '--html', '/tmp'], 'it is a directory'],
    [['--cost', '5s', '--mtbf', '1h', '--html', '/nowhere/page.html'], 'its directory does not exist'],
    [['--bench', '/tmp', '--mtbf', '1h'], 'it is a directory'],
    [['--cost', '5s', '--mtbf', '1h', '--min-interval', '2h', '--max-interval', '1h'], '--min-interval is longer than --max-interval'],
    [['--cost', '5s', '--mtbf', '1h', '--max-overhead', '0'], '--max-overhead must be more than zero'],
    [['--cost', '5s', '--mtbf', '1h', '--p', '0.5'], '--p'],
    [['--cost', '5s', '--mtbf', '1h', '--sync', '--async'], 'not both'],
    [['--cost', '5s', '--mtbf', '1h', '--source', 'pinned'], '--source says which saves'],
    [['--cost', '5s', '--mtbf', '1h', '--in-flight', '0'], '--in-flight'],
    [['--cost', '5s', '--mtbf', '1h', '--step-time', '0s'], '--step-time'],
    [['--cost', '5s', '--mtbf', '1h', '--restart', '-1s'], '--restart'],
    [['--cost', '5s', '--nodes', '0', '--node-mtbf', '1y'], '--nodes'],
    [['--cost', '5s', '--nodes', '4', '--node-mtbf', '1y', '--mtbf', '1h'], 'Say only once how often the run fails'],
  ])('%j', async (args, what) => {
    await expect(inProcess(args)).rejects.toThrow(what);
  });

  test('with exit code 2, and one line of JSON', async () => {
    const { code, error } = await holdfastError(['tune', '--cost', '5s', '--mtbf', '0h']);
    expect([code, error['code']]).toEqual([2, 'ERR_INVALID_ARGUMENT']);
  });
});

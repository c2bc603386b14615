/** `holdfast bench save` and the other scenarios: what they say and refuse, and that nothing is left. Not how fast anything is. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { HAS_FIO, pathWith, pathWithFio } from '../helpers/programs.js';
import { holdfast, holdfastError, holdfastJson, MAIN, STATE } from './command.js';

/** As few bytes and rounds as there can be, and nobody else. */
const TINY = ['--size', '64KiB', '--runs', '2', '--peers', 'none'];

interface Report {
  readonly rows: readonly { readonly name: string; readonly kind: string; readonly seconds: readonly number[] }[];
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  readonly warnings: readonly string[];
  readonly points: readonly Report[];
}

const positive = expect.toSatisfy((value) => Number.isFinite(value) && value > 0);

const ROW = {
  bytes: 65536,
  secondsMedian: positive,
  secondsMin: positive,
  secondsMax: positive,
  bytesPerSecond: positive,
  cpuSeconds: expect.toSatisfy((value) => value === null || value >= 0),
  maxRssBytes: expect.toSatisfy((value) => value === null || value > 2 ** 20),
};

describe('bench save, load, verify', () => {
  const withFio: [name: string, path: () => string | undefined][] = [
    ['a stand-in for fio', pathWithFio],
    ...(HAS_FIO ? [['fio', () => process.env['PATH']] satisfies [string, () => string | undefined]] : []),
  ];
  const cases = ENGINES.flatMap((engine) => withFio.map(([limit, makePath]) => ({ engine, limit, makePath })));
  // fio takes its time for every run, and it is the same whichever engine is measured beside it.
  const some = cases.filter(({ engine, limit }) => engine === ENGINES[0] || limit !== 'fio');

  test.each(some)('save has these fields, and leaves nothing ($engine, $limit)', async ({ engine, makePath }) => {
    const directory = freshDirectory();
    const args = ['bench', 'save', ...TINY, '--dir', directory, '--engine', engine];
    const { code, document } = await holdfastJson(args, { env: { PATH: makePath() ?? '' } });
    expect(code).toBe(0);
    const report = document as Report;
    const others = report.rows.slice(2);
    expect(others.every(({ name, kind }) => name.startsWith('fio-') && kind === 'peer')).toBe(true);
    expect(document).toStrictEqual({
      scenario: 'save',
      bytes: 65536,
      tensors: 64,
      runs: 2,
      noise: { low: positive, high: positive },
      rows: [
        { ...ROW, name: 'holdfast', kind: 'ours', seconds: [positive, positive] },
        // It has two runs in every round, unless the way that was not calibrated was faster in the end.
        { ...ROW, name: 'fio', kind: 'limit', seconds: expect.any(Array), note: expect.stringContaining('direct I/O') },
        ...others,
      ],
      ratios: Object.fromEntries(report.rows.slice(1).map(({ name }) => [name, positive])),
      environment: expect.objectContaining({
        node: process.version,
        fileSystem: expect.any(String),
        versions: { fio: expect.any(String) },
      }),
      rules: expect.arrayContaining([expect.stringContaining('fsync')]),
      leftOut: expect.any(Array),
      warnings: expect.any(Array),
      partial: false,
      settings: { bytes: 65536, model: null, runs: 2, directory, engine, peers: [], python: 'python3' },
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each(['load', 'verify'])('%s, with its result in a file and among those that are kept', async (scenario) => {
    const directory = freshDirectory();
    const out = path.join(freshDirectory(), 'result.json');
    const args = ['bench', scenario, ...TINY, '--dir', directory, '--out', out];
    const { code, document } = await holdfastJson(args, { env: { PATH: pathWithFio() } });
    expect(code).toBe(0);
    const { rows } = document as Report;
    const names = rows.filter(({ kind }) => kind === 'ours').map(({ name }) => name);
    expect(names).toEqual(scenario === 'load' ? ['holdfast', 'holdfast-fresh'] : ['holdfast']);
    expect(rows.filter(({ kind }) => kind === 'limit')).toMatchObject([{ name: 'fio', seconds: expect.any(Array) }]);
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(document);
    const kept = readdirSync(path.join(STATE, 'bench')).filter((name) => name.startsWith(`${scenario}-`));
    expect(kept.length).toBeGreaterThan(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('without fio, Python and tfjs-node: said with what to install, and the rest runs', async () => {
    const directory = freshDirectory();
    const args = ['bench', 'save', '--size', '64KiB', '--runs', '2', '--dir', directory];
    const { code, document } = await holdfastJson(args, { env: { PATH: pathWith('sync', 'dd'), HOLDFAST_TFJS_NODE: directory } });
    expect(code).toBe(0);
    const { rows, leftOut } = document as Report;
    expect(rows.map(({ name }) => name)).toEqual(['holdfast', 'fs.writeFile']);
    expect(document).toMatchObject({ noise: null, ratios: { 'fs.writeFile': positive } });
    expect(Object.fromEntries(leftOut.map(({ name, why }) => [name, why]))).toEqual({
      fio: expect.stringContaining('apt-get install fio'),
      'tfjs-node': expect.stringContaining('npm install @tensorflow/tfjs-node'),
      'torch.save': expect.stringContaining('pip install'),
      'torch-dcp': expect.stringContaining('pip install'),
      'torch-dcp-async': expect.stringContaining('pip install'),
      safetensors: expect.stringContaining('pip install'),
    });
  });

  test('reads well', async () => {
    const args = ['bench', 'save', '--size', '64KiB', '--runs', '2', '--peers', 'fs', '--dir', freshDirectory()];
    const { code, stdout, stderr } = await holdfast(args, { env: { PATH: pathWith('sync', 'dd') } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^NAME +MEDIAN +LEAST +MOST +RATE +RATIO +CPU/);
    expect(stdout).toMatch(/^holdfast +[\d.]+ m?s /m);
    expect(stdout).toContain('64.0 KiB in 64 tensors, 2 rounds.');
    expect(stdout).toContain('Left out: fio: it is not installed');
    expect(stdout).toContain('- Same bytes for everyone');
    expect(stdout).toContain(`Kept in ${STATE}`);
  });

  test('a model, scaled, keeps its tensors', async () => {
    const args = ['bench', 'save', '--model', 'mnist-mlp', '--size', '64KiB', '--runs', '1', '--peers', 'none', '--dir', freshDirectory()];
    const { document } = await holdfastJson(args, { env: { PATH: pathWith('sync') } });
    expect(document).toMatchObject({ tensors: 18, runs: 1, noise: null });
  });

  test('a result that cannot be kept is a warning, and --out to nowhere an error after the result', async () => {
    const file = path.join(freshDirectory(), 'closed');
    const args = ['bench', 'small', '--size', '1KiB', '--runs', '1', '--dir', freshDirectory()];
    const { document } = await holdfastJson(args, { env: { HOLDFAST_STATE: '/dev/null/state' } });
    expect((document as Report).warnings).toEqual([expect.stringContaining('not kept')]);
    const { code, stdout, stderr } = await holdfast([...args, '--out', path.join(file, 'x.json')]);
    expect(code).toBe(2);
    expect(stdout).toContain('holdfast');
    expect(stderr).toContain('ERR_NOT_FOUND');
  });

  test.runIf(existsSync('/dev/shm'))('memory is no disk', async () => {
    const { document } = await holdfastJson(['bench', 'small', '--size', '1KiB', '--runs', '1', '--dir', '/dev/shm']);
    expect((document as Report).warnings).toEqual([expect.stringMatching(/tmpfs.*not those of a disk/)]);
    expect(readdirSync('/dev/shm').filter((name) => name.startsWith('.holdfast'))).toEqual([]);
  });
});

describe('sweeps', () => {
  test('small goes through its sizes', async () => {
    const directory = freshDirectory();
    const { code, document } = await holdfastJson(['bench', 'small', '--size', '16KiB', '--runs', '2', '--dir', directory]);
    expect(code).toBe(0);
    const { points } = document as Report;
    expect(points).toMatchObject([
      { bytes: 1024, runs: 2, rows: [{ name: 'holdfast' }, { name: 'bare', kind: 'limit' }], ratios: { bare: positive } },
      { bytes: 16384, runs: 2 },
    ]);
    expect(points[0]?.rows[1]?.seconds).toHaveLength(4);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('many goes through numbers of tensors, as far as each has an element', async () => {
    const { document } = await holdfastJson(['bench', 'many', '--size', '4000', '--runs', '1', '--peers', 'fs', '--dir', freshDirectory()]);
    expect(document).toMatchObject({
      points: [1, 100, 1000].map((tensors) => ({ tensors, bytes: 4000, rows: [{ name: 'holdfast' }, {}, {}] })),
      warnings: [expect.stringContaining('2 left out')],
    });
  });

  test('size begins with 1 MiB', async () => {
    const { document } = await holdfastJson([
      'bench',
      'size',
      '--size',
      '1MiB',
      '--runs',
      '1',
      '--peers',
      'none',
      '--dir',
      freshDirectory(),
    ]);
    expect(document).toMatchObject({ points: [{ bytes: 2 ** 20 }] });
  });
});

test('train compares with training alone', async () => {
  const directory = freshDirectory();
  const { code, document } = await holdfastJson(['bench', 'train', '--size', '64KiB', '--runs', '1', '--dir', directory]);
  expect(code).toBe(0);
  const row = { speedMedian: positive, secondsMedian: positive, cpuSeconds: positive, speeds: [positive], seconds: [positive] };
  expect(document).toMatchObject({
    scenario: 'train',
    bytes: 65536,
    runs: 1,
    loop: 'tfjs',
    noise: null,
    rows: [
      { ...row, name: 'holdfast', kind: 'ours' },
      { ...row, name: 'holdfast-low', kind: 'ours' },
      { ...row, name: 'buffered', kind: 'peer' },
    ],
  });
  expect(readdirSync(directory)).toEqual([]);
});

describe('bad input', () => {
  test.each([
    [['sav'], 'ERR_INVALID_ARGUMENT', 'Did you mean save?'],
    [['save', '--size', '3 parsecs'], 'ERR_INVALID_ARGUMENT', 'Give a size such as'],
    [['save', '--size', '900TiB'], 'ERR_RESOURCES', 'Use smaller sizes'],
    [['save', '--runs', '0'], 'ERR_INVALID_ARGUMENT', 'Give a whole number'],
    [['save', '--peers', 'fs,steam'], 'ERR_INVALID_ARGUMENT', 'Give all, none, or a list of fs,'],
    [['save', '--model', 'gpt5'], 'ERR_INVALID_ARGUMENT', 'There are mnist-mlp'],
    [['save', '--dir', '/nowhere/at/all'], 'ERR_NOT_FOUND', 'does not exist'],
    [['small', '--size', '100'], 'ERR_INVALID_ARGUMENT', 'begins with 1.00 KiB'],
    [['small', '--model', 'gpt2'], 'ERR_INVALID_ARGUMENT', 'takes no model'],
    [['load', '--sise', '1MiB'], 'ERR_UNKNOWN_OPTION', 'Did you mean --size?'],
    [['train', '--size', '900TiB'], 'ERR_RESOURCES', 'Use smaller sizes'],
  ])('%j', async (args, expected, message) => {
    const { code, error } = await holdfastError(['bench', ...args]);
    expect({ code, error: error['code'] }).toEqual({ code: 2, error: expected });
    expect(error['message']).toContain(message);
  });

  // Root may write everywhere, so the command runs as somebody else then.
  const asNobody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const [program = process.execPath, ...rest] = [...asNobody, process.execPath];
  const possible = process.platform === 'linux' && spawnSync(program, [...rest, MAIN, '--version']).status === 0;
  if (!possible) console.warn('Tests as a user without rights are left out: setpriv cannot make one here.');

  test.runIf(possible)('a directory that may not be written to, and one that may, with little memory to lock', async () => {
    const directory = freshDirectory();
    const state = path.join(directory, 'state');
    chmodSync(directory, 0o755);
    const prefix = ['sh', '-c', 'ulimit -l 64; exec "$@"', 'sh', ...asNobody];
    const args = ['bench', 'save', '--size', '64KiB', '--runs', '1', '--peers', 'none'];
    const refused = await holdfastError([...args, '--dir', directory], { prefix });
    expect(refused).toMatchObject({ code: 2, error: { code: 'ERR_PERMISSION' } });
    const open = path.join(directory, 'open');
    for (const made of [open, state]) {
      mkdirSync(made);
      chmodSync(made, 0o777);
    }
    const env = { HOLDFAST_STATE: state, PATH: pathWith('sh', 'setpriv', 'sync', 'dd') };
    const { code, document } = await holdfastJson([...args, '--dir', open], { prefix, env });
    expect(code).toBe(0);
    expect((document as Report).rows[0]).toMatchObject({ name: 'holdfast' });
    expect(readdirSync(open)).toEqual([]);
    expect(readdirSync(path.join(state, 'bench'))).toHaveLength(1);
  });
});

/** What a benchmark that runs has saved at its first point; nothing before there is any. */
function checkpointsBelow(directory: string): string[] {
  try {
    return readdirSync(path.join(directory, readdirSync(directory)[0] ?? '', '0', 'holdfast'));
  } catch {
    return [];
  }
}

describe('Ctrl-C', () => {
  test('before the first round is over: nothing is printed and nothing is left', async () => {
    const directory = freshDirectory();
    const args = ['bench', 'save', '--size', '16MiB', '--dir', directory, '--json'];
    const outcome = await holdfast(args, { signal: 'SIGINT', signalAfterMs: 700 });
    expect(outcome).toEqual({ code: 130, stdout: '', stderr: '' });
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s later: the whole rounds until then are printed, and nothing is left', async (signal, expected) => {
    const directory = freshDirectory();
    const args = ['bench', 'small', '--size', '1KiB', '--runs', '1000000', '--dir', directory, '--json'];
    // Ten saves a run, and the first run does not count: whoever is beyond the second one has a whole round behind him.
    const signalWhen = () => checkpointsBelow(directory).some((name) => /_step0*[2-9]\d$/.test(name));
    const { code, stdout, stderr } = await holdfast(args, { signal, signalWhen, signalTwice: true });
    expect({ code, stderr }).toEqual({ code: expected, stderr: '' });
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({ partial: true, points: [{ bytes: 1024 }] });
    const [ours, bare] = report.points[0]?.rows ?? [];
    expect(bare?.seconds).toHaveLength(2 * (ours?.seconds.length ?? 0));
    expect(readdirSync(directory)).toEqual([]);
  });
});

test.each(['save', 'load', 'verify', 'small', 'many', 'size', 'train'])('bench %s --help has examples and its JSON', async (name) => {
  const { code, stdout, stderr } = await holdfast(['bench', name, '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('Examples:\n');
  expect(stdout).toContain(`$ holdfast bench ${name}`);
  expect(stdout).toContain('JSON: {');
});

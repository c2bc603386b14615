import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { VERSION } from '../../src/index.js';
import { saveAll } from './checkpoints.js';
import { holdfast, holdfastError, MAIN } from './command.js';

const COMMANDS = ['ls', 'inspect', 'verify', 'diff', 'prune', 'repair', 'convert', 'doctor'];

describe('help', () => {
  test.each([[], ...COMMANDS.map((name) => [name])])('of "%s" has examples and ends with 0', async (...names) => {
    const { code, stdout, stderr } = await holdfast([...names, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Examples:\n');
    expect(stdout).toContain(`$ holdfast ${names[0] ?? 'ls'}`);
    if (names.length > 0) expect(stdout).toContain('--json');
  });

  test('tells the exit codes, and is what "help" gives', async () => {
    const { stdout } = await holdfast(['help']);
    expect(stdout).toContain('Exit codes:');
    for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect((await holdfast(['help', 'ls'])).stdout).toBe((await holdfast(['ls', '--help'])).stdout);
  });

  test('of nothing goes to stderr, with 2', async () => {
    const { code, stdout, stderr } = await holdfast([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: holdfast');
  });

  test('--version is the version', async () => {
    expect(await holdfast(['--version'])).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
  });
});

describe('wrong usage exits with 2', () => {
  test.each([
    [['lss', '.'], 'Did you mean ls?'],
    [['ls', '.', '--jsn'], 'Did you mean --json?'],
    [['verify', '.', '--engin', 'native'], 'Did you mean --engine?'],
    [['ls'], "Missing required argument 'DIR'"],
    [['ls', 'a', 'b'], 'Too many arguments'],
    [['inspect', '.', '--limit', 'x'], 'Give a whole number'],
  ])('%j', async (args, expected) => {
    const { code, stdout, stderr } = await holdfast(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(expected);
    expect(stderr).toMatch(/^holdfast: .*\n$/);
  });

  test('with --json, as one line of JSON', async () => {
    expect(await holdfastError(['ls', '--bogus'])).toMatchObject({ code: 2, error: { code: 'ERR_UNKNOWN_OPTION' } });
    expect(await holdfastError(['bogus'])).toMatchObject({ code: 2, error: { code: 'ERR_INVALID_ARGUMENT' } });
    // After -- it is a path.
    expect((await holdfast(['ls', '--', '--json'])).stderr).toContain('--json does not exist');
  });

  test('and control characters do not reach the terminal', async () => {
    const { code, stderr } = await holdfast(['ls', 'no\x1b[2Jthing\u009b1m']);
    expect(code).toBe(2);
    expect(stderr).toContain('no\\x1b[2Jthing\\x9b1m');
  });
});

describe('streams', () => {
  test.each([['ls'], ['inspect', '--limit', 'all'], ['inspect', '--json']])('a reader that goes away is no error: %s', async (...args) => {
    const data = new Float32Array(1);
    const many = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`a/long/name/of/a/tensor/${i}`, { dtype: 'F32' as const, shape: [1], data }]),
    );
    const directory = await saveAll([{ tensors: many }]);
    const [command = '', ...options] = args;
    const target = command === 'ls' ? directory : path.join(directory, 'latest');
    const child = spawn(process.execPath, [MAIN, command, target, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.once('data', () => child.stdout.destroy());
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test.runIf(process.platform === 'linux')('output that cannot be written is not success', async () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'doctor'], { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stderr).toContain('ENOSPC');
  });

  test('no colour in a pipe', async () => {
    const { stdout } = await holdfast(['ls', await saveAll([{ metrics: { loss: 1 } }])], { env: { TERM: 'xterm-256color' } });
    expect(stdout).not.toContain('\x1b');
  });
});

describe('on a terminal', () => {
  const possible = process.platform === 'linux' && spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;
  if (!possible) console.warn('Tests on a terminal are left out: there is no script(1) that makes one.');

  const onTerminal = (args: string, env: Record<string, string> = {}) =>
    spawnSync('script', ['-qec', `stty cols 60; '${process.execPath}' '${MAIN}' ${args}`, '/dev/null'], {
      env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
      encoding: 'utf8',
    }).stdout;

  test.runIf(possible)('there is colour, unless NO_COLOR, and tables fit', async () => {
    const directory = await saveAll([{ metrics: { loss: 1 } }, { metrics: { loss: 2 } }]);
    expect(onTerminal(`ls ${directory}`)).toContain('\x1b[32m*');
    const plain = onTerminal(`ls ${directory}`, { NO_COLOR: '1' });
    expect(plain).not.toContain('\x1b[');
    expect(plain).toContain('2 checkpoints');
    expect(Math.max(...plain.split(/\r?\n/).map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(onTerminal(`ls ${directory}`, { TERM: 'dumb' })).not.toContain('\x1b[');
  });
});

describe('Ctrl-C', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends a verification quietly', async (signal, expected) => {
    const data = new Float32Array(16 * 1024 * 1024);
    const directory = await saveAll([{ tensors: { w: { dtype: 'F32', shape: [data.length], data } } }]);
    // Many times the same files under other names, so that there is work for many seconds.
    const [name = ''] = readdirSync(directory).filter((entry) => entry.startsWith('checkpoint_'));
    for (let i = 0; i < 300; i++) {
      mkdirSync(path.join(directory, `copy${i}`));
      for (const file of readdirSync(path.join(directory, name))) {
        linkSync(path.join(directory, name, file), path.join(directory, `copy${i}`, file));
      }
    }
    const outcome = await holdfast(['verify', directory, '--engine', 'portable', '--json'], { signal, signalAfterMs: 1500 });
    expect(outcome.code).toBe(expected);
    expect(outcome.stdout).toBe('');
  });
});

describe('what may not be read', () => {
  // Root may read everything, so the command runs as somebody else then.
  const asNobody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const [program = process.execPath, ...rest] = [...asNobody, process.execPath];
  const possible = process.platform !== 'win32' && spawnSync(program, [...rest, MAIN, '--version']).status === 0;
  if (!possible)
    console.warn('Tests of unreadable files are left out: this user may read everything, and setpriv cannot change that here.');

  test.runIf(possible)('exits with 2', async () => {
    const directory = await saveAll([{ metrics: { loss: 1 } }]);
    chmodSync(directory, 0o755);
    const [name = ''] = readdirSync(directory).filter((entry) => entry.startsWith('checkpoint_'));
    const model = path.join(directory, name, 'model.safetensors');
    const run = (...args: string[]) => holdfastError(args, { prefix: asNobody });
    const refused = { code: 2, error: { code: 'ERR_PERMISSION' } };

    chmodSync(model, 0);
    expect(await run('inspect', model)).toMatchObject(refused);
    expect(await run('verify', model)).toMatchObject(refused);
    expect(await run('inspect', path.join(directory, name))).toMatchObject(refused);
    const { code, stdout } = await holdfast(['verify', directory, '--json'], { prefix: asNobody });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, problems: [{ code: 'ERR_PERMISSION', file: 'model.safetensors' }] });
    expect((await holdfast(['verify', directory], { prefix: asNobody })).stdout).toContain('NOT READABLE');

    const closed = path.join(directory, 'closed');
    mkdirSync(closed);
    writeFileSync(path.join(closed, 'x'), '');
    chmodSync(closed, 0);
    for (const command of ['ls', 'inspect', 'verify']) expect(await run(command, closed), command).toMatchObject(refused);
    expect(await run('ls', path.join(closed, 'x'))).toMatchObject(refused);
  });
});

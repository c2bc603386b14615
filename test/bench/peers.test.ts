/** The peers in Python, asked as `holdfast bench` asks them, with whatever python3 is there. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';

const SCRIPT = fileURLToPath(new URL('../../src/bench/peers/peers.py', import.meta.url));
/** A Python with more packages can be named. */
const PYTHON = process.env['HOLDFAST_PYTHON'] ?? 'python3';
const PEERS = ['torch.save', 'torch-dcp', 'torch-dcp-async', 'safetensors'];
const TENSORS = [
  { name: 'layer.0/weight', shape: [64, 1024] },
  { name: 'bias', shape: [7] },
  { name: 'scale', shape: [] },
  { name: 'none', shape: [0, 3] },
];
const BYTES = 4 * (64 * 1024 + 7 + 1);

interface Reply {
  readonly [field: string]: unknown;
  readonly peers: Record<string, string | null>;
}

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

/** Starts the script; `ask` sends one line and gives the answer to it. */
async function start(environment: NodeJS.ProcessEnv = process.env) {
  const child = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'ignore'], env: environment });
  running.push(child);
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async (): Promise<Reply> => JSON.parse((await lines.next()).value as string);
  const hello = await read();
  const send = (line: string) => {
    child.stdin.write(`${line}\n`);
    return read();
  };
  return { child, hello, ended, send, ask: (request: object) => send(JSON.stringify(request)) };
}

const python = spawnSync(PYTHON, ['-c', 'import resource']);
if (python.status !== 0) console.log(`Left out: the peers in Python. ${PYTHON} cannot be run, or is not of a Unix.`);

describe.skipIf(python.status !== 0)('peers.py', () => {
  test('says what is installed, and of the rest how to get it', async () => {
    const { hello } = await start();
    expect(hello).toMatchObject({ ready: true, versions: { python: expect.stringMatching(/^3\./) } });
    expect(Object.keys(hello.peers)).toEqual(PEERS);
    const reasons = Object.values(hello.peers).filter((reason) => reason !== null);
    for (const reason of reasons) expect(reason).toContain('pip install');
  });

  test.each(PEERS)('%s: what is saved is on the disk and is loaded again, from the disk', async (peer) => {
    const { hello, ask } = await start();
    const why = hello.peers[peer] as string | null;
    if (why !== null) {
      console.log(`Left out: ${peer}: ${why}.`);
      return;
    }
    const directory = freshDirectory();
    const request = { peer, path: directory };
    expect(await ask({ do: 'make', tensors: TENSORS, seed: 1 })).toEqual({ ok: true });
    const saved = await ask({ do: 'save', ...request });
    expect(saved).toMatchObject({ ok: true, seconds: expect.any(Number), cpuSeconds: expect.any(Number) });
    expect(typeof saved['stallSeconds']).toBe(peer === 'torch-dcp-async' ? 'number' : 'object');
    const size = spawnSync('du', ['-sb', directory], { encoding: 'utf8' }).stdout;
    expect(Number.parseInt(size, 10)).toBeGreaterThan(BYTES);
    expect(await ask({ do: 'load', ...request })).toMatchObject({ ok: true, stallSeconds: null });
    expect(await ask({ do: 'save', ...request })).toEqual({ ok: false, error: 'The directory is not empty.' });
    // Other tensors under the same names: the load is not believed.
    await ask({ do: 'make', tensors: TENSORS, seed: 2 });
    expect(await ask({ do: 'load', ...request })).toEqual({ ok: false, error: expect.stringContaining('is not what was saved') });
    // A file that is gone is an error of this request only.
    for (const name of readdirSync(directory)) rmSync(path.join(directory, name));
    expect(await ask({ do: 'load', ...request })).toEqual({ ok: false, error: expect.stringMatching(/^[^\n]+$/) });
    expect(await ask({ do: 'save', ...request })).toMatchObject({ ok: true });
  });

  test('a request that makes no sense is refused in one line, and the next one is heard', async () => {
    const { ask, send } = await start();
    const directory = freshDirectory();
    mkdirSync(path.join(directory, 'a'));
    expect(await send('{"do": ')).toEqual({ ok: false, error: expect.stringContaining('JSON') });
    expect(await ask({})).toEqual({ ok: false, error: "The request has no 'do'." });
    expect(await ask({ do: 'dance' })).toEqual({ ok: false, error: "There is no request 'dance'." });
    expect(await ask({ do: 'save', peer: 'gzip', path: directory })).toEqual({ ok: false, error: "There is no peer 'gzip'." });
    const huge = [{ name: 'a', shape: [2 ** 50] }];
    expect(await ask({ do: 'make', tensors: huge, seed: 1 })).toEqual({ ok: false, error: expect.stringMatching(/^[^\n]+$/) });
    expect(await ask({ do: 'save', peer: 'safetensors', path: path.join(directory, 'b') })).toMatchObject({ ok: false });
  });

  test('packages that cannot be loaded are left out, with the reason', async () => {
    const directory = freshDirectory();
    const { hello } = await start({ ...process.env, PYTHONPATH: brokenPackages(directory) });
    for (const peer of PEERS) expect(hello.peers[peer]).toMatch(/cannot be loaded \(ImportError: broken on purpose\): pip install/);
    expect(hello['versions']).toMatchObject({ numpy: null, torch: null, safetensors: null });
  });

  test.each([
    ['quit', (child: ChildProcess) => child.stdin?.write('{"do": "quit"}\n')],
    ['the end of stdin', (child: ChildProcess) => child.stdin?.end()],
  ])('%s ends it', async (_, end) => {
    const { child, ended } = await start();
    end(child);
    expect(await ended).toBe(0);
  });

  test('Ctrl-C does not: its parent decides', async () => {
    const { child, ask } = await start();
    child.kill('SIGINT');
    expect(await ask({ do: 'make', tensors: [], seed: 1 })).toMatchObject({ ok: expect.any(Boolean) });
  });
});

function brokenPackages(directory: string): string {
  for (const name of ['numpy', 'torch', 'safetensors']) {
    mkdirSync(path.join(directory, name));
    writeFileSync(path.join(directory, name, '__init__.py'), 'raise ImportError("broken on purpose")\n');
  }
  return directory;
}

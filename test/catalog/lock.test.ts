import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { ended, printed, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { hidden } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';

const HOLD = `
  import { CheckpointManager } from 'holdfast';
  await CheckpointManager.open(process.argv[1], { engine: process.argv[2] });
  console.log('holding');
  setInterval(() => {}, 1000);
`;

/** The identity that a live lock of this process would carry, from a manager opened for the purpose. */
async function identityOfThisProcess(): Promise<Record<string, unknown>> {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory);
  const identity = JSON.parse(readFileSync(path.join(directory, '.lock'), 'utf8'));
  await manager.close();
  return identity;
}

describe.each(ENGINES)('the lock, %s engine', (engine) => {
  test('names its holder, and goes away with the manager', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    expect(JSON.parse(readFileSync(path.join(directory, '.lock'), 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
    await manager.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each(ENGINES)('another process (%s engine) that lives keeps everybody out; once killed, it does not', async (other) => {
    const directory = freshDirectory();
    const holder = startNode(HOLD, [directory, other]);
    await printed(holder, 'holding');
    const error = await rejection(CheckpointManager.open(directory, { engine }), 'ERR_LOCKED');
    expect(error.holder).toMatchObject({ pid: holder.pid });
    expect(error.message).toContain(String(holder.pid));
    // Reading needs no lock.
    const reader = await openManager(directory, { engine, readOnly: true });
    expect(await reader.restore()).toBe(null);
    holder.kill('SIGKILL');
    await ended(holder);
    const manager = await openManager(directory, { engine });
    await manager.save(smallRequest(1));
    expect(hidden(directory)).toEqual(['.lock']);
  });

  test('is shared by all managers of one real path in a process', async () => {
    const directory = freshDirectory();
    const link = `${directory}-link`;
    symlinkSync(directory, link);
    const first = await openManager(directory, { engine });
    const second = await openManager(link, { engine });
    rmSync(link);
    const saved = await Promise.all([first.save(smallRequest(1)), second.save(smallRequest(2)), first.save(smallRequest(3))]);
    expect(saved.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    await first.close();
    await second.save(smallRequest(4));
    await second.close();
    expect(existsSync(path.join(directory, '.lock'))).toBe(false);
  });

  test('opening again at once, while the last manager is still closing, waits for it', async () => {
    const directory = freshDirectory();
    for (let i = 0; i < 20; i++) {
      const manager = await CheckpointManager.open(directory, { engine });
      const closing = manager.close();
      const next = await CheckpointManager.open(directory, { engine });
      await closing;
      await next.close();
    }
    expect(readdirSync(directory)).toEqual([]);
  });

  test('a worker thread of the same process does not get it', async () => {
    const directory = freshDirectory();
    await openManager(directory, { engine });
    const script = `
      import { parentPort } from 'node:worker_threads';
      import { CheckpointManager } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
      const error = await CheckpointManager.open(${JSON.stringify(directory)}).then(() => 'opened', (e) => e.code);
      parentPort.postMessage(error);
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
    const outcome = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await worker.terminate();
    expect(outcome).toBe('ERR_LOCKED');
  });

  test('is taken from a holder that is certainly dead, and from no other', async () => {
    const mine = await identityOfThisProcess();
    const cases: [string, unknown, 'opens' | 'ERR_LOCKED'][] = [
      ['a pid that does not exist', { ...mine, pid: 2 ** 22 + 5 }, 'opens'],
      ['a pid that somebody else has now', { ...mine, pid: process.ppid, startTime: '1' }, 'opens'],
      ['a boot before this one, on a local file system', { ...mine, bootId: 'before' }, 'opens'],
      ['another host', { ...mine, host: 'elsewhere', pid: 2 ** 22 + 5 }, 'ERR_LOCKED'],
      ['a living process', { ...mine, token: 'x', pid: process.ppid, startTime: '' }, 'ERR_LOCKED'],
      ['something that is no lock', 'garbage', 'ERR_LOCKED'],
    ];
    for (const [what, holder, outcome] of cases) {
      const directory = freshDirectory();
      writeFileSync(path.join(directory, '.lock'), JSON.stringify(holder));
      const result = await CheckpointManager.open(directory, { engine }).then(
        async (manager) => {
          await manager.save(smallRequest(1));
          await manager.close();
          return 'opens';
        },
        (error) => error.code,
      );
      expect(result, what).toBe(outcome);
      // A lock that was respected is still there, as it was.
      if (outcome !== 'opens') expect(JSON.parse(readFileSync(path.join(directory, '.lock'), 'utf8'))).toEqual(holder);
    }
  });

  test('whoever lost it commits nothing', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const before = await manager.save(smallRequest(1));
    const lock = path.join(directory, '.lock');
    writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), token: 'somebody else' }));
    await rejection(manager.save(smallRequest(2)), 'ERR_LOCK_LOST');
    rmSync(lock);
    await rejection(manager.save(smallRequest(2)), 'ERR_LOCK_LOST');
    expect(readdirSync(directory).filter((name) => name.startsWith('.tmp-') || name.startsWith('checkpoint'))).toEqual([before.name]);
  });

  test('what dead writers left is swept by the next writer, and by no reader', async () => {
    const directory = freshDirectory();
    mkdirSync(path.join(directory, '.tmp-0123', 'deep'), { recursive: true });
    writeFileSync(path.join(directory, '.tmp-0123', 'model.safetensors'), 'half');
    writeFileSync(path.join(directory, '.tmp-file'), '');
    const outside = path.join(freshDirectory(), 'precious');
    writeFileSync(outside, 'x');
    symlinkSync(path.dirname(outside), path.join(directory, '.tmp-link'));
    const reader = await openManager(directory, { engine, readOnly: true });
    expect(reader.swept).toEqual([]);
    expect(readdirSync(directory)).toHaveLength(3);
    const writer = await openManager(directory, { engine });
    expect([...writer.swept].sort()).toEqual(['.tmp-0123', '.tmp-file', '.tmp-link']);
    expect(readdirSync(directory)).toEqual(['.lock']);
    expect(readFileSync(outside, 'utf8')).toBe('x');
  });
});

test.each([
  ['a dead holder', ['.lock']],
  ['a dead holder, and one that died while taking over', ['.lock', '.tmp-lock-takeover']],
])('of several processes that open one directory at once after %s, one gets it', async (_, locks) => {
  const directory = freshDirectory();
  const script = `
    import { CheckpointManager } from 'holdfast';
    const outcome = await CheckpointManager.open(process.argv[1]).then(() => 'opened', (e) => e.code);
    console.log(outcome);
    // Whoever has it keeps it until all have tried.
    setInterval(() => {}, 1000);
  `;
  // A dead holder's lock makes them all take over at once.
  const mine = await identityOfThisProcess();
  for (const name of locks) writeFileSync(path.join(directory, name), JSON.stringify({ ...mine, pid: 2 ** 22 + 5 }));
  const processes = Array.from({ length: 5 }, () => startNode(script, [directory]));
  const outcomes = (await Promise.all(processes.map((each) => printed(each, '\n')))).map((line) => line.trim());
  expect(outcomes.filter((outcome) => outcome === 'opened')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'ERR_LOCKED')).toHaveLength(4);
});

test('a zombie holds nothing', async () => {
  const directory = freshDirectory();
  // The shell becomes a program that never waits for its children.
  const parent = startNode(HOLD, [directory, 'portable'], {}, ['sh', '-c', '"$@" & exec sleep 60', '--']);
  await printed(parent, 'holding');
  const { pid } = JSON.parse(readFileSync(path.join(directory, '.lock'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z ');
  const manager = await openManager(directory, { engine: 'portable' });
  await manager.save(smallRequest(1));
});

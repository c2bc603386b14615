/** What of an experiment survives power loss, seen at the system calls; and that none of them fails in silence. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openExperiment } from '../../src/experiment/experiment.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';

const VISIT = `
  import { writeSync } from 'node:fs';
  const { openExperiment } = await import(${JSON.stringify(new URL('../../dist/experiment/experiment.js', import.meta.url).href)});
  const [root] = process.argv.slice(1);
  const failed = (error) => writeSync(1, error.constructor.name + ' ' + error.code + '\\n');
  const experiment = await openExperiment('x', { root, config: { version: 2 } }).catch(failed);
  if (typeof experiment === 'object') {
    experiment.log({ step: 1 });
    await experiment.history();
    await experiment.manager.save({ step: 1, tensors: {} }).catch(failed);
    await experiment.close().catch(failed);
  }
`;

/** strace counts calls per thread: with one thread for Node.js's file operations the n-th call is the n-th of the experiment. */
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1', HOLDFAST_ENGINE: 'portable' };

const canTrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;
if (!canTrace) console.warn('What an experiment makes durable is not checked at the system calls: strace is missing or not permitted.');

/** A root with an experiment of another configuration. */
async function rootOfBefore(): Promise<string> {
  const root = freshDirectory();
  await (await openExperiment('x', { root, config: { version: 1 } })).close();
  return root;
}

/** The calls of a process below `root`, in order, as `fsync x/logs`; temporary names without their random part. */
async function trace(root: string): Promise<string[]> {
  const log = path.join(freshDirectory(), 'log');
  const strace = ['strace', '-f', '-y', '-qq', '-s', '300', '-e', 'trace=fsync,rename,link,pwrite64', '-o', log];
  const { code, stdout, stderr } = await ended(startNode(VISIT, [root], ONE_THREAD, strace));
  expect([code, stdout], stderr).toEqual([0, '']);
  const calls = readFileSync(log, 'utf8').matchAll(/^\d+ +(\w+)\((.*?)(?: <unfinished|\) += )/gm);
  return [...calls].flatMap(([, name, given = '']) => {
    const paths = [...given.matchAll(/["<](\/[^">]*)[">]/g)].map(([, found]) => path.relative(root, found as string));
    const event = /"event\\":\\"(\w+)/.exec(given)?.[1] ?? '';
    const text = [name, ...paths, event].join(' ').trim();
    return paths[0]?.startsWith('..')
      ? []
      : [text.replace(/\.tmp-[0-9a-f]+/g, '.tmp-').replace(/config-[\dTZ.-]+json/, 'config-OLDER.json')];
  });
}

describe.skipIf(!canTrace)('an experiment, as the kernel sees it', () => {
  /** Expects these calls to be there in this order, whatever is between them. */
  function expectOrder(calls: readonly string[], order: readonly string[]): void {
    let at = -1;
    for (const wanted of order) {
      at = calls.indexOf(wanted, at + 1);
      expect(at, `${wanted} is missing after what was before: ${JSON.stringify(calls, null, 1)}`).toBeGreaterThan(-1);
    }
  }

  test('the older configuration is durable before the new one takes its place, and that before it is in force', async () => {
    const calls = await trace(await rootOfBefore());
    expectOrder(calls, [
      'fsync x/logs/.tmp-',
      'link x/logs/.tmp- x/logs/config-OLDER.json',
      'fsync x/logs',
      'fsync x/.tmp-',
      'rename x/.tmp- x/config.json',
      'fsync x',
      'pwrite64 x/logs/training.jsonl config',
      'fsync x/logs/training.jsonl',
    ]);
  });

  test('a README and the directories are durable, and the log with every checkpoint and at the end', async () => {
    const calls = await trace(freshDirectory());
    expectOrder(calls, ['fsync x', 'fsync x/.tmp-', 'link x/.tmp- x/README.md', 'fsync x']);
    expectOrder(calls, [
      'fsync x/logs',
      'pwrite64 x/logs/training.jsonl saved',
      'fsync x/logs/training.jsonl',
      'pwrite64 x/logs/training.jsonl closed',
      'fsync x/logs/training.jsonl',
    ]);
    // The history of the checkpoints is only a help for estimates.
    expect(calls.filter((each) => !each.includes('.history.jsonl')).at(-1)).toBe('fsync x/logs/training.jsonl');
  });
});

describe.skipIf(!canTrace)('every call fails once', () => {
  test.each(['fsync', 'rename', 'link', 'pwrite64'])('%s', { timeout: 300_000 }, async (call) => {
    let injected = 0;
    for (let n = 1; ; n++) {
      const root = await rootOfBefore();
      const log = path.join(freshDirectory(), 'log');
      const strace = ['strace', '-f', '-y', '-qq', '-o', log, '-e', `trace=${call}`, '-e', `inject=${call}:error=EIO:when=${n}`];
      const { stdout, stderr, code } = await ended(startNode(VISIT, [root], ONE_THREAD, strace));
      const label = `${call} ${n}: ${stdout}${stderr}`;
      const calls = readFileSync(log, 'utf8');
      if (!calls.includes('(INJECTED)')) break;
      injected++;
      expect(code, label).toBe(0);
      // It surfaced, typed; or as the warning of a checkpoint's links or registry, which are caches.
      if (!isOfCaches(calls)) expect(stdout, label).toMatch(/^(HoldfastError ERR_IO\n)+$/);
      const directory = path.join(root, 'x');
      const logs = path.join(directory, 'logs');
      const versions = readdirSync(logs).flatMap((name) =>
        name.startsWith('config-') ? [JSON.parse(readFileSync(path.join(logs, name), 'utf8')).version] : [],
      );
      const { version } = JSON.parse(readFileSync(path.join(directory, 'config.json'), 'utf8'));
      expect([version, ...versions], label).toContain(1);
      // The next one goes on as if nothing had been.
      await using next = await openExperiment('x', { root, config: { version: 2 } });
      next.log({ step: 2 });
      const { records } = await next.history();
      expect(
        records.findLast(({ event }) => event === 'log'),
        label,
      ).toMatchObject({ step: 2 });
    }
    expect(injected).toBeGreaterThan(call === 'fsync' ? 8 : 1);
  });
});

describe.skipIf(!canTrace)('where there are no hard links', () => {
  test('README and older configurations are written all the same, and never over another', async () => {
    const root = await rootOfBefore();
    rmSync(path.join(root, 'x', 'README.md'));
    const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=link', '-e', 'inject=link:error=EPERM'];
    const { code, stdout, stderr } = await ended(startNode(VISIT, [root], ONE_THREAD, strace));
    expect([code, stdout], stderr).toEqual([0, '']);
    const logs = path.join(root, 'x', 'logs');
    const [older = ''] = readdirSync(logs).filter((name) => name.startsWith('config-'));
    expect(JSON.parse(readFileSync(path.join(logs, older), 'utf8'))).toEqual({ version: 1 });
    expect(readFileSync(path.join(root, 'x', 'README.md'), 'utf8')).toMatch(/^# x\n/);
    const left = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.tmp-'));
    expect(left).toEqual([]);
  });
});

/** Whether the failed call was one of `latest`, `best` and `registry.json`: the checkpoint is durable without. */
function isOfCaches(log: string): boolean {
  return /(latest|best|registry\.json|history\.jsonl).*\(INJECTED\)/.test(log);
}

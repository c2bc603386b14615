/** `holdfast repair` where it may not do what it would: somebody else's lock, modes, a full table of descriptors, names that are taken. */
import {
  chmodSync,
  cpSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager, repairDirectory } from '../../src/index.js';
import { ended, printed, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { contents, listing } from '../helpers/listing.js';
import { AS_NOBODY, CAN_BE_NOBODY } from '../helpers/unprivileged.js';
import { tensors } from './checkpoints.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';
import { expectClean, fourCheckpoints, type Report, repair } from './damaged.js';

const HOLD = `
  import { CheckpointManager } from 'holdfast';
  await CheckpointManager.open(process.argv[1], { engine: 'portable' });
  console.log('holding');
  setInterval(() => {}, 1000);
`;

/** The lock that a process of this machine would have. */
async function lockOfThisProcess(): Promise<Record<string, unknown>> {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { engine: 'portable' });
  const lock = JSON.parse(readFileSync(path.join(directory, '.lock'), 'utf8')) as Record<string, unknown>;
  await manager.close();
  return lock;
}

describe('a lock', () => {
  test('of a living process is respected, and not broken; what is unfinished is his', async () => {
    const { directory, at, name } = await fourCheckpoints();
    const holder = startNode(HOLD, [directory]);
    await printed(holder, 'holding');
    mkdirSync(path.join(directory, '.tmp-in-the-making'));
    truncateSync(path.join(at(4000), 'model.safetensors'), 10);
    const before = listing(directory);
    for (const args of [[], ['--break-lock'], ['--break-lock', '--quick']]) {
      const { code, error } = await holdfastError(['repair', directory, ...args]);
      expect({ code, error }).toMatchObject({
        code: 2,
        error: { code: 'ERR_LOCKED', message: expect.stringContaining(String(holder.pid)) },
      });
    }
    const { code, report } = await repair(directory, '--dry-run', '--break-lock');
    expect(code).toBe(1);
    expect(report).toMatchObject({ lockBroken: false, locked: expect.stringContaining(String(holder.pid)) });
    expect(report.actions.map(({ action, name: which }) => [action, which])).toEqual([
      ['quarantine', name(4000)],
      ['link', 'latest'],
    ]);
    expect((await holdfast(['repair', directory, '--dry-run'])).stdout).toMatch(
      /^Somebody writes here; what is unfinished is not looked at\./,
    );
    expect({ ...listing(directory), '.': '' }).toEqual({ ...before, '.': '' });
    holder.kill('SIGKILL');
    await ended(holder);
    // A dead holder's lock is taken over without a word.
    expect((await repair(directory)).report).toMatchObject({ lockBroken: false, locked: null });
    await expectClean(directory);
  });

  test.each<[string, (mine: Record<string, unknown>) => string]>([
    ['of another host', (mine) => JSON.stringify({ ...mine, host: 'elsewhere' })],
    ['of another host, whose number somebody has here', (mine) => JSON.stringify({ ...mine, host: 'elsewhere', pid: process.pid })],
    ['that is none', () => 'nonsense'],
    ['that is empty', () => ''],
  ])('%s is only broken when that is asked for', async (_, text) => {
    const { directory } = await fourCheckpoints();
    const lock = text(await lockOfThisProcess());
    mkdirSync(path.join(directory, '.tmp-left'));
    writeFileSync(path.join(directory, '.lock'), lock);
    writeFileSync(path.join(directory, '.tmp-lock-takeover'), lock);
    const before = listing(directory);
    expect(await holdfastError(['repair', directory])).toMatchObject({
      code: 2,
      error: { code: 'ERR_LOCKED', message: expect.stringContaining('--break-lock') },
    });
    const { report } = await repair(directory, '--dry-run', '--break-lock');
    expect(report).toMatchObject({ lockBroken: false, locked: expect.stringContaining('is being written by'), actions: [] });
    expect({ ...listing(directory), '.': '' }).toEqual({ ...before, '.': '' });
    const broken = await repair(directory, '--break-lock');
    expect(broken).toMatchObject({ code: 0, report: { lockBroken: true, actions: [{ action: 'sweep', name: '.tmp-left' }] } });
    await expectClean(directory);
    expect((await repair(directory, '--break-lock')).report.lockBroken).toBe(false);
  });

  test('that was broken is told in words', async () => {
    const { directory } = await fourCheckpoints();
    writeFileSync(path.join(directory, '.lock'), JSON.stringify({ ...(await lockOfThisProcess()), host: `not-${hostname()}` }));
    expect(await holdfast(['repair', directory, '--break-lock'])).toEqual({
      code: 0,
      stdout: 'Took the lock away.\nNothing to mend.\n',
      stderr: '',
    });
  });
});

/** Gives a directory and all that is in it to nobody. */
function giveToNobody(directory: string): void {
  if (process.getuid?.() !== 0) return;
  lchownSync(directory, 65534, 65534);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) lchownSync(path.join(directory, name), 65534, 65534);
}

describe.runIf(CAN_BE_NOBODY)('somebody who may not do everything', () => {
  const options = { prefix: AS_NOBODY };

  test('leaves what he may not read where it is, as nobody knows whether it is damaged, and mends the rest', async () => {
    const { directory, at, name } = await fourCheckpoints();
    giveToNobody(directory);
    truncateSync(path.join(at(1000), 'model.safetensors'), 10);
    chmodSync(path.join(at(2000), 'model.safetensors'), 0);
    chmodSync(at(4000), 0);
    const before = contents(directory);
    const { code, document } = await holdfastJson(['repair', directory], options);
    const report = document as Report;
    expect(code).toBe(1);
    expect(report.actions.filter(({ action }) => action === 'quarantine').map((each) => each['name'])).toEqual([name(1000)]);
    expect(report.left.map((each) => [each.name, each.problems[0]?.code, each.why])).toEqual(
      [2000, 4000].map((step) => [name(step), 'ERR_PERMISSION', 'it may not be read, so whether it is damaged is not known']),
    );
    // Nothing is lost, whatever its place.
    chmodSync(at(4000), 0o755);
    const files = (all: Record<string, string>) =>
      Object.entries(all).flatMap(([file, hash]) =>
        /\/(model|manifest)\./.test(file) ? [`${file.replace('.quarantine/', '')} ${hash}`] : [],
      );
    expect(files(contents(directory)).sort()).toEqual(files(before).sort());
    chmodSync(path.join(at(2000), 'model.safetensors'), 0o644);
    await repair(directory);
    await expectClean(directory);
  });

  test('is told that he may not write, and nothing is changed', async () => {
    const { directory, at } = await fourCheckpoints();
    chmodSync(directory, 0o755);
    truncateSync(path.join(at(1000), 'model.safetensors'), 10);
    writeFileSync(path.join(directory, '.lock'), 'nonsense');
    const before = listing(directory);
    expect(await holdfastError(['repair', directory, '--break-lock'], options)).toMatchObject({
      code: 2,
      error: { code: 'ERR_PERMISSION' },
    });
    rmSync(path.join(directory, '.lock'));
    expect(await holdfastError(['repair', directory], options)).toMatchObject({ code: 2, error: { code: 'ERR_PERMISSION' } });
    expect(await holdfastJson(['repair', directory, '--dry-run'], options)).toMatchObject({ code: 1, document: { locked: null } });
    const { '.lock': _, '.': __, ...rest } = before;
    const { '.': ___, ...now } = listing(directory);
    expect(now).toEqual(rest);
  });

  test('is told where he may not look', async () => {
    const { directory } = await fourCheckpoints();
    chmodSync(directory, 0);
    for (const args of [[], ['--dry-run'], ['--break-lock']]) {
      expect(await holdfastError(['repair', directory, ...args], options)).toMatchObject({ code: 2, error: { code: 'ERR_PERMISSION' } });
    }
    // A lock that may not be read is a lock.
    chmodSync(directory, 0o755);
    writeFileSync(path.join(directory, '.lock'), 'nonsense', { mode: 0o600 });
    expect(await holdfastError(['repair', directory, '--dry-run'], options)).toMatchObject({ code: 2, error: { code: 'ERR_PERMISSION' } });
  });
});

describe('what cannot be done', () => {
  test('is a warning and 1; it is not among what was done, and what hangs on it stays', async () => {
    const { directory, at, name } = await fourCheckpoints();
    writeFileSync(path.join(directory, '.quarantine'), 'in the way');
    truncateSync(path.join(at(4000), 'model.safetensors'), 10);
    symlinkSync(name(4000), path.join(directory, 'paper'));
    symlinkSync('paper', path.join(directory, 'copy'));
    symlinkSync('nowhere', path.join(directory, 'gone'));
    const { code, report } = await repair(directory);
    expect(code).toBe(1);
    expect(report.warnings).toEqual([expect.stringContaining(`Could not move ${name(4000)} to .quarantine/${name(4000)}`)]);
    expect(report.actions).toEqual([
      { action: 'link', name: 'latest', from: name(4000), to: name(3000) },
      { action: 'link', name: 'gone', from: 'nowhere', to: null },
    ]);
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['paper', 'copy', name(4000)]));
    expect((await holdfast(['repair', directory])).stdout).toMatch(/^! Could not move /m);
    rmSync(path.join(directory, '.quarantine'));
    expect((await repair(directory)).code).toBe(0);
    await expectClean(directory);
  });

  test('a registry that cannot be written is a warning', async () => {
    const { directory } = await fourCheckpoints();
    rmSync(path.join(directory, 'registry.json'));
    mkdirSync(path.join(directory, 'registry.json', 'in the way'), { recursive: true });
    const { code, report } = await repair(directory);
    expect(code).toBe(1);
    expect(report).toMatchObject({ actions: [], warnings: [expect.stringContaining('Could not write registry.json')] });
    renameSync(path.join(directory, 'registry.json'), path.join(directory, 'aside'));
    expect((await repair(directory)).report.actions).toMatchObject([{ action: 'registry' }]);
    await expectClean(directory);
  });

  test.runIf(process.platform !== 'win32')('having no descriptors left says nothing about a checkpoint', async () => {
    const { directory, at } = await fourCheckpoints();
    for (let i = 0; i < 60; i++) cpSync(at(1000), `${at(1000)}_${i}`, { recursive: true });
    const script = `
      import { closeSync, openSync } from 'node:fs';
      import { repairDirectory } from 'holdfast';
      const [directory] = process.argv.slice(1);
      const look = () => repairDirectory(directory, { dryRun: true, quick: true });
      await look();
      const taken = [];
      try {
        for (;;) taken.push(openSync('/dev/null'));
      } catch {
        for (const descriptor of taken.slice(-8)) closeSync(descriptor);
      }
      console.log(JSON.stringify(await look()));
      // There would be none for the way out either.
      for (const descriptor of taken.slice(0, -8)) closeSync(descriptor);
    `;
    const { stdout, stderr } = await ended(startNode(script, [directory], {}, ['sh', '-c', 'ulimit -n 120 && exec "$@"', '--']));
    expect(stderr).toBe('');
    const { actions, left } = JSON.parse(stdout) as Report;
    expect(actions.filter(({ action }) => action === 'quarantine')).toEqual([]);
    expect(left.length).toBeGreaterThan(0);
    expect(left.every(({ problems, why }) => problems[0]?.code === 'ERR_RESOURCES' && why.includes('not known'))).toBe(true);
  });
});

describe('in the process that has the directory open', () => {
  test('what a manager of it has done is not told as done by the repair', async () => {
    const { directory } = await fourCheckpoints();
    const manager = await CheckpointManager.open(directory, { engine: 'portable' });
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const data = {
      byteLength: 4,
      async *[Symbol.asyncIterator]() {
        await held;
        yield new Uint8Array(4);
      },
    };
    const { committed } = await manager.saveAsync({ step: 5000, tensors: { x: { dtype: 'U8', shape: [4], data } } });
    // As it is between a commit and the writing of the registry: it is not there when the repair looks, and the save in flight writes it.
    unlinkSync(path.join(directory, 'registry.json'));
    const repairing = repairDirectory(directory);
    await new Promise((resolve) => setTimeout(resolve, 500));
    go();
    await committed;
    expect((await repairing).actions).toEqual([]);
    await manager.close();
    await expectClean(directory);
  });

  test('it waits for the saves in flight, and takes nothing of theirs for a leftover', async () => {
    const { directory, at } = await fourCheckpoints();
    const manager = await CheckpointManager.open(directory, { engine: 'portable' });
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const data = {
      byteLength: 4,
      async *[Symbol.asyncIterator]() {
        await held;
        yield new Uint8Array(4);
      },
    };
    const { committed } = await manager.saveAsync({ step: 5000, tensors: { x: { dtype: 'U8', shape: [4], data } } });
    await expect.poll(() => readdirSync(directory).some((name) => name.startsWith('.tmp-'))).toBe(true);
    truncateSync(path.join(at(1000), 'model.safetensors'), 10);
    const order: string[] = [];
    const repairing = repairDirectory(directory);
    const both = [repairing.then(() => order.push('repaired')), committed.then(() => order.push('saved'))];
    go();
    await Promise.all(both);
    expect(order).toEqual(['saved', 'repaired']);
    const { actions } = await repairing;
    expect(actions.map(({ action }) => action)).toEqual(['quarantine']);
    // The manager keeps its lock.
    await manager.save({ step: 6000, tensors: tensors() });
    await manager.close();
    await expectClean(directory);
  });
});

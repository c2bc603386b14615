import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { CAN_MOUNT, mountTmpfs, remountReadOnly } from '../helpers/mounts.js';

describe.each(ENGINES)('places that are no good, %s engine', (engine) => {
  test('a file in the directory’s place, or in its path', async () => {
    const parent = freshDirectory();
    const file = path.join(parent, 'file');
    writeFileSync(file, 'x');
    await rejection(CheckpointManager.open(file, { engine }), 'ERR_NOT_A_DIRECTORY');
    await rejection(CheckpointManager.open(path.join(file, 'inside'), { engine }), 'ERR_NOT_A_DIRECTORY');
    await rejection(CheckpointManager.open(file, { engine, readOnly: true }), 'ERR_NOT_A_DIRECTORY');
    symlinkSync('nowhere', path.join(parent, 'dangling'));
    const error = await CheckpointManager.open(path.join(parent, 'dangling'), { engine }).catch((caught) => caught);
    expect(error.code).toMatch(/^ERR_NO(T_FOUND|T_A_DIRECTORY)$/);
    expect(readdirSync(parent).sort()).toEqual(['dangling', 'file']);
  });

  test('a checkpoint itself: nothing is written into it', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const { path: checkpoint } = await manager.save(smallRequest(1));
    const before = readdirSync(checkpoint);
    const error = await rejection(CheckpointManager.open(checkpoint, { engine }), 'ERR_INVALID_ARGUMENT');
    expect(error.message).toContain('is a checkpoint itself');
    expect(readdirSync(checkpoint)).toEqual(before);
  });

  test('a directory that does not exist, opened read-only', async () => {
    await rejection(CheckpointManager.open(path.join(freshDirectory(), 'none'), { engine, readOnly: true }), 'ERR_NOT_FOUND');
  });

  test('a directory that goes away under an open manager', async () => {
    const directory = path.join(freshDirectory(), 'c');
    const manager = await openManager(directory, { engine });
    rmSync(directory, { recursive: true });
    const error = await manager.save(smallRequest(1)).catch((caught) => caught);
    expect(error.code).toMatch(/^ERR_(LOCK_LOST|NOT_FOUND)$/);
    await manager.close();
  });

  test('no permission', async (context) => {
    if (process.getuid?.() !== 0 || spawnSync('setpriv', ['--version']).error !== undefined) {
      context.skip('needs root and setpriv, to become somebody without permissions');
    }
    const directory = freshDirectory();
    chmodSync(directory, 0o755);
    const script = `
      import { CheckpointManager } from 'holdfast';
      const error = await CheckpointManager.open(process.argv[1], { engine: ${JSON.stringify(engine)} }).catch((e) => e);
      console.log(error.code, error.message);
    `;
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    for (const place of [directory, path.join(directory, 'below')]) {
      const { stdout, stderr } = await ended(startNode(script, [place], {}, nobody));
      expect(stdout + stderr).toMatch(/^ERR_PERMISSION .*Check the owner/);
    }
    expect(readdirSync(directory)).toEqual([]);
  });

  test.skipIf(!CAN_MOUNT)('a read-only file system', async () => {
    const mount = mountTmpfs(4 << 20);
    const directory = path.join(mount, 'c');
    const writer = await CheckpointManager.open(directory, { engine });
    const saved = await writer.save(smallRequest(1));
    await writer.close();
    // The native engine keeps the lock file open, and a file system with files open for writing cannot become read-only.
    const open = engine === 'portable' ? await openManager(directory, { engine }) : undefined;
    remountReadOnly(mount);
    if (open !== undefined) await rejection(open.save(smallRequest(2)), 'ERR_READ_ONLY_FILE_SYSTEM');
    await rejection(CheckpointManager.open(path.join(mount, 'other'), { engine }), 'ERR_READ_ONLY_FILE_SYSTEM');
    if (open === undefined) await rejection(CheckpointManager.open(directory, { engine }), 'ERR_READ_ONLY_FILE_SYSTEM');
    const reader = await openManager(directory, { engine, readOnly: true });
    expect((await reader.restore())?.info.name).toBe(saved.name);
    spawnSync('mount', ['-o', 'remount,rw', mount]);
  });
});

/** Fills the file system up to `left` free bytes, or altogether if a save takes some of them meanwhile. */
function fill(mount: string, left: number): void {
  const { bavail, bsize } = statfsSync(mount);
  try {
    writeFileSync(path.join(mount, 'ballast'), new Uint8Array(Math.max(0, bavail * bsize - left)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

describe.skipIf(!CAN_MOUNT).each(ENGINES)('a full disk, %s engine', (engine) => {
  test('is noticed before anything is written where it can be', async () => {
    const mount = mountTmpfs(1 << 20);
    const manager = await openManager(path.join(mount, 'c'), { engine });
    const first = await manager.save(smallRequest(1));
    const error = await rejection(manager.save(smallRequest(2, 1 << 20)), 'ERR_NO_SPACE');
    expect(error.expected).toBeGreaterThan(error.actual as number);
    expect(readdirSync(manager.directory).filter((name) => name.startsWith('.tmp-') || name.startsWith('checkpoint'))).toEqual([
      first.name,
    ]);
  });

  test('at every 4 KiB boundary of a save: a typed error, no leftovers, the older checkpoint untouched', async () => {
    const mount = mountTmpfs(4 << 20);
    const manager = await openManager(path.join(mount, 'c'), { engine });
    const first = await manager.save(smallRequest(1, 8192));
    const outcomes = new Set<string>();
    for (let left = 0; left <= 80 * 1024; left += 4096) {
      // The free-space check is one look beforehand; here the space goes away after it: when the save asks for the bytes.
      const data = {
        byteLength: 32_768,
        async *[Symbol.asyncIterator]() {
          fill(mount, left);
          yield new Uint8Array(32_768).fill(2);
        },
      };
      const outcome = await manager.save({ step: 2, tensors: { x: { dtype: 'F32', shape: [8192], data } }, state: { step: 2 } }).then(
        () => 'saved',
        (error) => error.code,
      );
      rmSync(path.join(mount, 'ballast'), { force: true });
      outcomes.add(outcome);
      expect(['saved', 'ERR_NO_SPACE'], `with ${left} bytes left: ${outcome}`).toContain(outcome);
      const names = readdirSync(manager.directory);
      expect(names.filter((name) => name.startsWith('.tmp-'))).toEqual([]);
      expect((await manager.verify()).problems).toEqual([]);
      expect((await manager.restore(first.name))?.info.step).toBe(1);
      for (const name of names.filter((n) => n.startsWith('checkpoint') && n !== first.name)) {
        expect(outcome).toBe('saved');
        rmSync(path.join(manager.directory, name), { recursive: true });
      }
    }
    expect(outcomes).toEqual(new Set(['saved', 'ERR_NO_SPACE']));
  });

  test('of inodes as of bytes', async () => {
    const mount = mountTmpfs(4 << 20);
    const manager = await openManager(path.join(mount, 'c'), { engine });
    const first = await manager.save(smallRequest(1));
    spawnSync('mount', ['-o', `remount,nr_inodes=${statfsSync(mount).files - statfsSync(mount).ffree + 2}`, mount]);
    await rejection(manager.save(smallRequest(2)), 'ERR_NO_SPACE');
    expect((await manager.restore())?.info.name).toBe(first.name);
    expect(readdirSync(manager.directory).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
  });
});

test('reading what another process is retaining away gives a good checkpoint every time', async () => {
  const directory = path.join(freshDirectory(), 'c');
  mkdirSync(directory);
  const script = `
    import { CheckpointManager, keep } from 'holdfast';
    const manager = await CheckpointManager.open(process.argv[1], { keep: keep.last(1) });
    for (let step = 1; ; step++) {
      await manager.save({ step, tensors: { x: { dtype: 'I32', shape: [5000], data: new Int32Array(5000).fill(step) } } });
      if (step === 1) console.log('going');
    }
  `;
  const writer = startNode(script, [directory]);
  await new Promise((resolve) => writer.stdout?.once('data', resolve));
  const reader = await openManager(directory, { readOnly: true });
  for (let i = 0; i < 400; i++) {
    const restored = await reader.restore();
    const { step } = restored?.info ?? {};
    const data = restored?.tensors.get('x')?.data as Int32Array;
    expect(data.every((value) => value === step)).toBe(true);
    expect(restored?.skipped).toEqual([]);
  }
  writer.kill('SIGKILL');
});

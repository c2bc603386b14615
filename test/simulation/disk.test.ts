/** The simulated disk does what a real one does, and loses what a real one may lose. */
import { constants } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { SimulatedClock } from './clock.js';
import { Disk } from './disk.js';
import { SimulatedFileSystem } from './file-system.js';
import { Random } from './prng.js';
import { Trace } from './trace.js';

const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const ALL = { chance: 1, asJournal: false };
const NOTHING = { chance: 0, asJournal: false };

let disk: Disk;
let files: SimulatedFileSystem;
let root: string;

beforeEach(() => {
  const random = new Random(1);
  const clock = new SimulatedClock(random, 1);
  disk = new Disk(clock, random);
  files = new SimulatedFileSystem(disk, clock, random, new Trace(), { yields: 0, short: 0 }, {});
  root = files.start('1').mount;
});

async function write(name: string, text: string, sync = false): Promise<void> {
  const fd = await files.open(`${root}/${name}`, NEW, 0o644);
  try {
    await files.transfers().writeAll(fd, Buffer.from(text));
    if (sync) await files.transfers().sync(fd);
  } finally {
    await files.close(fd);
  }
}

async function read(name: string): Promise<string> {
  const fd = await files.open(`${root}/${name}`, READ, undefined);
  const bytes = await files.transfers().readAll(fd);
  await files.close(fd);
  return bytes.toString();
}

async function syncDirectory(name = ''): Promise<void> {
  const fd = await files.open(`${root}/${name}`, constants.O_RDONLY | constants.O_DIRECTORY, undefined);
  await files.transfers().sync(fd);
  await files.close(fd);
}

const failing = (work: Promise<unknown>) =>
  work.then(
    () => 'fine',
    ({ code }: NodeJS.ErrnoException) => code,
  );

describe('errors are those of the operating system', () => {
  test('of names', async () => {
    await write('file', 'x');
    await files.mkdir(`${root}/directory`, 0o755);
    await files.symlink('directory', `${root}/link`);
    await files.symlink('loop', `${root}/loop`);
    await write('directory/inside', 'y');
    expect(await failing(files.open(`${root}/file`, NEW, 0o644))).toBe('EEXIST');
    expect(await failing(files.open(`${root}/none`, READ, undefined))).toBe('ENOENT');
    expect(await failing(files.open(`${root}/link`, READ, undefined))).toBe('ELOOP');
    expect(await failing(files.stat(`${root}/loop`))).toBe('ELOOP');
    expect(await failing(files.mkdir(`${root}/none/deeper`, 0o755))).toBe('ENOENT');
    expect(await failing(files.mkdir(`${root}/file/deeper`, 0o755))).toBe('ENOTDIR');
    expect(await failing(files.unlink(`${root}/directory`))).toBe('EISDIR');
    expect(await failing(files.rename(`${root}/file`, `${root}/directory`))).toBe('EISDIR');
    expect(await failing(files.link(`${root}/file`, `${root}/link`))).toBe('EEXIST');
    expect(await read('link/inside')).toBe('y');
    expect(await files.realpath(`${root}/link/inside`)).toBe(`${root}/directory/inside`);
    await files.removeAll(`${root}/link`);
    expect(await read('directory/inside')).toBe('y');
    await files.removeAll(`${root}/directory`);
    expect(await failing(files.lstat(`${root}/directory`))).toBe('ENOENT');
  });

  test('of room: what fits is written, and what is removed makes room, once nobody has it open', async () => {
    disk.capacity = disk.usedBlocks + 2;
    expect(await failing(write('file', 'x'.repeat(10_000)))).toBe('ENOSPC');
    expect((await files.lstat(`${root}/file`)).size).toBe(8192);
    const fd = await files.open(`${root}/file`, READ, undefined);
    await files.unlink(`${root}/file`);
    expect(disk.freeBlocks).toBe(0);
    expect((await files.transfers().readAll(fd)).length).toBe(8192);
    await files.close(fd);
    expect(disk.freeBlocks).toBe(2);
  });
});

describe('a power loss', () => {
  test('takes names that were not made durable, and leaves those that were', async () => {
    await write('durable', 'x', true);
    await syncDirectory();
    await write('late', 'y', true);
    disk.losePower(NOTHING);
    expect(await read('durable')).toBe('x');
    expect(await failing(read('late'))).toBe('ENOENT');
  });

  test('takes bytes that were not made durable, although the name is', async () => {
    await write('file', 'x'.repeat(100));
    await syncDirectory();
    disk.losePower(NOTHING);
    expect(await read('file')).toBe('');
  });

  test('undoes a rename as a whole', async () => {
    await write('old', 'x', true);
    await syncDirectory();
    await files.rename(`${root}/old`, `${root}/new`);
    disk.losePower(NOTHING);
    expect(await read('old')).toBe('x');
    expect(await failing(read('new'))).toBe('ENOENT');
    await files.rename(`${root}/old`, `${root}/new`);
    disk.losePower(ALL);
    expect(await failing(read('old'))).toBe('ENOENT');
    expect(await read('new')).toBe('x');
  });

  test('may keep what was removed inside of what it brings back: that is why a directory is synced in between', async () => {
    await files.mkdir(`${root}/checkpoint`, 0o755);
    await write('checkpoint/manifest', 'x', true);
    await syncDirectory('checkpoint');
    await syncDirectory();
    await files.rename(`${root}/checkpoint`, `${root}/grave`);
    await files.unlink(`${root}/grave/manifest`);
    await syncDirectory('grave');
    disk.losePower(NOTHING);
    expect((await files.readdir(`${root}/checkpoint`)).length).toBe(0);
  });

  test('leaves what a failed fsync did not write as it was, whatever a later one says', async () => {
    await write('file', 'x');
    await syncDirectory();
    const node = disk.find(['file'], false, 'open', 'file').node;
    if (node?.kind !== 'file') throw new TypeError('It is a file.');
    node.lost = true;
    const fd = await files.open(`${root}/file`, READ, undefined);
    await files.transfers().sync(fd);
    await files.close(fd);
    expect(await read('file')).toBe('x');
    disk.losePower(ALL);
    expect(await read('file')).toBe('');
  });
});

test('a process that has died does nothing any more, and another one goes on', async () => {
  const process = files.start('2');
  process.dieAfter(1);
  expect(await failing(files.mkdir(`${process.mount}/first`, 0o755))).toBe('EIO');
  expect(await failing(files.mkdir(`${process.mount}/second`, 0o755))).toBe('EIO');
  await files.mkdir(`${root}/third`, 0o755);
  const names = (await files.readdir(`${root}/`)).map(({ name }) => name);
  expect(names).toContain('third');
  expect(names).not.toContain('second');
});

/** A target takes its place when it is durable, and what was there comes back where it cannot: as Node.js is asked for fsync, rename and rm. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ConvertOptions, convert } from '../../src/index.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { randomTensor, stockDirectory } from './fixtures.js';

function model(seed: number): string {
  const document = { format: 'layers-model', modelTopology: { class_name: 'Sequential', config: { name: 's', layers: [] } } };
  return stockDirectory(document, [{ name: 'w', dtype: 'float32', shape: [8] }], randomTensor('F32', [8], seed).bytes);
}

const CONVERT = `
  import { convert } from 'holdfast';
  const [source, target, options] = process.argv.slice(1);
  await convert(source, target, JSON.parse(options)).catch((error) => console.log(error.code));
`;

/** For NODE_OPTIONS: prints these calls as they are made; the `n`-th rename fails. */
function watched(n: number): string {
  const script = `
    import fs from 'node:fs';
    const { open, fsync, rename, rm } = fs;
    const files = new Map();
    let left = ${n};
    fs.open = (file, ...rest) => {
      const give = rest.pop();
      open(file, ...rest, (error, fd) => {
        files.set(fd, file);
        give(error, fd);
      });
    };
    fs.fsync = (fd, give) => {
      console.log('fsync', files.get(fd));
      fsync(fd, give);
    };
    fs.rename = (from, to, give) => {
      console.log('rename', from, to);
      if (--left === 0) give(Object.assign(new Error('EIO: i/o error, rename'), { code: 'EIO', errno: -5, syscall: 'rename' }));
      else rename(from, to, give);
    };
    fs.rm = (directory, options, give) => {
      console.log('rm', directory);
      rm(directory, options, give);
    };`;
  return `--import=data:text/javascript,${encodeURIComponent(script)}`;
}

/** Converts in another process; gives the lines that it prints, with paths in the target's directory and temporary names by their number. */
async function calls(source: string, target: string, options: ConvertOptions, failing = 0): Promise<string[]> {
  const env = { NODE_OPTIONS: watched(failing), HOLDFAST_ENGINE: 'portable' };
  const { stdout, stderr, code } = await ended(startNode(CONVERT, [source, target, JSON.stringify(options)], env));
  expect(code, stderr).toBe(0);
  const directory = path.dirname(target);
  const temporary = [...new Set(stdout.match(/\.holdfast-convert-[\w-]+/g))];
  return temporary
    .reduce((text, name, i) => text.replaceAll(name, `TEMPORARY-${i + 1}`), stdout)
    .replaceAll(`${directory}/`, '')
    .replaceAll(directory, '.')
    .trim()
    .split('\n');
}

const OF_DIRECTORY = ['fsync TEMPORARY-1/group1-shard1of1.bin', 'fsync TEMPORARY-1/model.json', 'fsync TEMPORARY-1'];

describe('everything is durable', () => {
  test('of a file, before it takes its place, and then its place', async () => {
    const target = path.join(freshDirectory(), 'x.npz');
    const expected = ['fsync TEMPORARY-1', 'rename TEMPORARY-1 x.npz', 'fsync .'];
    expect((await calls(model(1), target, {})).slice(-3)).toEqual(expected);
    expect((await calls(model(2), target, { force: true })).slice(-3)).toEqual(expected);
  });

  test('of a directory: its files, their names, and then its place', async () => {
    const target = path.join(freshDirectory(), 'x');
    expect((await calls(model(1), target, { to: 'tfjs' })).slice(-5)).toEqual([...OF_DIRECTORY, 'rename TEMPORARY-1 x', 'fsync .']);
  });

  test('of a directory that is replaced, before the older one goes', async () => {
    const target = path.join(freshDirectory(), 'x');
    await convert(model(1), target, { to: 'tfjs' });
    expect((await calls(model(2), target, { to: 'tfjs', force: true })).slice(-8)).toEqual([
      ...OF_DIRECTORY,
      ...['rename x TEMPORARY-2', 'rename TEMPORARY-1 x', 'fsync .', 'rm TEMPORARY-2', 'fsync .'],
    ]);
  });
});

describe('what was there is there again', () => {
  test.each([
    ['a file', 'x.npz', {}, 1],
    ['a directory that cannot step aside', 'x', { to: 'tfjs' }, 1],
    ['a directory whose place cannot be taken', 'x', { to: 'tfjs' }, 2],
  ] as const)('%s', async (_, name, options, failing) => {
    const target = path.join(freshDirectory(), name);
    await convert(model(1), target, options);
    const look = () =>
      readdirSync(path.dirname(target), { recursive: true, withFileTypes: true }).map((entry) => [
        entry.name,
        entry.isFile() ? readFileSync(path.join(entry.parentPath, entry.name), 'hex') : '',
      ]);
    const before = look();
    expect(await calls(model(2), target, { ...options, force: true }, failing)).toContain('ERR_IO');
    expect(look()).toEqual(before);
  });
});

import { existsSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ioWarnings, nodeWarnings } from '../../src/cli/doctor.js';
import { fileSystemWarnings } from '../../src/storage/file-systems.js';
import { freshDirectory } from '../helpers/directory.js';
import { HAS_NATIVE } from '../helpers/engines.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

const PORTABLE = { env: { HOLDFAST_ENGINE: 'portable' } };

describe('doctor', () => {
  test('has exactly these fields', async () => {
    const { code, document } = await holdfastJson(['doctor', freshDirectory()]);
    expect(code).toBe(0);
    expect(document).toStrictEqual({
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      engine: HAS_NATIVE ? 'native' : 'portable',
      addon: HAS_NATIVE ? expect.stringMatching(/\.node$/) : null,
      fileSystem: expect.any(String),
      directIo: { supported: expect.any(Boolean), alignment: expect.toSatisfy((value) => value === null || value >= 512) },
      ioUring: { available: expect.any(Boolean), reason: expect.any(String), used: expect.any(Boolean), why: expect.any(String) },
      crc32c: { implementation: expect.any(String), bytesPerSecond: expect.toSatisfy((value) => value > 50e6) },
      warnings: expect.any(Array),
    });
    expect(Object.keys(document as object).join(' ')).toBe('node platform engine addon fileSystem directIo ioUring crc32c warnings');
  });

  test('works without the addon, and says what that costs and how to get it', async () => {
    const directory = freshDirectory();
    const { code, document } = await holdfastJson(['doctor', directory], PORTABLE);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      engine: 'portable',
      addon: null,
      directIo: { supported: false, alignment: null },
      ioUring: { available: false, used: false },
      crc32c: { implementation: 'javascript' },
    });
    const missing = await holdfastJson(['doctor', directory], { env: { HOLDFAST_ADDON: '/nowhere/holdfast.node', HOLDFAST_ENGINE: '' } });
    const warnings = (missing.document as { warnings: string[] }).warnings.join('\n');
    expect(warnings).toContain('/nowhere/holdfast.node does not exist');
    if (process.platform === 'linux') expect(warnings).toContain('npm rebuild holdfast');
  });

  test.runIf(HAS_NATIVE)('names file systems alike with and without the addon', async () => {
    const nameOf = async (env: Record<string, string>) =>
      ((await holdfastJson(['doctor', freshDirectory()], { env })).document as { fileSystem: string }).fileSystem;
    const { type } = statfsSync('.');
    const known = [0xef53, 0x58465342, 0x01021994, 0x794c7630].includes(type);
    if (known) expect(await nameOf(PORTABLE.env)).toBe(await nameOf({}));
  });

  test.runIf(HAS_NATIVE)('says whether io_uring is used, and why', async () => {
    const directory = freshDirectory();
    const look = async (HOLDFAST_IO: string) =>
      (await holdfastJson(['doctor', directory], { env: { HOLDFAST_IO } })).document as {
        ioUring: { available: boolean; reason: string; used: boolean; why: string };
        warnings: string[];
      };
    const asked = await look('io_uring');
    expect(asked.ioUring).toMatchObject({ used: asked.ioUring.available, why: 'HOLDFAST_IO=io_uring' });
    expect(asked.warnings.some((warning) => warning.includes('HOLDFAST_IO'))).toBe(!asked.ioUring.available);
    expect((await look('threads')).ioUring).toMatchObject({ used: false, why: 'HOLDFAST_IO=threads' });
    const unknown = await look('uring');
    expect(unknown.warnings).toContainEqual(expect.stringContaining('HOLDFAST_IO=uring means nothing'));
    expect(unknown.ioUring).toEqual((await look('auto')).ioUring);
  });

  test('warns where io_uring is asked for and cannot be had', () => {
    const io = { available: false, reason: 'it is forbidden', wish: 'io_uring', unknownWish: '', used: 'threads', refusals: 0 } as const;
    expect(ioWarnings(io)).toEqual([expect.stringContaining('but it is forbidden')]);
    expect(ioWarnings({ ...io, available: true, used: 'io_uring' })).toEqual([]);
    expect(ioWarnings({ ...io, wish: 'auto' })).toEqual([]);
    expect(ioWarnings(undefined)).toEqual([]);
  });

  test.runIf(existsSync('/dev/shm'))('warns of memory that looks like a disk', async () => {
    const { document } = await holdfastJson(['doctor', '/dev/shm']);
    expect(document).toMatchObject({ fileSystem: 'tmpfs', warnings: expect.arrayContaining([expect.stringContaining('lost')]) });
  });

  test('reads well', async () => {
    const { code, stdout, stderr } = await holdfast(['doctor', freshDirectory()], PORTABLE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const key of ['Node.js', 'engine', 'directory', 'direct I/O', 'io_uring', 'CRC32C', '! ']) expect(stdout).toContain(key);
  });

  test('needs a directory', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, 'file');
    expect(await holdfastError(['doctor', file])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND' } });
    writeFileSync(file, '');
    expect(await holdfastError(['doctor', file])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_A_DIRECTORY' } });
  });

  test('knows the versions of Node.js and the file systems that need a word', () => {
    expect(nodeWarnings('20.17.0')).toEqual([]);
    expect(nodeWarnings('24.1.0')).toEqual([]);
    expect(nodeWarnings('20.16.9')[0]).toContain('too old');
    expect(nodeWarnings('23.0.0')[0]).toContain('not tested');
    expect(fileSystemWarnings('ext4')).toEqual([]);
    for (const name of ['tmpfs', 'nfs', 'overlayfs', 'squashfs']) expect(fileSystemWarnings(name)).toHaveLength(1);
  });
});

/** Real failures of the operating system: a full disk, a file-size limit, a lock of another process. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { addon, addonPath, codeOf, missing, openDescriptors, temporaryDirectory, writerOptions } from './support.js';

const node = process.env['HOLDFAST_TEST_NODE'] || process.execPath;

/** Mounts a tmpfs of `bytes`, or says why not. */
function mountSmall(directory: string, bytes: number): string | undefined {
  mkdirSync(directory);
  const result = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory], { encoding: 'utf8' });
  return result.status === 0 ? undefined : `mount failed: ${result.error?.message ?? result.stderr.trim()}`;
}

/** Runs a program in a child that has the addon as `addon`; gives what it prints. */
function runChild(body: string, shell?: string): string {
  const program = `import { createRequire } from 'node:module';
    const addon = createRequire(process.cwd() + '/')(${JSON.stringify(addonPath)});
    const options = (bytes) => ({ direct: 'optional', mode: 0o644, chunkBytes: 1 << 20, spans: Float64Array.of(bytes),
      operationBytes: 0, queueDepth: 0, abort: 0 });
    const codeOf = async (action) => { try { await action(); return 'no error'; } catch (error) { return error.code; } };
    ${body}`;
  const args = ['--input-type=module', '-e', program];
  if (shell === undefined) return execFileSync(node, args, { encoding: 'utf8' }).trim();
  return execFileSync('bash', ['-c', `${shell}; exec "$@"`, 'bash', node, ...args], { encoding: 'utf8' }).trim();
}

describe.skipIf(missing)('real failures', () => {
  const directory = missing === undefined ? temporaryDirectory() : '';

  it('finds a full disk before the first byte, and leaves nothing', async (context) => {
    const small = path.join(directory, 'small');
    const reason = mountSmall(small, 4 << 20);
    if (reason !== undefined) return context.skip(reason);
    onTestFinished(() => {
      spawnSync('umount', ['-l', small]);
    });
    const before = openDescriptors();
    const error = await addon.openWriter(path.join(small, 'file'), writerOptions([5 << 20])).catch((caught) => caught);
    expect(error).toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
    expect(existsSync(path.join(small, 'file'))).toBe(false);
    expect(openDescriptors()).toBe(before);
    // As much as fits goes through.
    const pin = addon.pin(new Uint8Array(3 << 20), true);
    const writer = await addon.openWriter(path.join(small, 'fits'), writerOptions([3 << 20]));
    await addon.write(writer, Float64Array.of(pin, 0, 3 << 20));
    expect((await addon.finishWriter(writer)).bytes).toBe(3 << 20);
    addon.unpin(pin);
  });

  it('reports a file-size limit as EFBIG and survives its signal', () => {
    const file = path.join(directory, 'limited');
    const printed = runChild(
      `console.log(await codeOf(() => addon.openWriter(${JSON.stringify(file)}, options(4 << 20))));
       const writer = await addon.openWriter(${JSON.stringify(`${file}-2`)}, options(500_000));
       const pin = addon.pin(new Uint8Array(500_000));
       await addon.write(writer, Float64Array.of(pin, 0, 500_000));
       console.log((await addon.finishWriter(writer)).bytes);`,
      'ulimit -f 1024',
    );
    expect(printed.split('\n')).toEqual(['EFBIG', '500000']);
    expect(existsSync(file)).toBe(false);
  });

  it('reports too many open files', () => {
    const file = path.join(directory, 'many');
    const printed = runChild(
      `const codes = [];
       for (let index = 0; index < 60; index++) codes.push(await codeOf(() => addon.openWriter(${JSON.stringify(file)} + index, options(0))));
       console.log(codes.at(-1), codes.every((code) => code === 'no error' || code === 'EMFILE'));`,
      'ulimit -n 64',
    );
    expect(printed).toBe('EMFILE true');
  });

  it('excludes a lock holder in another process, until it ends', async () => {
    const file = path.join(directory, 'lock');
    writeFileSync(file, '');
    const attempt = `console.log(await codeOf(() => addon.lockFile(${JSON.stringify(file)})))`;
    const lock = addon.lockFile(file);
    expect(runChild(attempt)).toBe('EAGAIN');
    addon.unlockFile(lock);
    expect(runChild(attempt)).toBe('no error');
    // The child held it when it ended; the lock went with it.
    expect(await codeOf(() => addon.unlockFile(addon.lockFile(file)))).toBe('no error');
  });

  it('says EACCES where a directory is not writable', (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root to become another user');
    const closed = path.join(directory, 'closed');
    mkdirSync(closed, { mode: 0o755 });
    const printed = runChild(
      `process.setgid(65534); process.setuid(65534);
       console.log(await codeOf(() => addon.openWriter(${JSON.stringify(path.join(closed, 'x'))}, options(1))));`,
    );
    expect(printed).toMatch(/^EACCES$/);
  });
});

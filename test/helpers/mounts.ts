import { spawnSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { freshDirectory } from './directory.js';

/** Whether this process may mount; says so once if not. */
export const CAN_MOUNT = probe();

function probe(): boolean {
  const allowed = process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;
  if (!allowed) console.warn('Tests on full and read-only file systems are left out: they need root on Linux, to mount a tmpfs.');
  return allowed;
}

/** A tmpfs of `bytes` bytes that goes away with the test. */
export function mountTmpfs(bytes: number): string {
  const directory = freshDirectory();
  run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory]);
  onTestFinished(() => run('umount', ['-l', directory]));
  return directory;
}

/** Makes a mount read-only. */
export function remountReadOnly(directory: string): void {
  run('mount', ['-o', 'remount,ro', directory]);
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

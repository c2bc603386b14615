/** All that can be seen of a directory, to compare. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/** Every entry below `directory`, and itself: what it is, which inode, its times, its bytes. No symbolic link is followed. */
export function listing(directory: string): Record<string, string> {
  const all: Record<string, string> = {};
  const visit = (name: string) => {
    const file = path.join(directory, name);
    const { ino, mode, nlink, size, mtimeNs, ctimeNs } = lstatSync(file, { bigint: true });
    all[name] = [ino, mode.toString(8), nlink, size, mtimeNs, ctimeNs, contentsOf(file)].join(' ');
    if (lstatSync(file).isDirectory()) for (const entry of readdirSync(file).sort()) visit(path.join(name, entry));
  };
  visit('.');
  return all;
}

/** Every entry below `directory` and what it holds, whatever its inode and times. */
export function contents(directory: string): Record<string, string> {
  const all: Record<string, string> = {};
  const visit = (name: string) => {
    const file = path.join(directory, name);
    if (name !== '') all[name] = contentsOf(file);
    if (lstatSync(file).isDirectory()) for (const entry of readdirSync(file).sort()) visit(path.join(name, entry));
  };
  visit('');
  return all;
}

function contentsOf(file: string): string {
  const found = lstatSync(file);
  if (found.isSymbolicLink()) return `-> ${readlinkSync(file)}`;
  return found.isFile() ? createHash('sha256').update(readFileSync(file)).digest('hex') : 'directory';
}

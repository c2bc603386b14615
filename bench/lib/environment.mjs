// What a figure depends on: recorded with every result.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { loadNative } from '../../dist/native.js';
import { VERSION } from '../../dist/version.js';

/** Processor, memory, kernel, file system of `directory`, versions. */
export function describeEnvironment(directory) {
  const { addon } = loadNative();
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
    fileSystem: addon?.probe(directory).fileSystem ?? 'unknown',
    device: deviceOf(directory),
    node: process.version,
    holdfast: VERSION,
    crc32c: addon?.crc32cImplementations()[0] ?? 'portable TypeScript',
    fio: versionOf('fio', ['--version']),
  };
}

function versionOf(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

/** The mount's device and options, from /proc/self/mounts. */
function deviceOf(directory) {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, point]) => directory === point || directory.startsWith(point === '/' ? '/' : `${point}/`));
    const [, , type, options] = mounts.sort((a, b) => b[1].length - a[1].length)[0] ?? [];
    return type === undefined ? null : `${type} (${options})`;
  } catch {
    return null;
  }
}

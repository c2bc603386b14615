// What a figure depends on: recorded with every result.
import { execFileSync } from 'node:child_process';
import { describeEnvironment as describe } from '../../dist/bench/environment.js';

/** Processor, memory, kernel, file system of `directory`, versions. */
export function describeEnvironment(directory) {
  return { ...describe(directory), fio: versionOf('fio', ['--version']) };
}

function versionOf(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

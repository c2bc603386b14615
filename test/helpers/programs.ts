/** Directories of programs for PATH: what is not in them is not installed. */
import { spawnSync } from 'node:child_process';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freshDirectory } from './directory.js';

/** Whether fio is installed. */
export const HAS_FIO = spawnSync('fio', ['--version']).status === 0;
if (!HAS_FIO) console.warn('Tests with fio itself are left out: it is not installed.');

/** As much of fio as is looked at, with its file and its result, but without its start, which takes a third of a second for every run. */
const STAND_IN = `#!/bin/sh
[ "$1" = --version ] && echo fio-3.0 && exit
for argument; do
  case $argument in --filename=*) file=\${argument#--filename=} ;; esac
done
: >> "$file"
echo '{"jobs": [{"error": 0, "job_runtime": 2, "usr_cpu": 10, "sys_cpu": 20}]}'
`;

/** A PATH on which there is nothing but what is named. */
export function pathWith(...programs: string[]): string {
  const directory = freshDirectory();
  // Other users run what is in it, too.
  chmodSync(directory, 0o755);
  for (const name of programs) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
    if (found !== '') symlinkSync(found, path.join(directory, name));
  }
  return directory;
}

/** A PATH on which there is a stand-in for fio, and what the benchmarks need besides. */
export function pathWithFio(): string {
  const directory = pathWith('sync', 'dd');
  const file = path.join(directory, 'fio');
  writeFileSync(file, STAND_IN);
  chmodSync(file, 0o755);
  return directory;
}

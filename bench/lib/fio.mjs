// The limit: fio writing the same number of bytes with direct I/O, fsync included.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';

const ENGINES = ['io_uring', 'libaio', 'psync'];

/** The first of fio's engines that works here, and how it was tried; throws where there is no fio. */
export function chooseFioEngine(directory) {
  for (const engine of ENGINES) {
    try {
      runFio(directory, 16 * 2 ** 20, engine);
      return engine;
    } catch (error) {
      if (error.code === 'ENOENT')
        throw new Error('fio is not installed (Debian: apt-get install fio): there is no limit to compare with.');
    }
  }
  throw new Error(`fio cannot write to ${directory} with direct I/O by any of ${ENGINES.join(', ')}.`);
}

/** The command, for the record. */
export function fioArguments(file, bytes, engine) {
  return [
    '--name=limit',
    `--filename=${file}`,
    '--rw=write',
    '--bs=4m',
    '--direct=1',
    `--ioengine=${engine}`,
    '--iodepth=8',
    '--end_fsync=1',
    `--size=${bytes}`,
    '--output-format=json',
  ];
}

/** glibc then asks for huge pages for fio's buffers: a virtual disk takes large segments of memory much faster than 4 KiB ones. */
export const HUGE_PAGES = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/** Writes `bytes` once; gives the seconds that fio counts for writing and its final fsync. */
export function runFio(directory, bytes, engine, env = {}) {
  const file = path.join(directory, 'fio.bin');
  try {
    const output = execFileSync('fio', fioArguments(file, bytes, engine), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    });
    const [job] = JSON.parse(output.slice(output.indexOf('{'))).jobs;
    // The whole run of the job in milliseconds, its fsync included.
    return job.job_runtime / 1000;
  } finally {
    rmSync(file, { force: true });
  }
}

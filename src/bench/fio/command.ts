/** fio: the command line of one run and what its result says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { HoldfastError } from '../../errors.js';
import type { Measured } from '../contender.js';

/** How fio reads or writes. */
export interface FioWay {
  readonly engine: 'io_uring' | 'threads';
  /** Bytes of one request; a power of two. */
  readonly blockBytes: number;
  /** Requests in flight: of one thread with io_uring, or as many threads with one each. */
  readonly depth: number;
  /** Buffers that the kernel knows beforehand; io_uring only. */
  readonly fixedBuffers?: boolean;
}

/** Direct I/O wants whole blocks. */
const BLOCK_BYTES = 4096;

/**
 * glibc then asks for huge pages for fio's buffers, as ours are: a virtual disk takes large segments of memory much faster than 4 KiB ones,
 * so this is the harder limit.
 */
export const FIO_ENVIRONMENT = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/** More bytes than asked for that are worth larger blocks. */
const MOST_EXCESS = 1.01;

interface Layout {
  readonly jobs: number;
  /** Of every job: whole blocks, as fio leaves out what is less than one. */
  readonly each: number;
  readonly blockBytes: number;
}

/** The blocks are as large as the way has them, unless they then do not fit into the bytes. */
function layOut(bytes: number, { engine, blockBytes, depth }: FioWay): Layout {
  const jobs = engine === 'threads' ? depth : 1;
  const share = Math.ceil(bytes / jobs);
  let block = blockBytes;
  while (block > BLOCK_BYTES && roundUp(share, block) > MOST_EXCESS * share) block /= 2;
  return { jobs, each: roundUp(share, block), blockBytes: block };
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** The bytes that fio moves for `bytes`: at least as many, in whole blocks, the same number in every thread. */
export function fioBytes(bytes: number, way: FioWay): number {
  const { jobs, each } = layOut(bytes, way);
  return jobs * each;
}

/** The arguments that write `file` anew and make it durable, or read it once from the beginning to the end. */
export function fioArguments(file: string, bytes: number, way: FioWay, direction: 'write' | 'read'): string[] {
  const { engine, depth, fixedBuffers } = way;
  const { each, blockBytes } = layOut(bytes, way);
  const parallel =
    engine === 'threads'
      ? ['--ioengine=psync', `--numjobs=${depth}`, `--offset_increment=${each}`]
      : ['--ioengine=io_uring', `--iodepth=${depth}`, ...(fixedBuffers === true ? ['--fixedbufs=1'] : [])];
  return [
    '--name=limit',
    `--filename=${escapeName(file)}`,
    `--rw=${direction}`,
    `--bs=${blockBytes}`,
    '--direct=1',
    // Its jobs would otherwise be processes of their own sessions: they would outlive it, and keep its output open.
    '--thread',
    ...parallel,
    ...(direction === 'write' ? ['--end_fsync=1'] : []),
    `--size=${each}`,
    '--output-format=json',
  ];
}

/** fio takes a colon for the beginning of the next name. */
function escapeName(file: string): string {
  return file.replace(/[\\:]/g, '\\$&');
}

/** What a job of fio's JSON tells. */
interface FioJob {
  readonly error: number;
  /** Milliseconds, its fsync included. */
  readonly job_runtime: number;
  /** Percent of it. */
  readonly usr_cpu: number;
  readonly sys_cpu: number;
}

/** The result of one run. Its threads begin together, so the slowest one counts. Throws `ERR_IO` for what is no result. */
export function parseFio(output: string): Measured {
  let jobs: readonly FioJob[] = [];
  try {
    ({ jobs } = JSON.parse(output.slice(output.indexOf('{'))) as { jobs: readonly FioJob[] });
  } catch {
    // Said below.
  }
  if (jobs.length === 0 || jobs.some(({ error }) => error !== 0)) throw new HoldfastError('ERR_IO', 'fio gave no result.');
  const cpu = jobs.reduce((sum, { job_runtime, usr_cpu, sys_cpu }) => sum + (job_runtime * (usr_cpu + sys_cpu)) / 100, 0);
  // It counts whole milliseconds: what takes less than one did not take none.
  const milliseconds = Math.max(1, ...jobs.map(({ job_runtime }) => job_runtime));
  return { seconds: milliseconds / 1000, cpuSeconds: cpu / 1000, maxRssBytes: null };
}

/** A run of fio that can be stopped. */
export interface FioRun {
  readonly result: Promise<Measured>;
  stop(): void;
}

/** Starts fio. `result` rejects with `ERR_NOT_FOUND` where there is no fio, else with `ERR_IO` and what fio said. */
export function startFio(args: readonly string[]): FioRun {
  // In a process group of its own: Ctrl-C is for the one who started it, who then stops it.
  const child = spawn('fio', args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, ...FIO_ENVIRONMENT } });
  return { result: collect(child), stop: () => child.kill('SIGKILL') };
}

function collect(child: ChildProcess): Promise<Measured> {
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new HoldfastError('ERR_NOT_FOUND', 'There is no fio.') : error),
    );
    child.on('close', (code) => {
      const said = (errors.trim() || output.trim()).split('\n')[0] ?? '';
      if (code !== 0) return reject(new HoldfastError('ERR_IO', `fio failed: ${said === '' ? `code ${code}` : said}`));
      try {
        resolve(parseFio(output));
      } catch (error) {
        reject(error);
      }
    });
  });
}

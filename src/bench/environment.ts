/** What a figure depends on: recorded with every result. */
import { readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';
import { loadNative } from '../native.js';
import { fileSystemName } from '../storage/file-systems.js';
import { VERSION } from '../version.js';
import { type Disk, describeDisk } from './disk.js';

export interface Environment {
  /** ISO 8601. */
  readonly date: string;
  readonly cpu: string;
  /** Processors that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** Of the directory, such as `ext4`; `unknown(0x…)` where it has no name here. */
  readonly fileSystem: string;
  /** Its type and mount options; `null` where /proc/self/mounts is not there. */
  readonly mount: string | null;
  /** What the kernel says of the disk; `null` where it says nothing, as of network file systems. */
  readonly disk?: Disk | null;
  readonly node: string;
  readonly holdfast: string;
  /** The CRC32C in use. */
  readonly crc32c: string;
  /** Of the peers that took part, and of fio. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** Of this machine, and of the disk that `directory` (an absolute path) is on. */
export function describeEnvironment(directory: string, versions: Readonly<Record<string, string>> = {}): Environment {
  const { addon } = loadNative();
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
    fileSystem: addon?.probe(directory).fileSystem ?? fileSystemName(statfsSync(directory).type),
    mount: mountOf(directory),
    disk: describeDisk(directory),
    node: process.version,
    holdfast: VERSION,
    crc32c: addon?.crc32cImplementations()[0] ?? 'portable TypeScript',
    ...(Object.keys(versions).length === 0 ? {} : { versions }),
  };
}

function mountOf(directory: string): string | null {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string, string, string])
      .filter(([, point]) => directory === point || directory.startsWith(point === '/' ? '/' : `${point}/`));
    const [longest] = mounts.sort(([, a], [, b]) => b.length - a.length);
    return longest === undefined ? null : `${longest[2]} (${longest[3]})`;
  } catch {
    return null;
  }
}

/** The disk under a directory, as Linux describes it in /sys. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';

export interface Disk {
  /** Of the whole disk, such as `nvme0n1`. */
  readonly device: string;
  /** As its maker calls it; `null` where it does not say, as virtual disks do. */
  readonly model: string | null;
  /** Whether the kernel takes it for one with rotating platters. */
  readonly rotational: boolean | null;
  /** The I/O scheduler in use, such as `none`. */
  readonly scheduler: string | null;
}

/** `null` where the directory is not on a disk of its own, or this is not Linux. */
export function describeDisk(directory: string): Disk | null {
  try {
    const { dev } = statSync(directory, { bigint: true });
    // gnu_dev_major and gnu_dev_minor.
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
    const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
    const partition = realpathSync(`/sys/dev/block/${major}:${minor}`);
    const whole = existsSync(path.join(partition, 'partition')) ? path.dirname(partition) : partition;
    const rotational = read(whole, 'queue/rotational');
    const schedulers = read(whole, 'queue/scheduler');
    return {
      device: path.basename(whole),
      model: read(whole, 'device/model'),
      rotational: rotational === null ? null : rotational === '1',
      scheduler: /\[(.+?)\]/.exec(schedulers ?? '')?.[1] ?? schedulers,
    };
  } catch {
    return null;
  }
}

function read(device: string, name: string): string | null {
  try {
    const text = readFileSync(path.join(device, name), 'utf8').trim();
    return text === '' ? null : text;
  } catch {
    return null;
  }
}

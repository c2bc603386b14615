/** Who can be kept ready at the same time, and who does not fit on this machine at all. */
import { formatBytes } from '../terminal/format.js';
import type { Contender } from './contender.js';
import type { LeftOut } from './report.js';

/** Memory and disk that are free, in bytes. */
export interface Space {
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export interface Plan {
  /** Those that fit. */
  readonly contenders: readonly Contender[];
  readonly leftOut: readonly LeftOut[];
  /** Whether all are kept ready from the first round to the last; else each is started for its turn and stopped after it. */
  readonly together: boolean;
}

/** Of what is free, so that nothing is pushed out to make room: a machine that swaps measures its swap. */
const SHARE = 0.75;

/**
 * Leaves out the peers that there is no room for, and decides whether the others fit beside one another. Space on the disk is given out in the order
 * of the list.
 */
export function planSpace(contenders: readonly Contender[], { memoryBytes, diskBytes }: Space): Plan {
  const leftOut: LeftOut[] = [];
  const memory = memoryBytes * SHARE;
  let disk = diskBytes;
  const fitting = contenders.filter((contender) => {
    // For ours and the limit there is room, or nothing is measured at all.
    if (contender.kind !== 'peer') {
      disk -= contender.diskBytes;
      return true;
    }
    if (contender.memoryBytes > memory) {
      leftOut.push({
        name: contender.name,
        why: `it needs ${formatBytes(contender.memoryBytes)} of memory, and ${formatBytes(memory)} can be used`,
      });
      return false;
    }
    if (contender.diskBytes > disk) {
      leftOut.push({
        name: contender.name,
        why: `it needs ${formatBytes(contender.diskBytes)} on the disk, and ${formatBytes(disk)} can be used`,
      });
      return false;
    }
    disk -= contender.diskBytes;
    return true;
  });
  const needed = fitting.reduce((sum, contender) => sum + contender.memoryBytes, 0);
  return { contenders: fitting, leftOut, together: needed <= memory };
}

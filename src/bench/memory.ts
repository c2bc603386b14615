/** Resident memory of this process and its peak, as Linux counts them; `null` elsewhere. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Forgets the peak so far; gives the memory in use. Garbage that can be collected (node --expose-gc) is collected first. */
export function restartPeak(): number | null {
  (globalThis as { gc?: () => void }).gc?.();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    return null;
  }
  return residentBytes();
}

/** The most memory that was in use since {@link restartPeak}. */
export function peakBytes(): number | null {
  return statusLine('VmHWM');
}

export function residentBytes(): number | null {
  return statusLine('VmRSS');
}

function statusLine(name: string): number | null {
  try {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
    return found === null ? null : Number(found[1]) * 1024;
  } catch {
    return null;
  }
}

/** What a process is given from outside beside files: the time, chance, and who it is. A test replaces them, so that what it has seen can be repeated. */
import { randomBytes, randomUUID } from 'node:crypto';
import os from 'node:os';

export interface System {
  /** Milliseconds since 1970, by a clock that may be set back or forth at any moment. */
  now(): number;
  /** Milliseconds since some moment, by a clock that nobody sets. */
  monotonicMs(): number;
  /** So many random bytes, in hexadecimal digits. */
  randomHex(bytes: number): string;
  randomUuid(): string;
  hostName(): string;
  /** Of this process. */
  processId(): number;
  /** Whether there is a process of that number here. */
  isRunning(pid: number): boolean;
}

export const REAL_SYSTEM: System = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  randomUuid: () => randomUUID(),
  hostName: () => os.hostname(),
  processId: () => process.pid,
  isRunning: (pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      // EPERM: it is there and belongs to somebody else.
      return (error as NodeJS.ErrnoException).code !== 'ESRCH';
    }
  },
};

let system = REAL_SYSTEM;

/** From now on `replacement` is asked in this thread; without it, the real clock and chance again. */
export function replaceSystem(replacement: System = REAL_SYSTEM): void {
  system = replacement;
}

export const now: System['now'] = () => system.now();
export const monotonicMs: System['monotonicMs'] = () => system.monotonicMs();
export const randomHex: System['randomHex'] = (bytes) => system.randomHex(bytes);
export const randomUuid: System['randomUuid'] = () => system.randomUuid();
export const hostName: System['hostName'] = () => system.hostName();
export const processId: System['processId'] = () => system.processId();
export const isRunning: System['isRunning'] = (pid) => system.isRunning(pid);

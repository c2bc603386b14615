/** What a process is given from outside beside files: the time, and chance. A test replaces them, so that what it has seen can be repeated. */
import { randomBytes, randomUUID } from 'node:crypto';

export interface System {
  /** Milliseconds since 1970, by a clock that may be set back or forth at any moment. */
  now(): number;
  /** Milliseconds since some moment, by a clock that nobody sets. */
  monotonicMs(): number;
  /** So many random bytes, in hexadecimal digits. */
  randomHex(bytes: number): string;
  randomUuid(): string;
}

const REAL: System = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  randomUuid: () => randomUUID(),
};

let system = REAL;

/** From now on `replacement` is asked in this thread; without it, the real clock and chance again. */
export function replaceSystem(replacement: System = REAL): void {
  system = replacement;
}

export const now: System['now'] = () => system.now();
export const monotonicMs: System['monotonicMs'] = () => system.monotonicMs();
export const randomHex: System['randomHex'] = (bytes) => system.randomHex(bytes);
export const randomUuid: System['randomUuid'] = () => system.randomUuid();

import { randomBytes, randomUUID } from 'node:crypto';
import os from 'node:os';
import { onTestFinished } from 'vitest';
import { replaceSystem, type System } from '../../src/system.js';

/** Replaces some of what a process is given from outside, until the end of the test; the rest stays real. */
export function replaceInSystem(some: Partial<System>): void {
  replaceSystem({
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    randomUuid: () => randomUUID(),
    hostName: () => os.hostname(),
    processId: () => process.pid,
    isRunning: () => true,
    ...some,
  });
  onTestFinished(() => replaceSystem());
}

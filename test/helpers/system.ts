import { onTestFinished } from 'vitest';
import { REAL_SYSTEM, replaceSystem, type System } from '../../src/system.js';

/** Replaces some of what a process is given from outside, until the end of the test; the rest stays real. */
export function replaceInSystem(some: Partial<System>): void {
  replaceSystem({ ...REAL_SYSTEM, ...some });
  onTestFinished(() => replaceSystem());
}

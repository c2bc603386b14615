/** An optimizer that is saved without ever having been used. */
import type { Optimizer } from '@tensorflow/tfjs';
import type { Warning } from './problem.js';

/** At step 0 it is as it should be; later another one trains, or one was made anew. */
export function untrained(optimizer: Optimizer | undefined, step: number): Warning[] {
  if (optimizer === undefined || optimizer.iterations > 0 || !(step > 0)) return [];
  const className = optimizer.getClassName();
  const message = `The optimizer (${className}) has not taken a step, and training is at step ${step}. Is it the one that trains? If a loop of your own uses another, pass that: { optimizer }.`;
  return [{ problem: 'untrained-optimizer', message, names: [className] }];
}

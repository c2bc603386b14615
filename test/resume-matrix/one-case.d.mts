import type * as tensorflow from '@tensorflow/tfjs';
import type * as tfjs from '../../src/tfjs/index.js';

export interface Plan {
  readonly saveFreq: 'epoch' | number;
  readonly kills: readonly { readonly step: number; readonly at: string }[];
  readonly seed: string;
}

export function planOf(name: string, seed: number): Plan;

export type GoOn = (given: {
  readonly tf: typeof tensorflow;
  readonly holdfast: Pick<typeof tfjs, 'installRandom' | 'resumable'>;
}) => Promise<{ readonly resumedAt: number; readonly different: readonly string[] }>;

export function killCase(given: { readonly backend: string; readonly name: string; readonly plan: Plan }): Promise<GoOn>;

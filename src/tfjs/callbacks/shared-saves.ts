/** Callbacks that save one moment to one directory make one checkpoint of it. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { NameValues } from '../../format/template.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { SaveResult } from '../../manager/save.js';
import type { Metrics } from './logs.js';
import type { SavingOptions } from './saving-options.js';

/** One checkpoint, but for the model and what the options say. */
export interface CheckpointFacts {
  /** Global step. */
  readonly step: number;
  /** Epochs that are done. */
  readonly epoch: number;
  readonly metrics: Metrics;
  readonly naming?: Pick<NameValues, 'epoch' | 'batch'> | undefined;
}

/** All that tells one checkpoint from another. */
export interface Moment {
  readonly model: LayersModel;
  /** What the bytes of every weight are known by; tensors never change. */
  readonly weights: readonly object[];
  readonly text: string;
  readonly owned: readonly unknown[];
}

/** The newest save of each directory, while a fit goes on. */
const newest = new Map<string, { readonly moment: Moment; readonly committed: Promise<SaveResult | null> }>();

/** What of a callback decides about its checkpoints. */
interface Maker {
  readonly weightsOnly: boolean;
  readonly name: string | undefined;
  readonly manager: CheckpointManager | undefined;
  readonly options: SavingOptions;
}

export function momentOf(model: LayersModel, facts: CheckpointFacts, maker: Maker): Moment {
  const { weightsOnly, name, manager, options } = maker;
  const { trainingState, rng, state, config } = options;
  // A learning rate that a callback has set since is another moment; that it was written into the logs is none.
  const { lr: _, learning_rate: __, ...metrics } = facts.metrics as Record<string, number>;
  const numbers = Object.entries(metrics).map(([key, value]) => [key, String(value)]);
  const optimizer = weightsOnly ? null : (model.optimizer?.getConfig() ?? null);
  return {
    model,
    weights: (model.weights as unknown as readonly { read(): { dataId: object } }[]).map((weight) => weight.read().dataId),
    text: JSON.stringify([facts.step, facts.epoch, numbers, optimizer, weightsOnly, name === undefined ? null : [name, facts.naming]]),
    owned: [manager, trainingState, rng, state, config],
  };
}

/** The save of the same moment, if it was the newest of the directory. */
export function findShared(directory: string, moment: Moment): Promise<SaveResult | null> | undefined {
  const known = newest.get(directory);
  return known !== undefined && isSame(known.moment, moment) ? known.committed : undefined;
}

export function noteSave(directory: string, moment: Moment, committed: Promise<SaveResult | null>): void {
  newest.set(directory, { moment, committed });
}

/** When a fit is over. */
export function forgetSaves(directory: string): void {
  newest.delete(directory);
}

function isSame(a: Moment, b: Moment): boolean {
  return a.model === b.model && a.text === b.text && areSame(a.weights, b.weights) && areSame(a.owned, b.owned);
}

function areSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

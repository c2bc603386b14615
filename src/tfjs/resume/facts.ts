/** What a fit was given that decides which batch comes when: it must be the same when it is resumed. */
import type { ModelFitArgs, ModelFitDatasetArgs, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';

/** By the names of the options of `fit` and `fitDataset`. */
export type FitFacts = Readonly<Record<string, Json>>;

/** Data as `fit` takes it. */
export type ArrayData = Tensor | Tensor[] | { [inputName: string]: Tensor };

export function factsOfFit(x: ArrayData, { batchSize = 32, shuffle = true, initialEpoch = 0, ...rest }: ModelFitArgs): FitFacts {
  return { method: 'fit', samples: samplesOf(x, rest), batchSize, shuffle: shuffle !== false, initialEpoch };
}

/** The samples that are trained on; `undefined` arguments never come here, `null` ones are tfjs' own defaults. */
function samplesOf(x: ArrayData, { validationData, validationSplit }: ModelFitArgs): number {
  const first = isTensor(x) ? x : Object.values(x)[0];
  const rows = first?.shape?.[0] ?? 0;
  const isSplit = (validationData ?? null) === null && typeof validationSplit === 'number' && validationSplit > 0 && validationSplit < 1;
  return isSplit ? Math.floor(rows * (1 - validationSplit)) : rows;
}

function isTensor(x: ArrayData): x is Tensor {
  return 'dataId' in x;
}

export function factsOfDataset(isFactory: boolean, { batchesPerEpoch, initialEpoch = 0 }: ModelFitDatasetArgs<never>): FitFacts {
  return { method: 'fitDataset', batchesPerEpoch: batchesPerEpoch ?? null, initialEpoch, data: isFactory ? 'a function' : 'a dataset' };
}

/** Throws `ERR_RUN_MISMATCH` naming what was and what is, where they differ. */
export function assertSameFacts(where: string, saved: FitFacts, given: FitFacts): void {
  const names = [...new Set([...Object.keys(saved), ...Object.keys(given)])].filter((name) => saved[name] !== given[name]);
  if (names.length === 0) return;
  const list = names.map((name) => `${name} was ${text(saved[name])} and is ${text(given[name])}`).join(', ');
  throw new HoldfastError(
    'ERR_RUN_MISMATCH',
    `${where} cannot go on exactly, since it is given other data or settings than before: ${list}. Give what it was started with, or a directory of its own to train anew.`,
  );
}

function text(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

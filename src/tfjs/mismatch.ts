/** Whether the tensors of a checkpoint are those that a model has room for. */
import type { RestoredTensor } from '../catalog/tensor.js';
import { HoldfastError } from '../errors.js';
import { type TensorPlace, toDtype } from './tensors.js';

/** What is wrong, one line per tensor. */
export interface Mismatch {
  readonly tensor: string;
  readonly what: string;
}

/** Compares names, shapes and dtypes. `strings` has the shapes of string tensors, which are stored as bytes. */
export function findMismatches(
  kind: string,
  stored: ReadonlyMap<string, RestoredTensor>,
  places: ReadonlyMap<string, TensorPlace>,
  strings: ReadonlyMap<string, readonly number[]> = new Map(),
): Mismatch[] {
  const found: Mismatch[] = [];
  for (const [name, place] of places) {
    const tensor = stored.get(name);
    if (tensor === undefined) {
      found.push({ tensor: name, what: `missing from the checkpoint: ${kind} ${JSON.stringify(name)}` });
      continue;
    }
    const shape = strings.get(name) ?? tensor.shape;
    const expected = toDtype(place.dtype, name);
    const isString = strings.has(name) === (place.dtype === 'string');
    if (tensor.dtype === expected && isString && String(shape) === String(place.shape)) continue;
    const has = `${strings.has(name) ? 'string' : tensor.dtype} [${shape.join(', ')}]`;
    const wants = `${place.dtype === 'string' ? 'string' : expected} [${place.shape.join(', ')}]`;
    found.push({ tensor: name, what: `different: ${kind} ${JSON.stringify(name)} is ${has} in the checkpoint and ${wants} in the model` });
  }
  for (const name of stored.keys()) {
    if (!places.has(name)) found.push({ tensor: name, what: `only in the checkpoint: ${kind} ${JSON.stringify(name)}` });
  }
  return found;
}

const MAX_LINES = 20;

/** The error that lists all of them. */
export function mismatchError(checkpoint: string, mismatches: readonly Mismatch[], hint = ''): HoldfastError {
  const lines = mismatches.slice(0, MAX_LINES).map(({ what }) => `  ${what}`);
  if (mismatches.length > MAX_LINES) lines.push(`  … and ${mismatches.length - MAX_LINES} more`);
  return new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `${checkpoint} does not fit the model; nothing in the model was changed.\n${lines.join('\n')}${hint === '' ? '' : `\n${hint}`}`,
    { checkpoint, tensors: mismatches.map(({ tensor }) => tensor) },
  );
}

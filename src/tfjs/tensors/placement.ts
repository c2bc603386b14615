/**
 * Putting the tensors of a checkpoint where they belong, so that a device never holds two copies: one after another is made, takes the place of
 * the old one, which goes, and lets go of the memory that it was read into.
 *
 * What takes the place of nothing (slots of an optimizer that has not taken a step) is made first, the rest from the largest to the smallest: each then
 * finds at least the room that the one before it found. So a device whose memory does not suffice says so before anything was changed.
 */
import type { Tensor } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import type { Engine } from '../engine.js';
import { assertMakeable, type TensorPlace, toTensor } from './tensors.js';

/** One tensor and its place. */
export interface Placement {
  readonly name: string;
  readonly place: TensorPlace;
  readonly stored: RestoredTensor;
  /** Whether another tensor goes as this one comes. */
  readonly replaces: boolean;
  /** Gives `value` its place; it is disposed afterwards. */
  put(value: Tensor): void;
}

/** What is said if it fails. */
export interface PlacementContext {
  readonly engine: Engine;
  readonly checkpoint: string;
  /** What the places are in. */
  readonly where: string;
}

/** Throws `ERR_MODEL_MISMATCH`, `ERR_UNSUPPORTED` for bytes that no tensor can be made of; nothing is made. */
export function assertPlaceable(placements: readonly Placement[]): void {
  for (const { stored, place, name } of placements) assertMakeable(stored, place, name);
}

/**
 * Makes every tensor and puts it in its place; synchronous. The list is emptied on the way. Throws `ERR_MODEL` if the backend cannot make a
 * tensor and nothing was changed, `ERR_HALF_RESTORED` if something was.
 */
export function placeAll(placements: Placement[], context: PlacementContext): void {
  const { engine } = context;
  const replacing = placements.filter(({ replaces }) => replaces).sort(lastIsFirst);
  const made: { placement: Placement; value: Tensor }[] = [];
  let done = 0;
  try {
    for (const placement of placements) if (!placement.replaces) made.push({ placement, value: make(placement, engine) });
    placements.length = 0;
    for (let next = replacing.at(-1); next !== undefined; next = replacing.at(-1)) {
      const value = make(next, engine);
      next.put(value);
      value.dispose();
      replacing.pop();
      done += 1;
    }
    for (const { placement, value } of made) placement.put(value);
  } catch (cause) {
    throw failure(cause, done, [...made.map(({ placement }) => placement), ...replacing], context);
  } finally {
    for (const { value } of made) value.dispose();
  }
}

function make({ stored, place, name }: Placement, engine: Engine): Tensor {
  return toTensor(stored, place, name, engine);
}

/** From the smallest to the largest; complex ones, for which a backend may have no kernel, come behind all others. */
function lastIsFirst(a: Placement, b: Placement): number {
  const isComplex = ({ place: { dtype } }: Placement) => Number(dtype === 'complex64');
  return isComplex(a) - isComplex(b) || a.stored.byteLength - b.stored.byteLength;
}

function failure(cause: unknown, done: number, left: readonly Placement[], { checkpoint, where }: PlacementContext): HoldfastError {
  const why = String((cause as Error | undefined)?.message ?? cause);
  const tensors = left.map(({ name }) => name);
  if (done === 0) {
    return new HoldfastError(
      'ERR_MODEL',
      `The backend cannot make the tensors of ${checkpoint}: ${why}. Nothing in ${where} was changed. Is there room in its memory?`,
      { checkpoint, tensors, cause },
    );
  }
  return new HoldfastError(
    'ERR_HALF_RESTORED',
    `The backend failed after ${done} tensors of ${checkpoint} were put into ${where}: ${why}. ${where[0]?.toUpperCase()}${where.slice(1)} now has values of two ` +
      'moments and must not be trained or saved: restore again, or end the process.',
    { checkpoint, tensors, cause },
  );
}

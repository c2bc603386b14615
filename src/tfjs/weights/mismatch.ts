/** Whether the tensors of a checkpoint are those that there is room for. */
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import { isAlike, matchTensors, type TensorMatch, type TensorShape } from '../../format/match-tensors.js';
import { type TensorPlace, toDtype } from '../tensors/tensors.js';

/** What is wrong, one line per tensor. */
export interface Mismatch {
  readonly tensor: string;
  readonly what: string;
}

/** What fits and what does not. */
export interface Comparison {
  readonly match: TensorMatch;
  /** A line for people for all that does not fit. */
  readonly mismatches: readonly Mismatch[];
}

/** What the file of a checkpoint cannot say. */
export interface ComparisonOptions {
  /** Shapes of string tensors, which are stored as bytes, by their name in the checkpoint. */
  readonly strings?: ReadonlyMap<string, readonly number[]>;
  /** For the name of a place that in the checkpoint. Default: the same. */
  readonly rename?: (name: string) => string;
  /** What the places are in. */
  readonly where: string;
}

/** A tensor, or room for one. */
interface Kind extends TensorShape {
  readonly isString: boolean;
}

/** Compares names, shapes and dtypes. Throws `ERR_MODEL` for a place of a dtype that is not known. */
export function compareTensors(
  kind: string,
  stored: ReadonlyMap<string, RestoredTensor>,
  places: ReadonlyMap<string, TensorPlace>,
  { strings = new Map(), rename = (name) => name, where }: ComparisonOptions,
): Comparison {
  const wanted = new Map<string, Kind>();
  for (const [name, { dtype, shape }] of places) wanted.set(name, { dtype: toDtype(dtype, name), shape, isString: dtype === 'string' });
  const there = new Map<string, Kind>();
  for (const [name, { dtype, shape }] of stored) {
    there.set(name, { dtype, shape: strings.get(name) ?? shape, isString: strings.has(name) });
  }
  // Bytes are no strings, although strings are stored as bytes.
  const match = matchTensors(wanted, there, rename, (a, b) => isAlike(a, b) && a.isString === b.isString);
  const quoted = (name: string) => `${kind} ${JSON.stringify(name)}`;
  const mismatches = [
    ...match.missing.map((tensor) => ({ tensor, what: `missing from the checkpoint: ${quoted(tensor)}${hintOf(tensor, rename, match)}` })),
    ...match.wrong.map(({ name: tensor }) => {
      const has = words(there.get(rename(tensor)) as Kind);
      const wants = words(wanted.get(tensor) as Kind);
      return { tensor, what: `different: ${quoted(tensor)} is ${has} in the checkpoint and ${wants} in ${where}` };
    }),
    ...match.extra.map((tensor) => ({ tensor, what: `only in the checkpoint: ${quoted(tensor)}` })),
  ];
  return { match, mismatches };
}

/** Under which name it was looked for, and under which it may be there. */
function hintOf(name: string, rename: (name: string) => string, { perhaps }: TensorMatch): string {
  const from = rename(name);
  const guess = perhaps.find((each) => each.name === name)?.from;
  const sought = from === name ? '' : `, looked for as ${JSON.stringify(from)}`;
  return guess === undefined ? sought : `${sought}, perhaps renamed from ${JSON.stringify(guess)}`;
}

function words({ dtype, shape, isString }: Kind): string {
  return `${isString ? 'string' : dtype} [${shape.join(', ')}]`;
}

const MAX_LINES = 20;

/** The error that lists all of them. */
export function mismatchError(
  checkpoint: string,
  mismatches: readonly Mismatch[],
  { where, hint = '', summary = `does not fit ${where}` }: { where: string; hint?: string; summary?: string },
): HoldfastError {
  const lines = mismatches.slice(0, MAX_LINES).map(({ what }) => `  ${what}`);
  if (mismatches.length > MAX_LINES) lines.push(`  … and ${mismatches.length - MAX_LINES} more`);
  return new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `${checkpoint} ${summary}; nothing in ${where} was changed.\n${lines.join('\n')}${hint === '' ? '' : `\n${hint}`}`,
    { checkpoint, tensors: mismatches.map(({ tensor }) => tensor) },
  );
}

/** Do the tensors of a checkpoint fit what a program expects? */
import type { Dtype } from './dtype.js';

/** A tensor as a program has it, or as a checkpoint does. */
export interface TensorShape {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** What fits and what does not. Names are those that were expected, but in `extra` and `from`. */
export interface TensorMatch {
  readonly matched: readonly string[];
  /** Matched under another name, as `rename` said. */
  readonly renamed: readonly { readonly name: string; readonly from: string }[];
  /** Expected, and not in the checkpoint. */
  readonly missing: readonly string[];
  /** In the checkpoint, and not expected. */
  readonly extra: readonly string[];
  /** In both, with another dtype or shape. */
  readonly wrong: readonly { readonly name: string; readonly expected: TensorShape; readonly actual: TensorShape }[];
  /** Missing and extra ones that are alike in dtype, shape and the end of their name, and no others are: perhaps the same tensor, renamed. Nothing is taken from them. */
  readonly perhaps: readonly { readonly name: string; readonly from: string }[];
}

/** Matches by name; `rename` says which name in the checkpoint an expected one has there, `fits` whether one can take the other's place. */
export function matchTensors<Tensor extends TensorShape>(
  expected: ReadonlyMap<string, Tensor>,
  stored: ReadonlyMap<string, Tensor>,
  rename: (name: string) => string,
  fits: (expected: Tensor, stored: Tensor) => boolean = isAlike,
): TensorMatch {
  const matched: string[] = [];
  const renamed: { name: string; from: string }[] = [];
  const missing: string[] = [];
  const wrong: { name: string; expected: TensorShape; actual: TensorShape }[] = [];
  const used = new Set<string>();
  for (const [name, wanted] of expected) {
    const from = rename(name);
    const found = stored.get(from);
    if (found === undefined) {
      missing.push(name);
      continue;
    }
    used.add(from);
    if (!fits(wanted, found)) wrong.push({ name, expected: shapeOf(wanted), actual: shapeOf(found) });
    else if (from === name) matched.push(name);
    else renamed.push({ name, from });
  }
  const extra = [...stored.keys()].filter((name) => !used.has(name));
  return { matched, renamed, missing, extra, wrong, perhaps: guess(missing, extra, expected, stored) };
}

/** Whether every tensor that was expected is there, and no other. */
export function isComplete({ missing, extra, wrong }: TensorMatch): boolean {
  return missing.length === 0 && extra.length === 0 && wrong.length === 0;
}

/** For people, a line per difference. */
export function describeMatch({ missing, extra, wrong, perhaps }: TensorMatch): string[] {
  const guesses = new Map(perhaps.map(({ name, from }) => [name, from]));
  const words = ({ dtype, shape }: TensorShape) => `${dtype} [${shape.join(', ')}]`;
  const quoted = (name: string) => JSON.stringify(name);
  return [
    ...missing.map((name) => {
      const from = guesses.get(name);
      return `missing: ${quoted(name)}${from === undefined ? '' : `, perhaps renamed from ${quoted(from)}`}`;
    }),
    ...wrong.map(({ name, expected, actual }) => `wrong: ${quoted(name)} is ${words(actual)}, and ${words(expected)} is expected`),
    ...extra.map((name) => `extra: ${quoted(name)}`),
  ];
}

/** Whether dtype and shape are the same. */
export function isAlike(a: TensorShape, b: TensorShape): boolean {
  return a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((size, i) => size === b.shape[i]);
}

function shapeOf({ dtype, shape }: TensorShape): TensorShape {
  return { dtype, shape };
}

function guess(
  missing: readonly string[],
  extra: readonly string[],
  expected: ReadonlyMap<string, TensorShape>,
  stored: ReadonlyMap<string, TensorShape>,
): { name: string; from: string }[] {
  const keyOf = (name: string, { dtype, shape }: TensorShape) => JSON.stringify([dtype, shape, name.slice(name.search(/[^/.]*$/))]);
  const groups = new Map<string, { names: string[]; from: string[] }>();
  const groupOf = (key: string) => {
    const group = groups.get(key) ?? { names: [], from: [] };
    groups.set(key, group);
    return group;
  };
  for (const name of missing) groupOf(keyOf(name, expected.get(name) as TensorShape)).names.push(name);
  for (const name of extra) groupOf(keyOf(name, stored.get(name) as TensorShape)).from.push(name);
  return [...groups.values()].flatMap(({ names, from }) =>
    names.length === 1 && from.length === 1 ? [{ name: names[0] as string, from: from[0] as string }] : [],
  );
}

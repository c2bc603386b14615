/** What a program expects of a checkpoint's tensors. */
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import type { OpenFilesOptions } from '../catalog/open-files.js';
import { HoldfastError } from '../errors.js';
import { isDtype } from '../format/dtype.js';
import type { Manifest } from '../format/manifest.js';
import { describeMatch, isComplete, matchTensors, type TensorMatch, type TensorShape } from '../format/match-tensors.js';
import { CheckpointReader } from './checkpoint-reader.js';
import { oneOf, show } from './options.js';

const MAX_LINES = 20;

/** By name, or one after another. */
export type ExpectedTensors = Readonly<Record<string, TensorShape>> | Iterable<TensorShape & { readonly name: string }>;

/** For names in a program those in a checkpoint; the rest have the same. */
export type Renaming = Readonly<Record<string, string>> | ((name: string) => string);

/** What a checkpoint must have, and what becomes of the rest. */
export interface Expectation {
  readonly tensors: ReadonlyMap<string, TensorShape>;
  readonly mode: 'strict' | 'weak';
  readonly rename: (name: string) => string;
}

/** What `expect`, `mode` and `rename` ask for, checked. Throws `ERR_INVALID_ARGUMENT`. */
export function toExpectation(
  expect: ExpectedTensors | undefined,
  mode: 'strict' | 'weak',
  rename: Renaming | undefined,
): Expectation | undefined {
  oneOf('mode', mode, ['strict', 'weak']);
  if (expect === undefined) {
    if (mode === 'strict' && rename === undefined) return undefined;
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'mode and rename need expect: the tensors that the program has, by name, dtype and shape.',
    );
  }
  const listed = Symbol.iterator in expect ? [...expect].map((each) => [each.name, each] as const) : Object.entries(expect);
  for (const [name, tensor] of listed) {
    if (typeof name === 'string' && isDtype(tensor?.dtype) && Array.isArray(tensor.shape)) continue;
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `expect has no dtype and shape for the tensor ${JSON.stringify(name)}.`);
  }
  return { tensors: new Map(listed), mode, rename: toRenaming(rename) };
}

/** For an expected name the one in the checkpoint. Throws `ERR_INVALID_ARGUMENT`, also later for what a function gives. */
export function toRenaming(rename: Renaming | undefined): (name: string) => string {
  if (rename === undefined) return (name) => name;
  if (typeof rename !== 'function' && (typeof rename !== 'object' || rename === null)) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'rename must be the names in the checkpoint by the expected ones, or a function from one to the other.',
    );
  }
  return (name) => {
    const from: unknown = typeof rename === 'function' ? rename(name) : Object.hasOwn(rename, name) ? rename[name] : name;
    if (typeof from === 'string') return from;
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `rename gives ${show(from)} for ${JSON.stringify(name)}; it must give a name.`);
  };
}

/** Compares what is expected with the heads of the files. Throws `ERR_MODEL_MISMATCH` in strict mode. */
export async function matchCheckpoint(
  info: CheckpointInfo,
  manifest: Manifest,
  { tensors, mode, rename }: Expectation,
  context: OpenFilesOptions,
): Promise<TensorMatch> {
  const reader = await CheckpointReader.open(info, manifest, context);
  const stored: ReadonlyMap<string, TensorShape> = reader.tensors;
  await reader.close();
  const match = matchTensors(tensors, stored, rename);
  if (mode === 'weak' || isComplete(match)) return match;
  const lines = describeMatch(match);
  const shown = lines.slice(0, MAX_LINES).map((line) => `  ${line}`);
  if (lines.length > MAX_LINES) shown.push(`  … and ${lines.length - MAX_LINES} more`);
  throw new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `The tensors of ${info.name} are not those that are expected:\n${shown.join('\n')}\nGive rename for those with other names, or mode: "weak" to restore what fits.`,
    { checkpoint: info.name, tensors: [...match.missing, ...match.wrong.map(({ name }) => name), ...match.extra] },
  );
}

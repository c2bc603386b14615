/** Variables of the caller's own, as those have who train with core operations. */
import type { Variable } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { NamedWeight, Weights } from '../weights/weights.js';

/**
 * Variables to save or restore: by the names that they have in checkpoints, or as a list of variables that were given names of their own
 * (`tf.variable(value, true, 'embedding')`).
 */
export type Variables = Readonly<Record<string, Variable>> | ReadonlyMap<string, Variable> | readonly Variable[];

/**
 * Variables in the caller's order. Throws `ERR_INVALID_ARGUMENT` for what is no variable, has no name, or is there twice; `ERR_MODEL` for
 * one that is disposed.
 */
export function weightsOfVariables(variables: Variables): Weights {
  const all = entriesOf(variables).map(([name, variable]) => toNamedWeight(name, variable));
  if (all.length === 0) throw invalid('There are no variables.');
  const nameOf = new Map<string, string>();
  const names = new Set<string>();
  for (const { name, variableName } of all) {
    const other = nameOf.get(variableName);
    if (other !== undefined && other !== name) {
      throw invalid(`${quote(other)} and ${quote(name)} are one variable. Give it once: restoring would assign it twice.`, [other, name]);
    }
    if (names.has(name)) throw invalid(`Two variables are named ${quote(name)}.`, [name]);
    nameOf.set(variableName, name);
    names.add(name);
  }
  return { kind: 'variables', all, trained: undefined, optimizer: undefined };
}

function entriesOf(variables: unknown): [string, unknown][] {
  if (Array.isArray(variables)) return variables.map((variable, i) => [ownName(variable, i), variable]);
  if (variables instanceof Map) return [...variables];
  const prototype = typeof variables === 'object' && variables !== null ? Object.getPrototypeOf(variables) : undefined;
  if (prototype === Object.prototype || prototype === null) return Object.entries(variables as object);
  throw invalid('Give variables as { name: tf.Variable }, as a Map, or as a list of variables that have names.');
}

/** The name that a variable was given. What tfjs names itself is a number, which another run need not give it. */
function ownName(variable: unknown, index: number): string {
  const { name } = (variable ?? {}) as { name?: unknown };
  if (typeof name === 'string' && !/^\d+$/.test(name)) return name;
  throw invalid(
    isVariable(variable)
      ? `Variable ${index} of the list has no name of its own: give it one (tf.variable(value, true, 'name')), or give { name: variable }.`
      : `Entry ${index} of the list is no tf.Variable.`,
  );
}

function toNamedWeight(name: unknown, variable: unknown): NamedWeight {
  if (typeof name !== 'string' || name === '')
    throw invalid(`The name of a variable must be a text that is not empty, not ${String(name)}.`);
  if (!isVariable(variable)) {
    const isWeight = typeof (variable as { read?: unknown } | null | undefined)?.read === 'function';
    const isTensor = typeof (variable as { dataSync?: unknown } | null | undefined)?.dataSync === 'function';
    const advice = isWeight
      ? ' It is a weight of a layer: give weight.read().'
      : isTensor
        ? ' It is a tensor: give tf.variable(tensor).'
        : '';
    throw invalid(`${quote(name)} is no tf.Variable.${advice}`, [name]);
  }
  if (!variable.isDisposed) return { name, variableName: variable.name, variable };
  throw new HoldfastError('ERR_MODEL', `The variable ${quote(name)} is disposed.`, { tensors: [name] });
}

/** As tfjs itself tells: other copies of it in the process have a class of their own. */
function isVariable(value: unknown): value is Variable {
  const { assign, dataId, name } = (value ?? {}) as Partial<Variable>;
  return typeof assign === 'function' && typeof dataId === 'object' && typeof name === 'string';
}

function quote(name: string): string {
  return JSON.stringify(name);
}

function invalid(message: string, tensors: readonly string[] = []): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', message, tensors.length === 0 ? {} : { tensors });
}

/** Policies by name: as data they can be sent to other threads. */
import { HoldfastError } from '../../errors.js';
import type { ControllerOptions } from '../controller.js';
import { controlled } from './controlled.js';
import { type FormulaName, fixed, formula, oracle, type SimulatedPolicy } from './policy.js';

/** A policy as data. `name` is what it is called in results. */
export type PolicySpec =
  | { readonly kind: 'fixed'; readonly interval_s: number; readonly name?: string }
  | { readonly kind: FormulaName; readonly name?: string }
  | { readonly kind: 'oracle'; readonly name?: string }
  | { readonly kind: 'auto'; readonly options?: ControllerOptions; readonly name?: string };

type Kind = PolicySpec['kind'];

/** What makes the policy of a specification. A new kind of policy has its place here and in {@link PolicySpec}, and nowhere else. */
const POLICIES: { readonly [K in Kind]: (spec: Extract<PolicySpec, { readonly kind: K }>) => SimulatedPolicy } = {
  fixed: ({ interval_s, name }) => fixed(interval_s, name),
  young: () => formula('young'),
  dalyFirst: () => formula('dalyFirst'),
  dalyHigher: () => formula('dalyHigher'),
  exact: () => formula('exact'),
  oracle: () => oracle(),
  auto: ({ options }) => controlled(options),
};

/** Every kind that there is. */
export const POLICY_KINDS = Object.keys(POLICIES) as readonly Kind[];

/** The policy of a specification. Throws `ERR_INVALID_ARGUMENT` for a kind that does not exist. */
export function policyOf(spec: PolicySpec): SimulatedPolicy {
  if (!Object.hasOwn(POLICIES, spec?.kind)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `There is no policy "${String(spec?.kind)}". There are ${POLICY_KINDS.join(', ')}.`);
  }
  const policy = (POLICIES[spec.kind] as (given: PolicySpec) => SimulatedPolicy)(spec);
  return spec.name === undefined ? policy : { ...policy, name: spec.name };
}

/** tfjs' record of how a model was compiled, with the one thing added that it leaves out. */
import type { Json } from '../format/state.js';

/** Names of losses that are functions: whoever compiles again from the record must have them, and stock tfjs does not. */
export function lossFunctionsOf(trainingConfig: Json | object): readonly string[] {
  const { lossFunctions } = (trainingConfig ?? {}) as { readonly lossFunctions?: unknown };
  return Array.isArray(lossFunctions) ? lossFunctions : [];
}

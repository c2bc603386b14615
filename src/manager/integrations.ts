/** What integrations add to a manager: this layer knows none of them. */

/**
 * Methods of a manager that are there once an integration is imported, such as `callback` of holdfast/tfjs. Each declares its own here. Not the class itself is
 * added to: TypeScript then loses members of it that are named by a symbol.
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be added to.
export interface ManagerIntegrations {}

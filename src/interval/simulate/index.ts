/** A job that fails, simulated: what a policy for the checkpoint interval would have been worth. Pure, and the same for the same seed. */
export {
  type CompleteJob,
  completeJob,
  DEFAULT_WALL_S,
  type Failures,
  type PoissonFailures,
  type SimulatedJob,
  type TraceFailures,
  type WeibullFailures,
} from './job.js';
export type { LostSeconds, SimulatedRun } from './outcome.js';
export { type FormulaName, fixed, formula, oracle, type PolicyRun, type SimulatedPolicy } from './policy.js';
export { POLICY_KINDS, type PolicySpec, policyOf } from './registry.js';
export { SCENARIOS, type Scenario } from './scenarios.js';
export { type PolicyRuns, type RunSums, type SimulateOptions, simulate, simulateRuns } from './simulate.js';
export { type PolicySummary, predictedFraction, type RunsSummary, summarisePolicy, summariseRuns } from './summary.js';
export type { Drift, Steps, Varying } from './varying.js';

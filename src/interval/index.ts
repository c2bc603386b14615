/** The mathematics of the checkpoint interval: pure functions, in seconds. */
export {
  type ControllerOptions,
  type CostEstimate,
  DEFAULT_MAX_INTERVAL_S,
  IntervalController,
  type IntervalDecision,
  type IntervalReason,
  type ObservedSave,
} from './controller.js';
export {
  type CostModel,
  type CostPrediction,
  type CostSample,
  type CostShape,
  type Estimate,
  estimateMean,
  fitCost,
} from './cost-model.js';
export { countedMtbf_s } from './counted-failures.js';
export {
  type AsynchronousCase,
  type CostsOfRun,
  type CurvePoint,
  type CurveRange,
  expectedAt,
  expectedCurve,
  type SynchronousCase,
  usefulFraction,
  wallPerWork,
  withinShare_s,
} from './expected.js';
export { type ExpectedInterval, explainInterval, type IntervalExplanation, type IntervalSurroundings } from './explain.js';
export { DEFAULT_PRIOR, FailureEstimate, type FailurePrior, type MtbfEstimate } from './failure-estimate.js';
export { type FailureRate, mtbfOf_s, YEAR_S } from './failures.js';
export {
  type BackgroundSave,
  budgetFloor_s,
  costWithWait_s,
  effectiveCost_s,
  inFlightFloor_s,
  type PccheckTimes,
  pccheckFrequency,
  type SavesInFlight,
} from './floors.js';
export { formatDuration_s } from './format-duration.js';
export { formatShare } from './format-share.js';
export type { Binding, IntervalLimits } from './limits.js';
export { lostPerFailure_s, type OverheadParts, overheadParts } from './losses.js';
export {
  type AvailabilityTimes,
  availabilityInterval_s,
  dalyFirstInterval_s,
  dalyHigherInterval_s,
  exactInterval_s,
  type SaveAndFailure,
  youngInterval_s,
} from './optimal.js';
export type { LifeSoFar, RunMtbfEstimate } from './run-failures.js';
export {
  type CompleteJob,
  completeJob,
  DEFAULT_WALL_S,
  type Drift,
  type Failures,
  type FormulaName,
  fixed,
  formula,
  type LostSeconds,
  oracle,
  POLICY_KINDS,
  type PoissonFailures,
  type PolicyRun,
  type PolicyRuns,
  type PolicySpec,
  type PolicySummary,
  policyOf,
  predictedFraction,
  type RunSums,
  type RunsSummary,
  SCENARIOS,
  type Scenario,
  type SimulatedJob,
  type SimulatedPolicy,
  type SimulatedRun,
  type SimulateOptions,
  type Steps,
  simulate,
  simulateRuns,
  summarisePolicy,
  summariseRuns,
  type TraceFailures,
  type Varying,
  type WeibullFailures,
} from './simulate/index.js';

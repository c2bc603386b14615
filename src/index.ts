export type { CheckpointInfo } from './catalog/checkpoint.js';
export type { TensorMemory, WantedTensor } from './catalog/destinations.js';
export { RestoredTensor } from './catalog/tensor.js';
export type { Problem, VerifyReport } from './catalog/verify.js';
export type { ConvertKind } from './convert/contents.js';
export { type ConvertDtype, type ConvertOptions, type ConvertReport, convert } from './convert/convert.js';
export type { NameMap, RenamedTensor } from './convert/name-map.js';
export type { CheckpointChoice } from './convert/open-checkpoint.js';
export type { DirectIo, EngineName } from './engine/contract.js';
export type { Progress } from './engine/progress.js';
export { ERROR_CODES, type ErrorCode, type ErrorDetails, HoldfastError, isHoldfastError, type SkippedCheckpoint } from './errors.js';
export { Experiment, type ExperimentOptions, openExperiment } from './experiment/experiment.js';
export type { History } from './experiment/history.js';
export type {
  ClosedRecord,
  ConfigRecord,
  IntervalRecord,
  LoggedRecord,
  LogRecord,
  LogValue,
  RestoredRecord,
  SavedRecord,
  SaveFailedRecord,
  StartedRecord,
  TrainingRecord,
} from './experiment/records.js';
export type { JsonDifference } from './format/compare-json.js';
export type { ValueDifference } from './format/compare-values.js';
export type { Dtype, TensorArray } from './format/dtype.js';
export type { TensorFilePlan, TensorRole } from './format/layout.js';
export type { Contents, ManifestMonitor } from './format/manifest.js';
export type { TensorMatch, TensorShape } from './format/match-tensors.js';
export type { TensorEntry } from './format/safetensors.js';
export type { Json, RunState } from './format/state.js';
export { type NameTemplate, type NameValues, parseNameTemplate } from './format/template.js';
export type {
  ControllerOptions,
  CostEstimate,
  IntervalDecision,
  IntervalReason,
} from './interval/controller.js';
export type { ExpectedInterval, IntervalExplanation } from './interval/explain.js';
export type { FailurePrior, MtbfEstimate } from './interval/failure-estimate.js';
export type { CheckpointReader, ReadTensorOptions, StoredTensor } from './manager/checkpoint-reader.js';
export {
  type Description,
  describePath,
  type ListedCheckpoint,
  listDirectory,
  type TensorDescription,
  type VerifyPathOptions,
  verifyPath,
} from './manager/describe.js';
export { type DiffOptions, diffPaths } from './manager/diff.js';
export type {
  AttachmentSum,
  Both,
  ChangedTensor,
  DiffReport,
  DiffSide,
  DiffTensor,
  LoneTensor,
  MetadataDiff,
  NamedDifference,
  TensorsDiff,
} from './manager/diff-report.js';
export type { ManagerEvents, PreemptionReport } from './manager/events.js';
export type { ExpectedTensors } from './manager/expectation.js';
export type { ManagerIntegrations } from './manager/integrations.js';
export type { IntervalChange, RunInterval } from './manager/interval.js';
export { CheckpointManager, type CloseOptions } from './manager/manager.js';
export type { CallOptions, OpenOptions, Priority, WhenBusy } from './manager/options.js';
export type { PreemptionHandle, PreemptionOptions } from './manager/preemption.js';
export { type PrunedCheckpoint, type PruneOptions, type PruneReport, pruneDirectory } from './manager/prune.js';
export { type RepairOptions, type RepairReport, repairDirectory } from './manager/repair.js';
export type { LeftAlone, RepairAction, RepairProblem } from './manager/repair-plan.js';
export type { Restored, RestoreOptions, ReusedMemory } from './manager/restore.js';
export type { SaveResult, SaveSeconds } from './manager/save.js';
export type { AsyncSaveRequest, Attachment, SaveRequest } from './manager/save-request.js';
export type { PendingSave, SaveCounts } from './manager/saver.js';
export type { Costly, OrFunctions, Position, StepContents, StepRequest, StepResult } from './manager/stepper.js';
export type { RestoreTarget, WantedContents } from './manager/target.js';
export type { WatchOptions } from './manager/watch.js';
export { type AutoOptions, type AutoPrior, auto } from './policy/auto.js';
export type { MetricMode, Monitor } from './policy/best.js';
export type { Duration } from './policy/duration.js';
export type { PolicyEntry } from './policy/entry.js';
export { type KeepBestOptions, keep } from './policy/keep.js';
export type { PreemptionDecision } from './policy/preemption.js';
export type { RetentionContext, RetentionRule } from './policy/retention.js';
export {
  allOf,
  anyOf,
  at,
  every,
  type ImprovementOptions,
  type IntervalFacts,
  type IntervalNeeds,
  on,
  type PreemptionNeeds,
  type Trigger,
  type TriggerFacts,
  type TriggerNeeds,
} from './policy/trigger.js';
export type { SaveEvent, SaverEvents } from './saver/events.js';
export type { AcceptedSave, PendingSaveOf, SkippedSave } from './saver/pending.js';
export type { StreamedData, TensorData, TensorInput, TensorInputs } from './snapshot/source.js';
export { type ShowProgressOptions, showProgress } from './terminal/show-progress.js';
export { VERSION } from './version.js';

export { BestNCheckpoints, type BestNCheckpointsOptions } from './callbacks/best-n-checkpoints.js';
export { FitCallback, type FitParams } from './callbacks/callback.js';
export { EarlyStopping, type EarlyStoppingOptions } from './callbacks/early-stopping.js';
export type { FitParticipant } from './callbacks/fit.js';
export type { Logs } from './callbacks/logs.js';
export { ManagerCallback, type ManagerCallbackOptions } from './callbacks/manager-callback.js';
export { ModelCheckpoint, type ModelCheckpointOptions } from './callbacks/model-checkpoint.js';
export type { MonitorOptions } from './callbacks/monitored.js';
export { PeriodicCheckpoint, type PeriodicCheckpointOptions } from './callbacks/periodic-checkpoint.js';
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from './callbacks/reduce-lr-on-plateau.js';
export { SavingCallback } from './callbacks/saving-callback.js';
export type { SavedState, SavingOptions } from './callbacks/saving-options.js';
export { isStateful, type StatefulCallback } from './callbacks/stateful.js';
export { TerminateOnNaN, type TerminateOnNaNOptions } from './callbacks/terminate-on-nan.js';
export { TrainingState, type TrainingStateOptions } from './callbacks/training-state.js';
export { TriggeredCheckpoint } from './callbacks/triggered-checkpoint.js';
export type { Tf } from './engine.js';
export { type HandlerOpenOptions, type HandlerOptions, type HandlerSaveResult, holdfastHandler } from './io/handler.js';
export { type RegisterOptions, registerHoldfast } from './io/register.js';
export { type CustomClass, type LoadedModel, type LoadModelOptions, loadModel } from './model/load-model.js';
export { type RestoredModel, type RestoreModelOptions, restoreModel } from './model/restore-model.js';
export { type SaveModelAsyncOptions, type SaveModelOptions, saveModel, saveModelAsync } from './model/save-model.js';
export { type StepModelOptions, stepModel } from './model/step-model.js';
export type { LossOrMetric } from './model/training-config.js';
export { type PreflightOptions, type PreflightReport, preflight } from './preflight/preflight.js';
export type { PreflightError, PreflightProblem, PreflightWarning } from './preflight/problem.js';
export { BackupAndRestore, type BackupAndRestoreOptions } from './resume/backup-and-restore.js';
export { type CursorBatch, DataCursor, type DataCursorOptions } from './resume/data-cursor.js';
export type { ArrayData } from './resume/facts.js';
export type { BatchIterator, DatasetFactory, DatasetLike, EpochOfData } from './resume/pipeline.js';
export { installRandom, type RunRandom } from './resume/random.js';
export { type ResumableOptions, resumable } from './resume/resumable.js';
export type { FitData, ResumableRun } from './resume/run.js';
export type { Hold } from './tensors/capture-tensor.js';
export { type RestoredVariables, type RestoreVariablesOptions, restoreVariables } from './variables/restore-variables.js';
export {
  type SaveVariablesAsyncOptions,
  type SaveVariablesOptions,
  type StepVariablesOptions,
  saveVariables,
  saveVariablesAsync,
  stepVariables,
} from './variables/save-variables.js';
export type { Variables } from './variables/variables.js';

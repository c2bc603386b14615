export type { Hold } from './capture-tensor.js';
export type { Tf } from './engine.js';
export { type CustomClass, type LoadedModel, type LoadModelOptions, loadModel } from './load-model.js';
export { type PreflightOptions, type PreflightReport, preflight } from './preflight/preflight.js';
export type { PreflightError, PreflightProblem, PreflightWarning } from './preflight/problem.js';
export { type RestoredModel, type RestoreModelOptions, restoreModel } from './restore-model.js';
export { type RestoredVariables, type RestoreVariablesOptions, restoreVariables } from './restore-variables.js';
export { type SaveModelAsyncOptions, type SaveModelOptions, saveModel, saveModelAsync } from './save-model.js';
export {
  type SaveVariablesAsyncOptions,
  type SaveVariablesOptions,
  type StepVariablesOptions,
  saveVariables,
  saveVariablesAsync,
  stepVariables,
} from './save-variables.js';
export { type StepModelOptions, stepModel } from './step-model.js';
export type { LossOrMetric } from './training-config.js';
export type { Variables } from './variables.js';

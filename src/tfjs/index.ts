export type { Hold } from './capture-tensor.js';
export type { Tf } from './engine.js';
export { type CustomClass, type LoadedModel, type LoadModelOptions, loadModel } from './load-model.js';
export { type RestoredModel, type RestoreModelOptions, restoreModel } from './restore-model.js';
export { installRandom, type RunRandom } from './resume/random.js';
export { type ResumableOptions, resumable } from './resume/resumable.js';
export type { FitData, ResumableRun } from './resume/run.js';
export { type SaveModelAsyncOptions, type SaveModelOptions, saveModel, saveModelAsync } from './save-model.js';
export { type StepModelOptions, stepModel } from './step-model.js';

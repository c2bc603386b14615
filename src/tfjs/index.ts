export type { Tf } from './engine.js';
export { type CustomClass, type LoadedModel, type LoadModelOptions, loadModel } from './load-model.js';
export { type RestoredModel, type RestoreModelOptions, restoreModel } from './restore-model.js';
export { type SaveModelOptions, saveModel } from './save-model.js';

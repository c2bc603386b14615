/** Whether a model can be compiled again as it was. */
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import type { CapturedTraining } from '../model/training-config.js';
import type { Warning } from './problem.js';
import { readArguments, reasonOf, type TrialArguments, tryCompile } from './trial.js';

/** Tries what was captured of a compiled model; to be called `withoutTrace`. */
export function tryTraining(model: LayersModel, { config, warning, lossFunctions }: CapturedTraining): Warning[] {
  if (config === null)
    return warning === undefined
      ? []
      : [{ problem: lossFunctions.length > 0 ? 'function-loss' : 'not-compilable', message: warning, names: lossFunctions }];
  const found: Warning[] = warning === undefined ? [] : [{ problem: 'function-loss', message: warning, names: lossFunctions }];
  let args: TrialArguments;
  try {
    args = readArguments(model, config as object);
  } catch (error) {
    const className = model.optimizer.getClassName();
    const message = `loadModel cannot make the optimizer ${className}: ${reasonOf(error).text.replace('the layer ', '')} Give it the option "compile".`;
    return [...found, { problem: 'not-compilable', message, names: [className] }];
  }
  try {
    return [...found, ...(lossFunctions.length > 0 ? [] : tryLosses(model, args)), ...tryMetrics(model, args)];
  } finally {
    args.optimizer.dispose();
    // Momentum's own dispose leaves one.
    for (const field of Object.values(args.optimizer)) if (isAlive(field)) field.dispose();
  }
}

function isAlive(field: unknown): field is Tensor {
  return typeof field === 'object' && field !== null && 'dataId' in field && !(field as Tensor).isDisposed;
}

function tryLosses(model: LayersModel, { loss, optimizer }: TrialArguments): Warning[] {
  const reason = failure(() => tryCompile(model, { loss, optimizer }));
  if (reason === undefined) return [];
  const message = `loadModel cannot compile the model with its loss, ${JSON.stringify(loss)}: ${reason} Give it the option "compile".`;
  return [{ problem: 'unknown-loss', message, names: namesIn(loss) }];
}

function tryMetrics(model: LayersModel, { metrics, optimizer }: TrialArguments): Warning[] {
  return [...new Set(namesIn(metrics))].flatMap((name): Warning[] => {
    // The loss has been tried.
    const reason = failure(() => tryCompile(model, { loss: model.outputs.map(() => 'meanSquaredError'), metrics: [name], optimizer }));
    if (reason === undefined) return [];
    const message = `loadModel cannot find the metric ${JSON.stringify(name)}: ${reason} Give it the function ({ customObjects: { ${name === '' ? 'myMetric' : name} } }), or the option "compile".`;
    return [{ problem: 'unknown-metric', message, names: [name] }];
  });
}

function failure(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return reasonOf(error).text;
  }
}

function namesIn(names: unknown): string[] {
  if (typeof names === 'string') return [names];
  return typeof names === 'object' && names !== null ? Object.values(names).flatMap(namesIn) : [];
}

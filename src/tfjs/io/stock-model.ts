/** A layers model that stock tfjs saved, loaded as one of ours is. */
import path from 'node:path';
import type { io, LayersModel, ModelCompileArgs } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Tf } from '../engine.js';
import type { RestoredModel } from '../model/restore-model.js';
import { toArtifacts, warnOfStockLoss } from './load-artifacts.js';
import { readStockWeights, type StockModel } from './stock-directory.js';

/** How it is loaded. */
export interface StockOptions {
  readonly tf: Tf;
  readonly compile: ModelCompileArgs | undefined;
  readonly includeOptimizer: boolean | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Throws what reading throws, and `ERR_MODEL` where tfjs cannot build it. */
export async function loadStockModel(
  stock: StockModel,
  { tf, compile, includeOptimizer = true, signal }: StockOptions,
): Promise<RestoredModel & { model: LayersModel; compiled: boolean }> {
  const { file, document, savedAt } = stock;
  if (document.format === 'graph-model') {
    throw new HoldfastError(
      'ERR_MODEL',
      `${file} is a graph model, which has no layers. Load it with tf.loadGraphModel(holdfastHandler(…)).`,
      { path: file },
    );
  }
  const weights = await readStockWeights(stock, signal);
  const ofOptimizer = weights.filter(({ spec }) => spec.group === 'optimizer');
  const ofModel = weights.filter(({ spec }) => spec.group !== 'optimizer');
  const isCompiled = includeOptimizer && compile === undefined && document.trainingConfig != null;
  const hasOptimizer = isCompiled && ofOptimizer.length > 0;
  if (includeOptimizer && compile !== undefined && ofOptimizer.length > 0) {
    process.emitWarning(`${file}: the state of the optimizer is left out, since the model is compiled anew.`, 'HoldfastWarning');
  }
  if (hasOptimizer) warnOfStockLoss(stock, weights);
  const trainingConfig = isCompiled ? document.trainingConfig : null;
  const artifacts = toArtifacts({ ...document, trainingConfig }, hasOptimizer ? [...ofModel, ...ofOptimizer] : ofModel);
  const model = await build(tf, file, artifacts);
  if (compile !== undefined) model.compile(compile);
  const names = ofModel.map(({ spec }) => spec.name);
  return {
    ...about(file, savedAt, hasOptimizer ? model.optimizer.iterations : 0),
    ...{ model, compiled: isCompiled || compile !== undefined, optimizerRestored: hasOptimizer },
    match: { matched: names, renamed: [], missing: [], extra: [], wrong: [], perhaps: [] },
  };
}

async function build(tf: Tf, file: string, artifacts: io.ModelArtifacts): Promise<LayersModel> {
  try {
    return await tf.loadLayersModel({ load: async () => artifacts });
  } catch (cause) {
    throw new HoldfastError('ERR_MODEL', `TensorFlow.js cannot build the model of ${file}: ${(cause as Error).message}`, {
      path: file,
      cause,
    });
  }
}

/** What a checkpoint would say of itself; stock tfjs writes down none of it but the iterations. */
function about(file: string, savedAt: Date, iterations: number) {
  const directory = path.dirname(path.resolve(file));
  const unknown = { sequence: null, step: null, epoch: null, bytes: null, contents: null };
  return {
    info: {
      ...unknown,
      name: path.basename(directory),
      path: directory,
      status: 'good',
      metrics: {},
      createdAt: savedAt.toISOString(),
      tags: [],
    },
    ...{
      step: iterations,
      epoch: undefined,
      initialEpoch: 0,
      metrics: {},
      createdAt: savedAt,
      software: {},
      state: undefined,
      skipped: [],
    },
  } as const;
}

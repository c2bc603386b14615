/** A handler of tfjs that saves to, and loads from, checkpoints. */
import path from 'node:path';
import type { io, LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Contents } from '../../format/manifest.js';
import { assertKnown } from '../../known-options.js';
import { CheckpointManager } from '../../manager/manager.js';
import { assertSignalAndListener, OPEN_OPTION_NAMES, type OpenOptions } from '../../manager/options.js';
import type { SaveResult } from '../../manager/save.js';
import type { SaveRequest } from '../../manager/save-request.js';
import type { RestoreTarget } from '../../manager/target.js';
import { captureTopology } from '../model/model-json.js';
import { captureModel, type SaveModelOptions } from '../model/save-model.js';
import { SAVE_MODEL_KEYS } from '../weights/capture-weights.js';
import { loadArtifacts } from './load-artifacts.js';
import { fromArtifacts } from './save-artifacts.js';

/** How the directory is opened for a save; the same as for `CheckpointManager.open`. */
export type HandlerOpenOptions = Omit<
  OpenOptions,
  'readOnly' | 'trigger' | 'saveBestOnly' | 'contents' | 'maxInFlight' | 'whenBusy' | 'verifyPinned'
>;

/** Options of {@link holdfastHandler}: of saves, of loads, and where a directory is given those of opening it. */
export interface HandlerOptions extends Omit<SaveModelOptions, 'step' | NotOfHandler>, HandlerOpenOptions {
  /** Global step of a save. Default: the iterations of the model's optimizer, or where it has none, one more than the newest checkpoint has. */
  readonly step?: number | undefined;
  /** What is loaded. Default: the newest that training can go on from, or where there is none, the newest. */
  readonly target?: RestoreTarget | undefined;
}

/** What a save resolves to: what tfjs gives, and the checkpoint. */
export interface HandlerSaveResult extends io.SaveResult, SaveResult {
  readonly step: number;
}

/** What a handler cannot be told. */
const NOT_OF_HANDLER = ['stable', 'hold', 'attachments', 'optimizer'] as const satisfies readonly (keyof SaveModelOptions)[];
type NotOfHandler = (typeof NOT_OF_HANDLER)[number];
type SaveKey = Exclude<(typeof SAVE_MODEL_KEYS)[number], NotOfHandler>;
const SAVE_KEYS = SAVE_MODEL_KEYS.filter((key): key is SaveKey => !(NOT_OF_HANDLER as readonly string[]).includes(key));

const NOT_OPEN_KEYS: readonly string[] = ['readOnly', 'trigger', 'saveBestOnly', 'contents', 'maxInFlight', 'whenBusy', 'verifyPinned'];
export const OPEN_KEYS: readonly string[] = OPEN_OPTION_NAMES.filter((name) => !NOT_OPEN_KEYS.includes(name));

/** What of the options a save can be told. */
type SaveSettings = Pick<HandlerOptions, SaveKey>;

/** The options of one call, over those of the handler. Throws `ERR_UNKNOWN_OPTION`. */
export function checkSaveSettings(where: string, given: object): SaveSettings {
  assertKnown(where, given, [...SAVE_KEYS, 'trainableOnly']);
  const { trainableOnly, ...rest } = given as SaveSettings & { trainableOnly?: boolean };
  if (trainableOnly !== true) return rest;
  throw new HoldfastError(
    'ERR_UNSUPPORTED',
    `${where}: a checkpoint has all weights, so trainableOnly cannot be true. To save a few tensors, use manager.save.`,
  );
}

/** Done with the directory still open and locked, when a save is durable. */
export type AfterSave = (result: HandlerSaveResult) => Promise<void>;

/**
 * A handler for `model.save`, `tf.loadLayersModel` and `tf.loadGraphModel`. `to` is a manager, or a directory, which is opened for each save and
 * closed when it is durable; saves at the same time share it. Loads take one checkpoint's directory too, and what stock tfjs saved.
 *
 * Every byte that is loaded is checked. The newest falls back past damaged checkpoints, with a `HoldfastWarning` that names them.
 *
 * A LayersModel is saved without a stall, and with its optimizer, if it is compiled and without `includeOptimizer: false`, and it is loaded exactly, if `registerHoldfast(tf)` was called. If
 * not, tfjs copies all weights together in one go before this sees them, saves the optimizer only if `save` is told to, and restores it only as far as it
 * can; a warning says so where that is not exactly.
 */
export function holdfastHandler(to: CheckpointManager | string, options: HandlerOptions = {}): io.IOHandler {
  return new HoldfastHandler(to, options);
}

export class HoldfastHandler implements io.IOHandler {
  private readonly open: OpenOptions;
  private readonly settings: SaveSettings;

  constructor(
    private readonly place: CheckpointManager | string,
    private readonly options: HandlerOptions,
    private readonly afterSave?: AfterSave,
  ) {
    if (typeof place !== 'string' && !(place instanceof CheckpointManager)) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', 'holdfastHandler takes a CheckpointManager, or the path of a directory.');
    }
    const isManager = typeof place !== 'string';
    assertKnown('holdfastHandler', options, [...SAVE_KEYS, 'target', ...(isManager ? [] : OPEN_KEYS)]);
    assertSignalAndListener(options);
    const pick = (keys: readonly string[]) => Object.fromEntries(Object.entries(options).filter(([key]) => keys.includes(key)));
    this.open = pick(OPEN_KEYS);
    this.settings = pick(SAVE_KEYS);
  }

  /** What a save holds that does not say so itself. */
  get contents(): Contents {
    return typeof this.place === 'string' ? 'full' : this.place.contents;
  }

  /** Saves what tfjs hands over: graph models, and layers models where nothing is registered. */
  readonly save = async (artifacts: io.ModelArtifacts): Promise<HandlerSaveResult> => {
    const started = performance.now();
    const { includeOptimizer = this.contents === 'full', ...settings } = this.settings;
    const { iterations, ...request } = fromArtifacts(artifacts, includeOptimizer);
    const { weightSpecs, modelTopology } = artifacts;
    const topologyBytes = jsonBytes(modelTopology);
    return this.commit({ ...settings, ...request, started }, settings.step ?? iterations, topologyBytes, jsonBytes(weightSpecs));
  };

  /** Reads and checks a model. */
  readonly load = async (): Promise<io.ModelArtifacts> => {
    const { target, includeOptimizer, signal, onProgress } = this.options;
    return loadArtifacts(this.place, { target, includeOptimizer, signal, onProgress });
  };

  /** Saves a model as it is now, without a stall. */
  async saveModel(model: LayersModel, given: SaveSettings): Promise<HandlerSaveResult> {
    const started = performance.now();
    const options = { ...this.settings, ...given };
    const iterations = (model.optimizer as LayersModel['optimizer'] | undefined)?.iterations;
    const step = options.step ?? iterations;
    const { request, capture } = captureModel(this, model, { ...options, step: step ?? 0 }, started);
    try {
      const specs = model.weights.map(({ originalName: name, shape, dtype }) => ({ name, shape, dtype }));
      return await this.commit(request, step, jsonBytes(captureTopology(model)), jsonBytes(specs));
    } finally {
      capture.release();
    }
  }

  private async commit(request: Omit<SaveRequest, 'step'>, known: number | undefined, topologyBytes: number, specsBytes: number) {
    const weightDataBytes = [request.tensors, request.optimizer ?? []].reduce((sum, tensors) => sum + dataBytes(tensors), 0);
    const info: io.ModelArtifactsInfo = {
      dateSaved: new Date(),
      modelTopologyType: 'JSON',
      modelTopologyBytes: topologyBytes,
      weightSpecsBytes: specsBytes,
      weightDataBytes,
    };
    return this.inTurn(async (manager) => {
      const step = known ?? (await nextStep(manager));
      const result = { modelArtifactsInfo: info, ...(await manager.save({ ...request, step })), step };
      await this.afterSave?.(result);
      return result;
    });
  }

  /** Saves are committed in the order of the calls, though opening a directory may take one longer than the next. */
  private async inTurn<T>(work: (manager: CheckpointManager) => Promise<T>): Promise<T> {
    const directory = typeof this.place === 'string' ? path.resolve(this.place) : this.place.directory;
    const turn = (turns.get(directory) ?? Promise.resolve()).then(() => this.withManager(work));
    const over = turn.then(
      () => {},
      () => {},
    );
    turns.set(directory, over);
    try {
      return await turn;
    } finally {
      if (turns.get(directory) === over) turns.delete(directory);
    }
  }

  private async withManager<T>(work: (manager: CheckpointManager) => Promise<T>): Promise<T> {
    if (typeof this.place !== 'string') return work(this.place);
    const manager = await CheckpointManager.open(this.place, this.open);
    try {
      return await work(manager);
    } finally {
      await manager.close();
    }
  }
}

/** Per directory, the last save of this process. */
const turns = new Map<string, Promise<void>>();

/** One more than the newest checkpoint has. */
async function nextStep(manager: CheckpointManager): Promise<number> {
  let newest = -1;
  for await (const { step } of manager.list()) newest = step ?? newest;
  return newest + 1;
}

function jsonBytes(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}

function dataBytes(tensors: SaveRequest['tensors']): number {
  return (tensors as readonly { readonly data: { readonly byteLength: number } }[]).reduce((sum, { data }) => sum + data.byteLength, 0);
}

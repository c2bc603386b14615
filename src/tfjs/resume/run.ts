/** A run of one or more fits that can be interrupted anywhere: what `resumable` gives. */
import { randomUUID } from 'node:crypto';
import type { History, LayersModel, ModelFitArgs, ModelFitDatasetArgs, Optimizer, TensorContainer } from '@tensorflow/tfjs';
import { HoldfastError, isHoldfastError } from '../../errors.js';
import type { Restored } from '../../manager/restore.js';
import { restoreFor } from '../choose-checkpoint.js';
import { applyRestored, type RestoredModel } from '../model/restore-model.js';
import { Checkpoints, type CheckpointsOptions } from './checkpoints.js';
import { type ArrayData, assertSameFacts, type FitFacts, factsOfDataset, factsOfFit } from './facts.js';
import { toCallbacks } from './gates.js';
import { historyOf } from './history.js';
import { type DatasetFactory, type DatasetLike, Pipeline, replayedValidation } from './pipeline.js';
import { decodeRecord, type RunRecord, type SavedHistory } from './position.js';
import { InstalledRandom, installedRandom, type RunRandom } from './random.js';
import { RunTensors } from './run-tensors.js';
import { type StartFit, TrackedFit, type TrackedFitOptions, warnOfOtherData } from './tracked-fit.js';
import { warn, warnOfInexact } from './warnings.js';

/** The stock methods, of a model that may have others in their place. */
export interface StockFit {
  fit(x: ArrayData, y: ArrayData, args: ModelFitArgs): Promise<History>;
  fitDataset(dataset: DatasetLike, args: ModelFitDatasetArgs<TensorContainer>): Promise<History>;
}

export interface RunOptions extends Omit<CheckpointsOptions, 'model'> {
  readonly seed: string | undefined;
  /** Where the model's own methods are. */
  readonly stock: StockFit;
  /** Gives up what was opened for the run. */
  readonly release: () => Promise<void>;
}

/** A dataset, or a function that makes that of an epoch. */
export type FitData<Data extends DatasetLike = DatasetLike> = Data | DatasetFactory<Data>;

/** Training that goes on where it was interrupted, in this process or the next one; {@link resumable} makes it. */
export class ResumableRun {
  private calls = 0;
  private step: number;
  private histories: SavedHistory[];
  private isTraining = false;
  private failed = false;
  private current: TrackedFit | undefined;
  private readonly checkpoints: Checkpoints;
  /** The optimizer that was restored. */
  private optimizer: Optimizer | undefined;

  private constructor(
    private readonly model: LayersModel,
    private readonly options: RunOptions,
    private readonly installed: InstalledRandom,
    private readonly isOwnRandom: boolean,
    private readonly seed: string,
    /** What was restored from the newest good checkpoint when the run was opened; `null` if there was none. */
    readonly restored: RestoredModel | null,
    private readonly record: RunRecord | undefined,
    private readonly kept: RunTensors,
  ) {
    this.checkpoints = new Checkpoints({ ...options, model });
    this.step = restored?.step ?? 0;
    this.histories = [...(record?.run.histories ?? [])];
    this.optimizer = restored?.optimizerRestored === true ? model.optimizer : undefined;
  }

  static async open(model: LayersModel, options: RunOptions): Promise<ResumableRun> {
    const { manager, seed } = options;
    const read = await restoreFor(manager, 'latest', {}, true);
    const record = read === null ? undefined : decodeRecord(read, read.info.name);
    const kept = RunTensors.of(read);
    const restored = read === null ? null : restoreAtOnce(model, read);
    const adopted = seed === undefined ? installedRandom() : undefined;
    const random = adopted ?? InstalledRandom.install(seed ?? record?.seed ?? randomUUID());
    if (record !== undefined) {
      random.restore(record.rng);
      if (seed !== undefined && seed !== record.seed) {
        warn(`The run goes on with the seed that it began with, ${JSON.stringify(record.seed)}, and not with ${JSON.stringify(seed)}.`);
      }
    }
    return new ResumableRun(model, options, random, adopted === undefined, record?.seed ?? random.seed, restored, record, kept);
  }

  /** The random numbers of the run, in the place of `Math.random` until it is closed. */
  get random(): RunRandom {
    return this.installed;
  }

  /** Batches trained so far, over all fits. */
  get steps(): number {
    return this.current?.step ?? this.step;
  }

  /**
   * `model.fit` that goes on where it was interrupted: at the exact batch, in the order that the epoch had. The returned history is that of the
   * whole fit. One that is over returns its history and trains no more, unless `epochs` is larger now. Call the fits of a run in the
   * same order in every process.
   *
   * Throws what `model.fit` and saving throw; `ERR_RUN_MISMATCH` if the data or an option would let training go on otherwise, as
   * another `batchSize`.
   */
  async fit(x: ArrayData, y: ArrayData, args: ModelFitArgs = {}): Promise<History> {
    const { epochs = 1, callbacks } = args;
    const start = (): StartFit => (changed) => this.options.stock.fit(x, y, { ...args, ...changed } as ModelFitArgs);
    return this.train({ facts: factsOfFit(x, args), epochs, callbacks }, async () => start());
  }

  /**
   * `model.fitDataset` that goes on where it was interrupted. `data` is a `tf.data.Dataset`, which is gone through again up to the batch, or a function that
   * makes that of an epoch, such as `({ epoch, seed }) => dataset.shuffle(1000, seed).batch(32)`: then earlier epochs cost nothing. What a
   * pipeline draws from `Math.random` is a sequence of its own.
   *
   * Throws what `fit` throws. Warns if the data is not what it was, as with an unseeded `shuffle`.
   */
  async fitDataset<T extends TensorContainer>(data: FitData, args: ModelFitDatasetArgs<T>): Promise<History> {
    const { epochs, callbacks } = args;
    const facts = factsOfDataset(typeof data === 'function', args as ModelFitDatasetArgs<never>);
    return this.train({ facts, epochs, callbacks }, async (fit, number, from) => {
      const first = facts['initialEpoch'] as number;
      const epoch = from?.position.epoch ?? first;
      const seed = `${this.seed}/fit ${number}`;
      const batchesPerEpoch = args.batchesPerEpoch ?? undefined;
      const { batch = 0, fingerprint: expected = null } = from?.position ?? {};
      fit.pipeline = await Pipeline.open({
        source: data,
        seed,
        first,
        epoch,
        batch,
        batchesPerEpoch,
        expected,
        onOtherData: warnOfOtherData,
      });
      const { pipeline } = fit;
      const given = args.validationData as DatasetLike | undefined;
      const isDataset = typeof given?.iterator === 'function';
      const validation = isDataset ? { validationData: replayedValidation(given, seed, epoch - first) } : {};
      return (changed) =>
        this.options.stock.fitDataset(pipeline, { ...args, ...validation, ...changed } as unknown as ModelFitDatasetArgs<TensorContainer>);
    });
  }

  /** Waits until every save is durable, gives the directory up and puts `Math.random` back. Throws what a save in the background has failed with. */
  async close(): Promise<void> {
    try {
      await this.options.release();
    } finally {
      if (this.isOwnRandom) this.installed.uninstall();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** One fit of the run, from wherever it is. */
  private async train(
    { facts, epochs, callbacks }: { facts: FitFacts; epochs: number; callbacks: unknown },
    prepare: (fit: TrackedFit, number: number, from: RunRecord | undefined) => Promise<StartFit>,
  ): Promise<History> {
    this.assertReady();
    this.isTraining = true;
    try {
      const number = this.calls + 1;
      const finished = await this.historyIfOver(number, facts, epochs);
      if (finished !== undefined) return finished;
      this.calls = number;
      return await this.go(number, { facts, epochs, callbacks: toCallbacks(callbacks) }, prepare);
    } finally {
      this.isTraining = false;
      this.current = undefined;
    }
  }

  private async go(
    number: number,
    given: Pick<TrackedFitOptions, 'facts' | 'epochs' | 'callbacks'>,
    prepare: (fit: TrackedFit, number: number, from: RunRecord | undefined) => Promise<StartFit>,
  ): Promise<History> {
    const { model, checkpoints, seed, step, installed: random, record, kept } = this;
    const from = record?.position.fit === number ? record : undefined;
    const earlier = this.histories.slice(0, number - 1);
    try {
      warnOfInexact(model);
      const fit = new TrackedFit({ ...given, model, number, random, seed, step, earlier, from, kept, checkpoints });
      this.current = fit;
      const history = await fit.run(await prepare(fit, number, from));
      this.step = fit.step;
      this.histories = [...earlier, fit.saved];
      return history;
    } catch (error) {
      this.failed = true;
      throw error;
    } finally {
      if (from !== undefined) kept.clear();
    }
  }

  private assertReady(): void {
    if (this.isTraining) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'A fit of this run is still going on. Wait for it.');
    if (!this.failed) return;
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'A fit of this run has failed, so the model is somewhere in the middle of it. Close the run and call resumable again: it goes on from the last checkpoint.',
    );
  }

  /** The history of a fit that was over before, after checks; `undefined` if it is to be trained, or to go on. */
  private async historyIfOver(number: number, facts: FitFacts, epochs: number): Promise<History | undefined> {
    const { record } = this;
    if (record === undefined || number > record.position.fit) return undefined;
    const { position } = record;
    const saved = this.histories[number - 1] as SavedHistory;
    if (number === position.fit) {
      assertSameFacts(`Fit ${number} of the run`, position.facts, facts);
      const reached = position.epoch + (position.batch > 0 ? 1 : 0);
      if (epochs < reached && !position.stopped) throw fewerEpochs(number, reached, epochs);
      await this.restoreAgain();
      this.installed.restore(record.rng);
      if (!position.done || (epochs > position.epoch && !position.stopped)) return undefined;
      warn(
        `Fit ${number} of the run was over after ${position.epoch} epochs, at step ${this.step}${position.stopped ? ', stopped by a callback' : ''}: it is not trained again. Use another directory to train anew.`,
      );
    }
    this.calls = number;
    return historyOf(saved);
  }

  /** What was compiled anew since the run was opened has another optimizer. */
  private async restoreAgain(): Promise<void> {
    const { model, restored } = this;
    if (restored === null || this.optimizer === model.optimizer) return;
    const read = await restoreFor(this.options.manager, restored.info.path, {}, true);
    if (read !== null) applyRestored(model, read, {});
    this.optimizer = model.optimizer;
  }
}

/** What the optimizer of a fit does not fit yet: the model may be compiled for it later. It is restored, or refused, when the fit begins. */
function restoreAtOnce(model: LayersModel, read: Restored): RestoredModel {
  try {
    return applyRestored(model, read, {});
  } catch (error) {
    if (!isHoldfastError(error, 'ERR_MODEL_MISMATCH')) throw error;
    return applyRestored(model, read, { includeOptimizer: false });
  }
}

function fewerEpochs(number: number, reached: number, epochs: number): HoldfastError {
  return new HoldfastError(
    'ERR_RUN_MISMATCH',
    `Fit ${number} of the run was in epoch ${reached} already (counted from 1), and is now given epochs: ${epochs}. Give at least ${reached}, or a directory of its own to train anew.`,
  );
}

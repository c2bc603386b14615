/** Keras's callback of that name: a stock `fit` that goes on where it was when the process is started again. */
import type { History, LayersModel, ModelFitArgs, ModelFitDatasetArgs, Tensor, TensorContainer } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { CheckpointManager } from '../../manager/manager.js';
import { assertPath, oneOf, WHEN_BUSY, type WhenBusy } from '../../manager/options.js';
import { removeAllCheckpoints } from '../../manager/remove-all.js';
import { keep } from '../../policy/keep.js';
import type { Trigger } from '../../policy/trigger.js';
import { wrapFit } from '../callbacks/fit.js';
import type { ArrayData } from './facts.js';
import { toCallbacks } from './gates.js';
import { toSeed } from './random.js';
import { toFrequency } from './resumable.js';
import { type FitData, ResumableRun, type StockFit } from './run.js';
import { warn } from './warnings.js';

/** Options of {@link BackupAndRestore}. */
export interface BackupAndRestoreOptions {
  /** The model that is trained. TensorFlow.js does not tell a callback. */
  readonly model: LayersModel;
  /** When a backup is made: after each `epoch` (default), after so many batches, or by a trigger such as `every.minutes(10)`. */
  readonly saveFreq?: 'epoch' | number | Trigger | undefined;
  /** Whether the backup is deleted when the fit has come to its end. Default true. */
  readonly deleteCheckpoint?: boolean | undefined;
  /** What the fit's random numbers follow from. Default: what `installRandom` has installed; else one by chance. */
  readonly seed?: string | number | undefined;
  /** Whether training goes on while a backup is written. Default true. */
  readonly async?: boolean | undefined;
  /** What to do when a backup is due while another one is still written. Default `wait`. */
  readonly whenBusy?: WhenBusy | undefined;
  /** What the fit was started with, as JSON; kept in every backup. */
  readonly config?: Json | undefined;
}

const KEYS = [
  'model',
  'saveFreq',
  'deleteCheckpoint',
  'seed',
  'async',
  'whenBusy',
  'config',
] as const satisfies readonly (keyof BackupAndRestoreOptions)[];

/**
 * Given among the callbacks of a `fit` or `fitDataset` of its model, makes that one call survive the death of the process: called again in the same way, it
 * goes on at the exact batch, and gives the history of all epochs. When the fit has come to its end, the backup is deleted; when it throws, the backup stays.
 *
 * `directory` is for the backups of this one fit alone. The model's `fit` and `fitDataset` are wrapped; calls without this callback are passed on as they are.
 * `fit` then throws what saving and restoring throw, and `ERR_RUN_MISMATCH` if the data or an option is not what it was.
 */
export class BackupAndRestore {
  /** For TensorFlow.js; not used. */
  validationData: Tensor | Tensor[] = [];
  /** For TensorFlow.js; not used. */
  params: { readonly [key: string]: unknown } = {};
  private readonly options: BackupAndRestoreOptions;
  private readonly seed: string | undefined;

  /** Throws `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_OPTION`. */
  constructor(
    private readonly directory: string,
    options: BackupAndRestoreOptions,
  ) {
    assertPath('BackupAndRestore', directory);
    assertKnown('BackupAndRestore', options, KEYS);
    const { model, deleteCheckpoint = true, async: isAsync = true, whenBusy = 'wait', seed, saveFreq } = options;
    if (typeof model?.fit !== 'function') {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        'BackupAndRestore needs the model that is trained: new BackupAndRestore(directory, { model }).',
      );
    }
    oneOf('deleteCheckpoint', deleteCheckpoint, [true, false]);
    oneOf('async', isAsync, [true, false]);
    oneOf('whenBusy', whenBusy, WHEN_BUSY);
    if (saveFreq === ('trigger' as unknown)) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'saveFreq takes the trigger itself.');
    toFrequency(saveFreq, 'saveFreq');
    this.options = { ...options };
    this.seed = seed === undefined ? undefined : toSeed('BackupAndRestore', seed);
    wrapFit();
    this.wrap(model);
  }

  setParams(): void {}

  setModel(): void {}

  /** TensorFlow.js comes here only if this is not the model that it was made for: the wrapped one keeps the callback to itself. */
  async onTrainBegin(): Promise<void> {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'This BackupAndRestore does not belong to the fit that it is given to. Make it with the model that is trained, { model }; give only one to a fit, and none to a fit of resumable, which needs none.',
    );
  }

  async onTrainEnd(): Promise<void> {}

  async onEpochBegin(): Promise<void> {}

  async onEpochEnd(): Promise<void> {}

  async onBatchBegin(): Promise<void> {}

  async onBatchEnd(): Promise<void> {}

  /** A call that was looked up before this was made, as in `model.fit(x, y, { callbacks: [new BackupAndRestore(…)] })`, is made once more. */
  takeOver(trained: LayersModel, method: 'fit' | 'fitDataset', args: readonly unknown[]): Promise<unknown> | undefined {
    // What stands in for this in a fit of `resumable` has its methods alone, and comes to onTrainBegin.
    if (!Object.hasOwn(this, 'options')) return undefined;
    const { model } = this.options;
    if (trained !== model && trained !== (model as { readonly model?: unknown }).model) return undefined;
    return (model[method] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
  }

  /** Has the calls of fit with this callback come here. */
  private wrap(model: LayersModel): void {
    // Those of another backup of this model; else what its class has when they are called, which may have been wrapped meanwhile.
    const own = Object.hasOwn(model, 'fit') ? { ...(model as unknown as StockFit) } : (Object.getPrototypeOf(model) as StockFit);
    const stock: StockFit = {
      fit: (x, y, args) => own.fit.call(model, x, y, args),
      fitDataset: (dataset, args) => own.fitDataset.call(model, dataset, args),
    };
    const wrapped = {
      fit: (x: ArrayData, y: ArrayData, args: ModelFitArgs = {}) => {
        const callbacks = this.without(args.callbacks);
        return callbacks === undefined
          ? stock.fit(x, y, args)
          : this.guard(stock, (run) => run.fit(x, y, { ...args, callbacks } as ModelFitArgs));
      },
      fitDataset: (data: FitData, args: ModelFitDatasetArgs<TensorContainer>) => {
        const callbacks = this.without(args?.callbacks);
        if (callbacks === undefined) return stock.fitDataset(data as Parameters<StockFit['fitDataset']>[0], args);
        return this.guard(stock, (run) => run.fitDataset(data, { ...args, callbacks } as ModelFitDatasetArgs<TensorContainer>));
      },
    };
    Object.assign(model, wrapped);
  }

  /** The other callbacks; `undefined` if this is not among them. */
  private without(given: unknown): readonly object[] | undefined {
    const callbacks = toCallbacks(given);
    return callbacks.includes(this) ? callbacks.filter((callback) => callback !== this) : undefined;
  }

  private async guard(stock: StockFit, train: (run: ResumableRun) => Promise<History>): Promise<History> {
    const { directory, seed } = this;
    const { model, async: isAsync = true, whenBusy, config, deleteCheckpoint = true } = this.options;
    const { frequency, trigger } = toFrequency(this.options.saveFreq, 'saveFreq');
    // Two, so that if the newest is damaged there is another one.
    const manager = await CheckpointManager.open(directory, { keep: keep.last(2), ...(trigger === undefined ? {} : { trigger }) });
    const savesEnd = !deleteCheckpoint;
    const release = () => manager.close();
    let run: ResumableRun | undefined;
    let history: History;
    try {
      run = await ResumableRun.open(model, { manager, frequency, async: isAsync, whenBusy, config, savesEnd, seed, stock, release });
      history = await train(run);
    } catch (error) {
      // What the fit failed with counts for more than what giving it up fails with.
      await (run ?? manager).close().catch(() => {});
      throw error;
    }
    if (savesEnd) await run.close();
    else await this.discard(run);
    return history;
  }

  /** The fit has come to its end: no failure of its backup matters any more, and what there is of it is of no use. */
  private async discard(run: ResumableRun): Promise<void> {
    await run
      .close()
      .catch((error: Error) => warn(`The fit is over; not every backup of it in ${this.directory} was saved: ${error.message}`));
    await removeAllCheckpoints(this.directory).catch((error: Error) =>
      warn(`The fit is over, but its backup in ${this.directory} is not deleted: ${error.message}`),
    );
  }
}

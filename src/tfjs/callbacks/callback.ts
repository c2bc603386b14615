/** What all callbacks here have in common: the shape that `fit` takes, the model that is trained, and where training is. */
import type { LayersModel, Optimizer, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import { type FitParticipant, wrapFit } from './fit.js';
import type { Logs } from './logs.js';

/** What tfjs says of a fit before it begins. */
export type FitParams = Record<string, number | string | boolean | number[] | string[] | boolean[]>;

const EVENTS = ['onTrainBegin', 'onTrainEnd', 'onEpochBegin', 'onEpochEnd', 'onBatchBegin', 'onBatchEnd'] as const;

/**
 * A callback for `fit` and `fitDataset` of any TensorFlow.js, alone or in a list with instances of `tf.Callback` and with plain objects, in any order.
 * Its own methods are for `fit` to call.
 */
export abstract class FitCallback implements FitParticipant {
  readonly isHoldfastCallback = true;
  readonly order: 0 | 1 | 2 = 0;
  validationData: Tensor | Tensor[] = [];
  params: FitParams = {};
  /** As the caller knows it; unknown where `fit` could not be wrapped. */
  private fitted: LayersModel | undefined;
  /** What tfjs trains: of a Sequential, the model inside. */
  private trained: LayersModel | undefined;
  /** Whether state was put back since the last batch: the next fit goes on from it. */
  private resumed = false;
  private batches = 0;
  private readonly said = new Set<string>();

  protected constructor(
    /** What it is called in messages. */
    protected readonly who: string,
    private readonly given: LayersModel | undefined,
  ) {
    if (given !== undefined && (typeof given !== 'object' || given === null || !('layers' in given)))
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `${who}: the model must be a tf.LayersModel.`);
    wrapFit();
    // Where fit is not wrapped, tfjs takes a list's methods out of their object.
    for (const event of EVENTS) {
      Object.defineProperty(this, event, { value: (this[event] as (...args: never[]) => unknown).bind(this) });
    }
  }

  beginFit(model: LayersModel, _callbacks: readonly unknown[]): void {
    if (this.fitted !== undefined) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `This ${this.who} is in another fit that goes on. Make one for each.`);
    }
    const { given } = this;
    if (given !== undefined && given !== model && insideOf(given) !== model && insideOf(model) !== given) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `This ${this.who} was made for another model than the one that is trained.`);
    }
    this.fitted = model;
  }

  async endFit(failed: boolean): Promise<void> {
    try {
      if (failed) await this.fitFailed();
    } catch (error) {
      // What the fit itself failed with is what its caller is told.
      this.warn(`${(error as Error).message}`);
    } finally {
      this.fitted = undefined;
    }
  }

  setParams(params: FitParams): void {
    this.params = params;
  }

  setModel(model: LayersModel): void {
    this.trained = model;
  }

  async onTrainBegin(_logs?: Logs): Promise<void> {
    this.said.clear();
    await this.trainBegin(this.resumed);
  }

  async onEpochBegin(epoch: number, _logs?: Logs): Promise<void> {
    this.resumed = false;
    await this.epochBegin(epoch);
  }

  async onBatchBegin(_batch: number, _logs?: Logs): Promise<void> {}

  async onBatchEnd(batch: number, logs?: Logs): Promise<void> {
    this.batches++;
    this.resumed = false;
    await this.batchEnd(batch, logs ?? {});
  }

  async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    await this.epochEnd(epoch, logs ?? {});
  }

  async onTrainEnd(_logs?: Logs): Promise<void> {
    await this.trainEnd();
  }

  /** With `resumed`, state was put back that this fit goes on from. */
  protected async trainBegin(_resumed: boolean): Promise<void> {}
  protected async epochBegin(_epoch: number): Promise<void> {}
  protected async batchEnd(_batch: number, _logs: Logs): Promise<void> {}
  protected async epochEnd(_epoch: number, _logs: Logs): Promise<void> {}
  protected async trainEnd(): Promise<void> {}
  /** Instead of `trainEnd`. */
  protected async fitFailed(): Promise<void> {}

  /** To be called by `setState`. */
  protected markResumed(): void {
    this.resumed = true;
  }

  /** The model that is trained. Throws `ERR_INVALID_ARGUMENT` where nobody has said which. */
  protected get model(): LayersModel {
    const model = this.given ?? this.fitted ?? this.trained;
    if (model !== undefined) return model;
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${this.who} does not know which model is trained: this TensorFlow.js was not loaded as a module that Node.js knows, such as in a bundle. Give it the option "model".`,
    );
  }

  /** Throws as {@link model}. */
  protected get optimizer(): Optimizer {
    return this.model.optimizer;
  }

  /** Batches that the optimizer has applied; of one that does not count, those that this callback has seen. */
  protected get step(): number {
    return Math.max(this.optimizer?.iterations ?? 0, this.batches);
  }

  protected stopTraining(): void {
    this.model.stopTraining = true;
  }

  /** As Keras prints it, on standard output. */
  protected print(message: string): void {
    console.log(message);
  }

  /** A warning of the process, once for a fit. */
  protected warn(message: string): void {
    if (this.said.has(message)) return;
    this.said.add(message);
    process.emitWarning(`${this.who}: ${message}`, 'HoldfastWarning');
  }
}

/** The model that a Sequential trains. */
function insideOf(model: LayersModel): unknown {
  return (model as unknown as { model?: unknown }).model;
}

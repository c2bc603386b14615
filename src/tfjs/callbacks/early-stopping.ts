/** Keras's EarlyStopping: ends training when a metric gets no better. */
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { count, oneOf } from '../../manager/options.js';
import type { Monitor } from '../../policy/best.js';
import { HeldWeights } from './best-weights.js';
import { FitCallback } from './callback.js';
import { type Logs, metricNamed, readLogs } from './logs.js';
import { beats, type MonitorOptions, toMonitor, toVerbose } from './monitored.js';
import { StateFields, toJson } from './state-fields.js';
import type { StatefulCallback } from './stateful.js';

/** Options of {@link EarlyStopping}, as Keras has them. */
export interface EarlyStoppingOptions extends MonitorOptions {
  /** By how much it has to be better to count, in the metric's unit. Default 0. */
  readonly minDelta?: number | undefined;
  /** Epochs without improvement after which training ends. Default 0. */
  readonly patience?: number | undefined;
  /** 1 prints what Keras prints. Default 0. */
  readonly verbose?: 0 | 1 | undefined;
  /** What has to be beaten for the wait to begin anew. */
  readonly baseline?: number | undefined;
  /** Put the weights of the best epoch back when training ends. Default false. */
  readonly restoreBestWeights?: boolean | undefined;
  /** Epochs at the beginning, by their index, that are not looked at. Default 0. */
  readonly startFromEpoch?: number | undefined;
  /** The model that is trained; needed only where TensorFlow.js is part of a bundle. */
  readonly model?: LayersModel | undefined;
}

const KEYS = [
  'monitor',
  'minDelta',
  'patience',
  'verbose',
  'mode',
  'baseline',
  'restoreBestWeights',
  'startFromEpoch',
  'model',
] as const satisfies readonly (keyof EarlyStoppingOptions)[];

const WHO = 'EarlyStopping';

/**
 * Ends training when `monitor` has not improved for `patience` epochs, as Keras's callback of that name does, and as tfjs's cannot puts the best
 * weights back. As in Keras (`on_train_end` of keras/src/callbacks/early_stopping.py) they are put back also where training was not ended early; the
 * optimizer stays as it is.
 *
 * Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`.
 */
export class EarlyStopping extends FitCallback implements StatefulCallback {
  readonly stateName: string;
  private readonly options: EarlyStoppingOptions;
  private readonly monitor: Monitor;
  private readonly verbose: boolean;
  private held: HeldWeights | undefined;
  private wait = 0;
  private bestSoFar: number | undefined;
  private bestAt = 0;
  private stoppedAt = 0;

  constructor(options: EarlyStoppingOptions = {}) {
    assertKnown(WHO, options, KEYS);
    super(WHO, options.model);
    const { minDelta = 0, patience = 0, baseline, restoreBestWeights = false, startFromEpoch = 0 } = options;
    count(`${WHO}: patience`, patience, 0);
    count(`${WHO}: startFromEpoch`, startFromEpoch, 0);
    oneOf(`${WHO}: restoreBestWeights`, restoreBestWeights, [true, false]);
    if (baseline !== undefined && !Number.isFinite(baseline))
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `${WHO}: baseline must be a number, not ${String(baseline)}.`);
    this.options = options;
    this.monitor = toMonitor(WHO, options, { minDelta });
    this.verbose = toVerbose(WHO, options.verbose);
    this.stateName = `${WHO}:${this.monitor.metric}`;
  }

  /** Index of the epoch at whose end training was ended; 0 where it was not. */
  get stoppedEpoch(): number {
    return this.stoppedAt;
  }

  /** Index of the epoch with the best value so far. */
  get bestEpoch(): number {
    return this.bestAt;
  }

  /** The best value so far; undefined where there is none. */
  get best(): number | undefined {
    return this.bestSoFar;
  }

  getState(): Json {
    const { wait, bestSoFar, bestAt, stoppedAt } = this;
    return { wait, best: bestSoFar === undefined ? null : toJson(bestSoFar), bestEpoch: bestAt, stoppedEpoch: stoppedAt };
  }

  setState(state: Json): void {
    const fields = new StateFields(WHO, state);
    const [wait, best] = [fields.count('wait'), fields.numberOrNone('best')];
    const [bestAt, stoppedAt] = [fields.count('bestEpoch'), fields.count('stoppedEpoch')];
    Object.assign(this, { wait, bestSoFar: best, bestAt, stoppedAt });
    this.markResumed();
  }

  /** The weights of the best epoch, which training may have to end with in another process. */
  getTensors(): Record<string, Tensor> {
    return this.held?.tensors ?? {};
  }

  setTensors(tensors: ReadonlyMap<string, RestoredTensor>): void {
    if (this.options.restoreBestWeights !== true) return;
    const held = HeldWeights.from(this.model, tensors);
    this.release();
    this.held = held;
  }

  protected override async trainBegin(resumed: boolean): Promise<void> {
    // State of this very fit is put back where a fit is driven epoch by epoch: the weights that go with it are still here.
    if (!resumed || this.held?.model !== this.model) this.release();
    if (!resumed) Object.assign(this, { wait: 0, bestSoFar: undefined, bestAt: 0, stoppedAt: 0 });
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    const { patience = 0, baseline, restoreBestWeights = false, startFromEpoch = 0 } = this.options;
    const metrics = await readLogs(logs);
    const value = metricNamed(metrics, this.monitor.metric);
    if (value === undefined) {
      this.warn(
        `Early stopping conditioned on metric \`${this.monitor.metric}\` which is not available. Available metrics are: ${Object.keys(metrics).join(',')}`,
      );
      return;
    }
    if (epoch < startFromEpoch) return;
    // Until something improves, the first weights are the best. What was the best before a restart is here only if a run's checkpoint had it.
    if (restoreBestWeights && this.held === undefined && this.bestSoFar === undefined) this.hold(epoch);
    this.wait++;
    if (beats(value, this.bestSoFar, this.monitor)) {
      this.bestSoFar = value;
      this.bestAt = epoch;
      if (restoreBestWeights) this.hold(epoch);
      if (baseline === undefined || beats(value, baseline, this.monitor)) this.wait = 0;
      return;
    }
    if (this.wait >= patience && epoch > 0) {
      this.stoppedAt = epoch;
      this.stopTraining();
    }
  }

  protected override async trainEnd(): Promise<void> {
    const { restoreBestWeights = false } = this.options;
    if (this.stoppedAt > 0 && this.verbose) this.print(`Epoch ${this.stoppedAt + 1}: early stopping`);
    if (restoreBestWeights) this.restoreBest();
    this.release();
  }

  protected override async fitFailed(): Promise<void> {
    this.release();
  }

  private restoreBest(): void {
    if (this.held !== undefined) {
      if (this.verbose) this.print(`Restoring model weights from the end of the best epoch: ${this.bestAt + 1}.`);
      this.held.restore();
    } else if (this.bestSoFar !== undefined) {
      this.warn(
        `The best epoch, ${this.bestAt + 1}, was in a process that has ended, so its weights cannot be put back. The model has the last ones. Restore the best checkpoint: restoreModel(manager, model, 'best').`,
      );
    }
  }

  private hold(epoch: number): void {
    const held = HeldWeights.take(this.model);
    this.release();
    this.held = held;
    this.bestAt = epoch;
  }

  private release(): void {
    this.held?.release();
    this.held = undefined;
  }
}

/** Keras's ReduceLROnPlateau: a smaller learning rate when a metric gets no better. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { count } from '../../manager/options.js';
import type { Monitor } from '../../policy/best.js';
import { FitCallback } from './callback.js';
import { learningRateOf, setLearningRate } from './learning-rate.js';
import { type Logs, metricNamed, readLogs } from './logs.js';
import { beats, type MonitorOptions, toMonitor, toVerbose } from './monitored.js';
import { StateFields, toJson } from './state-fields.js';
import type { StatefulCallback } from './stateful.js';

/** Options of {@link ReduceLROnPlateau}, as Keras has them. */
export interface ReduceLROnPlateauOptions extends MonitorOptions {
  /** What the learning rate is multiplied by, below 1. Default 0.1. */
  readonly factor?: number | undefined;
  /** Epochs without improvement after which it is reduced. Default 10. */
  readonly patience?: number | undefined;
  /** 1 prints what Keras prints. Default 0. */
  readonly verbose?: 0 | 1 | undefined;
  /** By how much the metric has to be better to count, in its unit. Default 0.0001. */
  readonly minDelta?: number | undefined;
  /** Epochs after a reduction in which nothing is counted. Default 0. */
  readonly cooldown?: number | undefined;
  /** The learning rate never goes below. Default 0. */
  readonly minLr?: number | undefined;
  /** The model that is trained; needed only where TensorFlow.js is part of a bundle. */
  readonly model?: LayersModel | undefined;
}

const KEYS = [
  'monitor',
  'factor',
  'patience',
  'verbose',
  'mode',
  'minDelta',
  'cooldown',
  'minLr',
  'model',
] as const satisfies readonly (keyof ReduceLROnPlateauOptions)[];

const WHO = 'ReduceLROnPlateau';

/**
 * Reduces the learning rate when `monitor` has not improved for `patience` epochs, as Keras's callback of that name does, for every optimizer of
 * TensorFlow.js. Every epoch it writes the learning rate into the logs, and so into the history, as `learning_rate` and `lr`.
 *
 * Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`; during a fit `ERR_MODEL` for an optimizer whose learning rate cannot be set.
 */
export class ReduceLROnPlateau extends FitCallback implements StatefulCallback {
  readonly stateName: string;
  private readonly monitor: Monitor;
  private readonly verbose: boolean;
  private readonly factor: number;
  private readonly patience: number;
  private readonly cooldown: number;
  private readonly minLr: number;
  private bestSoFar: number | undefined;
  private wait = 0;
  private cooldownLeft = 0;

  constructor(options: ReduceLROnPlateauOptions = {}) {
    assertKnown(WHO, options, KEYS);
    super(WHO, options.model);
    const { factor = 0.1, patience = 10, minDelta = 1e-4, cooldown = 0, minLr = 0 } = options;
    const refuse = (what: string) => new HoldfastError('ERR_INVALID_ARGUMENT', `${WHO} ${what}.`);
    if (!(factor > 0 && factor < 1)) throw refuse(`does not support a factor >= 1.0 or one that is not above 0. Received factor=${factor}`);
    if (!(minLr >= 0 && Number.isFinite(minLr))) throw refuse(`needs a minLr of at least 0, not ${String(minLr)}`);
    count(`${WHO}: patience`, patience, 0);
    count(`${WHO}: cooldown`, cooldown, 0);
    this.monitor = toMonitor(WHO, options, { minDelta });
    this.verbose = toVerbose(WHO, options.verbose);
    this.factor = factor;
    this.patience = patience;
    this.cooldown = cooldown;
    this.minLr = minLr;
    this.stateName = `${WHO}:${this.monitor.metric}`;
  }

  getState(): Json {
    const { bestSoFar, wait, cooldownLeft } = this;
    return { best: bestSoFar === undefined ? null : toJson(bestSoFar), wait, cooldown: cooldownLeft };
  }

  /** The learning rate itself is the optimizer's, and comes back with it. */
  setState(state: Json): void {
    const fields = new StateFields(WHO, state);
    const [best, wait, cooldownLeft] = [fields.numberOrNone('best'), fields.count('wait'), fields.count('cooldown')];
    Object.assign(this, { bestSoFar: best, wait, cooldownLeft });
    this.markResumed();
  }

  protected override async trainBegin(resumed: boolean): Promise<void> {
    learningRateOf(this.optimizer);
    if (!resumed) Object.assign(this, { bestSoFar: undefined, wait: 0, cooldownLeft: 0 });
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    const rate = learningRateOf(this.optimizer);
    Object.assign(logs, { learning_rate: rate, lr: rate });
    const metrics = await readLogs(logs);
    const value = metricNamed(metrics, this.monitor.metric);
    if (value === undefined) {
      this.warn(
        `Learning rate reduction is conditioned on metric \`${this.monitor.metric}\` which is not available. Available metrics are: ${Object.keys(metrics).join(',')}.`,
      );
      return;
    }
    if (this.cooldownLeft > 0) this.cooldownLeft--;
    if (beats(value, this.bestSoFar, this.monitor)) {
      this.bestSoFar = value;
      this.wait = 0;
    } else if (this.cooldownLeft === 0) {
      this.wait++;
      if (this.wait >= this.patience) this.reduce(epoch, rate);
    }
  }

  private reduce(epoch: number, rate: number): void {
    if (rate <= this.minLr) return;
    const reduced = Math.max(rate * this.factor, this.minLr);
    setLearningRate(this.optimizer, reduced);
    if (this.verbose) this.print(`\nEpoch ${epoch + 1}: ReduceLROnPlateau reducing learning rate to ${reduced}.`);
    this.cooldownLeft = this.cooldown;
    this.wait = 0;
  }
}

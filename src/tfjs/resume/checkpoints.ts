/** When a run saves, and what. */
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import type { Json } from '../../format/state.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { WhenBusy } from '../../manager/options.js';
import { captureModel } from '../model/save-model.js';
import type { CapturedWeights } from '../weights/capture-weights.js';
import { saveCaptured, saveCapturedAsync, stepCaptured } from '../weights/save-captured.js';

/** After every epoch, after so many batches, or when the manager's trigger says so. */
export type SaveFrequency = 'epoch' | number | 'trigger';

/** A run between two batches. What is costly to make is made when it is saved. */
export interface Moment {
  /** Batches trained since the run began. */
  readonly step: number;
  /** Epochs done of the fit. */
  readonly epoch: number;
  readonly metrics: Readonly<Record<string, number>>;
  rng(): Json;
  dataPosition(): Json;
  state(): Json;
  /** What callbacks keep, by the names of `runTensorName`. */
  tensors(): ReadonlyMap<string, Tensor>;
}

export interface CheckpointsOptions {
  readonly manager: CheckpointManager;
  readonly model: LayersModel;
  readonly frequency: SaveFrequency;
  /** Whether training goes on while a checkpoint is written. */
  readonly async: boolean;
  readonly whenBusy: WhenBusy | undefined;
  readonly config: Json | undefined;
  /** Whether the end of a fit is saved, too. */
  readonly savesEnd: boolean;
}

/** Saves the model with what its run goes on from. */
export class Checkpoints {
  constructor(private readonly options: CheckpointsOptions) {}

  async afterBatch(moment: Moment): Promise<void> {
    const { frequency } = this.options;
    if (frequency === 'trigger') await this.look(moment);
    else if (frequency !== 'epoch' && moment.step % frequency === 0) await this.save(moment);
  }

  /** `isLast`: the end of the fit is saved in a moment. */
  async afterEpoch(moment: Moment, isLast: boolean): Promise<void> {
    const { frequency } = this.options;
    if (frequency === 'trigger') await this.look(moment);
    else if (frequency === 'epoch' && !isLast) await this.save(moment);
  }

  /** Resolves when it is durable. */
  async afterFit(moment: Moment): Promise<void> {
    const { manager, savesEnd } = this.options;
    if (savesEnd) await saveCaptured(manager, this.capture(moment));
  }

  private async save(moment: Moment): Promise<void> {
    const { manager, async: isAsync, whenBusy } = this.options;
    if (isAsync) await saveCapturedAsync(manager, this.capture(moment), whenBusy);
    else await saveCaptured(manager, this.capture(moment));
  }

  private capture(moment: Moment): CapturedWeights {
    const { manager, model, config } = this.options;
    const { step, epoch, metrics } = moment;
    const options = { step, epoch, metrics, rng: moment.rng(), dataPosition: moment.dataPosition(), state: moment.state(), config };
    return captureModel(manager, model, options, performance.now(), moment.tensors());
  }

  private async look(moment: Moment): Promise<void> {
    const { manager, model, async: isAsync, whenBusy, config } = this.options;
    const { step, epoch, metrics } = moment;
    const functions = { rng: () => moment.rng(), dataPosition: () => moment.dataPosition(), state: () => moment.state() };
    const { pending } = await stepCaptured(manager, { step, epoch, metrics, ...functions, whenBusy, config }, (now, started) =>
      captureModel(manager, model, now, started, moment.tensors()),
    );
    if (!isAsync && pending?.status === 'accepted') await pending.committed;
  }
}

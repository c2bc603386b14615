/** When a run saves, and what. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { Json } from '../../format/state.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { WhenBusy } from '../../manager/options.js';
import { saveModel, saveModelAsync } from '../model/save-model.js';
import { stepModel } from '../model/step-model.js';

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
    const { manager, model, config, savesEnd } = this.options;
    if (!savesEnd) return;
    await saveModel(manager, model, { ...called(moment), config });
  }

  private async save(moment: Moment): Promise<void> {
    const { manager, model, async: isAsync, whenBusy, config } = this.options;
    const request = { ...called(moment), config };
    if (isAsync) await saveModelAsync(manager, model, { ...request, whenBusy });
    else await saveModel(manager, model, request);
  }

  private async look(moment: Moment): Promise<void> {
    const { manager, model, async: isAsync, whenBusy, config } = this.options;
    const { step, epoch, metrics } = moment;
    const functions = { rng: () => moment.rng(), dataPosition: () => moment.dataPosition(), state: () => moment.state() };
    const { pending } = await stepModel(manager, model, { step, epoch, metrics, ...functions, whenBusy, config });
    if (!isAsync && pending?.status === 'accepted') await pending.committed;
  }
}

function called(moment: Moment) {
  const { step, epoch, metrics } = moment;
  return { step, epoch, metrics, rng: moment.rng(), dataPosition: moment.dataPosition(), state: moment.state() };
}

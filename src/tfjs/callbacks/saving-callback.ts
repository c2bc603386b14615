/** What callbacks that save have in common: one destination for every fit, and failures that reach its caller. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { SaveResult } from '../../manager/save.js';
import { FitCallback } from './callback.js';
import { Destination, type DestinationSettings } from './destination.js';
import { isParticipant } from './fit.js';
import type { Logs } from './logs.js';
import type { SavingOptions } from './saving-options.js';
import type { CheckpointFacts } from './shared-saves.js';

/** A callback that saves: the fit ends when all that it saved is durable, and rejects with what could not be saved. */
export abstract class SavingCallback extends FitCallback {
  override readonly order: 0 | 2;
  private readonly destination: Destination;

  protected constructor(
    settings: DestinationSettings,
    private readonly saving: SavingOptions,
  ) {
    super(settings.who, saving.model);
    this.order = saving.trainingState === undefined ? 0 : 2;
    this.destination = new Destination(settings, saving);
  }

  override beginFit(model: LayersModel, callbacks: readonly unknown[]): void {
    const { trainingState } = this.saving;
    if (isParticipant(trainingState) && !callbacks.includes(trainingState)) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `${this.who}: its trainingState is not among the callbacks of this fit, so it would never change. Put it into the list.`,
      );
    }
    super.beginFit(model, callbacks);
  }

  override async onBatchEnd(batch: number, logs?: Logs): Promise<void> {
    this.destination.throwFailure();
    await super.onBatchEnd(batch, logs);
  }

  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    this.destination.throwFailure();
    await super.onEpochEnd(epoch, logs);
  }

  protected override async trainBegin(_resumed: boolean): Promise<void> {
    // Who does not know its model says so now, not when the first checkpoint is due.
    this.model satisfies LayersModel;
    await this.destination.open();
  }

  protected override async trainEnd(): Promise<void> {
    await this.destination.finish();
  }

  protected override async fitFailed(): Promise<void> {
    await this.destination.finish();
  }

  /** The manager of this fit. */
  protected async manager(): Promise<CheckpointManager> {
    return this.destination.open();
  }

  protected async save(facts: CheckpointFacts): Promise<{ readonly committed: Promise<SaveResult | null> }> {
    return this.destination.save(this.model, facts);
  }
}

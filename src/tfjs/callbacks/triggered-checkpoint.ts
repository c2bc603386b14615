/** What callbacks have in common that save when a trigger says so, behind batches and epochs. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { CheckpointManager } from '../../manager/manager.js';
import type { Position } from '../../manager/stepper.js';
import { FitCallback } from './callback.js';
import { Destination, type DestinationSettings } from './destination.js';
import { type Logs, type Metrics, readLogs } from './logs.js';
import type { SavingOptions } from './saving-options.js';

/**
 * Behind a batch only where training is counts, not its loss: it is that of a few examples. Behind an epoch the metrics do. Whatever is due, one
 * checkpoint is made.
 */
export abstract class TriggeredCheckpoint extends FitCallback {
  override readonly order: 0 | 2;
  private readonly destination: Destination;
  private currentEpoch = 0;
  private begun = false;

  protected constructor(settings: DestinationSettings, options: SavingOptions) {
    super(settings.who, options.model);
    this.order = options.trainingState === undefined ? 0 : 2;
    this.destination = new Destination(settings, options);
  }

  /** Training begins here. */
  protected abstract begin(manager: CheckpointManager, position: Position): void;
  /** Whether a checkpoint is due; called once for every position. */
  protected abstract isDue(manager: CheckpointManager, position: Position): boolean;

  protected override async trainBegin(): Promise<void> {
    this.model satisfies LayersModel;
    this.begun = false;
    await this.destination.open();
  }

  protected override async epochBegin(epoch: number): Promise<void> {
    this.currentEpoch = epoch;
    if (!this.begun) this.begin(await this.destination.open(), { step: this.step, epoch });
    this.begun = true;
  }

  protected override async batchEnd(_batch: number, logs: Logs): Promise<void> {
    this.destination.throwFailure();
    const { step, currentEpoch: epoch } = this;
    if (this.isDue(await this.destination.open(), { step, epoch })) await this.save(step, epoch, await readLogs(logs));
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    this.destination.throwFailure();
    const { step } = this;
    const metrics = await readLogs(logs);
    if (this.isDue(await this.destination.open(), { step, epoch: epoch + 1, metrics })) await this.save(step, epoch + 1, metrics);
  }

  protected override async trainEnd(): Promise<void> {
    await this.destination.finish();
  }

  protected override async fitFailed(): Promise<void> {
    await this.destination.finish();
  }

  private async save(step: number, epoch: number, metrics: Metrics): Promise<void> {
    await this.destination.save(this.model, { step, epoch, metrics });
  }
}

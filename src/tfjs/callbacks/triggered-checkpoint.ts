/** What callbacks have in common that save when a trigger says so, behind batches and epochs. */
import type { CheckpointManager } from '../../manager/manager.js';
import type { Position } from '../../manager/stepper.js';
import { type Logs, readLogs } from './logs.js';
import { SavingCallback } from './saving-callback.js';

/**
 * Behind a batch only where training is counts, not its loss: it is that of a few examples. Behind an epoch the metrics do.
 */
export abstract class TriggeredCheckpoint extends SavingCallback {
  private currentEpoch = 0;
  private begun = false;

  /** Training begins here. */
  protected abstract begin(manager: CheckpointManager, position: Position): void;
  /** Whether a checkpoint is due; called once for every position. */
  protected abstract isDue(manager: CheckpointManager, position: Position): boolean;

  protected override async trainBegin(resumed: boolean): Promise<void> {
    this.begun = false;
    await super.trainBegin(resumed);
  }

  protected override async epochBegin(epoch: number): Promise<void> {
    this.currentEpoch = epoch;
    if (!this.begun) this.begin(await this.manager(), { step: this.step, epoch });
    this.begun = true;
  }

  protected override async batchEnd(_batch: number, logs: Logs): Promise<void> {
    const place = { step: this.step, epoch: this.currentEpoch };
    if (this.isDue(await this.manager(), place)) await this.save({ ...place, metrics: await readLogs(logs) });
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    const facts = { step: this.step, epoch: epoch + 1, metrics: await readLogs(logs) };
    if (this.isDue(await this.manager(), facts)) await this.save(facts);
  }
}

/** Keras's TerminateOnNaN: ends training when the loss is no number any more. */
import type { LayersModel } from '@tensorflow/tfjs';
import { assertKnown } from '../../known-options.js';
import { FitCallback } from './callback.js';
import { type Logs, readLogs } from './logs.js';

/** Options of {@link TerminateOnNaN}. */
export interface TerminateOnNaNOptions {
  /** The model that is trained; needed only where TensorFlow.js is part of a bundle. */
  readonly model?: LayersModel | undefined;
}

const WHO = 'TerminateOnNaN';

/**
 * Ends training behind a batch whose loss is NaN or infinite, and says so on standard output, as Keras's callback of that name does. The loss is read at
 * every batch. The epoch ends as others do: what saves at its end saves what there is.
 */
export class TerminateOnNaN extends FitCallback {
  constructor(options: TerminateOnNaNOptions = {}) {
    assertKnown(WHO, options, ['model']);
    super(WHO, options.model);
  }

  protected override async batchEnd(batch: number, { loss }: Logs): Promise<void> {
    if (loss === undefined) return;
    const { loss: value } = await readLogs({ loss });
    if (Number.isFinite(value)) return;
    this.print(`Batch ${batch}: Invalid loss, terminating training`);
    this.stopTraining();
  }
}

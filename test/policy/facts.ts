/** Where training is, for triggers to look at. */
import type { Monitor } from '../../src/policy/best.js';
import type { TriggerFacts } from '../../src/policy/trigger.js';

export const LOSS: Monitor = { metric: 'loss', mode: 'min' };

/** At step 10 of epoch 2, one step after the last look, where nothing has happened. */
export function facts(change: Partial<TriggerFacts> = {}): TriggerFacts {
  return {
    step: 10,
    epoch: 2,
    metrics: {},
    previous: { step: 9, epoch: 2 },
    sinceSaveMs: 0,
    previousSave: 0,
    interval: undefined,
    signals: new Set(),
    preempted: false,
    monitor: LOSS,
    bestOf: () => undefined,
    ...change,
  };
}

/** A look at `step`, the last one having been at `from`. */
export const steps = (from: number, step: number) => facts({ step, previous: { step: from, epoch: 0 } });
/** The same by epochs that are done. */
export const epochs = (from: number, epoch: number | undefined) => facts({ epoch, previous: { step: 9, epoch: from } });
/** The best so far is `best`, and now the loss is `loss`. */
export const improving = (best: number | undefined, loss: number | undefined, monitor = LOSS) =>
  facts({ monitor, metrics: loss === undefined ? {} : { [monitor.metric]: loss }, bestOf: () => best });
/** These signals have come. */
export const signals = (...names: string[]) => facts({ signals: new Set(names) });

/** A bar for the saves of a manager. */
import type { Progress } from '../engine/progress.js';
import type { ManagerEvents } from '../manager/events.js';
import type { CheckpointManager } from '../manager/manager.js';
import type { SaveEvent } from '../saver/events.js';
import { ProgressBar } from './progress-bar.js';

/** Options of {@link showProgress}. */
export interface ShowProgressOptions {
  /** Where to draw. Default: standard error. */
  readonly stream?: NodeJS.WriteStream | undefined;
}

const ENDS = ['saveCommitted', 'saveFailed', 'saveCancelled', 'saveReplaced'] as const satisfies readonly (keyof ManagerEvents)[];

/**
 * Draws a bar for every save of `manager` that takes longer than a second, and takes it off again. Does nothing where `stream` is not
 * a terminal. Gives the function that ends it.
 */
export function showProgress(manager: CheckpointManager, { stream = process.stderr }: ShowProgressOptions = {}): () => void {
  if (stream.isTTY !== true) return () => {};
  let current: { readonly step: number; readonly bar: ProgressBar } | undefined;
  const finish = () => {
    current?.bar.finish();
    current = undefined;
  };
  const draw = ({ step, progress }: SaveEvent & { readonly progress: Progress }) => {
    if (current?.step !== step) {
      finish();
      current = { step, bar: new ProgressBar({ stream }) };
    }
    current.bar.update({ ...progress, checkpoint: `step ${step}: ${progress.phase}` });
  };
  const end = ({ step }: SaveEvent) => {
    if (current?.step === step) finish();
  };
  manager.on('saveProgress', draw);
  for (const event of ENDS) manager.on(event, end);
  return () => {
    manager.off('saveProgress', draw);
    for (const event of ENDS) manager.off(event, end);
    finish();
  };
}

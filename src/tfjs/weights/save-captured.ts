/** Saving what was captured, and letting go of it whatever happens. */
import type { CheckpointManager } from '../../manager/manager.js';
import type { WhenBusy } from '../../manager/options.js';
import type { SaveResult } from '../../manager/save.js';
import type { PendingSave } from '../../manager/saver.js';
import { callFunctions, type OrFunctions, type StepResult } from '../../manager/stepper.js';
import type { CapturedWeights, SaveModelAsyncOptions } from './capture-weights.js';

/** As `manager.save`. */
export async function saveCaptured(manager: CheckpointManager, { request, capture }: CapturedWeights): Promise<SaveResult> {
  try {
    // Up to manager.save's own capture no turn of the event loop has passed.
    return await manager.save(request);
  } finally {
    capture.release();
  }
}

/** As `manager.saveAsync`. */
export async function saveCapturedAsync(
  manager: CheckpointManager,
  { request, capture }: CapturedWeights,
  whenBusy: WhenBusy | undefined,
): Promise<PendingSave> {
  let pending: PendingSave | undefined;
  try {
    pending = await manager.saveAsync({ ...request, whenBusy });
    return pending;
  } finally {
    // What is accepted is released by the save, when it is over.
    if (pending?.status !== 'accepted') capture.release();
  }
}

/** What may be a function in {@link StepModelOptions}: it is called only if a save is due, and its outcome captured at once. */
type Costly = Pick<SaveModelAsyncOptions, 'state' | 'scheduler' | 'rng' | 'dataPosition' | 'config'>;

const COSTLY = ['state', 'scheduler', 'rng', 'dataPosition', 'config'] as const satisfies readonly (keyof Costly)[];

/** Options of {@link stepModel}: those of `saveModelAsync`. What is costly to make may be a function. */
export interface StepModelOptions extends Omit<SaveModelAsyncOptions, keyof Costly>, OrFunctions<Costly> {}

/** As `manager.step`; captures, with the functions of `options` called, only if a save is due. */
export async function stepCaptured(
  manager: CheckpointManager,
  options: StepModelOptions,
  captureNow: (options: SaveModelAsyncOptions, started: number) => CapturedWeights,
): Promise<StepResult> {
  const { step, epoch, metrics } = options;
  let captured: CapturedWeights | undefined;
  let result: StepResult | undefined;
  try {
    result = await manager.step({ step, epoch, metrics }, () => {
      const started = performance.now();
      const { whenBusy, ...rest } = callFunctions<Costly, StepModelOptions>(options, COSTLY);
      captured = captureNow(rest, started);
      return { ...captured.request, whenBusy };
    });
    return result;
  } finally {
    if (result?.pending?.status !== 'accepted') captured?.capture.release();
  }
}

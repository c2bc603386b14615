/** `manager.callback(model)`: there as soon as holdfast/tfjs is imported. The manager itself knows nothing of TensorFlow.js. */
import type { LayersModel } from '@tensorflow/tfjs';
import { assertKnown } from '../../known-options.js';
import { CheckpointManager } from '../../manager/manager.js';
import type { Position } from '../../manager/stepper.js';
import { checkSavingOptions, SAVING_KEYS, type SavingOptions } from './saving-options.js';
import { TriggeredCheckpoint } from './triggered-checkpoint.js';

/** Options of `manager.callback`. */
export type ManagerCallbackOptions = Omit<SavingOptions, 'directory' | 'manager' | 'keep' | 'model'>;

const KEYS = SAVING_KEYS.filter(
  (key): key is keyof ManagerCallbackOptions & typeof key => !['directory', 'manager', 'keep', 'model'].includes(key),
);

const WHO = 'manager.callback';

/** Saves when the manager's own trigger says so. */
export class ManagerCallback extends TriggeredCheckpoint {
  /** @param manager - It must have a trigger; looked at when a fit begins. */
  constructor(manager: CheckpointManager, model: LayersModel, options: ManagerCallbackOptions = {}) {
    assertKnown(WHO, options, KEYS);
    const all: SavingOptions = { ...options, manager, model };
    checkSavingOptions(WHO, all);
    const wish = { rules: [], owns: undefined };
    super({ who: WHO, directory: undefined, open: {}, wish, weightsOnly: manager.contents === 'weights', shares: true }, all);
  }

  protected override begin(manager: CheckpointManager, position: Position): void {
    manager.shouldSave(position);
  }

  protected override isDue(manager: CheckpointManager, position: Position): boolean {
    return manager.shouldSave(position) !== undefined;
  }
}

declare module '../../manager/integrations.js' {
  interface ManagerIntegrations {
    /**
     * With holdfast/tfjs imported: a callback for `model.fit` that saves by this manager's own trigger, `saveBestOnly`, monitor, names and retention, as
     * `stepModel` does behind every batch and epoch. The manager stays open. A fit with a manager that has no trigger is refused with
     * `ERR_INVALID_ARGUMENT`.
     */
    callback(model: LayersModel, options?: ManagerCallbackOptions): ManagerCallback;
  }
}

Object.defineProperty(CheckpointManager.prototype, 'callback', {
  configurable: true,
  writable: true,
  value(this: CheckpointManager, model: LayersModel, options?: ManagerCallbackOptions) {
    return new ManagerCallback(this, model, options);
  },
});

/** Where the checkpoints of one callback go during one fit: opening, saving in the background, hearing of failures, closing. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { CheckpointManager } from '../../manager/manager.js';
import type { OpenOptions } from '../../manager/options.js';
import type { SaveResult } from '../../manager/save.js';
import type { PendingSave } from '../../manager/saver.js';
import { captureModel } from '../model/save-model.js';
import { saveCapturedAsync } from '../weights/save-captured.js';
import { addWish, ruleOf, type Wish } from './retention.js';
import type { SavingOptions } from './saving-options.js';
import { type CheckpointFacts, findShared, forgetSaves, type Moment, momentOf, noteSave } from './shared-saves.js';

/** What decides about a destination beside the options of its callback. */
export interface DestinationSettings {
  readonly who: string;
  /** Of the directory, where no manager was given. */
  readonly directory: string | undefined;
  readonly open: Omit<OpenOptions, 'keep'>;
  readonly wish: Wish;
  readonly weightsOnly: boolean;
  /** Whether a checkpoint that another callback makes of the same moment will do. */
  readonly shares: boolean;
}

export class Destination {
  private manager: CheckpointManager | undefined;
  private takeWishAway = () => {};
  private readonly inFlight = new Set<Promise<void>>();
  private readonly failures: unknown[] = [];

  constructor(
    private readonly settings: DestinationSettings,
    private readonly options: SavingOptions,
  ) {}

  /** The manager, opened if need be. Throws what `CheckpointManager.open` throws. */
  async open(): Promise<CheckpointManager> {
    const { directory, open, wish } = this.settings;
    if (this.manager !== undefined) return this.manager;
    if (this.options.manager !== undefined) {
      this.manager = this.options.manager;
      return this.manager;
    }
    let real: string | undefined;
    const manager = await CheckpointManager.open(directory as string, { ...open, keep: ruleOf(wish, () => real) });
    real = manager.directory;
    this.takeWishAway = addWish(real, wish);
    this.manager = manager;
    return manager;
  }

  /**
   * Saves `model` as it is now; with `async` resolves when that is captured. A failure of `committed` is noted here: nobody else need hear of it. Throws what `saveModelAsync` throws, and what an earlier save failed with.
   * `open` comes first.
   */
  async save(model: LayersModel, facts: CheckpointFacts): Promise<{ readonly committed: Promise<SaveResult | null> }> {
    this.throwFailure();
    const { manager, settings } = this;
    if (manager === undefined) throw new HoldfastError('ERR_CLOSED', `${settings.who}: no fit is going on.`);
    const moment = momentOf(model, facts, { ...settings, name: settings.open.name, manager: this.options.manager, options: this.options });
    const shared = settings.shares ? findShared(manager.directory, moment) : undefined;
    const committed = shared ?? (await this.saveAnew(manager, model, facts, moment)).committed;
    this.follow(committed);
    if (this.options.async === false) await committed;
    return { committed };
  }

  /** Throws what a save in the background failed with, once for each. */
  throwFailure(): void {
    if (this.failures.length > 0) throw this.failures.shift();
  }

  /** Waits until everything is durable and closes what was opened here. Throws what a save failed with. */
  async finish(): Promise<void> {
    const { manager } = this;
    this.manager = undefined;
    await Promise.all(this.inFlight);
    try {
      if (manager !== undefined && manager !== this.options.manager) await manager.close();
    } finally {
      this.takeWishAway();
      if (manager !== undefined) forgetSaves(manager.directory);
    }
    this.throwFailure();
  }

  private async saveAnew(manager: CheckpointManager, model: LayersModel, facts: CheckpointFacts, moment: Moment): Promise<PendingSave> {
    const started = performance.now();
    const { naming, ...rest } = facts;
    const { config, stable, hold } = this.options;
    const includeOptimizer = this.settings.weightsOnly ? false : undefined;
    const contents = { state: this.stateNow(), rng: this.randomNow(), config, stable, hold, includeOptimizer };
    const { request, capture } = captureModel(manager, model, { ...rest, ...contents }, started);
    const pending = await saveCapturedAsync(manager, { request: { ...request, naming }, capture }, 'wait');
    noteSave(manager.directory, moment, pending.committed);
    return pending;
  }

  private follow(committed: Promise<SaveResult | null>): void {
    const outcome = committed.then(
      () => {},
      (error: unknown) => {
        this.failures.push(error);
      },
    );
    this.inFlight.add(outcome);
    void outcome.then(() => this.inFlight.delete(outcome));
  }

  private stateNow(): Json | undefined {
    const { trainingState, state } = this.options;
    const own = typeof state === 'function' ? state() : state;
    if (trainingState === undefined) return own as Json | undefined;
    return { ...own, training: trainingState.toJSON() };
  }

  private randomNow(): Json | undefined {
    const { rng } = this.options;
    return typeof rng === 'function' ? rng() : rng?.state;
  }
}

/** TrainingState: where a fit is, what it has seen, and what its callbacks remember, as JSON. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { FitCallback } from './callback.js';
import { isParticipant } from './fit.js';
import { type Logs, readLogs } from './logs.js';
import type { SavedState } from './saving-options.js';
import { StateFields, toJson, toNumber } from './state-fields.js';
import { isStateful, type StatefulCallback } from './stateful.js';

/** Options of {@link TrainingState}. */
export interface TrainingStateOptions {
  /** Callbacks whose state goes along. Those of the fit itself need not be given. */
  readonly callbacks?: readonly unknown[] | undefined;
  /** The model that is trained; needed only where TensorFlow.js is part of a bundle. */
  readonly model?: LayersModel | undefined;
}

const WHO = 'TrainingState';
const VERSION = 1;

/**
 * Follows a fit: epoch, batch, step, the history of all epochs, and the state of every callback that has one. It has to be among the callbacks of the fit.
 * What saves takes it as `trainingState` and saves it as `state.training`; `restore` puts it back before the next fit:
 *
 * ```js
 * const restored = await restoreModel(manager, model);
 * if (restored !== null) state.restore(restored.state.training);
 * await model.fit(x, y, { epochs: 20, initialEpoch: state.epoch, callbacks: [state, stopping, checkpoint] });
 * ```
 *
 * It is called behind the others, and before what saves it, wherever it stands: what is saved at the end of an epoch is what all of them then know. In a
 * fit of `resumable`, or with `BackupAndRestore`, it is saved and put back with the run.
 */
export class TrainingState extends FitCallback implements SavedState, StatefulCallback {
  override readonly order = 1;
  readonly stateName = WHO;
  private readonly told: readonly StatefulCallback[];
  private callbacks: readonly StatefulCallback[];
  /** States that were restored and whose callbacks are not known yet. */
  private waiting = new Map<string, Json>();
  private values: Record<string, number[]> = {};
  private done: number[] = [];
  private place = { epoch: 0, batch: 0, step: 0 };

  constructor(options: TrainingStateOptions = {}) {
    assertKnown(WHO, options, ['callbacks', 'model']);
    super(WHO, options.model);
    const { callbacks = [] } = options;
    const without = Array.isArray(callbacks) ? callbacks.filter((callback) => !isStateful(callback)) : [callbacks];
    if (without.length > 0) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `${WHO}: callbacks must be a list of callbacks that have state: stateName, getState and setState.`,
      );
    }
    this.told = callbacks.filter(isStateful);
    this.callbacks = this.told;
  }

  /** Epochs that are done: what `initialEpoch` of the next fit has to be. */
  get epoch(): number {
    return this.place.epoch;
  }

  /** Batches that are done of the epoch that goes on; 0 between two epochs. */
  get batch(): number {
    return this.place.batch;
  }

  /** Batches that are done in all, as the optimizer counts them. */
  get globalStep(): number {
    return this.place.step;
  }

  /** Indices of the epochs in `history`. */
  get epochs(): readonly number[] {
    return this.done;
  }

  /** Losses and metrics by name, one number for every epoch, those of earlier processes included. */
  get history(): Readonly<Record<string, readonly number[]>> {
    return this.values;
  }

  toJSON(): Json {
    const history = Object.fromEntries(Object.entries(this.values).map(([name, values]) => [name, values.map(toJson)]));
    const callbacks = Object.fromEntries(named(this.callbacks).map(([name, callback]) => [name, callback.getState()]));
    // What nobody has asked for yet goes along: its callback may be of a later fit.
    return {
      version: VERSION,
      ...this.place,
      epochs: [...this.done],
      history,
      callbacks: { ...Object.fromEntries(this.waiting), ...callbacks },
    };
  }

  getState(): Json {
    return this.toJSON();
  }

  setState(state: Json): void {
    this.restore(state);
  }

  /** Puts back what `toJSON` gave, before a fit. Throws `ERR_STATE` for anything else, and for what a callback does not take. */
  restore(json: Json): void {
    const fields = new StateFields(WHO, json);
    if (fields.get('version') !== VERSION) throw fields.refuse(`has the version ${String(fields.get('version'))}`);
    const place = { epoch: fields.count('epoch'), batch: fields.count('batch'), step: fields.count('step') };
    const done = toNumbers(fields.get('epochs'));
    const lists = toRecord(fields.get('history'));
    const history = Object.entries(lists ?? {}).map(([name, values]) => [name, toNumbers(values)] as const);
    const states = toRecord(fields.get('callbacks'));
    if (done === undefined || states === undefined || lists === undefined || history.some(([, values]) => values === undefined))
      throw fields.refuse('has no epochs, history and callbacks');
    this.waiting = new Map(Object.entries(states));
    this.place = place;
    this.done = done;
    this.values = Object.fromEntries(history) as Record<string, number[]>;
    this.handOut();
  }

  override beginFit(model: LayersModel, callbacks: readonly unknown[]): void {
    super.beginFit(model, callbacks);
    // None that collects as this does: it would hold itself.
    const others = callbacks.filter(isStateful).filter((callback) => !isParticipant(callback) || callback.order !== 1);
    this.callbacks = [...new Set([...this.told, ...others])];
    this.handOut();
    if (this.waiting.size === 0) return;
    this.warn(`No callback of this fit takes the state of ${[...this.waiting.keys()].join(', ')}. It is kept, and saved again.`);
  }

  protected override async epochBegin(epoch: number): Promise<void> {
    this.place = { epoch, batch: 0, step: this.step };
  }

  protected override async batchEnd(batch: number): Promise<void> {
    this.place = { ...this.place, batch: batch + 1, step: this.step };
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    const metrics = await readLogs(logs);
    this.place = { epoch: epoch + 1, batch: 0, step: this.step };
    this.done.push(epoch);
    for (const [name, value] of Object.entries(metrics)) {
      this.values[name] ??= [];
      this.values[name].push(value);
    }
  }

  private handOut(): void {
    for (const [name, callback] of named(this.callbacks)) {
      const state = this.waiting.get(name);
      if (state === undefined) continue;
      callback.setState(state);
      this.waiting.delete(name);
    }
  }
}

/** Callbacks by their names; the second of one name is told apart from the first. */
function named(callbacks: readonly StatefulCallback[]): [string, StatefulCallback][] {
  const seen = new Map<string, number>();
  return callbacks.map((callback) => {
    const nth = (seen.get(callback.stateName) ?? 0) + 1;
    seen.set(callback.stateName, nth);
    return [nth === 1 ? callback.stateName : `${callback.stateName}#${nth}`, callback];
  });
}

function toRecord(value: Json | undefined): Readonly<Record<string, Json>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, Json>>) : undefined;
}

function toNumbers(value: Json | undefined): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers = value.map((each: Json) => toNumber(each));
  return numbers.some((each) => each === undefined) ? undefined : (numbers as number[]);
}

/** Callbacks that see of a resumed fit only what is new: the batches that are gone through again to get to its place are kept from them. */
import type { Json } from '../../format/state.js';
import { type FitParticipant, isParticipant } from '../callbacks/fit.js';
import { isStateful, type StatefulCallback } from '../callbacks/stateful.js';

/** What stands between a fit and its callbacks decides by this. */
export interface Gatekeeper {
  /** Whether the batch is gone through again. */
  isReplayed(batch: number): boolean;
  /** The callback has heard that training begins. */
  trainBegun(callback: unknown): void;
  /** It has heard that an epoch begins. */
  epochBegun(callback: unknown): void;
}

/** A callback as TensorFlow.js calls it. */
export interface CallbackHooks {
  setParams(params: unknown): void;
  setModel(model: unknown): void;
  onTrainBegin(logs?: unknown): Promise<void>;
  onTrainEnd(logs?: unknown): Promise<void>;
  onEpochBegin(epoch: number, logs?: unknown): Promise<void>;
  onEpochEnd(epoch: number, logs: Logs): Promise<void>;
  onBatchBegin(batch: number, logs?: unknown): Promise<void>;
  onBatchEnd(batch: number, logs?: unknown): Promise<void>;
}

/** Numbers, or tensors of one that are not read yet. */
export type Logs = Readonly<Record<string, number | { data(): Promise<ArrayLike<number>> }>>;

interface UserCallback extends Partial<CallbackHooks> {
  readonly onYield?: (epoch: number, batch: number, logs?: unknown) => unknown;
  readonly nowFunc?: unknown;
  readonly nextFrameFunc?: unknown;
}

/** The callbacks that `fit` was given, as a list. */
export function toCallbacks(given: unknown): readonly object[] {
  if (given === undefined || given === null) return [];
  return (Array.isArray(given) ? given : [given]) as object[];
}

/** Callbacks in the order in which they are called: those of this library that save the state of others behind them. */
export function inOrder(callbacks: readonly object[]): object[] {
  const orderOf = (callback: object) => (isParticipant(callback) ? callback.order : 0);
  return callbacks.toSorted((a, b) => orderOf(a) - orderOf(b));
}

/**
 * A stand-in for one callback of `all`. It has its prototype, since TensorFlow.js treats what is made of its own class (any copy's) otherwise than a plain
 * object: it stays what it was.
 */
export function gate(callback: object, keeper: Gatekeeper, all: readonly object[]): object {
  const user = callback as UserCallback;
  // A plain object has neither, which is what tells it apart: it is given numbers in place of tensors.
  const whole = {
    ...(user.setParams === undefined ? {} : { setParams: (params: unknown) => user.setParams?.(params) }),
    ...(user.setModel === undefined ? {} : { setModel: (model: unknown) => user.setModel?.(model) }),
  };
  const hooks: Omit<CallbackHooks, 'setParams' | 'setModel'> = {
    onTrainBegin: async (logs) => {
      await user.onTrainBegin?.(logs);
      keeper.trainBegun(callback);
    },
    onTrainEnd: async (logs) => user.onTrainEnd?.(logs),
    onEpochBegin: async (epoch, logs) => {
      await user.onEpochBegin?.(epoch, logs);
      keeper.epochBegun(callback);
    },
    onEpochEnd: async (epoch, logs) => user.onEpochEnd?.(epoch, logs),
    onBatchBegin: async (batch, logs) => {
      if (!keeper.isReplayed(batch)) await user.onBatchBegin?.(batch, logs);
    },
    onBatchEnd: async (batch, logs) => {
      if (!keeper.isReplayed(batch)) await user.onBatchEnd?.(batch, logs);
    },
  };
  const { onYield, nowFunc, nextFrameFunc } = user;
  const yields = (epoch: number, batch: number, logs?: unknown) =>
    keeper.isReplayed(batch) ? undefined : onYield?.call(callback, epoch, batch, logs);
  const extras = { ...(onYield === undefined ? {} : { onYield: yields }), ...(nowFunc === undefined ? {} : { nowFunc }) };
  const more = nextFrameFunc === undefined ? {} : { nextFrameFunc };
  // Its class may have some of them as accessors.
  const own = Object.getOwnPropertyDescriptors({ ...whole, ...hooks, ...extras, ...more, ...participation(callback, all) });
  return Object.create(Object.getPrototypeOf(callback) as object, own) as object;
}

/** The stand-in of a callback of this library takes its part in the fit: it is told of the model, and of the other callbacks themselves. */
function participation(callback: object, all: readonly object[]): Partial<FitParticipant> {
  if (!isParticipant(callback)) return {};
  return {
    isHoldfastCallback: true,
    order: 0,
    beginFit: (model) => callback.beginFit(model, all),
    endFit: (failed) => callback.endFit(failed),
  };
}

/** The callbacks with state. Those of one name are told apart by their order. */
export function statefulOf(callbacks: readonly object[]): Map<unknown, StatefulCallback> {
  const found = new Map<unknown, StatefulCallback>();
  const names = new Map<string, number>();
  for (const callback of callbacks) {
    const stateful = isStateful(callback) ? callback : isEarlyStopping(callback) ? ofEarlyStopping(callback) : undefined;
    if (stateful === undefined || found.has(callback)) continue;
    const nth = (names.get(stateful.stateName) ?? 0) + 1;
    names.set(stateful.stateName, nth);
    found.set(callback, nth === 1 ? stateful : renamed(stateful, `${stateful.stateName}#${nth}`));
  }
  return found;
}

function renamed(stateful: StatefulCallback, stateName: string): StatefulCallback {
  return {
    stateName,
    getState: () => stateful.getState(),
    setState: (state) => stateful.setState(state),
    getTensors: () => stateful.getTensors?.() ?? {},
    setTensors: (tensors) => stateful.setTensors?.(tensors),
  };
}

/** TensorFlow.js' own `tf.callbacks.earlyStopping`. */
interface EarlyStopping {
  wait: number;
  stoppedEpoch: number;
  best: number;
  readonly monitorFunc: unknown;
  readonly monitor: string;
}

function isEarlyStopping(callback: object): callback is EarlyStopping {
  const { monitorFunc, monitor, patience } = callback as Partial<EarlyStopping> & { readonly patience?: unknown };
  return typeof monitorFunc === 'function' && typeof monitor === 'string' && typeof patience === 'number';
}

function ofEarlyStopping(callback: EarlyStopping): StatefulCallback {
  return {
    stateName: `tf.callbacks.earlyStopping ${callback.monitor}`,
    // It may wait for the first value, with infinity as the best.
    getState: () => ({ wait: callback.wait, stoppedEpoch: callback.stoppedEpoch, best: String(callback.best) }),
    setState: (state) => {
      const { wait, stoppedEpoch, best } = state as { readonly wait: number; readonly stoppedEpoch: number; readonly best: Json };
      Object.assign(callback, { wait, stoppedEpoch, best: Number(best) });
    },
  };
}

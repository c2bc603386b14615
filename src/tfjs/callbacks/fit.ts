/**
 * What `fit` and `fitDataset` of tfjs lack for callbacks like these. tfjs takes instances of its own `tf.Callback` or plain objects, never both, and
 * looks at the first of a list only; it does not tell a plain object which model is trained; a Sequential trains a model that it keeps inside; and
 * nobody is told when a fit fails. So both methods are wrapped, once for every copy of tfjs-layers in the process, when a callback of this library is
 * made, and when this is loaded: `model.fit(…, { callbacks: [new …] })` looks the method up first. A fit without one of these goes through untouched.
 */
import { createRequire } from 'node:module';
import type { LayersModel } from '@tensorflow/tfjs';

/** A callback that takes part. Copies of this library know each other's by `isHoldfastCallback`. */
export interface FitParticipant {
  readonly isHoldfastCallback: true;
  /** 0: it is called where it stands in the list. What saves the state of others is called behind them: 1 for what collects it, 2 for what saves it. */
  readonly order: 0 | 1 | 2;
  /** A fit of `model`, as the caller knows it, is about to begin; `callbacks` are all of its callbacks. */
  beginFit(model: LayersModel, callbacks: readonly unknown[]): void;
  /** It is over. Where it failed, nobody has called `onTrainEnd`. Never rejects. */
  endFit(failed: boolean): Promise<void>;
}

/** A callback that makes the fit itself, `BackupAndRestore`: it has wrapped its model, but a call may have been looked up before. */
interface FitOwner {
  /** The same call of its model; `undefined` if this is another's. */
  takeOver(trained: LayersModel, method: 'fit' | 'fitDataset', args: readonly unknown[]): Promise<unknown> | undefined;
}

function isOwner(callback: unknown): callback is FitOwner {
  return typeof callback === 'object' && callback !== null && typeof (callback as Partial<FitOwner>).takeOver === 'function';
}

/** What is used of the module tfjs-layers. */
interface Layers {
  readonly LayersModel: { readonly prototype: FitMethods };
  readonly Sequential: { readonly prototype: FitMethods };
  readonly CustomCallback: new (args: object, yieldEvery?: unknown) => object;
}

type FitMethod = (this: LayersModel, ...args: unknown[]) => Promise<unknown>;
type FitMethods = Record<'fit' | 'fitDataset', FitMethod & { readonly [WRAPPED]?: true }>;

/** What is used of the last argument of both. */
interface FitArguments {
  readonly callbacks?: unknown;
  readonly yieldEvery?: unknown;
}

const WRAPPED = Symbol.for('holdfast.fit');
/** Lists that were prepared: a Sequential hands them to the model inside, whose methods are wrapped as well. */
const prepared = new WeakSet<object>();

export function isParticipant(callback: unknown): callback is FitParticipant {
  return typeof callback === 'object' && callback !== null && (callback as Partial<FitParticipant>).isHoldfastCallback === true;
}

/** Wraps `fit` and `fitDataset` of every tfjs-layers that is loaded by now. Never loads one. */
export function wrapFit(): void {
  for (const [file, module] of Object.entries(createRequire(import.meta.url).cache)) {
    if (!file.includes('tfjs') || !isLayers(module?.exports)) continue;
    const layers = module.exports;
    for (const { prototype } of [layers.LayersModel, layers.Sequential]) {
      prototype.fit = wrapped(prototype.fit, 2, layers);
      prototype.fitDataset = wrapped(prototype.fitDataset, 1, layers);
    }
  }
}

function isLayers(exports: unknown): exports is Layers {
  if (typeof exports !== 'object' || exports === null) return false;
  const { LayersModel, Sequential, CustomCallback } = exports as Partial<Layers>;
  return [LayersModel, Sequential, CustomCallback].every((each) => typeof each === 'function');
}

function wrapped(original: FitMethods['fit'], at: number, layers: Layers): FitMethods['fit'] {
  if (original[WRAPPED]) return original;
  const method: FitMethod = async function (this: LayersModel, ...args) {
    const given = args[at] as FitArguments | undefined;
    const list = toList(given?.callbacks);
    const participants = list.filter(isParticipant);
    const taken = list.find(isOwner)?.takeOver(this, at === 2 ? 'fit' : 'fitDataset', args);
    if (taken !== undefined) return taken;
    const handedOn = typeof given?.callbacks === 'object' && given.callbacks !== null && prepared.has(given.callbacks);
    // Where another fit goes on, tfjs refuses this one, which must not touch callbacks of the first.
    if (given === undefined || participants.length === 0 || handedOn || isTraining(this)) return original.apply(this, args);
    const callbacks = prepare(list, given.yieldEvery, layers);
    const began: FitParticipant[] = [];
    let failed = true;
    try {
      for (const participant of participants) {
        participant.beginFit(this, list);
        began.push(participant);
      }
      const history = await original.apply(this, args.with(at, { ...given, callbacks }));
      failed = false;
      return history;
    } finally {
      for (const participant of began) await participant.endFit(failed);
    }
  };
  return Object.assign(method, { [WRAPPED]: true as const });
}

function toList(callbacks: unknown): readonly unknown[] {
  return Array.isArray(callbacks) ? callbacks : callbacks === undefined || callbacks === null ? [] : [callbacks];
}

/** The list as tfjs takes it: the first is an instance of its own, so it takes the rest as they are. */
function prepare(list: readonly unknown[], yieldEvery: unknown, { CustomCallback }: Layers): readonly unknown[] {
  const whole = list.map((callback) => (isWhole(callback) ? callback : new CustomCallback(callback as object, yieldEvery)));
  const orderOf = (callback: unknown) => (isParticipant(callback) ? callback.order : 0);
  whole.sort((a, b) => orderOf(a) - orderOf(b));
  // It does nothing but give the event loop its turns, as tfjs does for plain objects: without them no save in the background gets on.
  const callbacks = [new CustomCallback({}, yieldEvery), ...whole];
  prepared.add(callbacks);
  return callbacks;
}

/** Whether it has what tfjs calls: its own instances, those of another copy, and ours. A plain object has not. */
function isWhole(callback: unknown): boolean {
  const { setParams, setModel } = (callback ?? {}) as { setParams?: unknown; setModel?: unknown };
  return typeof setParams === 'function' && typeof setModel === 'function';
}

function isTraining(model: LayersModel): boolean {
  const { model: inside, isTraining: own } = model as unknown as { model?: { isTraining: boolean }; isTraining: boolean };
  return inside?.isTraining ?? own;
}

wrapFit();

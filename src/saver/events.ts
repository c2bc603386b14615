/** What a manager tells while it saves: typed events, also on `node:diagnostics_channel` as `holdfast:<event>`. */
import { channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import type { Progress } from '../engine/progress.js';
import type { HoldfastError } from '../errors.js';
import { harmlessly } from './harmlessly.js';

/** Which save an event is about. */
export interface SaveEvent {
  /** Real path of the directory of checkpoints. */
  readonly directory: string;
  readonly step: number;
  readonly epoch: number | undefined;
}

/** A manager's events and what their listeners get. `Result` is what a save resolves to. */
export interface SaverEvents<Result, Preemption, Interval> {
  /** The snapshot is taken. `bytes`: of tensors. `stallMs`: how long the call blocked. `inFlight`: accepted saves not settled, this one included. */
  saveAccepted: SaveEvent & { readonly bytes: number; readonly stallMs: number; readonly inFlight: number };
  /** Nothing was captured because saves were in flight (`whenBusy: 'skip'`). `skipped`: how many of this manager so far. */
  saveSkipped: SaveEvent & { readonly inFlight: number; readonly skipped: number };
  /** A newer save took its place (`whenBusy: 'replace'`). */
  saveReplaced: SaveEvent;
  /** Cancelled by `cancel()`, by its signal, or by the deadline of `close`. */
  saveCancelled: SaveEvent;
  saveProgress: SaveEvent & { readonly progress: Progress };
  /** Durable. */
  saveCommitted: SaveEvent & { readonly result: Result };
  saveFailed: SaveEvent & { readonly error: HoldfastError };
  /** A signal of `onPreemption` arrived, and what was chosen. */
  preempted: Preemption;
  /** The controller of the interval has chosen another one. */
  intervalChanged: Interval;
}

/** Listeners can do no harm: what they throw becomes a warning of the process. */
export class Events<Types extends object> {
  private readonly emitter = new EventEmitter().setMaxListeners(0);
  /** Of each listener, by event. */
  private readonly guards = new WeakMap<object, Map<string, Listener>>();

  on<Name extends keyof Types & string>(name: Name, listener: (event: Types[Name]) => void): void {
    this.emitter.on(name, this.guard(name, listener as Listener));
  }

  once<Name extends keyof Types & string>(name: Name, listener: (event: Types[Name]) => void): void {
    this.emitter.once(name, this.guard(name, listener as Listener));
  }

  off<Name extends keyof Types & string>(name: Name, listener: (event: Types[Name]) => void): void {
    const guarded = this.guards.get(listener)?.get(name);
    if (guarded !== undefined) this.emitter.off(name, guarded);
  }

  /** Tells everybody; true if a listener of this manager was there. */
  emit<Name extends keyof Types & string>(name: Name, event: Types[Name]): boolean {
    const diagnostics = channel(`holdfast:${name}`);
    if (diagnostics.hasSubscribers) diagnostics.publish(event);
    return this.emitter.emit(name, event);
  }

  private guard(name: string, listener: Listener): Listener {
    const known = this.guards.get(listener) ?? new Map<string, Listener>();
    this.guards.set(listener, known);
    let guarded = known.get(name);
    if (guarded === undefined) {
      guarded = (event) => harmlessly(`A listener of ${JSON.stringify(name)}`, () => listener(event));
      known.set(name, guarded);
    }
    return guarded;
  }
}

type Listener = (event: unknown) => void;

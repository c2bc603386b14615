/** The order of saves: one is written at a time, in the order of the calls. */
import type { HoldfastError } from '../errors.js';

/** What a queued save does when its turn comes; it stops when `signal` fires. */
export type SaveWork<T> = (signal: AbortSignal) => Promise<T>;

/** Where a save comes from. */
export interface Origin {
  /** Whose save it is. */
  readonly owner: object;
  /** Whether a newer one of the same owner may take its place while it waits. */
  readonly replaceable: boolean;
}

/** A save on its way, whatever it resolves to. */
export interface Queued {
  readonly origin: Origin;
  readonly waiting: boolean;
  readonly settled: boolean;
  cancel(reason: HoldfastError): void;
  run(): Promise<void>;
}

/** One save on its way. */
export class QueuedSave<T> implements Queued {
  readonly outcome: Promise<T>;
  private readonly stop = new AbortController();
  private resolve: (value: T) => void = () => {};
  private reject: (error: unknown) => void = () => {};
  private state: 'waiting' | 'running' | 'settled' = 'waiting';

  constructor(
    private readonly queue: SaveQueue,
    private work: SaveWork<T> | undefined,
    readonly origin: Origin,
    /** Called if it never runs. */
    private dropped: (() => void) | undefined,
  ) {
    this.outcome = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whether somebody must hear of a failure is decided elsewhere: never by an unhandled rejection.
    this.outcome.catch(() => {});
  }

  get waiting(): boolean {
    return this.state === 'waiting';
  }

  get settled(): boolean {
    return this.state === 'settled';
  }

  /** Whether somebody asked it to stop; it may have been too late. */
  get cancelled(): boolean {
    return this.stop.signal.aborted;
  }

  /** Takes it out of the queue, or asks it to stop; `reason` is what it rejects with, unless it was too late. */
  cancel(reason: HoldfastError): void {
    if (this.state === 'settled') return;
    this.stop.abort(reason);
    if (this.state === 'running') return;
    const { dropped } = this;
    this.settle();
    this.reject(reason);
    dropped?.();
  }

  /** Runs the work; the queue's business. */
  async run(): Promise<void> {
    this.state = 'running';
    try {
      const value = await (this.work as SaveWork<T>)(this.stop.signal);
      this.settle();
      this.resolve(value);
    } catch (error) {
      this.settle();
      this.reject(error);
    }
  }

  /**
   * Whoever hears of the outcome finds it out of the queue already: a next save is not left out on its account. Whoever keeps the pending save
   * keeps nothing of what was saved alive.
   */
  private settle(): void {
    this.state = 'settled';
    this.work = undefined;
    this.dropped = undefined;
    this.queue.remove(this);
  }
}

/** The saves of one directory that are not settled, oldest first. */
export class SaveQueue {
  private saves: Queued[] = [];
  private running = false;
  private tidying: Promise<void> = Promise.resolve();
  private watchers: (() => void)[] = [];

  /** How many are in flight. */
  get length(): number {
    return this.saves.length;
  }

  /** Where nothing is ahead of it, work begins at once, or with `soon` in the next turn of the event loop: then the call is not made longer. */
  add<T>(work: SaveWork<T>, origin: Origin, dropped: () => void, begin: 'now' | 'soon' = 'now'): QueuedSave<T> {
    const save = new QueuedSave(this, work, origin, dropped);
    this.saves.push(save);
    if (begin === 'now') void this.pump();
    else setImmediate(() => this.pump());
    return save;
  }

  /** Does something to the directory that must not come between the steps of a save: in its turn. Never left out. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.add(work, { owner: this, replaceable: false }, () => {}).outcome;
  }

  /** What a settled save still does: the next one waits for it. It never rejects. */
  keepBusy(tidying: Promise<void>): void {
    this.tidying = tidying;
  }

  /** Resolves when the saves that are settled do nothing any more. */
  tidied(): Promise<void> {
    return this.tidying;
  }

  remove(save: Queued): void {
    this.saves = this.saves.filter((other) => other !== save);
    for (const watcher of this.watchers.splice(0)) watcher();
  }

  /** The newest replaceable save of `owner` that waits with at least `ahead` others before it. */
  findReplaceable(ahead: number, owner: object): Queued | undefined {
    return this.saves.slice(ahead).findLast(({ waiting, origin }) => waiting && origin.replaceable && origin.owner === owner);
  }

  /** Resolves when fewer than `limit` unsettled saves are ahead of `save`, or it is settled. */
  async within(limit: number, save: Queued): Promise<void> {
    while (!save.settled && this.saves.indexOf(save) >= limit) {
      await new Promise<void>((resolve) => {
        this.watchers.push(resolve);
      });
    }
  }

  private async pump(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let next = this.saves[0]; next !== undefined; next = this.saves[0]) {
      await next.run();
      await this.tidying;
    }
    this.running = false;
  }
}

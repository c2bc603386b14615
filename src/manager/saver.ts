/** The saves of one manager: capturing in the call, the order, what happens when the disk is behind, and who hears of it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Progress } from '../engine/progress.js';
import { abortError, throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { Events, type SaveEvent } from '../saver/events.js';
import { UnheardFailures } from '../saver/failures.js';
import { harmlessOften } from '../saver/harmlessly.js';
import { Pending, type PendingSaveOf, type SkippedSave, skippedSave } from '../saver/pending.js';
import type { QueuedSave } from '../saver/queue.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { monotonicMs } from '../system.js';
import type { ManagerEvents } from './events.js';
import type { WhenBusy } from './options.js';
import { type PreparedSave, prepareSave, runSave, type SaveContext, type SaveResult } from './save.js';
import { type AsyncSaveRequest, type CheckedRequest, checkRequest, type SaveRequest, splitAsyncRequest } from './save-request.js';

/** What `saveAsync` resolves to. */
export type PendingSave = PendingSaveOf<SaveResult>;

/** How many saves of a manager ended how, since it was opened. */
export interface SaveCounts {
  readonly accepted: number;
  readonly committed: number;
  readonly skipped: number;
  readonly replaced: number;
  readonly cancelled: number;
  readonly failed: number;
}

export class Saver {
  readonly events = new Events<ManagerEvents>();
  readonly failures = new UnheardFailures();
  /** The newest committed save of this manager. */
  last: SaveResult | undefined;
  /** `monotonicMs()` when a save was accepted last, or this was made. */
  lastAcceptedMs = monotonicMs();
  /** Called whenever a save was accepted, with what becomes of it, and its step. */
  onAccepted: (outcome: Promise<SaveResult>, step: number) => void = () => {};
  private readonly counted = { accepted: 0, committed: 0, skipped: 0, replaced: 0, cancelled: 0, failed: 0 };
  /** What is in flight, for progress and for those who wait. */
  private readonly inFlight = new Map<
    QueuedSave<SaveResult>,
    { readonly pending: Pending<SaveResult>; readonly request: CheckedRequest }
  >();

  /**
   * Whether the event loop has had a turn since the last call. A training loop whose every promise is settled already gives it none, and
   * earlier saves could never end: the calls then do.
   */
  private loopTurns = true;

  constructor(private readonly context: SaveContext) {}

  get counts(): SaveCounts {
    return { ...this.counted };
  }

  /** Accepted saves that are not settled, oldest first. */
  get unsettled(): readonly { readonly step: number; readonly progress: Progress }[] {
    return [...this.inFlight.values()].map(({ pending, request }) => ({ step: request.step, progress: pending.progress }));
  }

  /** Captures now; resolves when durable. Never left out, never replaced. */
  async save(given: SaveRequest): Promise<SaveResult> {
    const started = performance.now();
    const { pending } = this.submit(this.check(given), started, 'save');
    return pending.committed;
  }

  /** Captures now, and resolves as `whenBusy` says. */
  async saveAsync(given: AsyncSaveRequest): Promise<PendingSave> {
    const started = performance.now();
    const split = splitAsyncRequest(given);
    const request = this.check(split.request);
    const { queue } = this.context.core;
    const { maxInFlight } = this.context.settings;
    const whenBusy = split.whenBusy ?? this.context.settings.whenBusy;
    const busy = queue.length >= maxInFlight;
    const accepted = whenBusy === 'skip' && busy ? undefined : this.submit(request, started, whenBusy);
    if (!this.loopTurns) await nextTurn();
    this.watchLoop();
    if (accepted === undefined) return this.skip(request, started);
    const { pending, queued } = accepted;
    if (whenBusy === 'wait') await queue.within(maxInFlight, queued);
    pending.stallMs = performance.now() - (request.started ?? started);
    if (queued.settled && queued.cancelled) {
      // Nothing was accepted if it was taken back before there was room.
      if (whenBusy === 'wait') return queued.outcome as Promise<never>;
      // Calls in a row that nobody waits for may replace each other within a turn: that is for `committed` to say, not for the call.
      return pending;
    }
    this.events.emit('saveAccepted', {
      ...this.about(request),
      bytes: pending.progress.totalBytes,
      stallMs: pending.stallMs,
      inFlight: queue.length,
    });
    return pending;
  }

  /** Waits for everything accepted so far, and until what retention removed is gone. */
  async flush(): Promise<void> {
    await Promise.allSettled([...this.inFlight.keys()].map(({ outcome }) => outcome));
    await this.context.core.queue.tidied();
    // Nothing is written to the directory behind it.
    await this.context.core.record.flush();
  }

  /** Waits for everything accepted so far; after `deadlineMs` takes back what is left, and gives its steps. */
  async finish(deadlineMs: number | undefined): Promise<number[]> {
    if (deadlineMs === undefined) {
      await this.flush();
      return [];
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), deadlineMs);
    });
    const first = await Promise.race([this.flush(), late]);
    clearTimeout(timer);
    return first === 'late' ? this.giveUp(`The manager was closed, and its deadline of ${deadlineMs} ms came first.`) : [];
  }

  /** Takes back everything accepted so far, and waits until that is done; gives the steps that were not committed. */
  async giveUp(reason: string): Promise<number[]> {
    const saves = [...this.inFlight].map(([queued, { request }]) => ({ queued, step: request.step }));
    const error = new HoldfastError('ERR_ABORTED', reason);
    for (const { queued } of saves.toReversed()) queued.cancel(error);
    const outcomes = await Promise.allSettled(saves.map(({ queued }) => queued.outcome));
    return saves.filter((_, i) => outcomes[i]?.status === 'rejected').map(({ step }) => step);
  }

  private check(request: SaveRequest): CheckedRequest {
    return checkRequest(request, this.context.layouts, this.context.settings.contents);
  }

  private watchLoop(): void {
    this.loopTurns = false;
    setImmediate(() => {
      this.loopTurns = true;
    }).unref();
  }

  private skip(request: CheckedRequest, started: number): SkippedSave {
    this.counted.skipped++;
    this.events.emit('saveSkipped', { ...this.about(request), inFlight: this.context.core.queue.length, skipped: this.counted.skipped });
    return skippedSave(performance.now() - (request.started ?? started));
  }

  /** Takes the snapshot and queues the rest. Everything here happens before the caller goes on. */
  private submit(
    request: CheckedRequest,
    started: number,
    kind: WhenBusy | 'save',
  ): { pending: Pending<SaveResult>; queued: QueuedSave<SaveResult> } {
    throwIfAborted(request.signal, 'The save');
    const prepared = this.prepare(request, request.started ?? started, kind);
    const { snapshot } = prepared;
    // Who waits for the whole save has the first copies written while the last ones are made; who does not is kept as short as can be.
    const overlaps = kind === 'save';
    if (!overlaps) fillOrRefuse(snapshot);
    if (kind === 'replace') this.replaceOlder();
    const progress = this.progressOf(request);
    let stallMs = (): number => pending.stallMs;
    const queued = this.context.core.queue.add(
      (signal) => runSave(prepared, this.context, { signal, onProgress: (now) => progress(pending, now), stallMs: () => stallMs() }),
      { owner: this, replaceable: kind !== 'save' },
      () => snapshot.release(),
      this.loopTurns && !overlaps ? 'soon' : 'now',
    );
    // If it cannot be filled, that is what the save ends with.
    if (overlaps) snapshot.tryFill();
    const pending = new Pending(queued, prepared.bytes);
    if (kind === 'save') stallMs = () => performance.now() - prepared.started;
    this.counted.accepted++;
    this.lastAcceptedMs = monotonicMs();
    this.onAccepted(queued.outcome, request.step);
    this.context.core.noteAccepted(queued, request.metrics);
    this.inFlight.set(queued, { pending, request });
    this.follow(queued, pending, request, kind);
    return { pending, queued };
  }

  private prepare(request: CheckedRequest, started: number, kind: WhenBusy | 'save'): PreparedSave {
    try {
      try {
        return prepareSave(request, started, this.context);
      } catch (error) {
        // The older save goes only where it is in the way: had this one failed for another reason, both would be lost.
        const { code } = error as { code?: unknown };
        if (kind !== 'replace' || (code !== 'ERR_MEMORY_BUDGET' && code !== 'ERR_RESOURCES') || !this.replaceOlder()) throw error;
        return prepareSave(request, started, this.context);
      }
    } catch (error) {
      throw toHoldfastError(error, 'take a snapshot of the tensors');
    }
  }

  /** One save may wait beyond those in flight, the newest; it makes room for a newer one. */
  private replaceOlder(): boolean {
    const { queue } = this.context.core;
    const older = queue.findReplaceable(this.context.settings.maxInFlight, this);
    older?.cancel(
      new HoldfastError(
        'ERR_REPLACED',
        'A newer save took the place of this one before it was written (whenBusy: "replace"). Nothing of it was saved.',
      ),
    );
    return older !== undefined;
  }

  private progressOf(request: CheckedRequest): (pending: Pending<SaveResult>, progress: Progress) => void {
    const { onProgress } = request;
    const guarded = harmlessOften('onProgress');
    const about = this.about(request);
    return (pending, progress) => {
      pending.progress = progress;
      if (onProgress !== undefined) guarded(() => onProgress(progress));
      this.events.emit('saveProgress', { ...about, progress });
    };
  }

  /** Ties the caller's signal to the save, and tells how it ended. */
  private follow(queued: QueuedSave<SaveResult>, pending: Pending<SaveResult>, request: CheckedRequest, kind: WhenBusy | 'save'): void {
    const { signal } = request;
    const abort = () => queued.cancel(abortError(signal as AbortSignal, 'The save'));
    // The request's own functions have run since the signal was looked at.
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
    const about = this.about(request);
    const settled = () => {
      signal?.removeEventListener('abort', abort);
      this.inFlight.delete(queued);
    };
    queued.outcome.then(
      (result) => {
        settled();
        this.context.core.noteSettled(queued, true);
        this.counted.committed++;
        this.last = result;
        this.events.emit('saveCommitted', { ...about, result });
      },
      (error: unknown) => {
        settled();
        this.context.core.noteSettled(queued, false);
        this.tellFailure(toHoldfastError(error, 'save'), queued, about, kind === 'save' ? () => true : () => pending.heard);
      },
    );
  }

  private tellFailure(error: HoldfastError, queued: QueuedSave<SaveResult>, about: SaveEvent, isHeard: () => boolean): void {
    if (error.code === 'ERR_REPLACED') {
      this.counted.replaced++;
      this.events.emit('saveReplaced', about);
    } else if (queued.cancelled) {
      this.counted.cancelled++;
      this.events.emit('saveCancelled', about);
    } else {
      this.counted.failed++;
      const told = this.events.emit('saveFailed', { ...about, error });
      if (!told) this.failures.add({ step: about.step, error, isHeard });
    }
  }

  private about({ step, epoch }: CheckedRequest): SaveEvent {
    return { directory: this.context.core.directory, step, epoch };
  }
}

function fillOrRefuse(snapshot: Snapshot): void {
  if (snapshot.tryFill()) return;
  snapshot.refuse();
  throw toHoldfastError(snapshot.failure, 'take a snapshot of the tensors');
}

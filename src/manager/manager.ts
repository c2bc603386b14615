/// <reference lib="esnext.disposable" />
/** The library's front door. */
import { endianness } from 'node:os';
import path from 'node:path';
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import { assertLinkable, assertTag, removeTag, setTag } from '../catalog/links.js';
import { readRecords } from '../catalog/registry.js';
import { scanDirectory } from '../catalog/scan.js';
import { type VerifyReport, verifyTarget } from '../catalog/verify.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { HoldfastError } from '../errors.js';
import { LayoutCache } from '../format/layout-cache.js';
import type { Contents } from '../format/manifest.js';
import type { Json } from '../format/state.js';
import { assertKnown } from '../known-options.js';
import { checkRules } from '../policy/keep.js';
import { startWorkers } from '../saver/pool.js';
import { monotonicMs } from '../system.js';
import { assertNotInCheckpoint } from './assert-directory.js';
import { CheckpointReader } from './checkpoint-reader.js';
import { prepareDirectory, WriterCore } from './core.js';
import type { ManagerEvents } from './events.js';
import type { ManagerIntegrations } from './integrations.js';
import type { RunInterval } from './interval.js';
import { openInterval } from './open-interval.js';
import {
  assertPath,
  assertSignalAndListener,
  type CallOptions,
  checkCallOptions,
  count,
  type OpenOptions,
  oneOf,
  resolveSettings,
  type Settings,
} from './options.js';
import { handlePreemption, type PreemptionHandle, type PreemptionOptions } from './preemption.js';
import { type PruneOptions, type PruneReport, planPrune, prune } from './prune.js';
import { type Restored, type RestoreOptions, resolveRestoreOptions, restoreTarget } from './restore.js';
import type { SaveResult } from './save.js';
import type { AsyncSaveRequest, SaveRequest } from './save-request.js';
import { type PendingSave, type SaveCounts, Saver } from './saver.js';
import { makeRequest, POSITION_KEYS, type Position, type StepContents, Stepper, type StepRequest, type StepResult } from './stepper.js';
import { isRestoreTarget, type RestoreTarget, resolveCheckpoint, type TargetContext, type WantedContents, withTarget } from './target.js';
import { checkWatchOptions, type WatchOptions, watchCommits } from './watch.js';

/** With what integrations add. */
export interface CheckpointManager extends ManagerIntegrations {}

/**
 * Saves, finds and restores the checkpoints of one directory.
 *
 * One process writes to a directory at a time; in one thread of it any number of managers may share it.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: what is declared there is set on the prototype by whoever declares it.
export class CheckpointManager implements AsyncDisposable {
  private closed = false;
  private readonly preemptions: PreemptionHandle[] = [];

  private constructor(
    /** Real path of the directory. */
    readonly directory: string,
    private readonly settings: Settings,
    private readonly engine: Engine,
    private readonly core: WriterCore | undefined,
    private readonly saver: Saver | undefined,
    private readonly stepper: Stepper | undefined,
    private readonly runInterval: RunInterval | undefined,
  ) {}

  /**
   * Opens `directory`, creating it if need be, takes its lock and removes what writers that died have
   * left unfinished. Throws `ERR_LOCKED`, `ERR_NOT_A_DIRECTORY`, `ERR_PERMISSION`,
   * `ERR_READ_ONLY_FILE_SYSTEM`, `ERR_NATIVE_UNAVAILABLE`, `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`; with `readOnly`
   * also `ERR_NOT_FOUND`.
   */
  static async open(directory: string, options: OpenOptions = {}): Promise<CheckpointManager> {
    assertPath('CheckpointManager.open', directory);
    if (endianness() !== 'LE') {
      throw new HoldfastError('ERR_UNSUPPORTED', 'Checkpoints are little-endian, and this machine is not. There is no conversion yet.');
    }
    const settings = resolveSettings(options);
    const engine = selectEngine(settings.engine);
    const real = await prepareDirectory(directory, settings.readOnly);
    if (!settings.readOnly) await startWorkers(settings.nice);
    if (settings.readOnly) return new CheckpointManager(real, settings, engine, undefined, undefined, undefined, undefined);
    await assertNotInCheckpoint(real);
    const core = await WriterCore.acquire(real, engine);
    try {
      if (settings.name?.isFixed) await assertLinkable(real, settings.name.text);
      const saver = new Saver({ core, engine, settings, layouts: new LayoutCache(settings.maxShardBytes) });
      const interval = openInterval(saver, core, settings);
      return new CheckpointManager(real, settings, engine, core, saver, await Stepper.create(saver, core, settings, interval), interval);
    } catch (error) {
      await core.release();
      throw error;
    }
  }

  /** The engine in use. */
  get engineName(): EngineName {
    return this.engine.name;
  }

  /** What a save holds that does not say so itself. */
  get contents(): Contents {
    return this.settings.contents;
  }

  /** Names of unfinished saves of dead writers that opening the directory removed. */
  get swept(): readonly string[] {
    return this.core?.swept ?? [];
  }

  /**
   * Saves a checkpoint; resolves when it is durable. The bytes are captured before the call returns to the event
   * loop, so memory may change at once, except where `stable` was promised. Saves are committed in the order
   * of the calls. When it rejects, nothing was saved and everything saved before is untouched.
   */
  async save(request: SaveRequest): Promise<SaveResult> {
    return this.writer().save(request);
  }

  /**
   * Saves a checkpoint in the background; resolves when the snapshot is taken, and `committed` of what it resolves to when the checkpoint is
   * durable. Everything is captured before the call returns to the event loop, also where `whenBusy: 'wait'` then lets it wait. A failure in
   * the background rejects `committed`, raises `saveFailed`, and if nobody listened to either is thrown by the next call on this manager,
   * as the cause of `ERR_SAVE_FAILED`. Rejects with what is wrong with the request itself, and `ERR_MEMORY_BUDGET`.
   */
  async saveAsync(request: AsyncSaveRequest): Promise<PendingSave> {
    return this.writer().saveAsync(request);
  }

  /**
   * One step of training: saves in the background, as {@link saveAsync} does, if the `trigger` that the directory was opened with says so.
   * Call it behind every step or epoch; what is costly to make may be functions, which are called only when a save is due. Throws
   * `ERR_INVALID_ARGUMENT` where there is no trigger.
   */
  async step(request: StepRequest): Promise<StepResult>;
  /** The same with a function that makes all that is saved: it is called only when a save is due, and its outcome captured at once. */
  async step(position: Position, make: () => StepContents): Promise<StepResult>;
  async step(request: StepRequest | Position, make?: () => StepContents): Promise<StepResult> {
    this.writer();
    const stepper = this.stepper as Stepper;
    if (make === undefined) return stepper.step(request, () => makeRequest(request as StepRequest));
    assertKnown('step', request, POSITION_KEYS);
    if (typeof make !== 'function') throw new HoldfastError('ERR_INVALID_ARGUMENT', 'step takes a function that makes what is saved.');
    return stepper.step(request, make);
  }

  /** Why the trigger wants a save now, or `undefined`: for those who save by other means, such as `saveModelAsync`. */
  shouldSave(position: Position): string | undefined {
    this.writer();
    assertKnown('shouldSave', position, POSITION_KEYS);
    return (this.stepper as Stepper).look(position);
  }

  /**
   * Gives a checkpoint a name more, as a link beside it: it stays as long as it has one. Another checkpoint that had the name loses it. Gives the
   * checkpoint's own name. Throws `ERR_NOT_FOUND`, `ERR_INVALID_NAME`.
   */
  async tag(tag: string, target: RestoreTarget = 'latest'): Promise<string> {
    this.writer();
    assertTag(tag);
    assertTarget('tag', target);
    return (this.core as WriterCore).queue.exclusive(async () => {
      const found = await withTarget(target, this.targets(undefined), async (info) => info);
      if (found === null || path.dirname(found.path) !== this.directory) {
        throw new HoldfastError(
          'ERR_NOT_FOUND',
          `There is no such checkpoint in ${this.directory} to give the tag ${JSON.stringify(tag)}.`,
          {
            path: this.directory,
          },
        );
      }
      await setTag(this.directory, tag, found.name);
      return found.name;
    });
  }

  /** Takes a tag away; retention may then remove the checkpoint. False where there is no such tag. */
  async untag(tag: string): Promise<boolean> {
    this.writer();
    assertTag(tag);
    return (this.core as WriterCore).queue.exclusive(() => removeTag(this.directory, tag));
  }

  /**
   * Removes now what the rules do not want, those that the directory was opened with or others; with `dryRun` it only says what that would be.
   * Also without a lock, with `dryRun`.
   */
  async prune(options: Partial<PruneOptions> = {}): Promise<PruneReport> {
    this.assertOpen();
    assertKnown('prune', options, ['keep', 'dryRun', 'signal']);
    assertSignalAndListener(options);
    const { keep, dryRun = false, signal } = options;
    oneOf('dryRun', dryRun, [true, false]);
    const { monitor } = this.settings;
    const rules = keep === undefined ? this.settings.keep : checkRules('keep', keep);
    if (dryRun) return planPrune(this.directory, rules, monitor);
    this.writer();
    const core = this.core as WriterCore;
    return core.queue.exclusive(() => prune(core, rules, monitor, signal));
  }

  /**
   * Yields checkpoints as they are committed, by this process or another: for a process that evaluates them. Ends when the manager is closed; throws
   * `ERR_ABORTED`, and `ERR_NOT_FOUND` if the directory goes away.
   */
  watch(options: WatchOptions = {}): AsyncGenerator<CheckpointInfo, void, undefined> {
    this.assertOpen();
    checkWatchOptions(options);
    return watchCommits(this.directory, options, () => this.closed);
  }

  /**
   * Waits until everything accepted so far is durable, or has failed, and the files of what retention removed are gone from the disk.
   * Throws `ERR_SAVE_FAILED` for a failure that nobody has heard of.
   */
  async flush(): Promise<void> {
    const saver = this.writer();
    await saver.flush();
    saver.failures.throwOldest();
  }

  /**
   * Gets memory ready for copies of `bytes` bytes of tensors that are not stable, so that the first save does not wait for
   * page faults. Throws `ERR_MEMORY_BUDGET` and `ERR_RESOURCES`.
   */
  async reserve(bytes: number): Promise<void> {
    const { core } = this;
    this.writer();
    count('bytes', bytes, 0);
    await core?.arenasOf(this.engine).reserve(bytes, this.settings.memoryBudgetBytes);
  }

  /**
   * When one of the signals arrives: finishes the saves in flight, makes a last one with `save` if the measured speed says that it fits before
   * the deadline, says what it chose and why, and lets the process end as the signal would have ended it. Other listeners of the
   * signal decide themselves; then the process is not ended here. Ends with the manager, or with what it returns.
   */
  onPreemption(options: PreemptionOptions = {}): PreemptionHandle {
    const handle = handlePreemption(this.writer(), this.directory, options, async () => await this.runInterval?.preempted());
    this.preemptions.push(handle);
    return handle;
  }

  /**
   * The interval between checkpoints: what the trigger `auto` has chosen, or would choose, and why. Throws `ERR_READ_ONLY` and `ERR_CLOSED`.
   */
  get interval(): RunInterval {
    this.writer();
    return this.runInterval as RunInterval;
  }

  /** How many saves ended how since this manager was opened. */
  get counts(): SaveCounts {
    return this.saver?.counts ?? NO_SAVES;
  }

  /** Adds a listener; what it throws becomes a warning of the process. The same events are on `node:diagnostics_channel` as `holdfast:<event>`. */
  on<Name extends keyof ManagerEvents>(event: Name, listener: (event: ManagerEvents[Name]) => void): this {
    this.saver?.events.on(event, listener);
    return this;
  }

  /** Adds a listener for one event. */
  once<Name extends keyof ManagerEvents>(event: Name, listener: (event: ManagerEvents[Name]) => void): this {
    this.saver?.events.once(event, listener);
    return this;
  }

  /** Takes a listener away. */
  off<Name extends keyof ManagerEvents>(event: Name, listener: (event: ManagerEvents[Name]) => void): this {
    this.saver?.events.off(event, listener);
    return this;
  }

  /**
   * Reads a checkpoint, or some of its tensors, checking every byte. `latest` (default) and `best` fall back past damaged
   * checkpoints, which `skipped` then lists. `latest` passes over those of weights only, unless `contents` asks for them.
   *
   * Gives `null` only where there is no checkpoint at all. Throws `ERR_NO_GOOD_CHECKPOINT` where all are damaged,
   * `ERR_WEIGHTS_ONLY` where training cannot go on from any, `ERR_MODEL_MISMATCH` where `expect` is not met,
   * `ERR_NOT_FOUND` for a step or path that is not there, and for a path the code of what is damaged.
   */
  async restore<State = Json>(target: RestoreTarget = 'latest', options: RestoreOptions = {}): Promise<Restored<State> | null> {
    this.assertOpen();
    const call = resolveRestoreOptions(options);
    assertTarget('restore', target);
    const { engine } = this;
    const started = monotonicMs();
    const restored = await restoreTarget(target, { ...this.targets(call.contents), engine, direct: this.settings.direct, ...call });
    if (restored !== null) {
      this.stepper?.noteRestored(restored.step, restored.info.epoch);
      this.runInterval?.restored(restored.step, (monotonicMs() - started) / 1000);
    }
    return restored as Restored<State> | null;
  }

  /**
   * Opens a checkpoint to read single tensors of it: whole, some rows, or mapped into memory. Nothing but the heads of its files is read now.
   * Chooses, falls back and throws as `restore` does, on what it has read: damage of a tensor shows when that is read.
   */
  async openCheckpoint(target: RestoreTarget = 'latest'): Promise<CheckpointReader | null> {
    this.assertOpen();
    assertTarget('openCheckpoint', target);
    const { engine } = this;
    const { direct } = this.settings;
    return withTarget(target, this.targets(undefined), (info, manifest) => CheckpointReader.open(info, manifest, { engine, direct }));
  }

  /** Every checkpoint, damaged ones included, in commit order; no data is read. */
  async *list(): AsyncGenerator<CheckpointInfo, void, undefined> {
    this.assertOpen();
    for (const { info } of await scanDirectory(this.directory, await readRecords(this.directory))) yield info;
  }

  /** Reads every byte of one checkpoint (by name or path), or of all, and reports what is damaged. */
  async verify(target?: string, options: CallOptions = {}): Promise<VerifyReport> {
    this.assertOpen();
    const call = checkCallOptions('verify', options);
    if (target !== undefined) assertPath('verify', target);
    const what = target === undefined ? this.directory : await resolveCheckpoint(this.directory, target);
    return verifyTarget(what, { engine: this.engine, direct: this.settings.direct, ...call });
  }

  /**
   * Waits as `flush` does and gives the directory up. With `deadlineMs`, what is not durable by then is taken back, and `ERR_DEADLINE` says
   * which steps that were. Throws `ERR_SAVE_FAILED` for a failure that nobody has heard of. The directory is given up in any case. Calling
   * it again does nothing.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    assertKnown('close', options, ['deadlineMs']);
    const { deadlineMs } = options;
    if (deadlineMs !== undefined) count('deadlineMs', deadlineMs, 0, 2 ** 31 - 1);
    if (this.closed) return;
    this.closed = true;
    const { saver } = this;
    try {
      const unwritten = await saver?.finish(deadlineMs);
      this.runInterval?.finish();
      if (unwritten !== undefined && unwritten.length > 0) throw deadlineError(this.directory, deadlineMs as number, unwritten);
    } finally {
      this.stepper?.dispose();
      for (const handle of this.preemptions.splice(0)) handle.dispose();
      await this.core?.release();
    }
    saver?.failures.throwAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Throws `ERR_CLOSED`, and once what failed in the background and nobody has heard of. */
  private assertOpen(): void {
    if (this.closed) throw new HoldfastError('ERR_CLOSED', 'This manager was closed. Open the directory again.', { path: this.directory });
    this.saver?.failures.throwOldest();
  }

  private targets(contents: WantedContents | undefined): TargetContext {
    return { directory: this.directory, monitor: this.settings.monitor, contents };
  }

  private writer(): Saver {
    this.assertOpen();
    if (this.saver !== undefined) return this.saver;
    throw new HoldfastError('ERR_READ_ONLY', 'This manager was opened with readOnly: true. Open the directory without it to save.', {
      path: this.directory,
    });
  }
}

/** Options of `close`. */
export interface CloseOptions {
  /** Milliseconds; default: as long as it takes. */
  readonly deadlineMs?: number | undefined;
}

function assertTarget(call: string, target: unknown): asserts target is RestoreTarget {
  if (isRestoreTarget(target)) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${call} takes "latest", "best", { step: number }, or the name or path of a checkpoint.`);
}

const NO_SAVES: SaveCounts = { accepted: 0, committed: 0, skipped: 0, replaced: 0, cancelled: 0, failed: 0 };

function deadlineError(directory: string, deadlineMs: number, unwritten: readonly number[]): HoldfastError {
  return new HoldfastError(
    'ERR_DEADLINE',
    `After ${deadlineMs} ms ${unwritten.length === 1 ? 'one save was' : `${unwritten.length} saves were`} not durable, and ${unwritten.length === 1 ? 'was' : 'were'} given up: step ${unwritten.join(', ')}. Checkpoints saved before are untouched.`,
    { path: directory, unwritten },
  );
}

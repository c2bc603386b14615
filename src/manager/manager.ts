/// <reference lib="esnext.disposable" />
/** The library's front door. */

import { endianness } from 'node:os';
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import { scanDirectory } from '../catalog/scan.js';
import { type VerifyReport, verifyTarget } from '../catalog/verify.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { prepareDirectory, WriterCore } from './core.js';
import { assertPath, type CallOptions, checkCallOptions, type OpenOptions, resolveSettings, type Settings } from './options.js';
import { isRestoreTarget, type Restored, type RestoreTarget, resolveCheckpoint, restoreTarget } from './restore.js';
import { type PreparedSave, prepareSave, runSave, type SaveResult } from './save.js';
import { checkRequest, type SaveRequest } from './save-request.js';

/**
 * Saves, finds and restores the checkpoints of one directory.
 *
 * One process writes to a directory at a time; in one thread of it any number of managers may share it.
 */
export class CheckpointManager implements AsyncDisposable {
  private closed = false;

  private constructor(
    /** Real path of the directory. */
    readonly directory: string,
    private readonly settings: Settings,
    private readonly engine: Engine,
    private readonly core: WriterCore | undefined,
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
    const core = settings.readOnly ? undefined : await WriterCore.acquire(real, engine);
    return new CheckpointManager(real, settings, engine, core);
  }

  /** The engine in use. */
  get engineName(): EngineName {
    return this.engine.name;
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
    const started = performance.now();
    const core = this.writer();
    let prepared: PreparedSave;
    try {
      prepared = prepareSave(checkRequest(request), started, core, this.engine, this.settings);
    } catch (error) {
      throw toHoldfastError(error, 'take a snapshot of the tensors');
    }
    const { snapshot } = prepared;
    return core.enqueue(
      () => runSave(prepared, core, this.engine, this.settings),
      request.signal,
      () => snapshot.release(),
    );
  }

  /**
   * Reads a checkpoint, checking every byte. `latest` (default) and `best` fall back past damaged
   * checkpoints, which `skipped` then lists.
   *
   * Gives `null` only where there is no checkpoint at all. Throws `ERR_NO_GOOD_CHECKPOINT` where all are damaged,
   * `ERR_NOT_FOUND` for a step or path that is not there, and for a path the code of what is damaged.
   */
  async restore(target: RestoreTarget = 'latest', options: CallOptions = {}): Promise<Restored | null> {
    this.assertOpen();
    const call = checkCallOptions('restore', options);
    if (!isRestoreTarget(target)) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        'restore takes "latest", "best", { step: number }, or the name or path of a checkpoint.',
      );
    }
    const { engine, directory } = this;
    const { direct, monitor } = this.settings;
    return restoreTarget(target, { engine, directory, direct, monitor, ...call });
  }

  /** Every checkpoint, damaged ones included, in commit order; no data is read. */
  async *list(): AsyncGenerator<CheckpointInfo, void, undefined> {
    this.assertOpen();
    for (const { info } of await scanDirectory(this.directory)) yield info;
  }

  /** Reads every byte of one checkpoint (by name or path), or of all, and reports what is damaged. */
  async verify(target?: string, options: CallOptions = {}): Promise<VerifyReport> {
    this.assertOpen();
    const call = checkCallOptions('verify', options);
    if (target !== undefined) assertPath('verify', target);
    const what = target === undefined ? this.directory : await resolveCheckpoint(this.directory, target);
    return verifyTarget(what, { engine: this.engine, direct: this.settings.direct, ...call });
  }

  /** Waits for the saves under way and gives the directory up. Calling it again does nothing. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.core?.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private assertOpen(): void {
    if (this.closed) throw new HoldfastError('ERR_CLOSED', 'This manager was closed. Open the directory again.', { path: this.directory });
  }

  private writer(): WriterCore {
    this.assertOpen();
    if (this.core !== undefined) return this.core;
    throw new HoldfastError('ERR_READ_ONLY', 'This manager was opened with readOnly: true. Open the directory without it to save.', {
      path: this.directory,
    });
  }
}

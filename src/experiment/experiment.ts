/// <reference lib="esnext.disposable" />
/** An experiment: a directory with checkpoints, configuration, README and training log. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { hostname } from 'node:os';
import path from 'node:path';
import { sweepLeftovers } from '../catalog/sweep.js';
import { selectEngine } from '../engine/select.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { isVisibleBasename, TEMPORARY_PREFIX } from '../format/names.js';
import type { Json } from '../format/state.js';
import { assertKnown } from '../known-options.js';
import { prepareDirectory, WriterCore } from '../manager/core.js';
import type { ManagerEvents } from '../manager/events.js';
import { CheckpointManager, type CloseOptions } from '../manager/manager.js';
import { assertPath, OPEN_OPTION_NAMES, type OpenOptions, resolveSettings, show } from '../manager/options.js';
import type { Restored, RestoreOptions } from '../manager/restore.js';
import type { RestoreTarget } from '../manager/target.js';
import { createFileDurably, exists } from '../storage/local.js';
import { now } from '../system.js';
import { VERSION } from '../version.js';
import { checkConfig, type GivenConfig, readConfig, type StoredConfig, settleConfig } from './config.js';
import { type History, readHistory } from './history.js';
import { readmeText } from './readme.js';
import { checkLogRecord, type LogRecord } from './records.js';
import { TrainingLog } from './training-log.js';

/** Options of {@link openExperiment}: its own, and those of `CheckpointManager.open`. */
export interface ExperimentOptions extends OpenOptions {
  /** The directory of experiments. Default `experiments`. */
  readonly root?: string;
  /** The configuration, written to config.json. Default: the one that is there. */
  readonly config?: Json;
  /** For the README, where there is none yet. */
  readonly description?: string;
}

const OWN_OPTIONS = ['root', 'config', 'description'] as const satisfies readonly (keyof ExperimentOptions)[];

/** What only an experiment that is open for writing has. */
interface Writing {
  readonly log: TrainingLog;
  /** Keeps the lock until the log is closed. */
  readonly core: WriterCore;
  readonly watch: SaveWatch;
}

/** Directories of experiments that this thread writes: the lock keeps others out, and this one's managers may share it. */
const opened = new Set<string>();

/** An experiment; {@link openExperiment} gives it. */
export class Experiment implements AsyncDisposable {
  private closed = false;

  /**
   * Use {@link openExperiment}.
   * @hidden
   */
  constructor(
    readonly name: string,
    /** Real path of its directory. */
    readonly directory: string,
    /** Saves and finds the checkpoints of `checkpoints/`. */
    readonly manager: CheckpointManager,
    /** The configuration in force; undefined where there is none, or where config.json is no JSON. */
    readonly config: Json | undefined,
    private readonly writing: Writing | undefined,
  ) {}

  /**
   * Adds a line to the training log. It is written in the background, in the order of the calls; where that fails, the process is warned
   * once, and `close` rejects. Throws `ERR_INVALID_ARGUMENT`, `ERR_READ_ONLY` and `ERR_CLOSED`.
   */
  log(record: LogRecord): void {
    const { log } = this.writer();
    log.append(checkLogRecord(record));
  }

  /**
   * As `manager.restore`, for training that goes on from there: the log says which checkpoint it was, and what was logged after its step is no
   * longer part of the history. Where there is no checkpoint, everything begins anew. To only look, call `manager.restore`.
   */
  async restore<State = Json>(target: RestoreTarget = 'latest', options: RestoreOptions = {}): Promise<Restored<State> | null> {
    this.assertOpen();
    const restored = await this.manager.restore<State>(target, options);
    if (this.writing !== undefined) this.logRestored(restored);
    return restored;
  }

  /**
   * Says in the log that training goes on from a checkpoint that was restored by other means, such as `restoreModel` of holdfast/tfjs; null where
   * there was none.
   */
  logRestored(restored: Pick<Restored, 'info' | 'skipped'> | null): void {
    const { log } = this.writer();
    const { name = null, step = null, epoch = null } = restored?.info ?? {};
    log.append({ event: 'restored', name, step, epoch, skipped: restored?.skipped ?? [] });
  }

  /** The effective history, lines of a moment ago included. Throws what the operating system says, as HoldfastError. */
  async history(): Promise<History> {
    this.assertOpen();
    await this.writing?.log.flush();
    return readHistory(logFile(this.directory));
  }

  /**
   * Closes the manager, then the log, which then survives power loss. Throws what the manager's `close` throws, else what failed in the log;
   * the directory is given up in any case. Calling it again does nothing.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const failures: unknown[] = [];
    const attempt = async (step: () => Promise<void> | undefined) => {
      await step()?.catch((error: unknown) => failures.push(error));
    };
    await attempt(() => this.manager.close(options));
    const { writing } = this;
    if (writing !== undefined) {
      writing.watch.stop();
      writing.log.append({ event: 'closed' });
      await attempt(() => writing.log.close());
      await attempt(() => writing.core.release());
      opened.delete(this.directory);
    }
    if (failures.length > 0) throw failures[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private assertOpen(): void {
    if (!this.closed) return;
    throw new HoldfastError('ERR_CLOSED', 'This experiment was closed. Open it again.', { path: this.directory });
  }

  private writer(): Writing {
    this.assertOpen();
    if (this.writing !== undefined) return this.writing;
    throw new HoldfastError('ERR_READ_ONLY', 'This experiment was opened with readOnly: true. Open it without to write to its log.', {
      path: this.directory,
    });
  }
}

/**
 * Opens the experiment `name`, making what is missing of `ROOT/NAME/{checkpoints,logs,config.json,README.md}`. A `config` that differs from the one on
 * disk replaces it; the older one is kept in `logs/`. With `readOnly` nothing is written anywhere.
 *
 * Throws `ERR_INVALID_NAME`, `ERR_INVALID_STATE` for a config that JSON would alter, `ERR_LOCKED` if another writer has it or this thread
 * has it open already, and what `CheckpointManager.open` throws.
 */
export async function openExperiment(name: string, options: ExperimentOptions = {}): Promise<Experiment> {
  assertName(name);
  assertKnown('openExperiment', options, [...OWN_OPTIONS, ...OPEN_OPTION_NAMES]);
  const { root = 'experiments', config, description, ...rest } = options;
  assertPath('openExperiment', root);
  if (description !== undefined && typeof description !== 'string') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `description must be a string, not ${show(description)}.`);
  }
  const given = config === undefined ? undefined : checkConfig(config);
  // Before anything is made: what is refused must not leave directories behind.
  resolveSettings(rest);
  const place = path.join(root, name);
  return rest.readOnly === true ? openToRead(name, place, given, rest) : openToWrite(name, place, { given, description, rest });
}

function assertName(name: unknown): asserts name is string {
  if (typeof name === 'string' && isVisibleBasename(name)) return;
  throw new HoldfastError(
    'ERR_INVALID_NAME',
    `An experiment cannot be named ${show(name)}: give one name of a directory, without / and \\ and control characters, that does not begin with a dot.`,
  );
}

async function openToRead(name: string, place: string, given: GivenConfig | undefined, options: OpenOptions): Promise<Experiment> {
  if (given !== undefined) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'With readOnly: true no config can be written. Leave it out: the one on disk is in force.',
    );
  }
  const directory = await prepareDirectory(place, true);
  const stored = await readConfig(configFile(directory));
  warnOfDamage(directory, stored);
  const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), options);
  return new Experiment(name, directory, manager, inForce(stored), undefined);
}

interface WriteOptions {
  readonly given: GivenConfig | undefined;
  readonly description: string | undefined;
  /** Of the manager. */
  readonly rest: OpenOptions;
}

async function openToWrite(name: string, place: string, { given, description, rest }: WriteOptions): Promise<Experiment> {
  const directory = await prepareDirectory(place, false);
  if (opened.has(directory)) {
    throw new HoldfastError('ERR_LOCKED', `${directory} is open in this process already. Close it first, or share the experiment.`, {
      path: directory,
    });
  }
  opened.add(directory);
  const undo: (() => Promise<void>)[] = [async () => void opened.delete(directory)];
  try {
    const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), rest);
    undo.push(() => manager.close());
    // The manager's lock, shared: it holds until the last line is written, whoever closes the manager.
    const core = await WriterCore.acquire(manager.directory, selectEngine(manager.engineName));
    undo.push(() => core.release());
    const logs = await prepareDirectory(path.join(directory, 'logs'), false);
    for (const swept of [directory, logs]) await sweepLeftovers(swept);
    await writeReadme(directory, name, description);
    const stored = await readConfig(configFile(directory));
    const log = await TrainingLog.open(logFile(directory));
    undo.push(() => log.close());
    log.append({ event: 'started', pid: process.pid, host: hostname(), holdfast: VERSION, node: process.version });
    const changed = await settleConfig({ file: configFile(directory), logs }, given, stored);
    if (changed !== undefined) log.append(changed, true);
    if (given === undefined) warnOfDamage(directory, stored);
    return new Experiment(name, directory, manager, given?.value ?? inForce(stored), {
      log,
      core,
      watch: new SaveWatch(manager.directory, log),
    });
  } catch (error) {
    // What failed first is what the caller hears.
    for (const step of undo.toReversed()) await step().catch(() => {});
    throw toHoldfastError(error, `open the experiment ${name}`, { path: directory });
  }
}

/** It is the user's: written where there is none, never changed. */
async function writeReadme(directory: string, name: string, description: string | undefined): Promise<void> {
  const file = path.join(directory, 'README.md');
  if (await exists(file)) return;
  // Where somebody has removed it, the log knows since when the experiment is there.
  const { records } = await readHistory(logFile(directory));
  const text = readmeText({ name, description, began: records[0]?.time ?? new Date(now()).toISOString() });
  try {
    await createFileDurably(file, Buffer.from(text, 'utf8'), TEMPORARY_PREFIX);
  } catch (error) {
    throw toHoldfastError(error, `write ${file}`, { path: file });
  }
}

function logFile(directory: string): string {
  return path.join(directory, 'logs', 'training.jsonl');
}

function configFile(directory: string): string {
  return path.join(directory, 'config.json');
}

function inForce(stored: StoredConfig): Json | undefined {
  return stored.kind === 'valid' ? stored.value : undefined;
}

function warnOfDamage(directory: string, stored: StoredConfig): void {
  if (stored.kind !== 'damaged') return;
  process.emitWarning(`${configFile(directory)} is not JSON, so no configuration is in force: ${stored.why}`, 'HoldfastWarning');
}

/**
 * Logs what becomes of saves. By `node:diagnostics_channel` and not as a listener of the manager: one that listens to `saveFailed` has heard of a failure, and
 * nobody else would be told.
 */
class SaveWatch {
  constructor(
    private readonly directory: string,
    private readonly log: TrainingLog,
  ) {
    subscribe('holdfast:saveCommitted', this.committed);
    subscribe('holdfast:saveFailed', this.failed);
    subscribe('holdfast:intervalChanged', this.intervalChanged);
  }

  stop(): void {
    unsubscribe('holdfast:saveCommitted', this.committed);
    unsubscribe('holdfast:saveFailed', this.failed);
    unsubscribe('holdfast:intervalChanged', this.intervalChanged);
  }

  private readonly committed = (message: unknown): void => {
    const { directory, step, epoch, result } = message as ManagerEvents['saveCommitted'];
    if (directory !== this.directory) return;
    const { name, bytes, seconds } = result;
    this.log.append({ event: 'saved', step, ...(epoch === undefined ? {} : { epoch }), name, bytes, seconds: seconds.total }, true);
  };

  private readonly failed = (message: unknown): void => {
    const { directory, step, epoch, error } = message as ManagerEvents['saveFailed'];
    if (directory !== this.directory) return;
    this.log.append({ event: 'saveFailed', step, ...(epoch === undefined ? {} : { epoch }), code: error.code, message: error.message });
  };

  private readonly intervalChanged = (message: unknown): void => {
    const { directory, interval_s, explanation } = message as ManagerEvents['intervalChanged'];
    if (directory === this.directory) this.log.append({ event: 'interval', seconds: interval_s, message: explanation.text });
  };
}

/** Keras's ModelCheckpoint: saves the model after epochs or batches, always or when it is the best so far. */
import path from 'node:path';
import { HoldfastError } from '../../errors.js';
import { formatNumber, parseNumberSpec } from '../../format/number-format.js';
import type { Json } from '../../format/state.js';
import type { NameTemplate, NameValues } from '../../format/template.js';
import { assertKnown } from '../../known-options.js';
import type { CheckpointManager } from '../../manager/manager.js';
import { count, oneOf } from '../../manager/options.js';
import { findBest, type Monitor, metricOf } from '../../policy/best.js';
import { checkRules } from '../../policy/keep.js';
import type { DestinationSettings } from './destination.js';
import { type Filepath, parseFilepath } from './filepath.js';
import { type Logs, type Metrics, metricNamed, readLogs, withNames } from './logs.js';
import { beats, type MonitorOptions, toMonitor, toVerbose } from './monitored.js';
import { KEEP_ALL } from './retention.js';
import { SavingCallback } from './saving-callback.js';
import { checkSavingOptions, SAVING_KEYS, type SavingOptions } from './saving-options.js';
import { StateFields, toJson } from './state-fields.js';
import type { StatefulCallback } from './stateful.js';

/** Options of {@link ModelCheckpoint}: Keras's, and those of everything that saves. */
export interface ModelCheckpointOptions extends SavingOptions, MonitorOptions {
  /**
   * Directory and name, such as `checkpoints/digits-{epoch:02d}-{val_loss:.2f}`: the last part is the name of every checkpoint, what is before it the
   * directory. `{epoch}` counts from 1, `{batch}` too where batches are saved; `{step}` and every metric can stand there. A name without fields is that
   * of a link to the newest. `.keras`, `.h5` and `.weights.h5` are dropped. Default: `directory`, and the names that the manager gives.
   */
  readonly filepath?: string | undefined;
  /** 1 prints what Keras prints. Default 0. */
  readonly verbose?: 0 | 1 | undefined;
  /** Save only what is better than everything before, also than what an earlier process has left in the directory. Default false. */
  readonly saveBestOnly?: boolean | undefined;
  /** Leave the optimizer out: such a checkpoint is smaller, and training cannot go on from it exactly. Default false. */
  readonly saveWeightsOnly?: boolean | undefined;
  /** `epoch` (default), or after how many batches. */
  readonly saveFreq?: 'epoch' | number | undefined;
  /** What the first one has to beat with `saveBestOnly`. */
  readonly initialValueThreshold?: number | undefined;
}

const KEYS = [
  'filepath',
  'monitor',
  'verbose',
  'saveBestOnly',
  'saveWeightsOnly',
  'mode',
  'saveFreq',
  'initialValueThreshold',
  ...SAVING_KEYS,
] as const satisfies readonly (keyof ModelCheckpointOptions)[];

const WHO = 'ModelCheckpoint';

/**
 * Saves the model after every epoch or every so many batches, as Keras's callback of that name does, but as verified checkpoints, in the background.
 *
 * As in Keras, everything that was saved stays, unless `keep` says otherwise; under a name without fields only the newest does. The fit ends when all
 * checkpoints are durable; a save that fails rejects it, at the next event or at its end, with the error's own code. With `saveBestOnly` and a metric
 * that is not there nothing is saved, with a warning that lists what is there; NaN and infinities are never the best.
 *
 * Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TEMPLATE`, `ERR_INVALID_NAME`.
 */
export class ModelCheckpoint extends SavingCallback implements StatefulCallback {
  readonly stateName: string;
  private readonly monitor: Monitor;
  private readonly options: ModelCheckpointOptions;
  private readonly verbose: boolean;
  private readonly target: Filepath | undefined;
  private bestSoFar: number | undefined;
  private currentEpoch = 0;
  private batchesSinceSave = 0;
  private saidOtherName = false;

  constructor(filepath: string, options?: ModelCheckpointOptions);
  constructor(options: ModelCheckpointOptions & ({ filepath: string } | { directory: string } | { manager: CheckpointManager }));
  constructor(filepathOrOptions: string | ModelCheckpointOptions, more: ModelCheckpointOptions = {}) {
    const isPath = typeof filepathOrOptions === 'string';
    const options = checkOptions(isPath ? more : filepathOrOptions, isPath ? filepathOrOptions : undefined);
    const { filepath, directory, manager, saveWeightsOnly = false } = options;
    const target = filepath === undefined ? undefined : parseFilepath(WHO, filepath, directory, saveWeightsOnly);
    const monitor = toMonitor(WHO, options, { threshold: options.initialValueThreshold });
    super(settingsOf(options, target, monitor), options);
    this.options = options;
    this.monitor = monitor;
    this.target = target;
    this.verbose = toVerbose(WHO, options.verbose);
    this.stateName = `${WHO}:${filepath ?? directory ?? manager?.directory ?? ''}:${monitor.metric}`;
  }

  /** The best value so far; undefined where there is none. */
  get best(): number | undefined {
    return this.bestSoFar;
  }

  getState(): Json {
    const { bestSoFar, batchesSinceSave } = this;
    return { best: bestSoFar === undefined ? null : toJson(bestSoFar), batchesSinceSave };
  }

  setState(state: Json): void {
    const fields = new StateFields(WHO, state);
    const [best, batchesSinceSave] = [fields.numberOrNone('best'), fields.count('batchesSinceSave')];
    Object.assign(this, { bestSoFar: best, batchesSinceSave });
    this.markResumed();
  }

  protected override async trainBegin(resumed: boolean): Promise<void> {
    await super.trainBegin(resumed);
    this.saidOtherName = false;
    if (this.options.saveBestOnly === true) await this.learnBest(await this.manager());
  }

  protected override async epochBegin(epoch: number): Promise<void> {
    this.currentEpoch = epoch;
  }

  protected override async batchEnd(batch: number, logs: Logs): Promise<void> {
    if (this.isDue()) await this.look(this.currentEpoch, { step: this.step, epoch: this.currentEpoch }, { batch: batch + 1 }, logs);
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    const { saveFreq = 'epoch' } = this.options;
    if (saveFreq === 'epoch') await this.look(epoch, { step: this.step, epoch: epoch + 1 }, {}, logs);
  }

  /** What earlier processes have saved under these names has to be beaten, too. */
  private async learnBest(manager: CheckpointManager): Promise<void> {
    const own = [];
    for await (const { name, status, sequence, metrics } of manager.list()) {
      const isOwn = this.target?.owns.test(name) ?? true;
      if (status === 'good' && sequence !== null && isOwn) own.push({ sequence, metrics });
    }
    const best = findBest(own, this.monitor);
    const value = best && metricOf(best, this.monitor.metric);
    if (value !== undefined && beats(value, this.bestSoFar, this.monitor)) this.bestSoFar = value;
  }

  /** As Keras counts, over the ends of epochs. */
  private isDue(): boolean {
    const { saveFreq = 'epoch' } = this.options;
    if (saveFreq === 'epoch') return false;
    this.batchesSinceSave++;
    if (this.batchesSinceSave < saveFreq) return false;
    this.batchesSinceSave = 0;
    return true;
  }

  private async look(epoch: number, place: { step: number; epoch: number }, batch: { batch?: number }, logs: Logs): Promise<void> {
    const { metric } = this.monitor;
    const metrics = withNames(await readLogs(logs), [metric, ...(this.target?.template.fields ?? [])]);
    const naming = { epoch: epoch + 1, ...batch };
    const name = this.shownName({ ...place, ...naming, metrics });
    if (!this.shouldSave(epoch, metrics, name)) return;
    const { committed } = await this.save({ ...place, metrics, ...(this.target === undefined ? {} : { naming }) });
    if (this.target?.template.isFixed === false)
      void committed.then((saved) => saved && this.tellOfOtherName(name, saved.name)).catch(() => {});
  }

  /** Keras would have written over the file: who reads what the message said would get the old model. */
  private tellOfOtherName(wanted: string, given: string): void {
    if (path.basename(wanted) === given || this.saidOtherName) return;
    this.saidOtherName = true;
    this.warn(`${wanted} is there already, and is not written over: the new checkpoint is ${given}, and so on. Said once for a fit.`);
  }

  private shouldSave(epoch: number, metrics: Metrics, name: string): boolean {
    const { saveBestOnly = false } = this.options;
    const { metric } = this.monitor;
    const say = (message: string) => {
      if (this.verbose) this.print(`\nEpoch ${epoch + 1}: ${message}`);
    };
    if (!saveBestOnly) {
      say(`saving model to ${name}`);
      return true;
    }
    const value = metricNamed(metrics, metric);
    if (value === undefined) {
      const there = Object.keys(metrics).join(', ');
      this.warn(`Can save best model only with ${metric} available, skipping. Available are: ${there === '' ? 'none' : there}.`);
      return false;
    }
    const before = shown(this.bestSoFar ?? this.monitor.threshold);
    if (!beats(value, this.bestSoFar, this.monitor)) {
      say(`${metric} did not improve from ${before}`);
      return false;
    }
    say(`${metric} improved from ${before} to ${shown(value)}, saving model to ${name}`);
    this.bestSoFar = value;
    return true;
  }

  private shownName(values: NameValues): string {
    const { target, options } = this;
    if (target === undefined) return options.directory ?? (options.manager as CheckpointManager).directory;
    return path.join(target.directory, (target.template as NameTemplate).format(values));
  }
}

function settingsOf(options: ModelCheckpointOptions, target: Filepath | undefined, { metric, mode }: Monitor): DestinationSettings {
  const { directory, saveBestOnly = false, saveWeightsOnly = false, initialValueThreshold } = options;
  // Without saveBestOnly the metric is nothing that anybody has asked for.
  const isWatched = saveBestOnly || options.monitor !== undefined;
  const isFixed = target?.template.isFixed ?? false;
  return {
    who: WHO,
    directory: target?.directory ?? directory,
    open: {
      ...(target === undefined ? {} : { name: target.template.text }),
      ...(isWatched ? { monitor: metric, mode } : {}),
      ...(isWatched && initialValueThreshold !== undefined ? { initialValueThreshold } : {}),
      contents: saveWeightsOnly ? 'weights' : 'full',
    },
    wish: {
      // Keras overwrites a file. A link keeps what it points at, so that nothing else is left of that name.
      rules: options.keep !== undefined ? checkRules(WHO, options.keep) : isFixed ? [] : KEEP_ALL,
      owns: target?.owns,
    },
    weightsOnly: saveWeightsOnly,
    shares: true,
  };
}

const FIVE_PLACES = parseNumberSpec('.5f', 'float', (why) => {
  throw new Error(why);
});

function shown(value: number | undefined): string {
  return value === undefined ? 'None' : (formatNumber(value, FIVE_PLACES) as string);
}

function checkOptions(given: ModelCheckpointOptions, filepath: string | undefined): ModelCheckpointOptions {
  assertKnown(WHO, given, KEYS);
  const options = filepath === undefined ? given : { ...given, filepath };
  checkSavingOptions(WHO, options);
  const { saveBestOnly = false, saveWeightsOnly = false, saveFreq = 'epoch' } = options;
  oneOf(`${WHO}: saveBestOnly`, saveBestOnly, [true, false]);
  oneOf(`${WHO}: saveWeightsOnly`, saveWeightsOnly, [true, false]);
  if (saveFreq !== 'epoch') count(`${WHO}: saveFreq, if not "epoch",`, saveFreq, 1);
  const refuse = (what: string) => new HoldfastError('ERR_INVALID_ARGUMENT', `${WHO}: ${what}.`);
  if (filepath !== undefined && given.filepath !== undefined) throw refuse('filepath was given twice');
  if (options.manager !== undefined && options.filepath !== undefined) {
    throw refuse('a manager has its own directory and names (the option "name" of CheckpointManager.open): give it or filepath');
  }
  if (options.manager === undefined && options.filepath === undefined && options.directory === undefined) {
    throw refuse('it needs a filepath, a directory or a manager');
  }
  return options;
}

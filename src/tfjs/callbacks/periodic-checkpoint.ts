/** PeriodicCheckpoint: saves every so many steps, epochs or minutes, or when a trigger says so. */
import { HoldfastError } from '../../errors.js';
import { parseNameTemplate } from '../../format/template.js';
import { assertKnown } from '../../known-options.js';
import type { CheckpointManager } from '../../manager/manager.js';
import { oneOf } from '../../manager/options.js';
import type { Position } from '../../manager/stepper.js';
import { defaultMonitor } from '../../policy/best.js';
import { checkRules, keep } from '../../policy/keep.js';
import { anyOf, checkTriggers, every, type Trigger } from '../../policy/trigger.js';
import { namesOf } from './filepath.js';
import { checkSavingOptions, SAVING_KEYS, type SavingOptions } from './saving-options.js';
import { TriggeredCheckpoint } from './triggered-checkpoint.js';

/** Options of {@link PeriodicCheckpoint}: when, at least one of four, and those of everything that saves. */
export interface PeriodicCheckpointOptions extends SavingOptions {
  /** After so many batches, counted by the optimizer over all fits. */
  readonly everySteps?: number | undefined;
  /** After so many epochs. */
  readonly everyEpochs?: number | undefined;
  /** When so many minutes have gone by since it saved last, or the fit began; looked at behind every batch. */
  readonly everyMinutes?: number | undefined;
  /** Any other trigger, such as `on.preemption()`. One that has to listen or to know the best needs `directory`. */
  readonly trigger?: Trigger | undefined;
  /** Names of the checkpoints, as the option of `CheckpointManager.open`: `{epoch}` counts epochs that are done. */
  readonly name?: string | undefined;
  /** Leave the optimizer out. Default false. */
  readonly saveWeightsOnly?: boolean | undefined;
}

const KEYS = [
  'everySteps',
  'everyEpochs',
  'everyMinutes',
  'trigger',
  'name',
  'saveWeightsOnly',
  ...SAVING_KEYS,
] as const satisfies readonly (keyof PeriodicCheckpointOptions)[];

const WHO = 'PeriodicCheckpoint';

/**
 * Saves again and again, for going on after a crash: `new PeriodicCheckpoint({ directory: 'checkpoints', everySteps: 500 })`. Of what it makes, the five
 * newest and the best stay unless `keep` says otherwise.
 *
 * Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TEMPLATE`, `ERR_INVALID_NAME`. A save that fails rejects the fit.
 */
export class PeriodicCheckpoint extends TriggeredCheckpoint {
  private readonly trigger: Trigger;
  /** Whether the manager of the directory has to be asked: for signals, preemption, the best and the interval. */
  private readonly asksManager: boolean;
  private previous = { step: 0, epoch: 0 };
  private lastSaveMs = 0;
  private lastSaveStep = 0;

  constructor(options: PeriodicCheckpointOptions) {
    const trigger = checkOptions(options);
    const asksManager = hasNeeds(trigger);
    const { directory, manager, name, saveWeightsOnly = false } = options;
    if (asksManager && manager !== undefined) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `${WHO}: ${trigger.description} has to be known when the manager is opened: CheckpointManager.open(…, { trigger }), and then manager.callback(model).`,
      );
    }
    const template = name === undefined ? undefined : parseNameTemplate(name);
    const rules = options.keep === undefined ? [keep.last(5), keep.best(1)] : checkRules(WHO, options.keep);
    const open = {
      ...(name === undefined ? {} : { name }),
      ...(asksManager ? { trigger } : {}),
      contents: saveWeightsOnly ? ('weights' as const) : ('full' as const),
    };
    const wish = { rules, owns: template && namesOf(template) };
    super({ who: WHO, directory, open, wish, weightsOnly: saveWeightsOnly, shares: !asksManager }, options);
    this.trigger = trigger;
    this.asksManager = asksManager;
  }

  protected override begin(manager: CheckpointManager, { step, epoch = 0, metrics }: Position): void {
    // From here on its multiples are counted.
    if (this.asksManager) manager.shouldSave({ step, epoch, metrics });
    this.previous = { step, epoch };
    this.lastSaveMs = performance.now();
    this.lastSaveStep = step;
  }

  protected override isDue(manager: CheckpointManager, position: Position): boolean {
    if (this.asksManager) return manager.shouldSave(position) !== undefined;
    const { step, epoch, metrics = {} } = position;
    const now = performance.now();
    const reason = this.trigger.due({
      ...{ step, epoch, metrics, previous: this.previous, sinceSaveMs: now - this.lastSaveMs, previousSave: this.lastSaveStep },
      ...{
        signals: new Set<string>(),
        preempted: false,
        monitor: defaultMonitor([{ metrics }]),
        bestOf: () => undefined,
        interval: undefined,
      },
    });
    this.previous = { step, epoch: epoch ?? this.previous.epoch };
    if (!reason) return false;
    this.lastSaveMs = now;
    this.lastSaveStep = step;
    return true;
  }
}

function checkOptions(options: PeriodicCheckpointOptions): Trigger {
  assertKnown(WHO, options, KEYS);
  checkSavingOptions(WHO, options);
  const { everySteps, everyEpochs, everyMinutes, trigger, name, manager, saveWeightsOnly = false } = options;
  oneOf(`${WHO}: saveWeightsOnly`, saveWeightsOnly, [true, false]);
  const refuse = (what: string) => new HoldfastError('ERR_INVALID_ARGUMENT', `${WHO}: ${what}.`);
  if (manager === undefined && options.directory === undefined) throw refuse('it needs a directory or a manager');
  if (manager !== undefined && name !== undefined) throw refuse('give name to CheckpointManager.open, not beside manager');
  const triggers = [
    ...(everySteps === undefined ? [] : [every.steps(everySteps)]),
    ...(everyEpochs === undefined ? [] : [every.epochs(everyEpochs)]),
    ...(everyMinutes === undefined ? [] : [every.minutes(everyMinutes)]),
    ...(trigger === undefined ? [] : checkTriggers(`${WHO}: trigger`, [trigger])),
  ];
  if (triggers.length === 0) throw refuse('say when: everySteps, everyEpochs, everyMinutes or trigger');
  return triggers.length === 1 ? (triggers[0] as Trigger) : anyOf(...triggers);
}

function hasNeeds({ needs = {} }: Trigger): boolean {
  const { signals = [], preemption, best = false, monitors = [], interval } = needs;
  return signals.length > 0 || preemption !== undefined || best || monitors.length > 0 || interval !== undefined;
}

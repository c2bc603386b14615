/** BestNCheckpoints: the checkpoints of the N best epochs. */
import { HoldfastError } from '../../errors.js';
import { parseNameTemplate } from '../../format/template.js';
import { assertKnown } from '../../known-options.js';
import type { CheckpointManager } from '../../manager/manager.js';
import { count, oneOf } from '../../manager/options.js';
import type { Monitor } from '../../policy/best.js';
import { keep } from '../../policy/keep.js';
import { namesOf } from './filepath.js';
import { type Logs, metricNamed, readLogs, withNames } from './logs.js';
import { beats, type MonitorOptions, toMonitor } from './monitored.js';
import { SavingCallback } from './saving-callback.js';
import { checkSavingOptions, SAVING_KEYS, type SavingOptions } from './saving-options.js';

/** Options of {@link BestNCheckpoints}. */
export interface BestNCheckpointsOptions extends Omit<SavingOptions, 'keep'>, MonitorOptions {
  /** How many. */
  readonly n: number;
  /** Names of the checkpoints, as the option of `CheckpointManager.open`: `{epoch}` counts epochs that are done. */
  readonly name?: string | undefined;
  /** Leave the optimizer out. Default false. */
  readonly saveWeightsOnly?: boolean | undefined;
}

const KEYS = [
  'n',
  'monitor',
  'mode',
  'name',
  'saveWeightsOnly',
  ...SAVING_KEYS.filter((key) => key !== 'keep'),
] as const satisfies readonly (keyof BestNCheckpointsOptions)[];

const WHO = 'BestNCheckpoints';

/**
 * Keeps the `n` best epochs by `monitor`, of this process and of those before it: an epoch is saved if it is one of them when it ends, and what is none
 * any more is removed then. Of equals the earlier ones stay. With `manager`, what stays is for its own `keep` to say.
 *
 * Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TEMPLATE`, `ERR_INVALID_NAME`. A save that fails rejects the fit.
 */
export class BestNCheckpoints extends SavingCallback {
  private readonly n: number;
  private readonly monitor: Monitor;
  private readonly owns: RegExp | undefined;
  /** Values of the best, the best first. */
  private values: number[] = [];

  constructor(options: BestNCheckpointsOptions) {
    const monitor = checkOptions(options);
    const { n, directory, name, saveWeightsOnly = false } = options;
    const watched = { monitor: monitor.metric, mode: monitor.mode };
    const owns = name === undefined ? undefined : namesOf(parseNameTemplate(name));
    super(
      {
        who: WHO,
        directory,
        open: { ...watched, ...(name === undefined ? {} : { name }), contents: saveWeightsOnly ? 'weights' : 'full' },
        wish: { rules: [keep.best(n, watched)], owns },
        weightsOnly: saveWeightsOnly,
        shares: true,
      },
      options,
    );
    this.n = n;
    this.monitor = monitor;
    this.owns = owns;
  }

  protected override async trainBegin(resumed: boolean): Promise<void> {
    await super.trainBegin(resumed);
    await this.learn(await this.manager());
  }

  protected override async epochEnd(epoch: number, logs: Logs): Promise<void> {
    const { metric } = this.monitor;
    const metrics = withNames(await readLogs(logs), [metric]);
    const value = metricNamed(metrics, metric);
    if (value === undefined) {
      this.warn(`The metric ${metric} is not available, skipping. Available are: ${Object.keys(metrics).join(', ')}.`);
      return;
    }
    if (this.enter(value)) await this.save({ step: this.step, epoch: epoch + 1, metrics });
  }

  private async learn(manager: CheckpointManager): Promise<void> {
    this.values = [];
    for await (const { name, status, metrics } of manager.list()) {
      const value = metrics[this.monitor.metric];
      if (status === 'good' && value !== undefined && (this.owns?.test(name) ?? true)) this.enter(value);
    }
  }

  /** Whether it is one of the best. */
  private enter(value: number): boolean {
    if (!Number.isFinite(value)) return false;
    const behind = this.values.findIndex((other) => beats(value, other, this.monitor));
    this.values.splice(behind < 0 ? this.values.length : behind, 0, value);
    const isIn = behind >= 0 || this.values.length <= this.n;
    this.values.length = Math.min(this.values.length, this.n);
    return isIn;
  }
}

function checkOptions(options: BestNCheckpointsOptions): Monitor {
  assertKnown(WHO, options, KEYS);
  checkSavingOptions(WHO, options);
  const { n, directory, manager, name, saveWeightsOnly = false } = options;
  count(`${WHO}: n`, n, 1);
  oneOf(`${WHO}: saveWeightsOnly`, saveWeightsOnly, [true, false]);
  const refuse = (what: string) => new HoldfastError('ERR_INVALID_ARGUMENT', `${WHO}: ${what}.`);
  if (manager === undefined && directory === undefined) throw refuse('it needs a directory or a manager');
  if (manager !== undefined && name !== undefined) throw refuse('give name to CheckpointManager.open, not beside manager');
  if (name !== undefined && parseNameTemplate(name).isFixed)
    throw refuse(`a name needs fields, such as {epoch}: ${name} is one and the same for all`);
  return toMonitor(WHO, options);
}

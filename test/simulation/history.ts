/** A history: processes that train, save and die one after another over one disk, all of it from one number. */
import type { OpenOptions } from '../../src/manager/options.js';
import { type Attempt, planTensors, type TensorPlan } from './attempt.js';
import { doHarm } from './harm.js';
import { Incarnation } from './incarnation.js';
import type { Violation } from './ledger.js';
import { choosePolicy, type Policy, rulesOf, withoutRules } from './policy-model.js';
import type { Random } from './prng.js';
import { World, type WorldOptions } from './world.js';

const SECOND = 1_000_000;
const YEAR = 365 * 24 * 3600 * SECOND;

/** What became of it. */
export interface HistoryOutcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Of every operation and what came of it: the same for the same seed. */
  readonly hash: string;
  readonly operations: number;
  readonly acknowledged: number;
}

export async function runHistory(seed: number, options: WorldOptions = {}): Promise<HistoryOutcome> {
  const world = new World(seed, options);
  const { ledger, trace } = world;
  try {
    // Whether messages between threads or immediates come first depends on where in a turn of the event loop one begins.
    await world.turns(2);
    await new History(world).run();
  } catch (error) {
    ledger.report('CRASHED', String((error as Error).stack));
  } finally {
    world.uninstall();
  }
  const acknowledged = ledger.attempts.filter(({ outcome }) => outcome === 'acknowledged').length;
  return { seed, violations: ledger.violations, hash: trace.hash, operations: trace.count, acknowledged };
}

/** What all processes of a history have in common. */
export class History {
  readonly policy: Policy;
  readonly options: OpenOptions;
  /** What stays whatever the rules say. */
  readonly ofNoRules: Policy;
  /** Where training is. */
  step = 0;
  /** Whether the last process left its directory as it was at some moment. */
  wasKilled = false;
  private readonly tensors: readonly TensorPlan[];

  constructor(readonly world: World) {
    const { plan } = world;
    this.policy = choosePolicy(plan);
    this.ofNoRules = withoutRules(this.policy);
    this.tensors = planTensors(plan);
    this.options = chooseOptions(plan, this.policy);
  }

  async run(): Promise<void> {
    const { world } = this;
    const { plan } = world;
    const processes = plan.pick([1, 2, 2, 3, 4]);
    for (let number = 1; number <= processes; number++) {
      world.trace.say(`process ${number}`);
      world.files.startTime = 1000 + number;
      await new Incarnation(this, String(number)).live();
      if (plan.chance(0.25)) world.clock.jump((plan.chance(0.5) ? 1 : -1) * plan.pick([SECOND, 3600 * SECOND, YEAR]));
      if (plan.chance(0.3)) this.harm();
    }
    world.trace.say('the last process');
    world.files.startTime = 9999;
    await new Incarnation(this, 'last').lookAndClose();
  }

  private harm(): void {
    const { ledger, disk, plan, trace } = this.world;
    if (ledger.node !== undefined) trace.say(`damage: ${doHarm(ledger, disk, ledger.look(), plan)}`);
  }

  /** The next save of the training. */
  attempt(): Attempt {
    const { plan, ledger, seed } = this.world;
    const isUnderway = ledger.attempts.some(({ step, outcome }) => step === this.step && outcome === 'pending');
    if (isUnderway || !plan.chance(0.1)) this.step += plan.between(1, 3);
    const attempt: Attempt = {
      id: ledger.attempts.length,
      seed,
      step: this.step,
      epoch: plan.chance(0.7) ? this.step >> 2 : undefined,
      metrics: chooseMetrics(plan, this.policy),
      contents: plan.chance(0.1) ? 'weights' : 'full',
      tensors: this.tensors,
      outcome: 'pending',
      name: undefined,
      sequence: undefined,
      files: undefined,
      harm: 'none',
      noted: false,
      expected: false,
      retired: false,
    };
    ledger.attempts.push(attempt);
    return attempt;
  }
}

function chooseOptions(plan: Random, policy: Policy): OpenOptions {
  const { metric, mode } = policy;
  return {
    engine: 'portable',
    keep: rulesOf(policy),
    ...(metric === undefined ? {} : { monitor: metric, mode }),
    chunkBytes: plan.pick([512, 4096, 2 ** 20]),
    ...(plan.chance(0.2) ? { maxShardBytes: plan.between(100, 4000) } : {}),
    verifyWrites: plan.chance(0.2),
    verifyPinned: plan.chance(0.2),
    maxInFlight: plan.between(1, 2),
    whenBusy: plan.pick(['wait', 'wait', 'skip', 'replace']),
    // Its default asks the operating system.
    memoryBudgetBytes: 2 ** 26,
    makeRoom: plan.chance(0.2),
  };
}

function chooseMetrics(plan: Random, { metric }: Policy): Record<string, number> {
  const value = () => plan.pick([0, -0, 0.25, 0.25, 0.5, 0.75, 1, 17.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  // Where nobody says what to watch, what there is decides: then it must not depend on what retention has left.
  if (metric === undefined) return { loss: value() };
  return plan.chance(0.8) ? { [metric]: value(), loss: value() } : { loss: value() };
}

/** One process of a history: opens the directory, resumes, trains and saves, and ends in one way or another. */
import { HoldfastError } from '../../src/errors.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { WhenBusy } from '../../src/manager/options.js';
import type { SaveRequest } from '../../src/manager/save-request.js';
import { type Attempt, requestOf } from './attempt.js';
import type { History } from './history.js';
import type { Seen } from './ledger.js';
import type { SimulatedProcess } from './process.js';
import { RestoreJudge, tryRestore } from './restoring.js';
import { Saves } from './saves.js';

const HOUR = 3_600_000_000;

type Ending = 'close' | 'kill' | 'power loss';

export class Incarnation {
  private readonly process: SimulatedProcess;
  private readonly saves: Saves;
  private readonly judge: RestoreJudge;
  private manager: CheckpointManager | undefined;
  private readonly directory: string;
  private readonly roomy: number;

  constructor(
    private readonly history: History,
    private readonly name: string,
  ) {
    const { world, policy } = history;
    this.process = world.start(name);
    this.directory = world.pathFor(this.process);
    this.saves = new Saves(world.ledger, this.process, policy, (line, details) => world.trace.say(line, details));
    this.judge = new RestoreJudge(world.ledger);
    this.roomy = world.disk.capacity;
  }

  /** From the beginning to some end. */
  async live(): Promise<void> {
    const { plan } = this.history.world;
    const ending: Ending = plan.pick(['close', 'close', 'close', 'kill', 'kill', 'power loss', 'power loss']);
    const actions = plan.pick([1, 1, 2, 3, 4]);
    const lastAction = ending === 'close' ? undefined : plan.between(0, actions + 1);
    if (lastAction === 0) this.process.dieAfter(plan.between(1, 60));
    else if (plan.chance(0.05)) this.trouble(60);
    await this.open();
    for (let i = 1; i <= actions && this.process.alive && this.manager !== undefined; i++) {
      if (plan.chance(0.12)) this.trouble(90);
      if (i === lastAction) this.process.dieAfter(plan.between(1, 100));
      await this.act(this.manager);
      this.audit();
    }
    if (ending === 'close' && this.process.alive) await this.close();
    else await this.crash(ending);
  }

  /** What there is at the end must be of use. */
  async lookAndClose(): Promise<void> {
    await this.open();
    await this.close();
  }

  private get world() {
    return this.history.world;
  }

  private get ledger() {
    return this.history.world.ledger;
  }

  /** One of the next operations fails, or the disk gets full; never more than one thing at a time. */
  private trouble(within: number): void {
    const { plan, disk, trace } = this.world;
    const at = this.process.operations + plan.between(1, within);
    this.saves.troubled = true;
    if (plan.chance(0.3)) {
      const room = plan.below(30);
      trace.say(`operation ${at}: ${room} blocks are left`);
      this.process.hook = {
        at,
        run: () => {
          disk.capacity = disk.usedBlocks + room;
        },
      };
    } else {
      trace.say(`operation ${at} fails`);
      this.process.fault = { at, code: 'EIO' };
    }
  }

  private async open(): Promise<void> {
    const { plan } = this.world;
    const before = this.ledger.look();
    for (let attempt = 1; ; attempt++) {
      try {
        this.manager = await CheckpointManager.open(this.directory, this.history.options);
        break;
      } catch (error) {
        if (!this.process.alive) return;
        this.checkError('open', error);
        if (!this.saves.troubled || attempt > 1) return this.ledger.report('OPEN_FAILED', String((error as Error).stack));
        this.world.disk.capacity = this.roomy;
      }
    }
    const strangers = this.ledger.strangers();
    if (strangers.length > 0 && this.process.alive) this.ledger.report('NOT_SWEPT', `after opening there are ${strangers.join(', ')}`);
    const seen = this.audit();
    if (seen.length !== before.length) this.ledger.report('OPEN', `opening has made ${seen.length} checkpoints of ${before.length}`);
    const found = await this.restoreLatest(this.manager, seen);
    this.history.step = found?.step ?? 0;
    if (plan.chance(0.2)) await this.restoreBest(this.manager, seen);
  }

  private async restoreLatest(manager: CheckpointManager, seen: readonly Seen[]) {
    const outcome = await this.saves.call(() => tryRestore(() => manager.restore()).then(throwUnheard));
    return this.process.alive ? this.judge.latest(seen, outcome, this.saves.troubled) : undefined;
  }

  private async restoreBest(manager: CheckpointManager, seen: readonly Seen[]): Promise<void> {
    const outcome = await this.saves.call(() => tryRestore(() => manager.restore('best')).then(throwUnheard));
    if (this.process.alive) this.judge.best(seen, outcome, this.history.policy, this.saves.troubled);
  }

  private async act(manager: CheckpointManager): Promise<void> {
    const { plan, clock, trace } = this.world;
    const kind = plan.below(20);
    trace.say(`action ${kind}`);
    if (kind < 5) await this.save(manager);
    else if (kind < 8) await this.saveAsync(manager, 'await');
    else if (kind < 10) await this.saveAsync(manager, 'later');
    else if (kind < 12) await this.saveAsync(manager, 'ignore');
    else if (kind < 13) await this.saveAsync(manager, 'cancel');
    else if (kind < 15) await this.burst(manager);
    else if (kind < 16) await this.readBeside(manager);
    else if (kind < 17) await this.rival();
    else if (kind < 18) await this.withSecondManager();
    else if (kind < 19) {
      clock.jump((plan.chance(0.5) ? 1 : -1) * plan.between(1, 24 * 365) * HOUR);
      await this.save(manager);
    } else {
      await this.settle(manager);
      const seen = this.audit();
      if (this.process.alive) await this.restoreLatest(manager, seen);
      if (this.process.alive) await this.restoreBest(manager, seen);
    }
  }

  private async save(manager: CheckpointManager): Promise<void> {
    const attempt = this.history.attempt();
    const saved = this.saves.call(() => trainingOn(attempt, (request) => manager.save(request)));
    await this.saves.follow(attempt, saved);
  }

  private async saveAsync(manager: CheckpointManager, then: 'await' | 'later' | 'ignore' | 'cancel', whenBusy?: WhenBusy): Promise<void> {
    const attempt = this.history.attempt();
    const more = whenBusy === undefined ? {} : { whenBusy };
    const accepted = this.saves.call(() => trainingOn(attempt, (request) => manager.saveAsync({ ...request, ...more })));
    if (then === 'ignore') this.saves.ignore(attempt, manager);
    let pending: Awaited<typeof accepted>;
    try {
      pending = await accepted;
    } catch (error) {
      await this.saves.follow(attempt, Promise.reject(error));
      return;
    }
    if (pending.status === 'skipped') attempt.outcome = 'refused';
    else if (then === 'ignore') return;
    else {
      const followed = this.saves.follow(attempt, pending.committed);
      if (then === 'await') await followed;
      if (then !== 'cancel') return;
      await this.world.turns(this.world.plan.below(4));
      const nothing = await pending.cancel();
      await followed;
      if (nothing === (attempt.outcome === 'acknowledged')) {
        this.ledger.report('CANCEL', `cancel() of save ${attempt.id} said ${nothing}, and it was ${attempt.outcome}`);
      }
    }
  }

  /** Several saves without waiting. */
  private async burst(manager: CheckpointManager): Promise<void> {
    const { plan } = this.world;
    const kinds = ['await', 'later', 'ignore'] as const;
    const all = Array.from({ length: plan.between(2, 3) }, () =>
      plan.chance(0.3) ? this.save(manager) : this.saveAsync(manager, plan.pick(kinds), plan.pick(['wait', 'skip', 'replace'])),
    );
    await Promise.all(all);
  }

  /** Another process looks while this one saves. */
  private async readBeside(manager: CheckpointManager): Promise<void> {
    await this.settle(manager);
    if (!this.process.alive) return;
    const before = this.audit();
    const reader = this.world.start(`${this.name}-reader`);
    const reading = (async () => {
      const look = await CheckpointManager.open(this.world.pathFor(reader), { engine: 'portable', readOnly: true });
      const outcome = await tryRestore(() => look.restore());
      await look.close();
      return outcome;
    })();
    const saving = this.burst(manager);
    this.judge.beside(before, await reading);
    await saving;
    if (reader.open.size > 0) this.ledger.report('LEFT_OPEN', `a reader has left ${reader.open.size} files open`);
  }

  /** Another writer wants the directory. */
  private async rival(): Promise<void> {
    const rival = this.world.start(`${this.name}-rival`);
    const second = await CheckpointManager.open(this.world.pathFor(rival), this.history.options).catch(
      (error: unknown) => error as HoldfastError,
    );
    if (second instanceof CheckpointManager) {
      this.ledger.report('TWO_WRITERS', 'a second writer was let in');
      await second.close();
    } else if (second.code !== 'ERR_LOCKED' && this.process.alive && !this.saves.troubled) {
      this.ledger.report('TWO_WRITERS', `a second writer was refused with ${second.code}: ${second.message}`);
    }
  }

  /** Another manager of this process shares everything. */
  private async withSecondManager(): Promise<void> {
    try {
      const second = await CheckpointManager.open(this.directory, this.history.options);
      await this.save(second);
      await this.saves.call(() => second.close());
    } catch (error) {
      this.checkError('open and close', error);
    }
  }

  /** Waits until nothing is underway, and for what was not said yet. */
  private async settle(manager: CheckpointManager): Promise<void> {
    try {
      await this.saves.call(() => manager.flush());
    } catch (error) {
      this.checkError('flush', error);
    }
    await Promise.all(this.saves.underway);
    this.saves.settle();
  }

  private audit(): Seen[] {
    if (this.process.struck?.operation === 'fsync' && this.process.struck.ofDirectory) this.ledger.lenient = true;
    const seen = this.ledger.look();
    if (this.saves.isQuiet) this.ledger.audit(seen, this.history.policy);
    return seen;
  }

  private async close(): Promise<void> {
    const { manager, process } = this;
    if (manager === undefined) return;
    await this.settle(manager);
    this.audit();
    try {
      await manager.close();
    } catch (error) {
      if (process.alive) this.checkError('close', error);
      if (!this.saves.troubled) this.ledger.report('CLOSE_FAILED', String((error as Error).stack));
    }
    if (!process.alive) return this.crash('kill');
    if (process.open.size > 0)
      this.ledger.report('LEFT_OPEN', `${[...process.open.values()].map(({ path }) => path).join(', ')} were left open`);
    const left = [...this.ledger.strangers(), ...(this.ledger.node?.entries.has('.lock') ? ['.lock'] : [])];
    if (left.length > 0 && !this.saves.troubled) this.ledger.report('LEFT_OVER', `closing has left ${left.join(', ')}`);
    this.audit();
    this.world.disk.capacity = this.roomy;
    this.world.files.reap(process);
  }

  /** It is dead: nothing that it does any more reaches the disk, but it must come to an end. */
  private async crash(ending: Ending): Promise<void> {
    const { world, process } = this;
    process.alive = false;
    await this.manager?.close().catch((error: unknown) => this.checkError('close', error));
    await Promise.all(this.saves.underway);
    this.saves.settle();
    world.files.reap(process);
    world.disk.capacity = this.roomy;
    this.audit();
    if (ending !== 'power loss') return;
    const { plan } = world;
    const survival = { chance: plan.pick([0, 0, 0.2, 0.5, 0.8, 1]), asJournal: plan.chance(0.3) };
    world.trace.say(`power loss, ${survival.asJournal ? 'as of a journal' : `${survival.chance} survives`}`);
    world.disk.losePower(survival);
    world.boot();
    this.ledger.powerLost();
    this.audit();
  }

  private checkError(what: string, error: unknown): void {
    if (error instanceof HoldfastError && error.code !== 'ERR_INTERNAL') return;
    this.ledger.report('DEFECT', `${what} rejected with ${String((error as Error).stack)}`);
  }
}

/** What the manager says of an earlier save is no answer to a restore. */
function throwUnheard<T extends object>(outcome: T): T {
  if ('error' in outcome && (outcome.error as HoldfastError).code === 'ERR_SAVE_FAILED') throw outcome.error;
  return outcome;
}

/** Calls `save`, and changes the memory that it was given as soon as it returns. */
function trainingOn<T>(attempt: Attempt, save: (request: SaveRequest) => Promise<T>): Promise<T> {
  const { request, trainOn } = requestOf(attempt);
  const saved = save(request);
  trainOn();
  return saved;
}

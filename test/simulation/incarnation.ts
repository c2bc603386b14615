/** One process of a history: opens the directory, resumes, does what training does (actions.ts), and ends in one way or another. */
import { HoldfastError } from '../../src/errors.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import { Actions } from './actions.js';
import type { Attempt } from './attempt.js';
import type { History } from './history.js';
import type { Seen } from './ledger.js';
import type { Policy } from './policy-model.js';
import type { SimulatedProcess } from './process.js';
import { RestoreJudge, tryRestore } from './restoring.js';
import { Saves } from './saves.js';
import type { World } from './world.js';

const FAULTS = ['EIO', 'EIO', 'ENOSPC', 'EMFILE', 'EMFILE'] as const;

type Ending = 'close' | 'kill' | 'power loss';

export class Incarnation {
  readonly process: SimulatedProcess;
  readonly saves: Saves;
  readonly judge: RestoreJudge;
  readonly directory: string;
  /** Everything that is open. */
  readonly managers = new Set<CheckpointManager>();
  /** Rules that were followed since the last audit. */
  policies: readonly Policy[];
  private readonly roomy: number;

  constructor(
    readonly history: History,
    readonly name: string,
  ) {
    const { world, policy } = history;
    this.process = world.start(name);
    this.directory = world.pathFor(this.process);
    this.policies = [policy];
    this.saves = new Saves(world.ledger, this.process, policy, (line, details) => world.trace.say(line, details));
    this.judge = new RestoreJudge(world.ledger);
    this.roomy = world.disk.capacity;
  }

  /** From the beginning to some end. */
  async live(): Promise<void> {
    const { plan } = this.world;
    const { ending, actions, deadline } = this.choose();
    if (deadline === 'early') this.process.dieAfter(plan.pick([plan.between(1, 15), plan.between(1, 60), plan.between(20, 90)]));
    else if (plan.chance(0.05)) this.trouble(60);
    const manager = await this.open();
    for (let i = 1; i <= actions && this.process.alive && manager !== undefined; i++) {
      if (plan.chance(0.15)) this.trouble(90);
      if (i === deadline) this.process.dieAfter(plan.between(1, 100));
      await new Actions(this, manager).act();
      this.audit();
    }
    this.history.wasKilled = ending === 'kill';
    if (ending === 'close' && this.process.alive && manager !== undefined) await this.close(manager);
    else await this.crash(ending);
  }

  /** How it ends, after how many actions, and during which of them it dies, unless it dies before the first or after the last. */
  private choose(): { ending: Ending; actions: number; deadline: number | 'early' | 'late' } {
    const { plan } = this.world;
    // What a process that was killed had not made durable, the next one builds upon: then the power goes.
    if (this.history.wasKilled && plan.chance(0.3)) return { ending: 'power loss', actions: 1, deadline: 'early' };
    const ending: Ending = plan.pick(['close', 'close', 'close', 'kill', 'kill', 'power loss', 'power loss']);
    const actions = plan.pick([1, 1, 2, 3, 4]);
    if (ending === 'close') return { ending, actions, deadline: 'late' };
    const deadline = plan.between(0, actions + 1);
    return { ending, actions, deadline: deadline === 0 ? 'early' : deadline > actions ? 'late' : deadline };
  }

  /** What there is at the end must be of use. */
  async lookAndClose(): Promise<void> {
    const manager = await this.open();
    if (manager !== undefined) await this.close(manager);
  }

  get world(): World {
    return this.history.world;
  }

  report(code: string, message: string): void {
    this.world.ledger.report(code, message);
  }

  /** One of the next operations fails, the disk gets full, or the thread that writes dies; never more than one thing at a time. */
  private trouble(within: number): void {
    const { plan, disk, trace } = this.world;
    const worker = this.world.workerOf(this.process);
    if (this.process.fault !== undefined || this.process.hook !== undefined || worker.diesAt < Number.POSITIVE_INFINITY) return;
    const at = this.process.operations + plan.between(1, within);
    const kind = plan.below(10);
    this.saves.troubled = true;
    if (kind < 3) {
      const room = plan.below(30);
      trace.say(`operation ${at}: ${room} blocks are left`);
      const run = () => {
        disk.capacity = disk.usedBlocks + room;
      };
      this.process.hook = { at, run };
    } else if (kind < 5) {
      const operations = plan.between(1, 60);
      trace.say(`the worker dies after ${operations} operations`);
      worker.dieAfter(operations);
    } else {
      trace.say(`operation ${at} fails`);
      this.process.fault = { at, code: plan.pick(FAULTS) };
    }
  }

  private async open(): Promise<CheckpointManager | undefined> {
    const { plan, ledger } = this.world;
    const before = ledger.look();
    if (plan.chance(0.08)) await this.race();
    const manager = await this.openManager();
    if (manager === undefined) return undefined;
    const strangers = ledger.strangers();
    if (strangers.length > 0 && this.process.alive) this.report('NOT_SWEPT', `after opening there are ${strangers.join(', ')}`);
    const seen = this.audit();
    if (seen.length !== before.length) this.report('OPEN', `opening has made ${seen.length} checkpoints of ${before.length}`);
    if (plan.chance(0.06)) this.trouble(30);
    const found = await this.restoreLatest(manager, seen);
    this.history.step = found?.step ?? 0;
    if (plan.chance(0.2)) await this.restoreBest(manager, seen);
    return manager;
  }

  private async openManager(): Promise<CheckpointManager | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        const manager = await CheckpointManager.open(this.directory, this.history.options);
        this.managers.add(manager);
        return manager;
      } catch (error) {
        if (!this.process.alive) return undefined;
        this.checkError('open', error);
        if (!this.saves.troubled || attempt > 1) {
          this.report('OPEN_FAILED', String((error as Error).stack));
          return undefined;
        }
        this.world.disk.capacity = this.roomy;
      }
    }
  }

  /** Two processes see at the same time that the last writer is dead. */
  private async race(): Promise<void> {
    const { world, history } = this;
    const rivals = [world.start(`${this.name}-racer-1`), world.start(`${this.name}-racer-2`)];
    const isFaulty = world.plan.chance(0.5);
    if (isFaulty) world.plan.pick(rivals).fault = { at: world.plan.between(1, 40), code: world.plan.pick(FAULTS) };
    const opened = await Promise.allSettled(rivals.map((rival) => CheckpointManager.open(world.pathFor(rival), history.options)));
    const winners = opened.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    if (winners.length > 1) this.report('TWO_WRITERS', 'two processes took the lock of a dead one');
    for (const outcome of opened) {
      const { reason } = outcome as PromiseRejectedResult;
      if (outcome.status === 'fulfilled') continue;
      this.checkError('open', reason);
      if (!isFaulty && (reason as HoldfastError).code !== 'ERR_LOCKED') {
        this.report('OPEN_FAILED', `racing for the lock: ${String((reason as Error).stack)}`);
      }
    }
    for (const winner of winners) await winner.close().catch((error: unknown) => this.checkError('close', error));
    for (const rival of rivals) if (rival.open.size > 0) this.report('LEFT_OPEN', 'a process that raced for the lock left files open');
    // One that could not remove its lock is as good as dead, or nobody else would ever get in.
    world.files.startTime += 0.5;
  }

  async restoreLatest(manager: CheckpointManager, seen: readonly Seen[]): Promise<Attempt | undefined> {
    const outcome = await this.saves.call(() => tryRestore(() => manager.restore()).then(throwUnheard));
    return this.process.alive ? this.judge.latest(seen, outcome, this.faultiness) : undefined;
  }

  /** What may have gone wrong. Running out of descriptors says nothing about a checkpoint. */
  private get faultiness(): 'none' | 'resources' | 'any' {
    if (!this.saves.troubled) return 'none';
    return this.process.struck?.code === 'EMFILE' && this.process.fault === undefined ? 'resources' : 'any';
  }

  async restoreBest(manager: CheckpointManager, seen: readonly Seen[]): Promise<void> {
    const outcome = await this.saves.call(() => tryRestore(() => manager.restore('best')).then(throwUnheard));
    if (this.process.alive) this.judge.best(seen, outcome, this.history.policy, this.saves.troubled);
  }

  /** Waits until nothing is underway, and for what was not said yet. */
  async settle(manager: CheckpointManager): Promise<void> {
    try {
      await this.saves.call(() => manager.flush());
    } catch (error) {
      this.checkError('flush', error);
    }
    await Promise.all(this.saves.underway);
    this.saves.settle();
  }

  /** Whether the disk was so full that retention may have run before a save that then failed. */
  private get madeRoom(): boolean {
    return this.history.options.makeRoom === true && this.saves.troubled;
  }

  audit(): Seen[] {
    const { ledger } = this.world;
    if (this.process.struck?.operation === 'fsync' && this.process.struck.ofDirectory) ledger.lenient = true;
    const seen = ledger.look();
    if (!this.saves.isQuiet) return seen;
    ledger.audit(seen, this.madeRoom ? [...this.policies, this.history.ofNoRules] : this.policies);
    this.policies = [this.history.policy];
    return seen;
  }

  private async close(manager: CheckpointManager): Promise<void> {
    const { process, world } = this;
    await this.settle(manager);
    this.audit();
    try {
      await manager.close();
    } catch (error) {
      if (process.alive) this.checkError('close', error);
      if (!this.saves.troubled) this.report('CLOSE_FAILED', String((error as Error).stack));
    }
    if (!process.alive) return this.crash('kill');
    const open = world.files.openFilesOf(process);
    if (open.length > 0) this.report('LEFT_OPEN', `${open.join(', ')} were left open`);
    // What a rival that failed could not remove goes when the directory is opened next.
    const strangers = world.ledger.strangers().filter((name) => !name.startsWith('.tmp-lock-'));
    const left = [...strangers, ...(world.ledger.node?.entries.has('.lock') ? ['.lock'] : [])];
    if (left.length > 0 && !this.saves.troubled) this.report('LEFT_OVER', `closing has left ${left.join(', ')}`);
    this.audit();
    world.disk.capacity = this.roomy;
    world.files.reap(process);
  }

  /** It is dead: nothing that it does any more reaches the disk, but it must come to an end. */
  private async crash(ending: Ending): Promise<void> {
    const { world, process } = this;
    process.end();
    for (const manager of this.managers) await manager.close().catch((error: unknown) => this.checkError('close', error));
    await Promise.all(this.saves.underway);
    this.saves.settle();
    world.files.reap(process);
    world.disk.capacity = this.roomy;
    this.audit();
    world.ledger.checkTags();
    if (ending !== 'power loss') return;
    const { plan } = world;
    const survival = { chance: plan.pick([0, 0, 0.2, 0.5, 0.8, 1]), asJournal: plan.chance(0.3) };
    world.trace.say(`power loss, ${survival.asJournal ? 'as of a journal' : `${survival.chance} survives`}`);
    world.disk.losePower(survival);
    world.boot();
    world.ledger.powerLost();
    this.audit();
    world.ledger.checkTags();
    world.ledger.settleTags();
  }

  /** What a call rejects with is typed, and no defect. */
  checkError(what: string, error: unknown): void {
    if (error instanceof HoldfastError && error.code !== 'ERR_INTERNAL') return;
    this.report('DEFECT', `${what} rejected with ${String((error as Error).stack)}`);
  }
}

/** What the manager says of an earlier save is no answer to a restore. */
function throwUnheard<T extends object>(outcome: T): T {
  if ('error' in outcome && (outcome.error as HoldfastError).code === 'ERR_SAVE_FAILED') throw outcome.error;
  return outcome;
}

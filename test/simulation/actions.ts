/** What a training process does between opening a directory and its end, and what others do meanwhile. */
import type { HoldfastError } from '../../src/errors.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { WhenBusy } from '../../src/manager/options.js';
import type { SaveRequest } from '../../src/manager/save-request.js';
import { type Attempt, bytesOf, requestOf } from './attempt.js';
import { doHarm } from './harm.js';
import type { Incarnation } from './incarnation.js';
import type { Seen } from './ledger.js';
import { mustStay, otherRules, rulesOf } from './policy-model.js';
import { tryRestore } from './restoring.js';

const HOUR = 3_600_000_000;
/** Longer than any granule of time stamps. */
const A_WHILE = 50_000;

type Then = 'await' | 'later' | 'ignore' | 'cancel';

export class Actions {
  constructor(
    private readonly life: Incarnation,
    private readonly manager: CheckpointManager,
  ) {}

  private get world() {
    return this.life.world;
  }

  /** Does one thing, whichever comes up. */
  async act(): Promise<void> {
    const { plan, trace } = this.world;
    const kinds: readonly (readonly [number, readonly [string, () => Promise<unknown>]])[] = [
      [10, ['save', () => this.save(this.manager)]],
      [6, ['saveAsync', () => this.saveAsync('await')]],
      [4, ['saveAsync, awaited later', () => this.saveAsync('later')]],
      [4, ['saveAsync, ignored', () => this.saveAsync('ignore')]],
      [3, ['saveAsync, cancelled', () => this.saveAsync('cancel')]],
      [2, ['save, aborted', () => this.abort()]],
      [4, ['several saves', () => this.burst()]],
      [3, ['a reader', () => this.readBeside()]],
      [2, ['a rival', () => this.rival()]],
      [1, ['a rival that was let in', () => this.evict()]],
      [2, ['a second manager', () => this.withSecondManager()]],
      [2, ['the clock is set', () => this.setClock()]],
      [2, ['looking', () => this.look()]],
      [4, ['a tag', () => this.tag()]],
      [2, ['pruning', () => this.prune()]],
      [2, ['damage', () => this.damage()]],
    ];
    const [name, work] = plan.weighted(kinds);
    trace.say(name);
    await work();
  }

  private async save(manager: CheckpointManager, signal?: AbortSignal): Promise<void> {
    const { life } = this;
    const attempt = life.history.attempt();
    const more = signal === undefined ? {} : { signal };
    await life.saves.follow(
      attempt,
      life.saves.call(() => trainingOn(attempt, (request) => manager.save({ ...request, ...more }))),
    );
  }

  private async saveAsync(then: Then, whenBusy?: WhenBusy): Promise<void> {
    const { life, manager } = this;
    const attempt = life.history.attempt();
    const more = whenBusy === undefined ? {} : { whenBusy };
    const accepted = life.saves.call(() => trainingOn(attempt, (request) => manager.saveAsync({ ...request, ...more })));
    if (then === 'ignore') life.saves.ignore(attempt, manager);
    let pending: Awaited<typeof accepted>;
    try {
      pending = await accepted;
    } catch (error) {
      await life.saves.follow(attempt, Promise.reject(error));
      return;
    }
    if (pending.status === 'skipped') attempt.outcome = 'refused';
    else if (then === 'ignore') return;
    else {
      const followed = life.saves.follow(attempt, pending.committed);
      if (then === 'await') await followed;
      if (then !== 'cancel') return;
      await this.world.turns(this.world.plan.below(4));
      const nothing = await pending.cancel();
      await followed;
      if (nothing === (attempt.outcome === 'acknowledged')) {
        life.report('CANCEL', `cancel() of save ${attempt.id} said ${nothing}, and it was ${attempt.outcome}`);
      }
    }
  }

  /** A save whose signal fires at some moment. */
  private async abort(): Promise<void> {
    const stop = new AbortController();
    const saved = this.save(this.manager, stop.signal);
    await this.world.turns(this.world.plan.below(5));
    stop.abort();
    await saved;
  }

  /** Several saves without waiting. */
  private async burst(): Promise<void> {
    const { plan } = this.world;
    const all = Array.from({ length: plan.between(2, 3) }, () =>
      plan.chance(0.3)
        ? this.save(this.manager)
        : this.saveAsync(plan.pick(['await', 'later', 'ignore']), plan.pick(['wait', 'skip', 'replace'])),
    );
    await Promise.all(all);
  }

  /** Another process looks while this one saves. */
  private async readBeside(): Promise<void> {
    const { life } = this;
    await life.settle(this.manager);
    if (!life.process.alive) return;
    const before = life.audit();
    const reader = this.world.start(`${life.name}-reader`);
    const reading = this.read(this.world.pathFor(reader), before);
    const saving = this.burst();
    await reading;
    await saving;
    if (reader.open.size > 0) life.report('LEFT_OPEN', `a reader has left ${reader.open.size} files open`);
  }

  private async read(directory: string, before: readonly Seen[]): Promise<void> {
    const { life, world } = this;
    const manager = await CheckpointManager.open(directory, { engine: 'portable', readOnly: true });
    const isWhole = before.some(({ attempt }) => attempt?.harm === 'none' && attempt.contents === 'full');
    if (isWhole && world.plan.chance(0.3)) await this.readSlowly(manager);
    else life.judge.beside(before, await tryRestore(() => manager.restore()));
    await manager.close();
  }

  /** Opens a checkpoint and reads its tensors when retention may have taken it. */
  private async readSlowly(manager: CheckpointManager): Promise<void> {
    const { life, world } = this;
    const checkpoint = await manager.openCheckpoint();
    if (checkpoint === null) return life.report('FIRST_RUN', 'openCheckpoint gave null although there are checkpoints');
    const attempt = world.ledger.attempts.findLast(
      ({ name, sequence }) => name === checkpoint.info.name && sequence === checkpoint.info.sequence,
    );
    await world.turns(world.plan.below(30));
    for (const [index, { name, role }] of (attempt?.tensors ?? []).entries()) {
      const tensor = await checkpoint.read(name, { role }).catch((error: unknown) => error as HoldfastError);
      if (tensor instanceof Error) {
        // What was harmed without a trace in its size shows when it is read.
        if (attempt?.harm === 'none')
          life.report('RESTORE_FAILED', `tensor ${name} of an open checkpoint: ${tensor.code}: ${tensor.message}`);
        continue;
      }
      const bytes = new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength);
      if (Buffer.compare(bytes, bytesOf(attempt as Attempt, index)) !== 0)
        life.report('WRONG_BYTES', `tensor ${name} of an open checkpoint differs`);
    }
    await checkpoint.close();
  }

  /** Another writer wants the directory. */
  private async rival(): Promise<void> {
    const { life } = this;
    const { plan } = this.world;
    const rival = this.world.start(`${life.name}-rival`);
    const isFaulty = plan.chance(0.4);
    if (isFaulty) rival.fault = { at: plan.between(1, 25), code: plan.pick(['EIO', 'EMFILE', 'EMFILE']) };
    const second = await CheckpointManager.open(this.world.pathFor(rival), life.history.options).catch(
      (error: unknown) => error as HoldfastError,
    );
    if (second instanceof CheckpointManager) {
      life.report('TWO_WRITERS', 'a second writer was let in');
      await second.close();
    } else if (second.code !== 'ERR_LOCKED' && life.process.alive && !life.saves.troubled && !isFaulty) {
      life.report('TWO_WRITERS', `a second writer was refused with ${second.code}: ${second.message}`);
    }
  }

  /** Somebody removes the lock, and another process writes: this one must notice before it commits. */
  private async evict(): Promise<void> {
    const { life, world, manager } = this;
    await life.settle(manager);
    if (!life.process.alive || life.saves.troubled) return;
    world.ledger.node?.erase('.lock');
    const rival = world.start(`${life.name}-heir`);
    const heir = await CheckpointManager.open(world.pathFor(rival), life.history.options);
    life.saves.evicted = true;
    await this.save(manager);
    await this.saveAsync('await');
    life.saves.evicted = false;
    await manager.close().catch((error: unknown) => life.checkError('close', error));
    if (!world.ledger.node?.entries.has('.lock')) life.report('TWO_WRITERS', 'who had lost the lock has removed that of another');
    await this.save(heir);
    await heir.close();
    if (rival.open.size > 0) life.report('LEFT_OPEN', 'a rival that was let in left files open');
    life.process.end();
  }

  /** Another manager of this process shares everything. */
  private async withSecondManager(): Promise<void> {
    const { life } = this;
    try {
      const second = await CheckpointManager.open(life.directory, life.history.options);
      life.managers.add(second);
      await this.save(second);
      await life.saves.call(() => second.close());
    } catch (error) {
      life.checkError('open and close', error);
    }
  }

  private async setClock(): Promise<void> {
    const { plan, clock } = this.world;
    clock.jump((plan.chance(0.5) ? 1 : -1) * plan.between(1, 24 * 365) * HOUR);
    await this.save(this.manager);
  }

  /** Everything that looks and changes nothing. */
  private async look(): Promise<void> {
    const { life, manager } = this;
    await life.settle(manager);
    const seen = life.audit();
    if (life.process.alive) await life.restoreLatest(manager, seen);
    if (life.process.alive) await life.restoreBest(manager, seen);
    if (!life.process.alive || life.saves.troubled) return;
    if (life.saves.isClean) life.judge.links(seen, life.history.policy);
    const listed: string[] = [];
    try {
      for await (const { name, status } of manager.list()) listed.push(`${name} ${status}`);
      const { problems } = await manager.verify();
      if (!life.process.alive) return;
      life.judge.listing(seen, listed, new Set(problems.map(({ checkpoint }) => checkpoint)));
    } catch (error) {
      if (life.process.alive) life.report('RESTORE_FAILED', `list or verify: ${String((error as Error).stack)}`);
    }
  }

  /** A tag is put somewhere, moved, or taken away: acknowledged, it is durable, and what has it stays. */
  private async tag(): Promise<void> {
    const { life, world, manager } = this;
    const { ledger, plan } = world;
    await life.settle(manager);
    const whole = life.audit().flatMap(({ attempt }) => (attempt?.harm === 'none' ? [attempt] : []));
    if (!life.process.alive || whole.length === 0) return;
    const tag = plan.pick(['keep-this', 'and-this']);
    const name = plan.pick(whole).name as string;
    const isRemoved = plan.chance(0.3);
    ledger.unsureTags.add(tag);
    try {
      const found = await life.saves.call<boolean | string>(() => (isRemoved ? manager.untag(tag) : manager.tag(tag, name)));
      if (isRemoved && found !== ledger.tags.has(tag)) life.report('TAG', `untag(${tag}) said ${found}`);
      if (isRemoved) ledger.tags.delete(tag);
      else ledger.tags.set(tag, name);
      ledger.unsureTags.delete(tag);
    } catch (error) {
      life.checkError('tag', error);
      if (life.process.alive && !life.saves.troubled) life.report('TAG', `tagging ${name} failed: ${String(error)}`);
    }
    life.saves.isClean = false;
  }

  /** Retention on demand, by other rules. */
  private async prune(): Promise<void> {
    const { life, world, manager } = this;
    const { ledger, plan } = world;
    await life.settle(manager);
    const good = life
      .audit()
      .flatMap(({ attempt }) => (attempt !== undefined && ['none', 'hidden'].includes(attempt.harm) ? [attempt] : []));
    if (!life.process.alive) return;
    const rules = otherRules(plan, life.history.policy);
    life.policies = [life.history.policy, rules];
    const stay = mustStay(good, rules, ledger.isTagged);
    try {
      const { removed, warnings } = await life.saves.call(() => manager.prune({ keep: rulesOf(rules) }));
      const names = new Set(removed.map(({ name }) => name));
      for (const attempt of good) {
        const isGone = names.has(attempt.name as string);
        const isSure = warnings.length === 0 && !life.saves.troubled && ledger.unsureTags.size === 0;
        if (isGone && stay.has(attempt)) life.report('RETENTION', `${attempt.name} was pruned although it has to stay`);
        if (!isGone && !stay.has(attempt) && isSure) life.report('RETENTION', `${attempt.name} should have been pruned`);
        if (isGone) attempt.retired = true;
      }
    } catch (error) {
      life.checkError('prune', error);
      if (life.process.alive && !life.saves.troubled) life.report('RETENTION', `pruning failed: ${String(error)}`);
    }
    life.saves.isClean = false;
  }

  /** Something is damaged while the directory is open. */
  private async damage(): Promise<void> {
    const { life, world } = this;
    await life.settle(this.manager);
    if (!life.process.alive) return;
    const seen = life.audit();
    // Damage to what was looked at in the same moment could not be told by the file's times.
    world.clock.pass(A_WHILE);
    life.saves.isClean = false;
    world.trace.say(`damage: ${doHarm(world.ledger, world.disk, seen, world.plan)}`);
    world.clock.pass(A_WHILE);
    if (world.plan.chance(0.5)) await this.save(this.manager);
    else await life.restoreLatest(this.manager, life.audit());
  }
}

/** Calls `save`, and changes the memory that it was given as soon as it returns. */
function trainingOn<T>(attempt: Attempt, save: (request: SaveRequest) => Promise<T>): Promise<T> {
  const { request, trainOn } = requestOf(attempt);
  const saved = save(request);
  trainOn();
  return saved;
}

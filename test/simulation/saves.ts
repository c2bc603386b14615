/** The saves of one process: what was said of each, and whether it was true. */
import { HoldfastError } from '../../src/errors.js';
import type { CheckpointManager } from '../../src/manager/manager.js';
import type { SaveResult } from '../../src/manager/save.js';
import type { Attempt } from './attempt.js';
import type { Ledger } from './ledger.js';
import { mustStay, type Policy } from './policy-model.js';
import type { SimulatedProcess } from './process.js';

export class Saves {
  /** What is not settled. */
  readonly underway = new Set<Promise<void>>();
  /** Asynchronous saves to whose outcome nobody listens. */
  private readonly unheard: Attempt[] = [];
  private told = 0;
  /** Errors are expected: the disk is full, or an operation was made to fail. */
  troubled = false;
  /** The last save has left everything as it is meant to be, the links too. */
  isClean = false;
  /** The lock is somebody else's: every save must be refused for that. */
  evicted = false;

  constructor(
    private readonly ledger: Ledger,
    private readonly process: SimulatedProcess,
    private readonly policy: Policy,
    private readonly say: (line: string, details: string) => void,
  ) {}

  /** Follows a save to its end. */
  follow(attempt: Attempt, outcome: Promise<SaveResult>): Promise<void> {
    const followed: Promise<void> = outcome
      .then(
        (result) => this.acknowledged(attempt, result),
        (error: unknown) => this.refused(attempt, error),
      )
      .finally(() => this.underway.delete(followed));
    this.underway.add(followed);
    return followed;
  }

  /** Does not listen for a failure: the manager has to say it by itself. */
  ignore(attempt: Attempt, manager: CheckpointManager): void {
    this.unheard.push(attempt);
    // Of the saves underway no two have one step.
    const isIt = ({ step }: { readonly step: number }) => step === attempt.step && attempt.outcome === 'pending';
    manager.on('saveCommitted', (event) => isIt(event) && this.acknowledged(attempt, event.result));
    manager.on('saveReplaced', (event) => {
      if (isIt(event)) attempt.outcome = 'refused';
    });
  }

  /** A call of the manager; what it says of earlier saves is counted. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if ((error as HoldfastError).code !== 'ERR_SAVE_FAILED') throw error;
        const { cause } = error as HoldfastError;
        this.told += cause instanceof AggregateError ? cause.errors.length : 1;
        if (this.told > this.unheard.length) throw error;
      }
    }
  }

  /** Whether nothing may be underway: what is on the disk and what was said can be compared. */
  get isQuiet(): boolean {
    return this.underway.size === 0 && this.unheard.every(({ outcome }) => outcome !== 'pending');
  }

  /** Everything is settled: every failure that nobody listened for must have been told by now. */
  settle(): void {
    const failed = this.unheard.filter(({ outcome }) => outcome === 'pending');
    for (const attempt of failed) attempt.outcome = this.process.alive ? 'refused' : 'unknown';
    if (this.process.alive && failed.length !== this.told) {
      this.ledger.report('UNSURFACED', `${failed.length} saves failed unheard, and ${this.told} failures were told`);
    }
    if (failed.length > 0 && this.process.alive && !this.troubled)
      this.ledger.report('SAVE_FAILED', `save ${failed[0]?.id} failed without a reason`);
    this.unheard.length = 0;
    this.told = 0;
  }

  acknowledged(attempt: Attempt, { name, sequence, removed, warnings }: SaveResult): void {
    const more = `, removed [${removed.join(', ')}], warnings [${warnings.join(', ')}]`;
    this.say(`save ${attempt.id} acknowledged as ${name}, sequence ${sequence}`, more);
    const { ledger } = this;
    if (this.evicted) ledger.report('TWO_WRITERS', `save ${attempt.id} was committed although the lock was lost`);
    if (attempt.outcome === 'refused') ledger.report('FALSE_SUCCESS', `save ${attempt.id} was refused and acknowledged`);
    const present = ledger.attempts.filter((each) => each !== attempt && ledger.wasThere(each));
    const highest = Math.max(0, ...present.filter(({ harm }) => harm !== 'unreadable').map((each) => each.sequence as number));
    if (sequence <= highest) ledger.report('SEQUENCE', `${name} got sequence ${sequence} although ${highest} was there`);
    ledger.acknowledged(sequence);
    attempt.outcome = 'acknowledged';
    attempt.expected = true;
    attempt.name = name;
    attempt.sequence = sequence;
    const good = [...present.filter(({ harm }) => harm === 'none' || harm === 'hidden'), attempt];
    this.judgeRetention(good, removed, warnings);
  }

  private judgeRetention(good: readonly Attempt[], removed: readonly string[], warnings: readonly string[]): void {
    const { ledger, policy } = this;
    const stay = mustStay(good, policy, ledger.isTagged);
    for (const name of removed) {
      const attempt = good.find((each) => each.name === name);
      if (attempt === undefined) ledger.report('RETENTION', `${name} was removed, and it is not known or not good`);
      else {
        if (stay.has(attempt)) ledger.report('RETENTION', `${name} was removed although it has to stay`);
        attempt.retired = true;
      }
    }
    const left = good.filter((each) => !each.retired && !stay.has(each));
    this.isClean = warnings.length === 0 && !this.troubled && ledger.unsureTags.size === 0;
    if (left.length > 0 && this.isClean) ledger.report('RETENTION', `${left.map(({ name }) => name).join(', ')} should have been removed`);
    if (warnings.length > 0 && this.process.alive && !this.troubled && !good.some(({ noted }) => noted)) {
      ledger.report('RETENTION', `without a reason it is warned: ${warnings.join(', ')}`);
    }
  }

  private refused(attempt: Attempt, error: unknown): void {
    const { code, message } = error as HoldfastError;
    this.say(`save ${attempt.id} refused: ${code}`, `: ${message}`);
    if (!(error instanceof HoldfastError) || code === 'ERR_INTERNAL') {
      this.ledger.report('DEFECT', `save ${attempt.id} rejected with ${String((error as Error).stack)}`);
    }
    attempt.outcome = this.process.alive ? 'refused' : 'unknown';
    const reasons = this.evicted ? ['ERR_LOCK_LOST'] : ['ERR_ABORTED', 'ERR_REPLACED'];
    if (this.process.alive && !this.troubled && !reasons.includes(code)) {
      this.ledger.report('SAVE_FAILED', `save ${attempt.id} failed without a reason: ${code}: ${message}`);
    }
  }
}

/** What a restore must give, worked out from what was saved and what was done to it since. */
import { type ErrorCode, HoldfastError } from '../../src/errors.js';
import type { Restored } from '../../src/manager/restore.js';
import { type Attempt, bytesOf } from './attempt.js';
import type { Ledger, Seen } from './ledger.js';
import { bestOf, type Policy } from './policy-model.js';

/** A restore's end. */
export type Restoration = { readonly restored: Restored | null } | { readonly error: unknown };

export async function tryRestore(work: () => Promise<Restored | null>): Promise<Restoration> {
  return work().then(
    (restored) => ({ restored }),
    (error: unknown) => ({ error }),
  );
}

/** In the order in which they are to be tried: first those of which nobody knows how new they are. */
export function newestFirst(seen: readonly Seen[]): Seen[] {
  const rank = ({ attempt }: Seen) =>
    attempt === undefined || attempt.harm === 'unreadable' ? Number.POSITIVE_INFINITY : (attempt.sequence as number);
  return [...seen].sort((a, b) => (rank(a) === rank(b) ? (a.name < b.name ? 1 : -1) : rank(a) < rank(b) ? 1 : -1));
}

/** Training can go on from it, or nobody can tell: of weights only `latest` takes nothing. */
function mayBeFull({ attempt }: Seen): boolean {
  return attempt === undefined || attempt.harm === 'unreadable' || attempt.contents === 'full';
}

export class RestoreJudge {
  constructor(private readonly ledger: Ledger) {}

  /** A restore of the newest with nothing going on beside it. `faulty`: an operation of it may have failed. */
  latest(seen: readonly Seen[], outcome: Restoration, faulty: boolean): Attempt | undefined {
    const order = newestFirst(seen.filter(mayBeFull));
    const wanted = order.findIndex(({ attempt }) => attempt?.harm === 'none');
    if ('error' in outcome) {
      const expected = order.length > 0 ? 'ERR_NO_GOOD_CHECKPOINT' : 'ERR_WEIGHTS_ONLY';
      this.judgeError(outcome.error, wanted >= 0 || seen.length === 0, faulty, seen, expected);
      return undefined;
    }
    const { restored } = outcome;
    if (restored === null) {
      if (seen.length > 0)
        this.ledger.report('FIRST_RUN', `null was restored although there are ${seen.map(({ name }) => name).join(', ')}`);
      return undefined;
    }
    const found = this.bitExact(restored);
    const at = order.findIndex(({ name }) => name === restored.info.name);
    if (at !== wanted && !(faulty && at > wanted)) {
      this.ledger.report('NOT_NEWEST', `${restored.info.name} was restored and not ${order[wanted]?.name ?? 'nothing'}`);
    }
    const skipped = restored.skipped.map(({ name }) => name).filter((name) => order.some((each) => each.name === name));
    const passed = order.slice(0, at).map(({ name }) => name);
    const told = faulty ? passed.every((name) => skipped.includes(name)) : skipped.join() === passed.join();
    if (!told) this.ledger.report('SKIPPED', `skipped are [${skipped.join(', ')}] where [${passed.join(', ')}] were passed over`);
    return found;
  }

  /** A restore of the best. */
  best(seen: readonly Seen[], outcome: Restoration, policy: Policy, faulty: boolean): void {
    const whole = seen.flatMap(({ attempt }) => (attempt?.harm === 'none' ? [attempt] : []));
    if ('error' in outcome) {
      const { error } = outcome;
      if (error instanceof HoldfastError && error.code === 'ERR_NOT_FOUND') return;
      this.judgeError(error, bestOf(whole, policy) !== undefined, faulty, seen);
      return;
    }
    const { restored } = outcome;
    if (restored === null) {
      if (seen.length > 0) this.ledger.report('FIRST_RUN', 'null was restored as the best although there are checkpoints');
      return;
    }
    const found = this.bitExact(restored);
    const best = bestOf(whole, policy);
    if (found !== best && !faulty && policy.metric !== undefined) {
      this.ledger.report('NOT_BEST', `${restored.info.name} was restored as the best and not ${best?.name}`);
    }
  }

  /** A restore beside a running writer: nothing older than what was there when it began. */
  beside(before: readonly Seen[], outcome: Restoration): void {
    const whole = before.filter(mayBeFull).flatMap(({ attempt }) => (attempt?.harm === 'none' ? [attempt] : []));
    if ('error' in outcome) {
      const { code } = outcome.error as { readonly code?: unknown };
      const expected = code === 'ERR_WEIGHTS_ONLY' && !before.some(mayBeFull) ? code : 'ERR_NO_GOOD_CHECKPOINT';
      this.judgeError(outcome.error, whole.length > 0, false, before, expected);
      return;
    }
    const { restored } = outcome;
    const least = Math.max(0, ...whole.map(({ sequence }) => sequence as number));
    if (restored === null) {
      if (before.length > 0) this.ledger.report('FIRST_RUN', 'a reader was given null although there are checkpoints');
      return;
    }
    const found = this.bitExact(restored);
    if (found !== undefined && (restored.info.sequence as number) < least) {
      this.ledger.report('NOT_NEWEST', `a reader was given sequence ${restored.info.sequence} where ${least} was there when it began`);
    }
  }

  /** Where a save has left the links. */
  links(seen: readonly Seen[], policy: Policy): void {
    const good = seen.flatMap(({ attempt }) => (attempt?.harm === 'none' || attempt?.harm === 'hidden' ? [attempt] : []));
    const sorted = good.sort((a, b) => (b.sequence as number) - (a.sequence as number));
    // Training cannot go on from weights alone.
    const newest = sorted.find(({ contents }) => contents === 'full') ?? sorted[0];
    const best = bestOf(good, policy);
    const { ledger } = this;
    if (ledger.linkAt('latest') !== newest?.name)
      ledger.report('LINK', `latest is at ${ledger.linkAt('latest')} and not at ${newest?.name}`);
    if (best !== undefined && ledger.linkAt('best') !== best.name)
      ledger.report('LINK', `best is at ${ledger.linkAt('best')} and not at ${best.name}`);
  }

  /** What `list` and `verify` say: `listed` are names with their status, `damaged` the names of those with problems. */
  listing(seen: readonly Seen[], listed: readonly string[], damaged: ReadonlySet<string | null>): void {
    const statusOf = ({ attempt }: Seen) => (attempt?.harm === 'none' || attempt?.harm === 'hidden' ? 'good' : 'damaged');
    const expected = newestFirst(seen)
      .reverse()
      .map((each) => `${each.name} ${statusOf(each)}`);
    if (listed.join() !== expected.join()) this.ledger.report('LIST', `listed are [${listed.join(', ')}] and not [${expected.join(', ')}]`);
    const harmed = seen.filter(({ attempt }) => attempt?.harm !== 'none').map(({ name }) => name);
    if ([...damaged].sort().join() !== harmed.sort().join()) {
      this.ledger.report('VERIFY', `damaged are said to be [${[...damaged].join(', ')}] and not [${harmed.join(', ')}]`);
    }
  }

  /** Never a wrong byte. Gives the save that it is. */
  bitExact(restored: Restored): Attempt | undefined {
    const { info, state, tensors, optimizer } = restored;
    const attempt = this.ledger.attempts[(state as { attempt?: number } | undefined)?.attempt ?? -1];
    const fail = (what: string) => this.ledger.report('WRONG_BYTES', `${info.name} was restored, and ${what}`);
    if (attempt === undefined) {
      fail('nobody has saved it');
      return undefined;
    }
    if (info.step !== attempt.step || (info.epoch ?? undefined) !== attempt.epoch || info.contents !== attempt.contents)
      fail('its step, epoch or contents differ');
    const names = Object.keys(attempt.metrics);
    if (Object.keys(info.metrics).length !== names.length || names.some((name) => !Object.is(info.metrics[name], attempt.metrics[name]))) {
      fail('its metrics differ');
    }
    if (tensors.size + optimizer.size !== attempt.tensors.length) fail('it has other tensors');
    for (const [index, { name, role, dtype, shape }] of attempt.tensors.entries()) {
      const tensor = (role === 'model' ? tensors : optimizer).get(name);
      const bytes = tensor && new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength);
      if (tensor?.dtype !== dtype || tensor.shape.join() !== shape.join()) fail(`tensor ${name} has another form`);
      else if (Buffer.compare(bytes as Uint8Array, bytesOf(attempt, index)) !== 0) fail(`the bytes of tensor ${name} differ`);
    }
    return attempt;
  }

  private judgeError(
    error: unknown,
    unexpected: boolean,
    faulty: boolean,
    seen: readonly Seen[],
    expected: ErrorCode = 'ERR_NO_GOOD_CHECKPOINT',
  ): void {
    if (!(error instanceof HoldfastError) || error.code === 'ERR_INTERNAL') {
      this.ledger.report('DEFECT', `a restore rejected with ${String((error as Error).stack)}`);
    } else if (unexpected && !faulty) {
      this.ledger.report(
        'RESTORE_FAILED',
        `${error.code}: ${error.message} (there are ${seen.map(({ name, attempt }) => `${name}: ${attempt?.harm}`).join(', ')})`,
      );
    } else if (!faulty && error.code !== expected) {
      this.ledger.report('RESTORE_FAILED', `where ${expected} was to be said, ${error.code} was said: ${error.message}`);
    }
  }
}

/** Interleaved rounds: in each, every contender has its turn, and the limit two, so that what disturbs the machine disturbs all alike. */
import { toHoldfastError } from '../engine/system-error.js';
import type { Contender, Measured } from './contender.js';
import type { LeftOut } from './report.js';
import { seededRandom, shuffled } from './seeded.js';

const ORDER_SEED = 7;

export interface RoundsOptions {
  readonly runs: number;
  /** Keep all ready, or start and stop each for its turn. */
  readonly together: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called before every turn with the turns done, of all, and whose it is. */
  readonly onTurn?: ((done: number, total: number, what: string) => void) | undefined;
  /** What comes between turns: waits until nothing that the last one left behind can cost the next one. */
  readonly settle: () => Promise<void>;
}

export interface Rounds {
  /** For every contender that got through: its runs in order. The limit has two for every round. */
  readonly measured: ReadonlyMap<Contender, readonly Measured[]>;
  /** Whole rounds. */
  readonly runs: number;
  /** Peers and limits that failed on the way. */
  readonly failed: readonly LeftOut[];
  readonly interrupted: boolean;
}

/**
 * One round that warms up and does not count, then `runs` rounds, each in an order of its own. A peer or limit that fails is left out from
 * there on; if ours fails, its error is thrown. Fired, `signal` ends it: the whole rounds until then are given.
 */
export async function runRounds(contenders: readonly Contender[], options: RoundsOptions): Promise<Rounds> {
  const { runs, together, signal, onTurn, settle } = options;
  const running = new Set(contenders);
  const failed: LeftOut[] = [];
  const whole = new Map<Contender, Measured[]>(contenders.map((contender) => [contender, []]));
  const random = seededRandom(ORDER_SEED);
  const turnsOf = (round: number) =>
    [...running].flatMap((contender) => (round > 0 && contender.kind === 'limit' ? [contender, contender] : [contender]));
  const total = (runs + 1) * contenders.length + runs * contenders.filter(({ kind }) => kind === 'limit').length;
  const stopAll = () => Promise.all(contenders.map((contender) => contender.stop()));
  const onAbort = () => void stopAll();
  signal?.addEventListener('abort', onAbort, { once: true });
  let done = 0;
  let rounds = 0;
  try {
    for (let round = 0; round <= runs; round++) {
      const inThisRound = new Map<Contender, Measured[]>();
      for (const contender of shuffled(turnsOf(round), random)) {
        if (signal?.aborted) return { measured: usable(whole), runs: rounds, failed, interrupted: true };
        if (!running.has(contender)) continue;
        onTurn?.(done++, total, `${contender.name}, ${round === 0 ? 'warming up' : `round ${round} of ${runs}`}`);
        try {
          const measured = await oneTurn(contender, round, together);
          inThisRound.set(contender, [...(inThisRound.get(contender) ?? []), measured]);
        } catch (error) {
          if (signal?.aborted) continue;
          if (contender.kind === 'ours') throw error;
          failed.push({ name: contender.name, why: `it failed: ${firstLine(error)}` });
          running.delete(contender);
          whole.delete(contender);
          await contender.stop();
        }
        await settle();
      }
      if (signal?.aborted) return { measured: usable(whole), runs: rounds, failed, interrupted: true };
      if (round === 0) continue;
      for (const contender of running) whole.get(contender)?.push(...(inThisRound.get(contender) ?? []));
      rounds = round;
    }
    return { measured: usable(whole), runs: rounds, failed, interrupted: false };
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await stopAll();
  }
}

/** The first turn of all starts those that are kept. One that is started for its turn has a run that does not count before it, as all had. */
async function oneTurn(contender: Contender, round: number, together: boolean): Promise<Measured> {
  if (together) {
    if (round === 0) await contender.start();
    return contender.run(round);
  }
  try {
    await contender.start();
    // Its very first run is the one that does not count.
    if (round > 0) await contender.run(2 * round - 1);
    return await contender.run(2 * round);
  } finally {
    await contender.stop();
  }
}

function usable(whole: ReadonlyMap<Contender, readonly Measured[]>): ReadonlyMap<Contender, readonly Measured[]> {
  return new Map([...whole].filter(([, list]) => list.length > 0));
}

/** An error in one line that fits into a list. */
function firstLine(error: unknown): string {
  return (toHoldfastError(error, 'measure').message.split('\n')[0] ?? '').replace(/\.$/, '');
}

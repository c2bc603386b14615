/** What a run has lived through, made of the events of `.history.jsonl`. Pure. */
import type { HistoryEvent, RestoredEvent, SavedEvent } from './history-events.js';

/** From the opening of the directory by a process until its end. */
export interface Life {
  /** Seconds, as far as it is known: up to the last sign of life. */
  readonly up_s: number;
  /** Whether it came to a step of training at all: what dies before says nothing of how often training fails. */
  readonly trained: boolean;
  /**
   * Seconds of `up_s` in which it trained, as far as it is known: 0 where it did not. Only in them a failure is counted, so only they are to be
   * counted for those that did not come.
   */
  readonly trained_s: number;
  /** Whether a save of it became durable. */
  readonly hasSaved: boolean;
  /**
   * How it ended: `failed` without a word, or with work that the next one had to do again; `ended` by itself; `open` where nothing shows that it
   * has ended.
   */
  readonly end: 'failed' | 'ended' | 'open';
  /** The step it went on from; missing where it began anew. */
  readonly restoredStep?: number;
  /** The step at which it was last seen. */
  readonly lastStep?: number;
}

/** The history of one directory of checkpoints. */
export interface RunHistory {
  /** Oldest first; only the last ones of a long run. */
  readonly saves: readonly SavedEvent[];
  /** Those that training went on from, oldest first. */
  readonly restores: readonly RestoredEvent[];
  readonly lives: readonly Life[];
  /** How many lives failed after having trained. */
  readonly failures: number;
  /** Seconds, over all lives that trained. */
  readonly uptime_s: number;
  /** What a step takes while nothing is written: the newest that is known. */
  readonly step_s?: number;
}

interface Mutable {
  up_s: number;
  trained: boolean;
  /** When training began. */
  begin_s: number;
  hasSaved: boolean;
  end: Life['end'];
  /** Before the first step: what training will go on from, unless something else is restored after all. */
  restored: RestoredEvent | undefined;
  lastStep: number | undefined;
}

type SignOfLife = Exclude<HistoryEvent, { event: 'opened' | 'restored' | 'interval' }>;

/** Folds events, in their order, into the history that they tell. */
export function foldHistory(events: readonly HistoryEvent[]): RunHistory {
  const lives: Mutable[] = [];
  const saves: SavedEvent[] = [];
  const restores: RestoredEvent[] = [];
  for (const event of events) {
    const life = lives.at(-1);
    if (event.event === 'opened') {
      // There is one writer at a time: whoever opens the directory finds the one before him gone.
      if (life?.end === 'open') life.end = 'failed';
      lives.push({ up_s: 0, trained: false, begin_s: 0, hasSaved: false, end: 'open', restored: undefined, lastStep: undefined });
    } else if (life !== undefined) {
      life.up_s = Math.max(life.up_s, event.up_s);
      if (event.event === 'restored') {
        // Behind the first step somebody only looks.
        if (!life.trained) life.restored = event;
      } else if (event.event !== 'interval') {
        if (event.step !== undefined && !life.trained) begin(lives, event, restores);
        take(life, event);
      }
      if (event.event === 'saved') saves.push(event);
    }
  }
  const trained = lives.filter((life) => life.trained);
  const step_s = saves.findLast((save) => save.step_s !== undefined)?.step_s;
  return {
    saves,
    restores,
    lives: lives.map(toLife),
    failures: trained.filter(({ end }) => end === 'failed').length,
    uptime_s: trained.reduce((sum, { up_s }) => sum + up_s, 0),
    ...(step_s === undefined ? {} : { step_s }),
  };
}

/** The last life begins to train, from where it has been restored to. Only now it shows that the one before, which ended in good order, had lost work. */
function begin(lives: readonly Mutable[], first: SignOfLife, restores: RestoredEvent[]): void {
  const life = lives.at(-1) as Mutable;
  life.trained = true;
  // A save that is the first sign of training is behind it, who knows how long.
  life.begin_s = first.event === 'alive' ? first.up_s : (life.restored?.up_s ?? 0);
  if (life.restored === undefined) return;
  restores.push(life.restored);
  const before = lives.slice(0, -1).findLast(({ trained }) => trained);
  if (before === undefined) return;
  if (hasLostWork(before, life.restored.step)) before.end = 'failed';
  // It may have died before it could tell what its save had cost.
  if (life.restored.step > (before.restored?.step ?? -1)) before.hasSaved = true;
}

/** Whether a life that ended by itself had come further than the next one goes on from: an exception that closes the manager loses work like a power cut. */
export function hasLostWork(
  { end, lastStep = 0 }: Pick<Life, 'end'> & { readonly lastStep?: number | undefined },
  restoredStep: number,
): boolean {
  return end === 'ended' && lastStep > restoredStep;
}

function take(life: Mutable, event: SignOfLife): void {
  const { lastStep = -1 } = life;
  if (event.event === 'saved') {
    life.hasSaved = true;
    // What a save cost is known when training is further, or over: it is no sign that it goes on.
    if (event.step <= lastStep) return;
    life.lastStep = event.step;
    life.end = 'open';
    return;
  }
  // Training may go back by itself.
  life.lastStep = event.step ?? life.lastStep;
  // Another manager of the same process may have gone on.
  life.end = event.event === 'alive' ? 'open' : 'ended';
}

function toLife({ restored, lastStep, begin_s, ...life }: Mutable): Life {
  const restoredStep = life.trained ? restored?.step : undefined;
  return {
    ...life,
    trained_s: life.trained ? life.up_s - begin_s : 0,
    ...(restoredStep === undefined ? {} : { restoredStep }),
    ...(lastStep === undefined ? {} : { lastStep }),
  };
}

/** As many as estimates look at. */
const MAX_SAVES = 256;
const MAX_INTERVALS = 32;
const MAX_LIVES = 1000;

/** The same history in fewer events, a few thousand at most: of long runs the beginning goes, and of each life what changes nothing in what it tells. */
export function condenseHistory(events: readonly HistoryEvent[]): HistoryEvent[] {
  const openings = events.flatMap(({ event }, index) => (event === 'opened' ? [index] : []));
  const firsts = openings.slice(-MAX_LIVES);
  const needed = new Set<HistoryEvent>();
  for (const [i, first] of firsts.entries()) for (const event of tellingOf(events.slice(first, firsts[i + 1]))) needed.add(event);
  const recent = events.slice(firsts[0] ?? events.length);
  for (const event of recent.filter(({ event }) => event === 'saved').slice(-MAX_SAVES)) needed.add(event);
  for (const event of recent.filter(({ event }) => event === 'interval').slice(-MAX_INTERVALS)) needed.add(event);
  return recent.filter((event) => needed.has(event));
}

/** Of the events of one life those that {@link foldHistory} makes it of. */
function tellingOf(life: readonly HistoryEvent[]): HistoryEvent[] {
  const isSign = (event: HistoryEvent): event is SignOfLife => !['opened', 'restored', 'interval'].includes(event.event);
  const begin = life.findIndex((event) => isSign(event) && event.step !== undefined);
  const restored = life.slice(0, begin === -1 ? life.length : begin).findLast(({ event }) => event === 'restored');
  const signs = life.filter(isSign);
  const stands = signs.findLastIndex((event) => event.event !== 'saved' && event.step !== undefined);
  // Saves behind the last step that was told may be further than that.
  const saved = signs.slice(stands + 1).filter(({ event }) => event === 'saved');
  const furthest = saved.reduce<SignOfLife | undefined>(
    (most, event) => ((event.step ?? 0) > (most?.step ?? -1) ? event : most),
    undefined,
  );
  const last = life.reduce((latest, event) => (event.up_s >= latest.up_s ? event : latest), life[0] as HistoryEvent);
  const telling = [
    ...[life[0], restored, life[begin], signs[stands], furthest, last],
    signs.findLast(({ event }) => event === 'saved'),
    signs.findLast(({ event }) => event === 'closed' || event === 'preempted'),
    signs.findLast(({ event }) => event === 'alive'),
  ];
  return telling.filter((event) => event !== undefined);
}

/** Steps of all lives that are not lost: of each from where it went on to where the next one did, of the last as far as it came. */
export function keptSteps({ lives }: RunHistory): number {
  const trained = lives.filter((life) => life.trained);
  return trained.reduce((sum, life, i) => {
    const from = life.restoredStep ?? 0;
    const next = trained[i + 1];
    const until = next === undefined ? (life.lastStep ?? from) : (next.restoredStep ?? from);
    return sum + Math.max(0, until - from);
  }, 0);
}

/**
 * Share of the time of all lives that went into steps which are not lost: what is called effective training time ratio (ETTR) or useful fraction, but
 * for the time between the lives, of which nothing is known. `undefined` where it is not known what a step takes.
 */
export function usefulShare(history: RunHistory): number | undefined {
  const { step_s, uptime_s } = history;
  return step_s === undefined || uptime_s <= 0 ? undefined : Math.min(1, (keptSteps(history) * step_s) / uptime_s);
}

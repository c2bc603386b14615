/** What a run has lived through, made of the events of `.history.jsonl`. Pure. */
import type { HistoryEvent, RestoredEvent, SavedEvent } from './history-events.js';

/** From the opening of the directory by a process until its end. */
export interface Life {
  /** Seconds, as far as it is known: up to the last sign of life. */
  readonly up_s: number;
  /** Whether it came to a step of training at all: what dies before says nothing of how often training fails. */
  readonly trained: boolean;
  /**
   * How it ended: `failed` without a word, or with work that the next one had to do again; `ended` by itself; `open` where nothing shows that it
   * has ended.
   */
  readonly end: 'failed' | 'ended' | 'open';
  /** The step it went on from; missing where it began anew. */
  readonly restoredStep?: number;
  /** The last step that it is known to have come to. */
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
  end: Life['end'];
  restoredStep: number | undefined;
  lastStep: number | undefined;
}

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
      lives.push({ up_s: 0, trained: false, end: 'open', restoredStep: undefined, lastStep: undefined });
    } else if (life !== undefined) {
      life.up_s = Math.max(life.up_s, event.up_s);
      if (event.event === 'restored') restore(lives, event, restores);
      else if (event.event !== 'interval') take(life, event);
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

function take(life: Mutable, event: Exclude<HistoryEvent, { event: 'opened' | 'restored' | 'interval' }>): void {
  if (event.step !== undefined) {
    life.trained = true;
    life.lastStep = Math.max(life.lastStep ?? 0, event.step);
  }
  // Another manager of the same process may have gone on.
  life.end = event.event === 'closed' || event.event === 'preempted' ? 'ended' : 'open';
}

/** Training goes on from there, unless it has gone on already: then somebody only looked. */
function restore(lives: readonly Mutable[], event: RestoredEvent, restores: RestoredEvent[]): void {
  const life = lives.at(-1) as Mutable;
  if (life.trained || life.restoredStep !== undefined) return;
  life.restoredStep = event.step;
  restores.push(event);
  // An exception that closes the manager on its way out loses work like a power cut.
  const before = lives.slice(0, -1).findLast(({ trained }) => trained);
  if (before?.end === 'ended' && (before.lastStep ?? 0) > event.step) before.end = 'failed';
}

function toLife({ restoredStep, lastStep, ...life }: Mutable): Life {
  return { ...life, ...(restoredStep === undefined ? {} : { restoredStep }), ...(lastStep === undefined ? {} : { lastStep }) };
}

/** As many as estimates look at. */
const MAX_SAVES = 256;
const MAX_INTERVALS = 32;
const MAX_LIVES = 1000;

/** The same history in fewer events: of long runs the beginning goes, and signs of life that later ones made needless. */
export function condenseHistory(events: readonly HistoryEvent[]): HistoryEvent[] {
  const openings = events.flatMap(({ event }, index) => (event === 'opened' ? [index] : []));
  const recent = events.slice(openings.at(-MAX_LIVES) ?? 0);
  const firsts = firstSteps(recent);
  let saves = 0;
  let intervals = 0;
  /** Whether a later event says how far this life came. */
  let isSurpassed = false;
  const wanted = (event: HistoryEvent): boolean => {
    if (event.event === 'interval') return ++intervals <= MAX_INTERVALS;
    const isLast = !isSurpassed;
    if (event.event === 'opened') isSurpassed = false;
    else if (isStep(event)) isSurpassed = true;
    if (event.event === 'saved') return ++saves <= MAX_SAVES || isLast || firsts.has(event);
    return event.event !== 'alive' || isLast || firsts.has(event);
  };
  return recent.toReversed().filter(wanted).toReversed();
}

/** Whether it says how far training has come. */
function isStep(event: HistoryEvent): boolean {
  return event.event !== 'restored' && 'step' in event;
}

/** Of each life, what shows that it has begun to train: a restore behind it is none that training went on from. */
function firstSteps(events: readonly HistoryEvent[]): ReadonlySet<HistoryEvent> {
  const firsts = new Set<HistoryEvent>();
  let trained = false;
  for (const event of events) {
    if (event.event === 'opened') trained = false;
    else if (!trained && isStep(event)) {
      trained = true;
      firsts.add(event);
    }
  }
  return firsts;
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

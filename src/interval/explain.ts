/** Says of an interval why it is what it is, what it costs and what a failure would lose: for people, and as numbers. */
import type { IntervalDecision, IntervalReason } from './controller.js';
import { usefulFraction, withinShare_s } from './expected.js';
import { costWithWait_s } from './floors.js';
import { formatDuration_s } from './format-duration.js';
import { formatShare } from './format-share.js';
import { aboveFloor, inSteps } from './limits.js';
import { lostPerFailure_s } from './losses.js';

/** What is expected with an interval, if estimates are right. */
export interface ExpectedInterval {
  /** Time beyond the time of the steps, as a share of that: saving, lost work and restarts. */
  readonly overheadFraction: number;
  /** Share of the time that goes into steps which are not lost (effective training time ratio). */
  readonly ettr: number;
  /** Work that a failure loses on average, in seconds. */
  readonly lostWork_s: number;
  /** Between these, in seconds, the whole run takes at most 1 % longer than with the best interval. */
  readonly within1Percent_s: readonly [number, number];
}

/** Why an interval is what it is. */
export interface IntervalExplanation extends IntervalDecision {
  /** As many steps, about; `undefined` before it is known what a step takes. */
  readonly steps: number | undefined;
  /** `undefined` before the first save. */
  readonly expected: ExpectedInterval | undefined;
  /** Share of the time so far that went into steps which are not lost; `undefined` before it is known what a step takes. */
  readonly realisedEttr: number | undefined;
  /** All of it in sentences. */
  readonly text: string;
}

/** What surrounds a decision. */
export interface IntervalSurroundings {
  readonly step_s?: number | undefined;
  readonly realisedEttr?: number | undefined;
  /** Whether the mean time between failures was given. */
  readonly isMtbfGiven: boolean;
  /** Whether the interval is kept. Default `true`; else it is what would be chosen. */
  readonly isInForce?: boolean | undefined;
}

/** Explains a decision. */
export function explainInterval(decision: IntervalDecision, surroundings: IntervalSurroundings): IntervalExplanation {
  const { step_s, realisedEttr } = surroundings;
  // Behind a step alone there can be a save.
  const kept_s = Math.max(decision.interval_s, step_s ?? 0);
  const expected = expect(decision, kept_s);
  const steps = step_s === undefined || step_s <= 0 ? undefined : inSteps(decision.interval_s, step_s, decision.reason);
  const sentences = [
    sayInterval(decision, surroundings.isInForce ?? true, steps),
    kept_s > decision.interval_s ? `A step takes longer than that, ${formatDuration_s(kept_s)}: there is one behind each.` : undefined,
    sayReason(decision.reason),
    sayCost(decision),
    sayWait(decision, kept_s),
    sayFailures(decision, surroundings.isMtbfGiven),
    sayExpected(decision, kept_s, expected),
    realisedEttr === undefined ? undefined : `So far ${formatShare(realisedEttr)} of the time went into steps that are not lost.`,
  ];
  return { ...decision, steps, expected, realisedEttr, text: sentences.filter((sentence) => sentence !== undefined).join(' ') };
}

function expect({ inFlightFloor_s, cost, mtbf, restart_s = 0 }: IntervalDecision, interval_s: number): ExpectedInterval | undefined {
  if (cost === undefined) return undefined;
  const { mtbf_s } = mtbf;
  const own_s = Math.max(cost.cost_s, 1e-6);
  const cost_s = costWithWait_s({ cost_s: own_s, interval_s, floor_s: inFlightFloor_s });
  // What slows training down is part of the cost; a failure meanwhile loses the whole of the time that the save takes to be durable.
  const persist_s = cost.persist_s * (1 - cost.slowdown);
  const ettr = usefulFraction({ interval_s, stall_s: cost_s, persist_s, restart_s, mtbf_s });
  return {
    overheadFraction: ettr > 0 ? 1 / ettr - 1 : Number.MAX_VALUE,
    ettr,
    lostWork_s: lostPerFailure_s(interval_s, { cost_s, mtbf_s, persist_s }),
    within1Percent_s: aboveFloor(withinShare_s({ cost_s: own_s, mtbf_s }), inFlightFloor_s),
  };
}

function sayInterval({ interval_s }: IntervalDecision, isInForce: boolean, steps: number | undefined): string {
  const inSteps = steps === undefined ? '' : `, about ${steps} ${steps === 1 ? 'step' : 'steps'}`;
  const interval = `every ${formatDuration_s(interval_s)} of work${inSteps}`;
  return isInForce ? `A checkpoint ${interval}.` : `As a trigger, auto would make a checkpoint ${interval}.`;
}

const REASONS: Readonly<Record<IntervalReason, string>> = {
  optimum: 'That is where saving and what failures lose cost least together.',
  inFlight: 'The optimum would be shorter, but a save takes that long to become durable.',
  maxOverhead: 'The optimum would be shorter, but saving would then take more time than maxOverhead allows.',
  minInterval: 'The optimum would be shorter, but minInterval holds.',
  maxInterval: 'The optimum would be longer, but maxInterval holds.',
  firstSave: 'Nothing is known yet of what a save costs: the first one will show it.',
};

function sayReason(reason: IntervalReason): string {
  return REASONS[reason];
}

function sayCost({ cost }: IntervalDecision): string | undefined {
  if (cost === undefined) return undefined;
  const { saves, cost_s, low_s, high_s, stall_s, persist_s, slowdown } = cost;
  const range = saves === 1 ? 'one save was measured' : `the last ${saves}: ${formatDuration_s(low_s)} to ${formatDuration_s(high_s)}`;
  const meanwhile =
    slowdown === 0
      ? `, and is durable ${formatDuration_s(persist_s)} later`
      : `, and slows training down by ${formatShare(slowdown)} for ${formatDuration_s(persist_s)} until it is durable`;
  return `A save costs ${formatDuration_s(cost_s)} (${range}): it blocks for ${formatDuration_s(stall_s)}${persist_s === 0 ? '' : meanwhile}.`;
}

function sayWait({ inFlightFloor_s }: IntervalDecision, interval_s: number): string | undefined {
  if (!(inFlightFloor_s > interval_s)) return undefined;
  return `Saves come faster than they become durable: training waits ${formatDuration_s(inFlightFloor_s - interval_s)} before each.`;
}

function sayFailures({ mtbf, restart_s }: IntervalDecision, isGiven: boolean): string {
  const { mtbf_s, low_s, high_s, failures, uptime_s, isPriorLeftOut } = mtbf;
  const seen = `${failures} ${failures === 1 ? 'failure' : 'failures'} in ${formatDuration_s(uptime_s)}`;
  const restart = restart_s === undefined ? '' : ` A restart takes ${formatDuration_s(restart_s)}.`;
  if (isGiven) return `A failure comes every ${formatDuration_s(mtbf_s)}, as was given; seen: ${seen}.${restart}`;
  const belief = isPriorLeftOut ? ', without the prior, as two in a row came before anything was saved' : ' and the prior';
  const basis = failures === 0 ? `${seen}, so it is mostly the prior that tells` : `${seen}${belief}`;
  const sure = failures < 3 ? ', which is little to go by' : '';
  return `A failure comes every ${formatDuration_s(mtbf_s)} (${basis}; 95 %: ${formatDuration_s(low_s)} to ${formatDuration_s(high_s)}${sure}).${restart}`;
}

function sayExpected(
  { inFlightFloor_s, cost }: IntervalDecision,
  interval_s: number,
  expected: ExpectedInterval | undefined,
): string | undefined {
  if (cost === undefined || expected === undefined) return undefined;
  const cost_s = costWithWait_s({ cost_s: cost.cost_s, interval_s, floor_s: inFlightFloor_s });
  const [low, high] = expected.within1Percent_s;
  return `Expected: saving takes ${formatShare(cost_s / interval_s)} of the work's time, ${formatShare(expected.ettr)} of all time is useful, and a failure loses ${formatDuration_s(expected.lostWork_s)} of work on average; from ${formatDuration_s(low)} to ${formatDuration_s(high)} the run takes at most 1 % longer than with the best.`;
}

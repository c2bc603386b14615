// From what was measured to what is reported. Pure.
import { expectedCurve, usefulFraction } from '../../dist/interval/index.js';
import { pairedInterval } from './bootstrap.mjs';
import { summarizeSteady } from './calibrate.mjs';
import { realisedFraction, replayedFraction } from './fraction.mjs';

/** The controller is to reach this share of what the best fixed interval reaches. */
export const BAR = 0.97;
/** Fewer lives say nothing. */
const FEWEST_LIVES = 2;

/** Everything that is reported of the lives so far; `undefined` before there are enough. */
export function analyse({ settings, calibration, policies, times }) {
  const count = Math.min(...policies.map(({ lives }) => lives.length));
  if (count < FEWEST_LIVES) return undefined;
  const lists = policies.map(({ lives }) => lives.slice(0, count));
  const { step_s, restart_s } = summarizeSteady(calibration.steady);
  const costs = costsOf(lists.flat(), step_s, calibration.cost, settings.mode);
  const model = { ...costs, restart_s, mtbf_s: settings.mtbf };
  const rows = policies.map(({ name, kind, factor, every_s }, i) => ({
    ...{ name, kind, factor, every_s },
    ...rowOf(lists[i], { step_s, model, times: times.slice(0, count) }),
  }));
  return {
    lives: count,
    ...{ step_s, model, rows },
    comparison: comparisonOf(rows, lists, step_s),
    curve: curveOf(rows, model),
  };
}

function rowOf(lives, { step_s, model, times }) {
  const saves = lives.flatMap((life) => life.saves);
  const wall_s = sum(lives.map((life) => life.wall_s));
  const intervals = saves.map(({ steps }) => steps * step_s).sort((a, b) => a - b);
  const row = {
    wall_s,
    saves: saves.length,
    realised: realisedFraction(lives, step_s),
    ...pairedInterval([lives], ([drawn]) => realisedFraction(drawn, step_s)),
    cost_s: saves.length === 0 ? null : mean(saves.map(({ cost_s }) => cost_s)),
    // Of all time, in steps that were done and lost, as far as a life has said how far it came.
    lost: (sum(lives.map(({ lastStep, durableStep }) => Math.max(0, (lastStep ?? durableStep) - durableStep))) * step_s) / wall_s,
  };
  if (intervals.length === 0) return { ...row, interval_s: null, predicted: null, replayed: null };
  const interval_s = intervals[intervals.length >> 1];
  const quartiles_s = [0.25, 0.75].map((share) => intervals[Math.floor(share * intervals.length)]);
  return {
    ...row,
    interval_s,
    quartiles_s,
    predicted: expectedAt(interval_s, model),
    replayed: replayedFraction({ ...model, interval_s }, times),
  };
}

/** The formula, at one interval. */
function expectedAt(interval_s, { cost_s, persist_s, restart_s, mtbf_s }) {
  return usefulFraction({ interval_s, stall_s: cost_s, persist_s, restart_s, mtbf_s });
}

function curveOf(rows, model) {
  const intervals = rows.flatMap(({ interval_s }) => (interval_s === null ? [] : [interval_s]));
  if (intervals.length === 0) return [];
  const [from_s, to_s] = [Math.min(...intervals) / 1.5, Math.max(...intervals) * 1.5];
  return expectedCurve({ cost_s: model.cost_s, mtbf_s: model.mtbf_s }, { points: 97, from_s, to_s }).map(({ interval_s }) => ({
    interval_s,
    useful: expectedAt(interval_s, model),
  }));
}

/**
 * c and P of the formula. Where training waits for its saves, c is what they took, timed around each. Else it is what lives took beyond
 * their steps, by saves: the slope of a straight line. That line is given in any case: it holds all that saves cost, also later.
 */
function costsOf(lives, step_s, calibrated, mode) {
  const saves = lives.flatMap((life) => life.saves);
  const fitted = fitOverhead(lives, step_s);
  if (saves.length === 0) return { ...calibrated, fitted };
  const stall_s = mean(saves.map(({ cost_s }) => cost_s));
  if (mode === 'sync') return { cost_s: stall_s, persist_s: 0, fitted };
  const persist_s = mean(saves.map((save) => save.persist_s));
  const cost_s = fitted === null ? calibrated.cost_s : Math.min(stall_s + persist_s, Math.max(stall_s, fitted.perSave_s));
  // What slows training down is in c: a save is durable that much earlier, counted in the time of its steps.
  return { cost_s, persist_s: stall_s + persist_s - cost_s, fitted };
}

/** What lives took beyond their steps until their last sign: so much to begin with, and so much for each save (least squares). */
function fitOverhead(lives, step_s) {
  const points = lives.flatMap(({ sign, restoredStep }) =>
    sign === null ? [] : [[sign.saves, sign.at_s - (sign.step - restoredStep) * step_s]],
  );
  if (new Set(points.map(([saves]) => saves)).size < 2) return null;
  const meanX = mean(points.map(([x]) => x));
  const meanY = mean(points.map(([, y]) => y));
  const perSave_s = sum(points.map(([x, y]) => (x - meanX) * (y - meanY))) / sum(points.map(([x]) => (x - meanX) ** 2));
  return { perSave_s, restart_s: meanY - perSave_s * meanX };
}

/**
 * The controller against the fixed interval that was the best of all. Which one that is, is known only afterwards, and chance has had its part in it: that counts
 * against the controller. The bar is met if the ratio reaches it; `interval` says how sure that is.
 */
function comparisonOf(rows, lists, step_s) {
  const auto = rows.findIndex(({ kind }) => kind === 'auto');
  const fixed = rows.flatMap(({ kind }, i) => (kind === 'fixed' ? [i] : []));
  if (auto === -1 || fixed.length === 0) return null;
  const best = fixed.reduce((most, i) => (rows[i].realised > rows[most].realised ? i : most));
  if (rows[best].realised <= 0) return null;
  const ratio = rows[auto].realised / rows[best].realised;
  const interval = pairedInterval([lists[auto], lists[best]], ([a, b]) =>
    ratioOf(realisedFraction(a, step_s), realisedFraction(b, step_s)),
  );
  return { best: rows[best].name, ratio, ...interval, bar: BAR, met: ratio >= BAR };
}

/** Where neither has come anywhere, neither is ahead. */
function ratioOf(a, b) {
  return b > 0 ? a / b : a > 0 ? Number.MAX_VALUE : 1;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values) {
  return sum(values) / values.length;
}

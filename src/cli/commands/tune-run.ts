/** What a run's own history tells `holdfast tune`; where there is none, what the manifests of its checkpoints do. */
import { selectEngine } from '../../engine/select.js';
import { keptSteps, type RunHistory } from '../../format/history.js';
import { inVainFrom_s } from '../../interval/controller.js';
import { estimateMean } from '../../interval/cost-model.js';
import { formatDuration_s } from '../../interval/format-duration.js';
import { middle } from '../../interval/middle.js';
import { RunFailures } from '../../interval/run-failures.js';
import { type ListedCheckpoint, listDirectory } from '../../manager/describe.js';
import { plural } from '../../terminal/format.js';
import type { Estimates, Range } from './tune-estimates.js';

/** What is known of a run. */
export interface RunEstimates extends Estimates {
  readonly mtbf_s: number;
  readonly mtbfRange_s: Range;
  /** `null` without a history. */
  readonly seen: { readonly failures: number; readonly uptime_s: number } | null;
  /** Whether it rests on the prior as well: not for the time being, once two lives in a row have failed before they had saved anything. */
  readonly isPriorLeftOut: boolean;
  /** How sure the mean time between failures is; for those who have not said a better one. */
  readonly failureWarnings: readonly string[];
  /** Its mean interval, and what it lost, where that is known. */
  readonly measured: readonly { readonly interval_s: number; readonly overheadFraction: number }[];
}

/** As many of the newest saves are taken: costs change. */
const LAST_SAVES = 50;
/** Fewer tell little. */
const FEW = 3;
/** So many times what was seen is something else. */
const FAR = 2;

/** Throws `ERR_NOT_FOUND`, `ERR_NOT_A_DIRECTORY`, and what else the operating system says. */
export async function estimatesOfRun(directory: string): Promise<RunEstimates> {
  const [checkpoints, { readHistory }] = await Promise.all([listDirectory(directory), import('../../catalog/history.js')]);
  const history = await readHistory(directory, selectEngine('auto'));
  const { restores, failures, uptime_s } = history;
  return {
    ...(history.saves.length > 0 ? ofSaves(history) : ofManifests(checkpoints, history)),
    ...failuresOf(history),
    restart_s: restores.length === 0 ? undefined : estimateMean(restores.map(({ restart_s }) => restart_s)).value,
    seen: history.lives.length === 0 ? null : { failures, uptime_s },
    measured: measuredPoints(history),
  };
}

type SaveEstimates = Omit<Estimates, 'restart_s'>;

function ofSaves(history: RunHistory): SaveEstimates {
  const saves = history.saves.slice(-LAST_SAVES);
  const slowdowns = saves.flatMap(({ slowdown }) => (slowdown === undefined ? [] : [slowdown]));
  // Noise is as often below zero as above it; their mean is not to be.
  const slowdown = slowdowns.length === 0 ? 0 : Math.max(0, slowdowns.reduce((sum, each) => sum + each, 0) / slowdowns.length);
  // Where steps are not all alike a single measurement says nothing.
  const isNoisy = slowdowns.some((each) => each < 0);
  const costs = saves.map(({ stall_s, persist_s, slowdown: own }) => stall_s + (isNoisy ? slowdown : (own ?? slowdown)) * persist_s);
  const { low, high } = estimateMean(costs);
  return {
    bytes: saves.at(-1)?.bytes,
    memory: null,
    stall_s: estimateMean(saves.map(({ stall_s }) => stall_s)).value,
    persist_s: estimateMean(saves.map(({ persist_s }) => persist_s)).value,
    slowdown,
    step_s: history.step_s,
    cost_s: saves.length < 2 ? null : [low, high],
    samples: saves.map(({ bytes }, i) => ({ bytes, seconds: costs[i] as number })),
    warnings: [
      ...(slowdowns.length === 0
        ? ['No save was seen to slow training down, or not to: the loop does not call manager.step. The cost is that of the stall alone.']
        : []),
      ...(saves.length < FEW ? [`Only ${saves.length} of the run’s saves ${saves.length === 1 ? 'was' : 'were'} measured.`] : []),
    ],
  };
}

/** They say how large checkpoints are, and when each was written: not what a save costs. */
function ofManifests(checkpoints: readonly ListedCheckpoint[], history: RunHistory): SaveEstimates {
  const good = checkpoints.filter(({ status }) => status === 'good');
  const steps = good.flatMap(({ step, createdAt }, i) => {
    const before = good[i - 1];
    const steps = (step ?? 0) - (before?.step ?? 0);
    const seconds = (Date.parse(createdAt ?? '') - Date.parse(before?.createdAt ?? '')) / 1000;
    return steps > 0 && seconds > 0 ? [seconds / steps] : [];
  });
  // Pauses and failures between two checkpoints make some far too long: the median does not mind.
  const step_s = history.step_s ?? (steps.length === 0 ? undefined : middle(steps));
  const told =
    step_s === undefined ? 'the size of a checkpoint is' : 'the size of a checkpoint and the time of a step, saves included, are';
  return {
    ...{ bytes: good.at(-1)?.bytes ?? undefined, memory: null, stall_s: undefined, persist_s: undefined, slowdown: undefined, step_s },
    ...{ cost_s: null, samples: [] },
    warnings:
      good.length === 0
        ? []
        : [
            `There is no history of saves (.history.jsonl), as an older version wrote these checkpoints or it was deleted: ${told} from ${plural(good.length, 'manifest')}.`,
          ],
  };
}

function failuresOf(history: RunHistory): Pick<RunEstimates, 'mtbf_s' | 'mtbfRange_s' | 'isPriorLeftOut' | 'failureWarnings'> {
  const failed = new RunFailures();
  const inVain_s = inVainFrom_s(history.saves);
  for (const { trained, trained_s, hasSaved, end } of history.lives) {
    if (!trained) continue;
    failed.began();
    failed.exposed(trained_s);
    if (hasSaved) failed.saved();
    if (end === 'failed') failed.failed(inVain_s);
  }
  const { mtbf_s, low_s, high_s, failures, uptime_s, isPriorLeftOut } = failed.estimate;
  return { mtbf_s, mtbfRange_s: [low_s, high_s], isPriorLeftOut, failureWarnings: warn() };

  function warn(): string[] {
    const unlessKnown = 'Give --mtbf if you know better.';
    if (history.lives.length === 0)
      return [`There is no history of failures: that they come once a day is a prior, no more. ${unlessKnown}`];
    if (failures === 0) return [`The run has not failed yet: the mean time between failures is mostly the prior of a day. ${unlessKnown}`];
    if (failures < FEW)
      return [`The run has failed only ${failures === 1 ? 'once' : 'twice'}: its mean time between failures is hardly known.`];
    const seen_s = uptime_s / failures;
    if (mtbf_s <= FAR * seen_s) return [];
    return [
      `By what was seen alone a failure comes every ${formatDuration_s(seen_s)}; that it is longer here is due to the prior of a day. ${unlessKnown}`,
    ];
  }
}

function measuredPoints(history: RunHistory): RunEstimates['measured'] {
  const { saves, step_s, uptime_s } = history;
  if (step_s === undefined) return [];
  const gaps = saves.flatMap((save, i) => {
    const before = saves[i - 1];
    if (before === undefined || save.up_s <= before.up_s) return [];
    const work = save.up_s - before.up_s - save.stall_s - (save.slowdown ?? 0) * save.persist_s;
    return work > 0 ? [work] : [];
  });
  const steps = keptSteps(history);
  if (gaps.length === 0 || steps === 0) return [];
  return [{ interval_s: estimateMean(gaps).value, overheadFraction: Math.max(0, uptime_s / (steps * step_s) - 1) }];
}

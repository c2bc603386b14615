/** What results of `holdfast bench` tell `holdfast tune`. */
import type { BenchCosts } from '../../bench/save-costs.js';
import type { StallSource } from '../../bench/sources.js';
import { type CostSample, type Estimate, estimateMean, fitCost } from '../../interval/cost-model.js';
import { type Estimates, usage } from './tune-estimates.js';

export interface BenchQuestion {
  /** One of saves, and beside it perhaps one of `train` and one of `load`. */
  readonly files: readonly string[];
  /** For a checkpoint of that size; default: the largest that was measured. */
  readonly bytes?: number | undefined;
  readonly source?: StallSource | undefined;
  /** Whether training waits for saves; by default as in the results. */
  readonly isSync?: boolean | undefined;
}

/** A size that is so many times beyond those that were measured is a guess. */
const FAR = 2;

/** Costs as functions of bytes, for one size. Throws what reading the files throws, and `ERR_INVALID_ARGUMENT` for results without saves. */
export async function estimatesOfBench({ files, bytes: wanted, source, isSync }: BenchQuestion): Promise<Estimates> {
  const [{ readReport }, { saveCostsOf }] = await Promise.all([import('../../bench/read-report.js'), import('../../bench/save-costs.js')]);
  const reports = await Promise.all(files.map(readReport));
  const costs = reports.map((report, i) => saveCostsOf(report, files[i] as string, source));
  const of = <K extends 'waited' | 'behind' | 'lost' | 'loads'>(key: K) =>
    costs.flatMap((each) => [...each[key]] as BenchCosts[K][number][]);
  const [waited, behind, lost, loads] = [of('waited'), of('behind'), of('lost'), of('loads')];
  if (source !== undefined && behind.length === 0) throw usage('--source is about results of "holdfast bench stall", and there is none.');
  if (isSync === false && behind.length === 0 && lost.length === 0) {
    throw usage(
      '--async needs a result of "holdfast bench stall" or "train": how long training waits is not in one of saves that it waits for.',
    );
  }
  const takesWaited = waited.length > 0 && (isSync === true || (behind.length === 0 && lost.length === 0));
  const saves = takesWaited ? waited : behind;
  const sizes = [...saves, ...(saves.length > 0 ? [] : lost)].map(({ bytes }) => bytes);
  if (sizes.length === 0)
    throw usage(`--bench has no saves in it, in ${files.join(', ')}: give a result of save, size, small, many, stall or train.`);
  const bytes = wanted ?? Math.max(...sizes);
  const costOf = (samples: readonly CostSample[]) => fitCost(samples).predict(bytes);
  const stall = saves.length === 0 ? undefined : costOf(saves.map(({ bytes: size, stall_s }) => ({ bytes: size, seconds: stall_s })));
  const persisted = saves.length > 0 ? saves : lost;
  const persist = costOf(persisted.map(({ bytes: size, persist_s }) => ({ bytes: size, seconds: persist_s })));
  const slowdown = takesWaited ? undefined : slowdownOf(lost, behind);
  const slowed_s = (slowdown?.value ?? 0) * persist.value;
  return {
    bytes,
    memory: takesWaited ? null : (costs.find((each) => each.source !== null)?.source ?? null),
    // All of it is in the slowdown where nothing tells it apart.
    stall_s: stall?.value ?? 0,
    persist_s: persist.value,
    slowdown: slowdown?.value,
    restart_s: loads.length === 0 ? undefined : costOf(loads).value,
    step_s: undefined,
    cost_s: rangeOf(stall, slowdown, persist.value),
    samples: saves.map(({ bytes: size, stall_s, persist_s }) => ({
      bytes: size,
      seconds: stall_s + (slowed_s === 0 ? 0 : (slowdown?.value ?? 0) * persist_s),
    })),
    warnings: [
      ...(bytes > Math.max(...sizes) * FAR || bytes < Math.min(...sizes) / FAR
        ? ['The size lies far from those that were measured: measure one that is near.']
        : []),
      ...(reports.some(({ partial }) => partial) ? ['The benchmark was interrupted: its result is of what was measured by then.'] : []),
      ...(takesWaited && costs.some(({ isMixed }) => isMixed)
        ? ['The saves differ in their number of tensors, and the cost lies between theirs: rather give a result of save or size.']
        : []),
      ...(loads.length > 0
        ? ['A restart is counted with the load alone: give --restart with what starting and finding out take as well.']
        : []),
    ],
  };
}

/** σ: what training lost beyond the stall, by the time until the checkpoint is durable. */
function slowdownOf(lost: BenchCosts['lost'], behind: BenchCosts['behind']): Estimate | undefined {
  if (lost.length === 0) return undefined;
  const stall = behind.length === 0 ? undefined : fitCost(behind.map(({ bytes, stall_s }) => ({ bytes, seconds: stall_s })));
  return estimateMean(
    lost.map(({ bytes, lost_s, persist_s }) => Math.min(1, Math.max(0, lost_s - (stall?.predict(bytes).value ?? 0)) / persist_s)),
  );
}

function rangeOf(stall: Estimate | undefined, slowdown: Estimate | undefined, persist_s: number): Estimates['cost_s'] {
  if ((stall?.degrees ?? 0) < 1 && (slowdown?.degrees ?? 0) < 1) return null;
  return [(stall?.low ?? 0) + (slowdown?.low ?? 0) * persist_s, (stall?.high ?? 0) + (slowdown?.high ?? 0) * persist_s];
}

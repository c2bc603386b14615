/** From the command line of `holdfast tune` to a case: numbers that were given, a benchmark's, or a run's own. */
import type { RunHistory } from '../../format/history.js';
import { estimateMean, fitCost } from '../../interval/cost-model.js';
import { FailureEstimate } from '../../interval/failure-estimate.js';
import { mtbfOf_s } from '../../interval/failures.js';
import type { TuningCase } from '../../interval/recommend.js';
import { listDirectory } from '../../manager/describe.js';
import type { CommonOptions } from '../command.js';
import { UsageError } from '../exit.js';

export interface TuneOptions extends CommonOptions {
  readonly cost?: number;
  readonly persist?: number;
  readonly slowdown?: number;
  readonly restart?: number;
  readonly sync?: true;
  readonly bench?: string;
  readonly bytes?: number;
  readonly run?: string;
  readonly mtbf?: number;
  readonly nodes?: number;
  readonly nodeMtbf?: number;
  readonly failures?: number;
  readonly failureProbability?: number;
  readonly during?: number;
  readonly inFlight?: number;
  readonly maxOverhead?: number;
  readonly minInterval?: number;
  readonly maxInterval?: number;
  readonly stepTime?: number;
  readonly html?: string;
}

/** An estimate's 95 % interval. */
export type Range = readonly [low: number, high: number];

/** What is tuned for, and where it comes from. */
export interface TunePlan {
  readonly given: TuningCase;
  readonly source: 'options' | 'bench' | 'run';
  /** Bytes of the checkpoint that the cost is for; `null` where it was given. */
  readonly bytes: number | null;
  /** How sure the cost and the mean time between failures are; `null` where they were given. */
  readonly confidence: { readonly cost_s: Range | null; readonly mtbf_s: Range | null };
  /** Of the run: failures that were seen, in how many seconds. */
  readonly seen: { readonly failures: number; readonly uptime_s: number } | null;
  /** What to know of the estimates. */
  readonly warnings: readonly string[];
  /** What was measured, for the plot: seconds of work between two saves of the run, of which there may be many. */
  readonly measured: readonly { readonly interval_s: number; readonly overheadFraction: number }[];
}

/** Throws a {@link UsageError} for what is missing or does not go together, and what reading the files throws. */
export async function planOfTune(options: TuneOptions): Promise<TunePlan> {
  const { cost, bench, run } = options;
  const ways = { '--cost': cost, '--bench': bench, '--run': run };
  const said = Object.entries(ways).filter(([, value]) => value !== undefined);
  if (said.length === 0) throw usage('Say what a save costs: --cost 5s, --bench RESULTS.json, or --run DIR.');
  if (said.length > 1) throw usage(`Say only once what a save costs: ${said.map(([name]) => name).join(' or ')}.`);
  if (options.bytes !== undefined && bench === undefined) throw usage('--bytes says for which size, and goes with --bench.');
  if (bench !== undefined) return fromBench(bench, options);
  if (run !== undefined) return fromRun(run, options);
  const mtbf_s = failuresOf(options);
  if (mtbf_s === undefined) throw noFailures();
  return {
    given: { ...caseOf(options, { stall_s: cost as number, persist_s: 0 }), mtbf_s },
    ...{ source: 'options', bytes: null, confidence: { cost_s: null, mtbf_s: null }, seen: null, warnings: [], measured: [] },
  };
}

/** What was given of a save goes before what was measured. */
function caseOf(
  options: TuneOptions,
  measured: { readonly stall_s: number; readonly persist_s: number; readonly slowdown?: number },
): Omit<TuningCase, 'mtbf_s'> {
  const { persist, slowdown, restart, inFlight, maxOverhead, minInterval, maxInterval, stepTime, sync } = options;
  if (sync && slowdown !== undefined) throw usage('Give --sync, which means that training waits, or --slowdown, not both.');
  return {
    stall_s: measured.stall_s,
    persist_s: persist ?? measured.persist_s,
    slowdown: sync ? 1 : (slowdown ?? measured.slowdown ?? 0),
    ...{ restart_s: restart, maxInFlight: inFlight, maxOverhead, minInterval_s: minInterval, maxInterval_s: maxInterval, step_s: stepTime },
  };
}

/** M in seconds by what was said; `undefined` where nothing was. */
function failuresOf({ mtbf, nodes, nodeMtbf, failures, failureProbability, during }: TuneOptions): number | undefined {
  const ways = { '--mtbf': mtbf, '--nodes': nodes, '--failures': failures, '--failure-probability': failureProbability };
  const said = Object.entries(ways).filter(([, value]) => value !== undefined);
  if (said.length > 1) throw usage(`Say only once how often the run fails: ${said.map(([name]) => name).join(' or ')}.`);
  if ((nodes === undefined) !== (nodeMtbf === undefined)) throw usage('--nodes and --node-mtbf go together.');
  const counted = failures ?? failureProbability;
  if (counted !== undefined && during === undefined) throw usage('Say in which time: --failures and --failure-probability need --during.');
  if (counted === undefined && during !== undefined) throw usage('--during goes with --failures or --failure-probability.');
  if (mtbf !== undefined) return mtbf;
  if (nodes !== undefined) return mtbfOf_s({ nodes, nodeMtbf_s: nodeMtbf as number });
  if (failures !== undefined) return mtbfOf_s({ expectedFailures: failures, during_s: during as number });
  if (failureProbability !== undefined) return mtbfOf_s({ failureProbability, during_s: during as number });
  return undefined;
}

async function fromBench(file: string, options: TuneOptions): Promise<TunePlan> {
  const mtbf_s = failuresOf(options);
  if (mtbf_s === undefined) throw noFailures();
  const [{ readReport }, { saveCostsOf }] = await Promise.all([import('../../bench/read-report.js'), import('../../bench/save-costs.js')]);
  const report = await readReport(file);
  const costs = saveCostsOf(report, file);
  const largest = Math.max(...costs.map(({ bytes }) => bytes));
  const smallest = Math.min(...costs.map(({ bytes }) => bytes));
  const bytes = options.bytes ?? largest;
  const stall = fitCost(costs.map(({ bytes: size, stall_s }) => ({ bytes: size, seconds: stall_s }))).predict(bytes);
  const persist = fitCost(costs.map(({ bytes: size, persist_s }) => ({ bytes: size, seconds: persist_s }))).predict(bytes);
  const warnings: string[] = [];
  if (bytes > largest * 2 || bytes < smallest / 2)
    warnings.push('The size lies far from those that were measured: measure one that is near.');
  if (report.partial) warnings.push('The benchmark was interrupted: its result is of what was measured by then.');
  const given = caseOf(options, { stall_s: stall.value, persist_s: persist.value });
  const slowed = (given.slowdown ?? 0) * (given.persist_s ?? 0);
  return {
    ...{ given: { ...given, mtbf_s }, source: 'bench', bytes, seen: null, warnings, measured: [] },
    confidence: { cost_s: stall.degrees < 1 ? null : [stall.low + slowed, stall.high + slowed], mtbf_s: null },
  };
}

/** The run's own saves, restarts and failures; what was given goes before. */
async function fromRun(directory: string, options: TuneOptions): Promise<TunePlan> {
  // Says what is wrong with the path.
  await listDirectory(directory);
  const { readHistory } = await import('../../catalog/history.js');
  const history = await readHistory(directory);
  const saves = history.saves.slice(-LAST_SAVES);
  if (saves.length === 0) {
    throw usage(
      `There is no history of saves in ${directory}: it was written by an older version, or nothing was saved. Give --cost, or --bench.`,
    );
  }
  const warnings: string[] = [];
  const slowdowns = saves.flatMap(({ slowdown }) => (slowdown === undefined ? [] : [slowdown]));
  const slowdown = slowdowns.length === 0 ? 0 : estimateMean(slowdowns).value;
  const mean = (of: (save: (typeof saves)[number]) => number) => estimateMean(saves.map(of));
  const cost = mean(({ stall_s, persist_s, slowdown: own = slowdown }) => stall_s + own * persist_s);
  const given = caseOf(
    { ...options, restart: options.restart ?? restartOf(history), stepTime: options.stepTime ?? history.step_s } as TuneOptions,
    { stall_s: mean(({ stall_s }) => stall_s).value, persist_s: mean(({ persist_s }) => persist_s).value, slowdown },
  );
  if (slowdowns.length === 0)
    warnings.push(
      'No save was seen to slow training down, or not to: the loop does not call manager.step. The cost is that of the stall alone.',
    );
  if (saves.length < FEW) warnings.push(`Only ${saves.length} of the run’s saves ${saves.length === 1 ? 'was' : 'were'} measured.`);
  const { mtbf_s, range } = failuresOfRun(history, options, warnings);
  const last = saves.at(-1);
  return {
    ...{ given: { ...given, mtbf_s }, source: 'run', bytes: last?.bytes ?? null, warnings },
    confidence: { cost_s: saves.length < 2 ? null : [cost.low, cost.high], mtbf_s: range },
    seen: { failures: history.failures, uptime_s: history.uptime_s },
    measured: measuredPoints(history),
  };
}

/** As many of the newest saves are taken: costs change. */
const LAST_SAVES = 50;
/** Fewer tell little. */
const FEW = 3;

function failuresOfRun(history: RunHistory, options: TuneOptions, warnings: string[]): { mtbf_s: number; range: Range | null } {
  const given = failuresOf(options);
  if (given !== undefined) return { mtbf_s: given, range: null };
  const estimate = new FailureEstimate();
  for (const { trained, up_s, end } of history.lives) {
    if (!trained) continue;
    estimate.exposed(up_s);
    if (end === 'failed') estimate.failed();
  }
  const { mtbf_s, low_s, high_s, failures } = estimate.estimate;
  if (failures === 0)
    warnings.push(
      'The run has not failed yet: the mean time between failures is mostly the prior of a day. Give --mtbf if you know better.',
    );
  else if (failures < FEW)
    warnings.push(`The run has failed only ${failures === 1 ? 'once' : 'twice'}: its mean time between failures is hardly known.`);
  return { mtbf_s, range: [low_s, high_s] };
}

function restartOf({ restores }: RunHistory): number | undefined {
  return restores.length === 0 ? undefined : estimateMean(restores.map(({ restart_s }) => restart_s)).value;
}

/** What the run itself had: its mean interval, and what it lost, where that is known. */
function measuredPoints({ saves, lives, step_s, uptime_s }: RunHistory): TunePlan['measured'] {
  if (step_s === undefined) return [];
  const gaps = saves.flatMap((save, i) => {
    const before = saves[i - 1];
    if (before === undefined || save.up_s <= before.up_s) return [];
    const work = save.up_s - before.up_s - save.stall_s - (save.slowdown ?? 0) * save.persist_s;
    return work > 0 ? [work] : [];
  });
  const trained = lives.filter((life) => life.trained);
  const steps = trained.reduce((sum, life, i) => {
    const from = life.restoredStep ?? 0;
    const next = trained[i + 1];
    const until = next === undefined ? (life.lastStep ?? from) : (next.restoredStep ?? from);
    return sum + Math.max(0, until - from);
  }, 0);
  if (gaps.length === 0 || steps === 0) return [];
  return [{ interval_s: estimateMean(gaps).value, overheadFraction: Math.max(0, uptime_s / (steps * step_s) - 1) }];
}

function noFailures(): UsageError {
  return usage(
    'Say how often the run fails: --mtbf 24h, --nodes 64 --node-mtbf 1y, --failures 419 --during 54d, or --failure-probability 50% --during 30d.',
  );
}

function usage(message: string): UsageError {
  return new UsageError('ERR_INVALID_ARGUMENT', message);
}

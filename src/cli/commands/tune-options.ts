/** From the command line of `holdfast tune` to a case: numbers that were given, a benchmark's, or a run's own. */
import type { StallSource } from '../../bench/sources.js';
import type { CostSample } from '../../interval/cost-model.js';
import { countedMtbf_s } from '../../interval/counted-failures.js';
import { DEFAULT_PRIOR } from '../../interval/failure-estimate.js';
import { mtbfOf_s } from '../../interval/failures.js';
import type { TuningCase } from '../../interval/recommend.js';
import type { CommonOptions } from '../command.js';
import { EXIT_PROBLEM, UsageError } from '../exit.js';
import { estimatesOfBench } from './tune-bench.js';
import { type Estimates, type Range, usage } from './tune-estimates.js';
import { estimatesOfRun, type RunEstimates } from './tune-run.js';

export interface TuneOptions extends CommonOptions {
  readonly cost?: number;
  readonly persist?: number;
  readonly slowdown?: number;
  readonly restart?: number;
  readonly sync?: true;
  readonly async?: true;
  readonly bench?: readonly string[];
  readonly source?: StallSource;
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

/** What is tuned for, and where it comes from. */
export interface TunePlan {
  readonly given: TuningCase;
  /** Where the cost of a save is from. */
  readonly source: 'options' | 'bench' | 'run';
  /** Bytes of the checkpoint that the cost is for; `null` where it was given. */
  readonly bytes: number | null;
  /** Which kind of memory a benchmark has saved; `null` where that is not known. */
  readonly memory: string | null;
  /** How sure the cost and the mean time between failures are; `null` where they were given. */
  readonly confidence: { readonly cost_s: Range | null; readonly mtbf_s: Range | null };
  /** Of the run: failures that were seen, in how many seconds. */
  readonly seen: { readonly failures: number; readonly uptime_s: number } | null;
  /** The prior that the mean time between failures rests on as well; `null` where that was given. */
  readonly prior_s: number | null;
  /** What to know of the estimates. */
  readonly warnings: readonly string[];
  /** What was measured, for the plots: mean interval and overhead of the run, and what saves cost. */
  readonly measured: RunEstimates['measured'];
  readonly samples: readonly CostSample[];
}

const NONE: Estimates = {
  ...{ bytes: undefined, memory: null, stall_s: undefined, persist_s: undefined, slowdown: undefined, restart_s: undefined },
  ...{ step_s: undefined, cost_s: null, samples: [], warnings: [] },
};

/** Throws a {@link UsageError} for what is missing or does not go together, and what reading the files throws. */
export async function planOfTune(options: TuneOptions): Promise<TunePlan> {
  check(options);
  const { cost, bench, run } = options;
  const failures = failuresOf(options);
  if (failures === undefined && run === undefined) {
    throw usage(
      'Say how often the run fails: --mtbf 24h, --nodes 64 --node-mtbf 1y, --failures 419 --during 54d, or --failure-probability 50% --during 30d.',
    );
  }
  const ofRun = run === undefined ? undefined : await estimatesOfRun(run);
  const saves = await savesOf(options, ofRun);
  const source = bench !== undefined ? 'bench' : cost !== undefined || ofRun?.stall_s === undefined ? 'options' : 'run';
  const given = caseOf(options, saves, ofRun);
  return {
    given: { ...given, mtbf_s: failures?.mtbf_s ?? (ofRun as RunEstimates).mtbf_s },
    source,
    bytes: source === 'options' ? null : (saves.bytes ?? null),
    memory: saves.memory,
    confidence: {
      // What was given of a save shifts what was measured of it.
      cost_s: options.persist === undefined && options.slowdown === undefined && !options.sync ? saves.cost_s : null,
      mtbf_s: failures === undefined ? (ofRun as RunEstimates).mtbfRange_s : failures.range,
    },
    seen: ofRun?.seen ?? null,
    prior_s: failures === undefined && !ofRun?.isPriorLeftOut ? DEFAULT_PRIOR.mtbf_s : null,
    warnings: [
      // Of a run without a history it is said why more had to be given.
      ...(ofRun?.stall_s === undefined ? (ofRun?.warnings ?? []) : []),
      ...saves.warnings,
      ...(failures === undefined ? (ofRun?.failureWarnings ?? []) : failures.warnings),
    ],
    measured: ofRun?.measured ?? [],
    samples: saves.samples,
  };
}

function check({ cost, bench, run, bytes, source, sync, async, slowdown, minInterval = 0, maxInterval, maxOverhead }: TuneOptions): void {
  if (cost === undefined && bench === undefined && run === undefined) {
    throw usage('Say what a save costs: --cost 5s, --bench RESULTS.json, or --run DIR.');
  }
  if (cost !== undefined && bench !== undefined) throw usage('Say only once what a save costs: --cost or --bench.');
  for (const [name, value] of Object.entries({ '--bytes': bytes, '--source': source })) {
    if (value !== undefined && bench === undefined)
      throw usage(`${name} says which saves of a benchmark are meant, and goes with --bench.`);
  }
  if (sync && async) throw usage('Give --sync or --async, not both.');
  if (sync && slowdown !== undefined) throw usage('Give --sync, which means that training waits, or --slowdown, not both.');
  if (maxInterval !== undefined && minInterval > maxInterval) throw usage('--min-interval is longer than --max-interval.');
  if (maxOverhead === 0) throw usage('--max-overhead must be more than zero: saving always takes something.');
}

/** What saves cost: as a benchmark measured it, or the run, or not at all. */
async function savesOf({ cost, bench, run, bytes, source, sync, async }: TuneOptions, ofRun: RunEstimates | undefined): Promise<Estimates> {
  if (bench !== undefined) {
    const isSync = sync ?? (async ? false : undefined);
    return estimatesOfBench({ files: bench, bytes: bytes ?? ofRun?.bytes, source, isSync });
  }
  if (cost !== undefined) return { ...NONE, stall_s: cost };
  if (ofRun?.stall_s !== undefined) return ofRun;
  const why = ofRun?.bytes === undefined ? 'nothing was saved there' : 'an older version wrote its checkpoints, or it was deleted';
  throw new UsageError(
    'ERR_NOT_FOUND',
    `There is no history of saves in ${run}: ${why}. Say what a save costs beside --run: --cost 5s, or --bench RESULTS.json.`,
    EXIT_PROBLEM,
  );
}

/** What was given of a save goes before what was measured. */
function caseOf(options: TuneOptions, saves: Estimates, run: Estimates | undefined): Omit<TuningCase, 'mtbf_s'> {
  const { persist, slowdown, restart, inFlight, maxOverhead, minInterval, maxInterval, stepTime, sync } = options;
  const given = {
    stall_s: saves.stall_s ?? 0,
    persist_s: persist ?? saves.persist_s ?? 0,
    slowdown: sync ? 1 : (slowdown ?? saves.slowdown ?? 0),
    restart_s: restart ?? run?.restart_s ?? saves.restart_s,
    maxInFlight: inFlight,
    ...{ maxOverhead, minInterval_s: minInterval, maxInterval_s: maxInterval, step_s: stepTime ?? run?.step_s },
  };
  if (slowdown !== undefined && slowdown > 0 && given.persist_s === 0) {
    throw usage('--slowdown is for the time until a checkpoint is durable: give that too, with --persist.');
  }
  if (given.stall_s + given.slowdown * given.persist_s > 0) return given;
  throw usage(
    'A save that costs training nothing needs no interval: it can be made at every step. Give --cost, or --slowdown with --persist.',
  );
}

interface GivenFailures {
  readonly mtbf_s: number;
  readonly range: Range | null;
  readonly warnings: readonly string[];
}

/** M in seconds by what was said; `undefined` where nothing was. */
function failuresOf(options: TuneOptions): GivenFailures | undefined {
  const { mtbf, nodes, nodeMtbf, failures, failureProbability, during } = options;
  const ways = { '--mtbf': mtbf, '--nodes': nodes, '--failures': failures, '--failure-probability': failureProbability };
  const said = Object.entries(ways).filter(([, value]) => value !== undefined);
  if (said.length > 1) throw usage(`Say only once how often the run fails: ${said.map(([name]) => name).join(' or ')}.`);
  if ((nodes === undefined) !== (nodeMtbf === undefined)) throw usage('--nodes and --node-mtbf go together.');
  const counted = failures ?? failureProbability;
  if (counted !== undefined && during === undefined) throw usage('Say in which time: --failures and --failure-probability need --during.');
  if (counted === undefined && during !== undefined) throw usage('--during goes with --failures or --failure-probability.');
  if (failureProbability === 0) throw usage('--failure-probability must be above 0: what never fails needs no checkpoints.');
  const sure = (mtbf_s: number): GivenFailures => ({ mtbf_s, range: null, warnings: [] });
  if (mtbf !== undefined) return sure(mtbf);
  if (nodes !== undefined) return sure(mtbfOf_s({ nodes, nodeMtbf_s: nodeMtbf as number }));
  const during_s = during as number;
  if (failures !== undefined) {
    const { mtbf_s } = sure(mtbfOf_s({ expectedFailures: failures, during_s }));
    return { mtbf_s, ...ofCount(failures, during_s) };
  }
  return failureProbability === undefined ? undefined : sure(mtbfOf_s({ failureProbability, during_s }));
}

/** A whole number may have been counted, and a count says something of how sure it is. */
function ofCount(failures: number, during_s: number): Pick<GivenFailures, 'range' | 'warnings'> {
  if (!Number.isSafeInteger(failures)) return { range: null, warnings: [] };
  const few = `If ${failures === 1 ? 'one failure was' : `${failures} failures were`} counted, the mean time between them is hardly known.`;
  return { range: countedMtbf_s({ failures, during_s }), warnings: failures < 3 ? [few] : [] };
}

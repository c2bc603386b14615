/** From the command line of `holdfast simulate` to a job and policies. */
import { InvalidArgumentError } from 'commander';
import { mtbfOf_s } from '../../interval/failures.js';
import {
  DEFAULT_WALL_S,
  type Failures,
  POLICY_KINDS,
  type PolicySpec,
  SCENARIOS,
  type SimulatedJob,
  type Varying,
} from '../../interval/simulate/index.js';
import type { CommonOptions } from '../command.js';
import { parseDuration_s } from '../duration.js';
import { UsageError } from '../exit.js';
import { readTrace } from '../trace-file.js';

export interface SimulateCommandOptions extends CommonOptions {
  readonly list?: true;
  readonly scenario?: string;
  readonly cost?: number;
  readonly persist?: number;
  readonly restart?: number;
  readonly slowdown?: number;
  readonly inFlight?: number;
  readonly sync?: true;
  readonly async?: true;
  readonly during?: number;
  readonly work?: number;
  readonly mtbf?: number;
  readonly nodes?: number;
  readonly nodeMtbf?: number;
  readonly failures?: number;
  readonly trace?: string;
  readonly weibull?: number;
  readonly warning?: number;
  readonly driftCost?: number;
  readonly driftMtbf?: number;
  readonly policy?: readonly string[];
  readonly runs?: number;
  readonly seed: number;
  readonly threads?: number;
}

/** Runs, where it is not said how many. */
export const DEFAULT_RUNS = 1000;

/** What is compared where it is not said: habits, the formulas, and for what changes somebody who knows. */
const DEFAULT_POLICIES = ['fixed:10min', 'fixed:1h', 'young', 'exact'];
const DEFAULT_OF_DRIFT = ['young', 'exact', 'oracle'];

/** For options that are lengths of time. */
export function duration(option: string, orZero = false): (text: string) => number {
  return (text) => parseDuration_s(option, text, { orZero });
}

/** A number above 0. */
export function parsePositive(text: string): number {
  const value = /^\d{1,15}(\.\d{1,15})?(e[+-]?\d{1,2})?$/i.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new InvalidArgumentError('Give a number above 0, such as 12, 0.7 or 1e3.');
}

/** The shape of a Weibull distribution: below 0.1 the mean is made of a few gaps that no run lives to see. */
export function parseShape(text: string): number {
  const value = /^\d{1,3}(\.\d{1,15})?$/.test(text) ? Number(text) : 0;
  if (value >= 0.1 && value <= 100) return value;
  throw new InvalidArgumentError('Give a number from 0.1 to 100, such as 0.7.');
}

/** A share below 1, also as per cent. */
export function parseShare(text: string): number {
  const [, amount, percent] = /^(\d{1,3}(?:\.\d{1,15})?)( ?%)?$/.exec(text) ?? [];
  const value = Number(amount) / (percent === undefined ? 1 : 100);
  if (value < 1) return value;
  throw new InvalidArgumentError('Give a share from 0 to below 1, such as 0.05 or 5%.');
}

export function parseSeed(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Give a whole number from 0 to 9007199254740991.');
}

/** What is simulated, and what stands behind it. */
export interface Plan {
  readonly scenario: string | null;
  readonly job: SimulatedJob;
  readonly policies: readonly PolicySpec[];
  readonly runs: number;
}

/** Throws a {@link UsageError} for what is missing or does not go together. */
export async function planOf(options: SimulateCommandOptions): Promise<Plan> {
  const { scenario, sync, async, cost, persist, restart, slowdown, inFlight, work } = options;
  if (sync && async) throw usage('Give --sync or --async, not both.');
  if (work !== undefined && options.during !== undefined) throw usage('Give --during or --work, not both.');
  const base = scenario === undefined ? undefined : scenarioOf(scenario);
  const synchronous = sync ?? (async === undefined && (base?.synchronous ?? false));
  if (synchronous && slowdown !== undefined) {
    throw usage(
      sync
        ? 'Give --sync, which means that training waits, or --slowdown, not both.'
        : `Training waits for the saves of ${scenario}: give --async too, for a --slowdown meanwhile.`,
    );
  }
  const stall_s = cost ?? base?.stall_s;
  if (stall_s === undefined) throw usage('Say how long training waits for a save, with --cost 5s, or name a --scenario.');
  if (slowdown !== undefined && slowdown > 0 && (persist ?? base?.persist_s ?? 0) === 0) {
    throw usage('--slowdown is for the time until a checkpoint is durable: give that too, with --persist.');
  }
  const trace = options.trace === undefined ? undefined : (await readTrace(options.trace)).times_s;
  // A trace ends the job with its last failure, however long that of the scenario is.
  const usual_s = trace === undefined ? base?.wall_s : trace.at(-1);
  const wall_s = work === undefined ? (options.during ?? (usual_s || DEFAULT_WALL_S)) : undefined;
  const runs = options.runs ?? (trace === undefined ? DEFAULT_RUNS : 1);
  const { wall_s: _, failures: usual, ...costs } = base ?? {};
  const happened = trace === undefined ? undefined : { times_s: trace, randomStart: runs > 1 };
  const job: SimulatedJob = {
    ...costs,
    ...given({ wall_s, work_s: work, persist_s: persist, restart_s: restart, slowdown, maxInFlight: inFlight }),
    stall_s,
    synchronous,
    failures: failuresOf(options, wall_s, usual, happened),
  };
  return { scenario: scenario ?? null, job: drift(job, options), policies: policiesOf(options), runs };
}

/** Without what was not said. */
function given(values: { readonly [K in keyof SimulatedJob]?: SimulatedJob[K] | undefined }): Partial<SimulatedJob> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function scenarioOf(name: string): SimulatedJob {
  const found = SCENARIOS.find((each) => each.name === name);
  if (found !== undefined) return found.job;
  throw usage(`There is no scenario "${name}". There are ${SCENARIOS.map((each) => each.name).join(', ')}.`);
}

function failuresOf(
  { mtbf, nodes, nodeMtbf, failures: count, weibull, warning, trace: file }: SimulateCommandOptions,
  wall_s: number | undefined,
  base: Failures | undefined,
  trace: { readonly times_s: readonly number[]; readonly randomStart: boolean } | undefined,
): Failures {
  const ways = { '--mtbf': mtbf, '--nodes': nodes, '--failures': count, '--trace': file };
  const said = Object.entries(ways).filter(([, value]) => value !== undefined);
  if (said.length > 1) throw usage(`Say only once how often it fails: ${said.map(([name]) => name).join(' or ')}.`);
  if ((nodes === undefined) !== (nodeMtbf === undefined)) throw usage('--nodes and --node-mtbf go together.');
  const warned = warning === undefined ? base?.warning_s : warning;
  const warning_s = warned === undefined ? {} : { warning_s: warned };
  if (trace !== undefined) {
    if (weibull !== undefined) throw usage('--weibull says how times between failures are distributed, and --trace says when they were.');
    return { kind: 'trace', ...trace, ...warning_s };
  }
  let mtbf_s = base !== undefined && base.kind !== 'trace' ? base.mtbf_s : undefined;
  if (mtbf !== undefined) mtbf_s = mtbf;
  if (nodes !== undefined) mtbf_s = mtbfOf_s({ nodes, nodeMtbf_s: nodeMtbf as number });
  if (count !== undefined) {
    if (wall_s === undefined) throw usage('--failures are counted in the wall time of the job, and --work leaves that open. Give --mtbf.');
    mtbf_s = mtbfOf_s({ expectedFailures: count, during_s: wall_s });
  }
  if (mtbf_s === undefined) {
    throw usage(
      'Say how often it fails: --mtbf 3h, --nodes 64 --node-mtbf 1y, --failures 419 --during 54d, --trace FILE, or name a --scenario.',
    );
  }
  return weibull === undefined ? { kind: 'poisson', mtbf_s, ...warning_s } : { kind: 'weibull', mtbf_s, shape: weibull, ...warning_s };
}

/** By a factor that is reached at the end of the job, or after as much wall time as it has work: how long that takes is not known beforehand. */
function drift(job: SimulatedJob, { driftCost = 1, driftMtbf = 1 }: SimulateCommandOptions): SimulatedJob {
  if (driftCost === 1 && driftMtbf === 1) return job;
  const over_s = (job.work_s ?? job.wall_s) as number;
  const by = (factor: number, value: Varying = 0): Varying =>
    factor === 1 || typeof value !== 'number' || value === 0 ? value : { start: value, end: value * factor, over_s };
  const { failures } = job;
  if (failures.kind === 'trace' && driftMtbf !== 1) throw usage('--drift-mtbf changes how often it fails, and --trace says when it did.');
  return {
    ...job,
    stall_s: by(driftCost, job.stall_s),
    persist_s: by(driftCost, job.persist_s),
    failures: failures.kind === 'trace' ? failures : { ...failures, mtbf_s: by(driftMtbf, failures.mtbf_s) },
  };
}

function policiesOf({ policy, driftCost = 1, driftMtbf = 1 }: SimulateCommandOptions): PolicySpec[] {
  const names = policy ?? (driftCost === 1 && driftMtbf === 1 ? DEFAULT_POLICIES : DEFAULT_OF_DRIFT);
  return [...new Set(names.flatMap((each) => each.split(',').map((name) => name.trim())))].map(policyNamed);
}

function policyNamed(name: string): PolicySpec {
  const [, length] = /^fixed:(.*)$/.exec(name) ?? [];
  if (length !== undefined) return { kind: 'fixed', interval_s: parseDuration_s('--policy fixed:', length), name };
  const kind = POLICY_KINDS.find((each) => each === name);
  if (kind !== undefined && kind !== 'fixed') return { kind };
  const others = POLICY_KINDS.filter((each) => each !== 'fixed').join(', ');
  throw usage(`There is no policy "${name}". There are fixed: with an interval, such as fixed:10min, and ${others}.`);
}

function usage(message: string): UsageError {
  return new UsageError('ERR_INVALID_ARGUMENT', message);
}

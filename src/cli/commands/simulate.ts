/** `holdfast simulate`: what policies for the checkpoint interval are worth, for a job that fails. */
import { Option } from 'commander';
import type { PolicySummary, Scenario } from '../../interval/simulate/index.js';
import { type CommandContext, helpEnd, type RegisterCommand } from '../command.js';
import { printJson } from '../output.js';
import { ofShares, parseCount, withBar } from './bench-options.js';
import { collect } from './prune-options.js';
import {
  DEFAULT_RUNS,
  duration,
  type Plan,
  parsePositive,
  parseSeed,
  parseShape,
  parseShare,
  planOf,
  type SimulateCommandOptions,
} from './simulate-options.js';
import { printScenarios, printSimulation } from './simulate-print.js';
import { warningsOf } from './simulate-warnings.js';

const NOTES = [
  'Every policy meets the same failures. Failures that come during a restart begin it anew; one that comes while a save is persisted takes that checkpoint. With --warning of at least --cost and --persist, a last save is made and nothing is lost, unless it has to wait for saves that are on their way. The work in hand at the end of the job counts as done. docs/SIMULATOR.md says more.',
  'Policies: fixed:10min, the formulas young, dalyFirst, dalyHigher and exact for what costs and failures are at the beginning, oracle, which knows at every moment what they are, and auto, the controller of the trigger of that name, which is told nothing beforehand. Lengths of time are written 500ms, 90s, 5min, 24h, 30d, 1y or 1h30min; a year is 365.25 days.',
  'A trace has one moment per line, or is a JSON list: seconds since the beginning of the job, or dates and times, the first of which is the beginning. Without --runs it is met as it was; with more than one, every run begins somewhere in it, and goes on at its beginning.',
  'JSON: {scenario, job: {wall_s, work_s, stall_s, persist_s, synchronous, slowdown, maxInFlight, restart_s}, failures: {kind, mtbf_s, …}, runs, seed, policies: [{name, interval_s: mean where it changes, usefulFraction: {mean, low, high: 95 % interval of the mean, median, p05, p95}, predicted: by the closed form, for a long run, saves, failures: means per run, lost: {saving, rework, restart, slowdown}: shares of the wall time, unfinished: runs}], warnings}; null for what there is none of.',
];

export const registerSimulate: RegisterCommand = (program, context) => {
  const command = program
    .command('simulate')
    .summary('what checkpoint intervals are worth, for a job that fails')
    .description('Simulates a job that fails, many times, with several policies for the checkpoint interval side by side.');
  addJobOptions(command);
  return command
    .option('--policy <LIST>', 'what to compare, such as young,exact,fixed:10min,auto (repeatable)', collect(String))
    .option('--runs <N>', `runs, each with failures of its own (default: ${DEFAULT_RUNS}; 1 with --trace)`, parseCount)
    .option('--seed <N>', 'the same seed gives the same result', parseSeed, 1)
    .option('--threads <N>', 'worker threads (default: one per core)', parseCount)
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast simulate --scenario llama3', 'a published failure rate; --list has all of them'],
          ['holdfast simulate --cost 60s --sync --restart 5min --failures 419 --during 54d', 'numbers of your own'],
          ['holdfast simulate --cost 5s --persist 2min --nodes 64 --node-mtbf 1y --policy young,exact,fixed:1h', 'some policies'],
          ['holdfast simulate --scenario llama3 --drift-cost 10 --drift-mtbf 0.1', 'saves get dearer, and failures more frequent'],
          ['holdfast simulate --trace failures.txt --cost 5s --restart 2min --json', 'failures that have happened, for other programs'],
        ],
        NOTES,
      ),
    )
    .action(async (options: SimulateCommandOptions) => {
      if (options.list) return listScenarios(options);
      const plan = await planOf(options);
      const policies = await simulate(plan, options, context);
      if (options.json) printJson(toJson(plan, options.seed, policies));
      else printSimulation(plan, options.seed, policies);
    });
};

function addJobOptions(command: ReturnType<RegisterCommand>): void {
  const time = (flags: string, description: string, orZero = false) =>
    command.addOption(new Option(`${flags} <TIME>`, description).argParser(duration(flags, orZero)));
  command.option('--scenario <NAME>', 'a job with a published failure rate, whose numbers the other options replace');
  command.option('--list', 'list the scenarios, with their sources');
  time('--cost', 'how long training waits for a save', true);
  time('--persist', 'from then until the checkpoint is durable (default: 0s)', true);
  time('--restart', 'from a failure until training goes on (default: 0s)', true);
  command.option('--async', 'training goes on while a save is persisted (default)');
  command.option('--sync', 'training waits for that too');
  command.option('--slowdown <SHARE>', 'what training loses of its speed meanwhile, such as 5% (default: 0)', parseShare);
  command.option('--in-flight <N>', 'saves that are persisted at a time (default: 1)', parseCount);
  time('--during', 'wall time of the job (default: 54d; with --trace until its last failure, which ends the job)');
  time('--work', 'its length in work instead: it ends when that is done');
  time('--mtbf', 'mean time between failures of the whole job');
  command.option('--nodes <N>', 'nodes, any of which ends the job when it fails', parseCount);
  time('--node-mtbf', 'mean time between failures of one node');
  command.option('--failures <N>', 'how many are expected in the wall time of the job', parsePositive);
  command.option('--trace <FILE>', 'when it has failed');
  command.option('--weibull <SHAPE>', 'times between failures of that distribution: below 1 they come in groups', parseShape);
  time('--warning', 'how long before a failure it is announced', true);
  command.option(
    '--drift-cost <FACTOR>',
    'what --cost and --persist have become at the end; with --work, after as much wall time as that',
    parsePositive,
  );
  command.option('--drift-mtbf <FACTOR>', 'what the mean time between failures has become then', parsePositive);
}

async function listScenarios({ json }: SimulateCommandOptions): Promise<void> {
  const { SCENARIOS } = await import('../../interval/simulate/scenarios.js');
  if (json) printJson({ scenarios: SCENARIOS.map(({ name, description, job }: Scenario) => ({ name, description, job })) });
  else printScenarios(SCENARIOS);
}

async function simulate(plan: Plan, { seed, threads }: SimulateCommandOptions, { signal }: CommandContext): Promise<PolicySummary[]> {
  const { runSimulation } = await import('../../simulation/run-simulation.js');
  const { job, policies, runs } = plan;
  return withBar(true, (bar) => {
    const onShare = ofShares(bar);
    const onProgress = (share: number) => onShare(share, 'simulating');
    return runSimulation({ job, policies, runs, seed, signal, onProgress, ...(threads === undefined ? {} : { threads }) });
  });
}

/** The fields spelled out: they are an interface to other programs. */
function toJson(plan: Plan, seed: number, policies: readonly PolicySummary[]) {
  const { scenario, job, runs } = plan;
  const { failures, ...costs } = job;
  const { wall_s = null, work_s = null, stall_s, persist_s = 0, synchronous = false, slowdown = 0, maxInFlight = 1, restart_s = 0 } = costs;
  return {
    scenario,
    job: { wall_s, work_s, stall_s, persist_s, synchronous, slowdown, maxInFlight, restart_s },
    failures: failures.kind === 'trace' ? { ...failures, times_s: undefined, count: failures.times_s.length } : failures,
    runs,
    seed,
    policies: policies.map(({ name, interval_s, usefulFraction, predicted, saves, failures: failed, lost, unfinished }) => {
      const { mean, low, high, median, p05, p95 } = usefulFraction;
      const { saving, rework, restart, slowdown: slowed } = lost;
      return {
        ...{ name, interval_s, usefulFraction: { mean, low, high, median, p05, p95 }, predicted, saves, failures: failed },
        ...{ lost: { saving, rework, restart, slowdown: slowed }, unfinished },
      };
    }),
    warnings: warningsOf(plan, policies),
  };
}

/** `holdfast tune`: which interval between checkpoints costs least. */
import { Option } from 'commander';
import { STALL_SOURCES } from '../../bench/sources.js';
import { expectedCurve } from '../../interval/expected.js';
import { type Recommendation, recommendInterval } from '../../interval/recommend.js';
import { formatBytes } from '../../terminal/format.js';
import { helpEnd, type RegisterCommand } from '../command.js';
import { printJson } from '../output.js';
import { htmlOption, parseCount, parseOneSize } from './bench-options.js';
import { collect } from './prune-options.js';
import { duration, parsePositive, parseShare } from './simulate-options.js';
import { confidenceOf, type RecommendationConfidence } from './tune-confidence.js';
import { availability_s, expectedOf, formulasOf, pccheckSteps, warningsOf } from './tune-formulas.js';
import { planOfTune, type TuneOptions, type TunePlan } from './tune-options.js';
import { printTuning } from './tune-print.js';

const NOTES = [
  'What a save costs is --cost, or c + σ·P with --persist and --slowdown; from --bench it is the fit of what was measured, for --bytes; from --run the mean of the run’s own saves. With --run alone all is from its history, and where it has none, --cost or --bench has to be given. What is given goes before what was measured. The interval is the exact optimum for failures that come independently of one another; docs/TUNE.md is the guide, and docs/INTERVALS.md says where that holds.',
  'Exit codes: 0; 1 if --run names a directory without a history, and nothing else says what a save costs; 2 for wrong usage, and files that are not there or are no results.',
  '--failures are expected failures in --during, which is the p of √(2cT/p); --failure-probability is the probability of at least one. A year is 365.25 days. Lengths of time are written 500ms, 90s, 5min, 24h, 30d, 1y or 1h30min.',
  'JSON: {input, interval: {young_s, dalyFirst_s, dalyHigher_s, exact_s, recommended_s}, other: {availability_s, pccheckSteps}, steps, binding, limits, cost_s, expected: {overheadFraction: wall/work − 1, ettr: work/wall, saving, lost, of which rework, persisting, restarts, lostWork_s}, within1Percent_s: [low, high], confidence: {cost_s, mtbf_s: 95 % intervals, recommended_s: at their ends, beyondBest: what the run takes longer at most}, source, bytes, memory, seen, warnings}; null for what is not known. Intervals are seconds of work between saves.',
];

export const registerTune: RegisterCommand = (program, _context) => {
  const command = program
    .command('tune')
    .summary('which interval between checkpoints costs least')
    .description(
      'Recommends the interval between checkpoints, for what a save costs and how often the run fails, and says what it will cost.',
    );
  const time = (flags: string, description: string, orZero = false) =>
    command.addOption(new Option(`${flags} <TIME>`, description).argParser(duration(flags, orZero)));
  time('--cost', 'what a save costs training: how long it waits');
  command.option(
    '--bench <FILE>',
    'take that from a result of holdfast bench save, size, small, many or stall; beside it from train and load (repeatable)',
    collect(String),
  );
  command.addOption(
    new Option('--source <NAME>', 'of a result of stall: which kind of memory (default: copied, where it is there)').choices(STALL_SOURCES),
  );
  command.option('--bytes <SIZE>', 'for a checkpoint of that size (default: the largest that was measured)', parseOneSize);
  command.option('--run <DIR>', 'take what is not given from the history of a run, in its directory of checkpoints');
  time('--mtbf', 'mean time between failures of the whole run');
  command.option('--nodes <N>', 'nodes, any of which ends the run when it fails', parseCount);
  time('--node-mtbf', 'mean time between failures of one node');
  command.option('--failures <N>', 'how many are expected in --during', parsePositive);
  command.option('--failure-probability <SHARE>', 'that there is at least one in --during, such as 0.5 or 50%', parseShare);
  time('--during', 'the time that --failures or --failure-probability are about');
  time('--persist', 'from the end of the wait until a checkpoint is durable (default: 0s)', true);
  command.option('--slowdown <SHARE>', 'what training loses of its speed meanwhile, such as 5% (default: 0)', parseShare);
  command.option('--async', 'training goes on while a checkpoint is written (default, but for results of saves that are waited for)');
  command.option('--sync', 'training waits until it is durable');
  time('--restart', 'from a failure until training goes on (default: 0s)', true);
  command.option('--in-flight <N>', 'saves that may be written at a time (default: 1)', parseCount);
  command.option('--max-overhead <SHARE>', 'most of the time that saving may take, such as 3%', parseShare);
  time('--min-interval', 'no shorter interval');
  time('--max-interval', 'no longer interval');
  time('--step-time', 'what a step takes: the interval is given in steps too');
  return command
    .addOption(htmlOption())
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast tune --cost 5s --mtbf 24h', 'a save costs 5 s, and the run fails once a day'],
          ['holdfast tune --cost 2min --nodes 64 --node-mtbf 1y --restart 10min', 'any of 64 nodes ends the run'],
          ['holdfast tune --cost 60s --failures 419 --during 54d --step-time 4.5s', 'as in the report on Llama 3'],
          ['holdfast tune --bench results.json --bytes 10GiB --mtbf 12h', 'what saves were measured to cost, for 10 GiB'],
          ['holdfast tune --run checkpoints --html interval.html', 'what a run has seen of its own saves and failures'],
        ],
        NOTES,
      ),
    )
    .action(async (options: TuneOptions) => {
      const found = await planOfTune(options);
      const recommendation = recommendInterval(found.given);
      const plan = { ...found, warnings: [...found.warnings, ...warningsOf(found, recommendation)] };
      const curve = curveOf(plan, recommendation);
      const confidence = confidenceOf(plan, recommendation);
      if (options.html !== undefined) {
        const { writeTunePage } = await import('../../report/tune-page.js');
        const formulas = formulasOf(plan.given, recommendation);
        await writeTunePage({ plan, found: recommendation, curve, formulas, formatBytes }, options.html);
      }
      if (options.json) printJson(toJson(plan, recommendation, confidence));
      else printTuning(plan, recommendation, { curve, confidence });
    });
};

/** Wide enough for the optimum, the recommendation and what was measured. */
function curveOf({ given, measured }: TunePlan, found: Recommendation) {
  const { cost_s, interval } = found;
  const { mtbf_s } = given;
  const shown = [interval.exact_s, interval.recommended_s, ...measured.map(({ interval_s }) => interval_s)];
  const [from_s, to_s] = [Math.min(...shown) / 10, Math.max(...shown) * 10];
  return expectedCurve({ cost_s, mtbf_s }, { points: 129, from_s, to_s }).map(({ interval_s }) => expectedOf(given, found, interval_s));
}

/** The fields spelled out: they are an interface to other programs. */
function toJson(
  { given, source, bytes, memory, confidence, seen, warnings }: TunePlan,
  found: Recommendation,
  sure: RecommendationConfidence | null,
) {
  const { stall_s, persist_s = 0, slowdown = 0, restart_s = 0, mtbf_s, maxInFlight = 1 } = given;
  const { maxOverhead = null, minInterval_s = null, maxInterval_s = null, step_s = null } = given;
  const { young_s, dalyFirst_s, dalyHigher_s, exact_s, recommended_s } = found.interval;
  const { overheadFraction, ettr, saving, lost, rework, persisting, restarts, lostWork_s } = found.expected;
  const { inFlight, maxOverhead: budget, minInterval, maxInterval } = found.limits;
  return {
    input: { stall_s, persist_s, slowdown, restart_s, mtbf_s, maxInFlight, maxOverhead, minInterval_s, maxInterval_s, step_s },
    interval: { young_s, dalyFirst_s, dalyHigher_s, exact_s, recommended_s },
    other: { availability_s: availability_s(given, found), pccheckSteps: pccheckSteps(given) },
    steps: found.steps,
    binding: found.binding,
    limits: { inFlight_s: inFlight, maxOverhead_s: budget, minInterval_s: minInterval, maxInterval_s: maxInterval },
    cost_s: found.cost_s,
    expected: { overheadFraction, ettr, saving, lost, rework, persisting, restarts, lostWork_s },
    within1Percent_s: found.within1Percent_s,
    confidence: { ...confidence, recommended_s: sure?.recommended_s ?? null, beyondBest: sure?.beyondBest ?? null },
    ...{ source, bytes, memory, seen, warnings },
  };
}

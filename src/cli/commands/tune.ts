/** `holdfast tune`: which interval between checkpoints costs least. */
import { Option } from 'commander';
import { expectedCurve } from '../../interval/expected.js';
import { type Recommendation, recommendInterval } from '../../interval/recommend.js';
import { helpEnd, type RegisterCommand } from '../command.js';
import { printJson } from '../output.js';
import { htmlOption, parseCount, parseOneSize } from './bench-options.js';
import { duration, parsePositive, parseShare } from './simulate-options.js';
import { planOfTune, type TuneOptions, type TunePlan } from './tune-options.js';
import { printTuning } from './tune-print.js';

const NOTES = [
  'What a save costs is --cost, or c + σ·P with --persist and --slowdown; from --bench it is the fit of what was measured, for --bytes; from --run the mean of the run’s own saves. What is given goes before what was measured. The interval is the exact optimum for failures that come independently of one another; docs/INTERVALS.md says where that holds.',
  '--failures are expected failures in --during, which is the p of √(2cT/p); --failure-probability is the probability of at least one. A year is 365.25 days. Lengths of time are written 500ms, 90s, 5min, 24h, 30d, 1y or 1h30min.',
  'JSON: {input, interval: {young_s, dalyFirst_s, dalyHigher_s, exact_s, recommended_s}, steps, binding, cost_s, expected: {overheadFraction: wall/work − 1, ettr: work/wall, saving, lost, lostWork_s}, within1Percent_s: [low, high], confidence: {cost_s, mtbf_s: 95 % intervals}, source, bytes, seen, warnings}; null for what is not known. Intervals are seconds of work between saves.',
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
  command.option('--bench <FILE>', 'take that from a result of holdfast bench save, size, small, many or stall');
  command.option('--bytes <SIZE>', 'for a checkpoint of that size (default: the largest that was measured)', parseOneSize);
  command.option('--run <DIR>', 'take all of it from the history of a run, in its directory of checkpoints');
  time('--mtbf', 'mean time between failures of the whole run');
  command.option('--nodes <N>', 'nodes, any of which ends the run when it fails', parseCount);
  time('--node-mtbf', 'mean time between failures of one node');
  command.option('--failures <N>', 'how many are expected in --during', parsePositive);
  command.option('--failure-probability <SHARE>', 'that there is at least one in --during, such as 0.5 or 50%', parseShare);
  time('--during', 'the time that --failures or --failure-probability are about');
  time('--persist', 'from the end of the wait until a checkpoint is durable (default: 0s)', true);
  command.option('--slowdown <SHARE>', 'what training loses of its speed meanwhile, such as 5% (default: 0)', parseShare);
  command.option('--sync', 'training waits until a checkpoint is durable');
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
      const plan = await planOfTune(options);
      const found = recommendInterval(plan.given);
      const curve = curveOf(plan, found);
      if (options.html !== undefined) {
        const { writeTunePage } = await import('../../report/tune-page.js');
        await writeTunePage({ plan, found, curve }, options.html);
      }
      if (options.json) printJson(toJson(plan, found));
      else printTuning(plan, found, curve);
    });
};

/** Wide enough for the optimum, the recommendation and what was measured. */
function curveOf({ given, measured }: TunePlan, { cost_s, interval }: Recommendation) {
  const { mtbf_s, restart_s, persist_s = 0, slowdown = 0 } = given;
  const shown = [interval.exact_s, interval.recommended_s, ...measured.map(({ interval_s }) => interval_s)];
  const [from_s, to_s] = [Math.min(...shown) / 10, Math.max(...shown) * 10];
  return expectedCurve({ cost_s, mtbf_s, restart_s, persist_s: persist_s * (1 - slowdown) }, { points: 129, from_s, to_s });
}

/** The fields spelled out: they are an interface to other programs. */
function toJson({ given, source, bytes, confidence, seen, warnings }: TunePlan, found: Recommendation) {
  const { stall_s, persist_s = 0, slowdown = 0, restart_s = 0, mtbf_s, maxInFlight = 1 } = given;
  const { maxOverhead = null, minInterval_s = null, maxInterval_s = null, step_s = null } = given;
  const { young_s, dalyFirst_s, dalyHigher_s, exact_s, recommended_s } = found.interval;
  const { overheadFraction, ettr, saving, lost, lostWork_s } = found.expected;
  return {
    input: { stall_s, persist_s, slowdown, restart_s, mtbf_s, maxInFlight, maxOverhead, minInterval_s, maxInterval_s, step_s },
    interval: { young_s, dalyFirst_s, dalyHigher_s, exact_s, recommended_s },
    steps: found.steps,
    binding: found.binding,
    cost_s: found.cost_s,
    expected: { overheadFraction, ettr, saving, lost, lostWork_s },
    within1Percent_s: found.within1Percent_s,
    ...{ confidence, source, bytes, seen, warnings },
  };
}

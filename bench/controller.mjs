#!/usr/bin/env node
import { seededRandom } from '../dist/bench/seeded.js';
// The controller of the interval against the best fixed interval chosen with hindsight, over random jobs, in simulation.
import { policyOf, simulate } from '../dist/interval/simulate/index.js';
import { wholeNumber } from './lib/options.mjs';
import { runBenchmark } from './lib/program.mjs';

const HELP = `The controller of the checkpoint interval in simulation, against the best fixed interval chosen with hindsight.

  node bench/controller.mjs [--runs N] [--seed N] [--dir DIRECTORY] [--json] [--out FILE]

  --runs       how many random jobs of 54 days. Default 200
  --seed       of the jobs and of their failures. Default 1
  --dir        a directory for nothing: nothing is written
  --json       one JSON document on standard output; --out writes it into a file as well

Each job has a save that costs 0.1 to 300 s, and fails every 5 minutes to 30 days on average, both evenly on a logarithmic scale, and never with more than a
tenth of it for a save. Half of the jobs drift: cost, mean time between failures or both become ten times larger or smaller, gradually or at once. Saves are
synchronous or asynchronous, some slow training down. The best fixed interval is the best of a grid of 49, a fifth apart, for the very failures of the
run: nobody knows it beforehand. The controller is told nothing beforehand; the oracle knows cost and mean time between failures at every moment.

The bar: the useful fraction of the controller is at least 0.99 of the best fixed one's in the median, and 0.96 in the worst job.

Examples
  node bench/controller.mjs
  node bench/controller.mjs --runs 20 --seed 7 --json`;

const DAY_S = 86_400;
const LENGTH_S = 54 * DAY_S;
const MEDIAN_BAR = 0.99;
const WORST_BAR = 0.96;

await runBenchmark({
  name: 'controller',
  help: HELP,
  options: { runs: wholeNumber(200), seed: wholeNumber(1, 0) },
  measure,
  print,
});

/** A job from a seed. */
function randomJob(seed) {
  const random = seededRandom(seed);
  const logUniform = (low, high) => low * (high / low) ** random();
  for (;;) {
    const cost = [logUniform(0.1, 300), 1];
    const mtbf = [logUniform(300, 30 * DAY_S), 1];
    const drifts = random() < 0.5;
    const which = Math.floor(random() * 3);
    const how = { atOnce: random() < 0.5, at: 0.2 + 0.6 * random() };
    if (drifts && which !== 1) cost[1] = random() < 0.5 ? 10 : 0.1;
    if (drifts && which !== 0) mtbf[1] = random() < 0.5 ? 10 : 0.1;
    const [sync, share, slowdown] = [random() < 0.5, random(), random() < 0.5 ? random() * 0.2 : 0];
    const restart_s = logUniform(5, 300);
    const values = ([start, factor]) => [start, start * factor];
    const [costs, mtbfs] = [values(cost), values(mtbf)];
    const isWithin = costs.every((c) => c >= 0.1 && c <= 300) && mtbfs.every((m) => m >= 300 && m <= 30 * DAY_S);
    // At all times, whichever of the two has changed already.
    if (!isWithin || Math.max(...costs) / Math.min(...mtbfs) > 0.1) continue;
    const varying = ([start, end]) => {
      if (start === end) return start;
      return how.atOnce ? { start, steps: [{ from_s: how.at * LENGTH_S, value: end }] } : { start, end, over_s: LENGTH_S };
    };
    // Of an asynchronous save some blocks, and the rest is written beside training.
    const part = (factor) => varying(costs.map((c) => c * factor));
    const save = sync ? { stall_s: part(1) } : { stall_s: part(0.05 + 0.5 * share), persist_s: part(1 + 4 * share), slowdown };
    return { wall_s: LENGTH_S, ...save, restart_s, failures: { kind: 'poisson', mtbf_s: varying(mtbfs) } };
  }
}

function measure({ runs, seed }, { progress }) {
  const jobs = [];
  for (let i = 0; i < runs; i++) {
    const job = randomJob(seed * 100_003 + i);
    const run = (spec) => simulate(job, policyOf(spec), { seed, run: i });
    const [auto, oracle] = [run({ kind: 'auto' }), run({ kind: 'oracle' })];
    const best = bestFixed(run, oracle.meanInterval_s ?? 3600);
    jobs.push({
      ...{ job, failures: oracle.failures, best_s: best.interval_s, best: best.usefulFraction },
      ...{ auto: auto.usefulFraction / best.usefulFraction, oracle: oracle.usefulFraction / best.usefulFraction },
    });
    if (i % 10 === 9) progress(`${i + 1}/${runs}`);
  }
  const [auto, oracle] = ['auto', 'oracle'].map((which) => summarise(jobs.map((each) => each[which])));
  return { auto, oracle, met: auto.median >= MEDIAN_BAR && auto.worst >= WORST_BAR, jobs };
}

/** The best of a grid around what the oracle kept to on average, for these very failures. */
function bestFixed(run, around_s) {
  let best;
  for (let i = -24; i <= 24; i++) {
    const interval_s = Math.min(LENGTH_S, around_s * 1.2 ** i);
    const { usefulFraction } = run({ kind: 'fixed', interval_s });
    if (best === undefined || usefulFraction > best.usefulFraction) best = { interval_s, usefulFraction };
  }
  return best;
}

function summarise(ratios) {
  const sorted = [...ratios].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return {
    median: at(0.5),
    p05: at(0.05),
    worst: sorted[0],
    best: sorted.at(-1),
    within1Percent: ratios.filter((ratio) => ratio >= 0.99).length,
  };
}

function print({ settings, auto, oracle, met, jobs }) {
  const line = (name, { median, p05, worst, within1Percent }) =>
    `  ${name}  ${median.toFixed(4)}  ${p05.toFixed(4)}  ${worst.toFixed(4)}  ${within1Percent} of ${jobs.length}`;
  return `
${settings.runs} random jobs of 54 days, useful fraction against the best fixed interval chosen with hindsight

          median  5 %     worst   at least 0.99
${line('auto  ', auto)}
${line('oracle', oracle)}

  median at least ${MEDIAN_BAR} and worst at least ${WORST_BAR}: ${met ? 'met' : 'NOT met'}`;
}

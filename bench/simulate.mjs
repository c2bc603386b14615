#!/usr/bin/env node
// How long the simulator takes for many runs of a job of 54 days that fails as often as Llama 3's.
import { policyOf, SCENARIOS } from '../dist/interval/simulate/index.js';
import { runSimulation } from '../dist/simulation/run-simulation.js';
import { positiveNumber, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { spread, summary } from './lib/stats.mjs';

const HELP = `How long the simulator takes for many runs of a job of 54 days with 419 failures, as Llama 3 had them.

  node bench/simulate.mjs [--jobs N] [--runs N] [--threads N] [--aim SECONDS] [--dir DIRECTORY] [--json] [--out FILE]

  --jobs     simulated runs of the job, default 100000
  --runs     how often that is measured, default 5
  --threads  worker threads, default 2
  --aim      seconds that it may take, default 10
  --dir      a directory for nothing: nothing is written
  --json     one JSON document on standard output; --out writes it into a file as well

"exact" is the exact interval, for which arithmetic goes from failure to failure; "events" is one event for every save, on a hundredth of the jobs.
Starting the threads is part of the time.

Examples
  node bench/simulate.mjs
  node bench/simulate.mjs --jobs 1000 --runs 15 --json`;

const JOB = SCENARIOS.find(({ name }) => name === 'llama3').job;
/** Costs that change, by nothing: every save is an event. */
const EVENTS = { ...JOB, stall_s: { start: JOB.stall_s, end: JOB.stall_s, over_s: JOB.wall_s } };

await runBenchmark({
  name: 'simulate',
  help: HELP,
  options: { jobs: wholeNumber(100_000), runs: wholeNumber(5), threads: wholeNumber(2), aim: positiveNumber(10) },
  measure,
  print,
});

async function measure({ jobs, runs, threads, aim }, { progress }) {
  const all = { exact: [], events: [] };
  const some = Math.ceil(jobs / 100);
  let useful;
  for (let run = 0; run < runs; run++) {
    const [seconds, found] = await timed(JOB, jobs, threads);
    useful = found;
    all.exact.push(seconds);
    all.events.push((await timed(EVENTS, some, threads))[0]);
    progress(`run ${run + 1} of ${runs}`);
  }
  const seconds = { exact: summary(all.exact), events: summary(all.events) };
  return { jobs: { exact: jobs, events: some }, seconds, useful, met: seconds.exact.median <= aim };
}

async function timed(job, runs, threads) {
  const policies = [{ kind: 'exact' }];
  const started = performance.now();
  const [{ usefulFraction, predicted, failures }] = await runSimulation({ job, policies, runs, seed: 1, threads });
  const seconds = (performance.now() - started) / 1000;
  return [seconds, { ...usefulFraction, predicted, failures, policy: policyOf(policies[0]).name }];
}

function print({ settings, environment, jobs, seconds, useful, met }) {
  return `
A job of 54 days with 419 failures, on ${settings.threads} threads
${describeMachine(environment)}

  exact: ${jobs.exact} runs   ${spread(seconds.exact, ' s')}   aim ${settings.aim} s
  events: ${jobs.events} runs   ${spread(seconds.events, ' s')}

Useful fraction ${useful.mean.toFixed(6)}, by the closed form ${useful.predicted.toFixed(6)}.
${met ? 'The aim is met.' : 'The aim is missed.'}`;
}

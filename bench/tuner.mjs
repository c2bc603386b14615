#!/usr/bin/env node
// What the interval tuner takes of a training step: the trigger auto, measuring included, against every.steps.
import { auto, CheckpointManager, every } from '../dist/index.js';
import { wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';

const HELP = `What the interval tuner takes of a training step.

  node bench/tuner.mjs [--steps N] [--runs N] [--dir DIRECTORY] [--json] [--out FILE]

  --steps  steps of a round. Default 200000
  --runs   rounds of each, in turns. Default 15
  --dir    where to write; default a new directory here
  --json   one JSON document on standard output; --out writes it into a file as well

A step is one call of manager.shouldSave, with no save due. Counted is the time of the call alone, per step. The bar is 50 µs.

Examples
  node bench/tuner.mjs
  node bench/tuner.mjs --steps 10000 --runs 5 --json`;

const BAR_US = 50;
const TRIGGERS = {
  auto: () => auto({ minInterval: { hours: 11 } }),
  autoInSteps: () => auto({ minInterval: { hours: 11 }, unit: 'steps' }),
  everySteps: () => every.steps(1e9),
};

await runBenchmark({
  name: 'tuner',
  help: HELP,
  options: { steps: wholeNumber(200_000), runs: wholeNumber(15) },
  measure,
  print,
});

async function measure({ steps, runs }, { directory, progress }) {
  const times = Object.fromEntries(Object.keys(TRIGGERS).map((name) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const [name, makeTrigger] of Object.entries(TRIGGERS)) {
      const manager = await CheckpointManager.open(`${directory}/${name}`, { trigger: makeTrigger() });
      const from = run * steps;
      const began = performance.now();
      for (let step = from + 1; step <= from + steps; step++) manager.shouldSave({ step });
      times[name].push(((performance.now() - began) * 1000) / steps);
      await manager.close();
    }
    progress(`round ${run + 1}/${runs}`);
  }
  const microseconds = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, summary(list)]));
  return { microseconds, met: microseconds.auto.median <= BAR_US && microseconds.autoInSteps.median <= BAR_US };
}

function print({ settings, environment, microseconds, met }) {
  return `
${settings.steps} steps, ${settings.runs} rounds
${describeMachine(environment)}

  auto             ${spread(microseconds.auto, ' µs')}
  auto, in steps   ${spread(microseconds.autoInSteps, ' µs')}
  every.steps      ${spread(microseconds.everySteps, ' µs')}

  at most ${short(BAR_US)} µs per step: ${met ? 'met' : 'NOT met'}`;
}

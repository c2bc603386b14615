#!/usr/bin/env node
// The interval, proven by real failures: a training that is killed again and again, with fixed intervals and with the controller.
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readHistory } from '../dist/catalog/history.js';
import { exactInterval_s, expectedCurve, formatDuration_s, usefulFraction as predictedFraction } from '../dist/interval/index.js';
import { choice, fileName, positiveNumber, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { bootstrap, median, ratioToBest, usefulFraction } from './prove-interval/account.mjs';
import { plot } from './prove-interval/plot.mjs';
import { durableStep, runLife } from './prove-interval/run-life.mjs';
import { gridAround, killTimes, orderOf } from './prove-interval/schedule.mjs';

const HELP = `The checkpoint interval, proven by real failures.

  npm run prove:interval -- [--minutes N] [--mtbf S] [--fixed N] [--factor F] [--lanes N] [--mode sync|async] [--backend cpu|node] [--state-mb N]
                            [--seed N] [--smoke] [--plot FILE] [--lives FILE] [--dir DIRECTORY] [--json] [--out FILE]

  --minutes   of wall time per policy. Default 15
  --mtbf      seconds between failures, on average. Default 25
  --fixed     how many fixed intervals, geometrically around the optimum that a calibration finds. Default 5
  --factor    from each to the next. Default 2
  --lanes     how many lives at a time, each on a core of its own. Default 1
  --mode      sync: the loop waits until a checkpoint is durable; async: it trains on. Default sync
  --backend   cpu: @tensorflow/tfjs; node: the real tfjs-node ("npm run setup:tfjs-node" installs it). Default cpu
  --state-mb  megabytes of state beside the weights, which make a save cost something. Default 128
  --seed      of the times of failure. Default 1
  --smoke     only shows that it works: a minute in all
  --plot      where to write the plot (SVG)
  --dir       where to write; default a new directory here
  --lives     a file that gets a line of JSON for every life, as soon as it is over
  --json      one JSON document on standard output; --out writes it into a file as well

A TensorFlow.js training (an autoencoder with Adam) runs in processes that are killed by SIGKILL at exponential times, and each goes on from the newest
checkpoint of the one before. Policies take turns life by life, and the k-th life of every policy is killed after the same time. What is compared is the
useful fraction: steps that were not lost, by what a step takes in a process that saves nothing, over all of the wall time. The controller is told
nothing of the failures but a prior eight times too optimistic. The bar: it reaches 0.97 of the best fixed interval.

Examples
  npm run prove:interval -- --lanes 2 --plot interval.svg --out interval.json
  npm run prove:interval -- --minutes 5 --fixed 3 --factor 4
  npm run prove:interval -- --smoke`;

const BAR = 0.97;
/** What is believed of failures beforehand: a day where they come every three hours. */
const PRIOR_FACTOR = 8;

await runBenchmark({
  name: 'prove-interval',
  help: HELP,
  options: {
    minutes: positiveNumber(15),
    mtbf: positiveNumber(25),
    fixed: wholeNumber(5),
    factor: positiveNumber(2),
    lanes: wholeNumber(1),
    mode: choice(['sync', 'async']),
    backend: choice(['cpu', 'node']),
    'state-mb': wholeNumber(128),
    seed: wholeNumber(1, 0),
    plot: fileName(),
    lives: fileName(),
  },
  flags: ['smoke'],
  measure,
  print,
});

async function measure(given, { directory, progress }) {
  const settings = given.smoke ? { ...given, minutes: 0.2, mtbf: 6, fixed: 1, 'state-mb': 16 } : given;
  const { minutes, mtbf, fixed, factor, mode, backend, 'state-mb': stateMb, lanes, seed } = settings;
  const common = { backend, mode, stateMb, prior_s: mtbf * PRIOR_FACTOR, maxInterval_s: mtbf };
  const calibration = await calibrate(common, directory, settings.smoke ? 6 : 20);
  progress(
    `a step takes ${formatDuration_s(calibration.step_s)}, a save ${formatDuration_s(calibration.cost_s)}, a start ${formatDuration_s(calibration.restart_s)}`,
  );
  const best_s = exactInterval_s({ cost_s: calibration.cost_s, mtbf_s: mtbf });
  const grid = gridAround(best_s, fixed, factor);
  const policies = [
    // A time trigger counts from the beginning of a save.
    ...grid.map((seconds) => ({
      name: `every ${formatDuration_s(seconds)}`,
      kind: 'fixed',
      seconds: seconds + (mode === 'sync' ? calibration.cost_s : 0),
    })),
    { name: 'auto', kind: 'auto' },
  ].map((policy, i) => ({ ...policy, directory: path.join(directory, `policy-${i}`), lives: [] }));
  const kills = killTimes(seed, mtbf, minutes * 60);
  const references = [calibration.step_s];
  for (const [life, kill_s] of kills.entries()) {
    await inLanes(orderOf(policies.length, life), lanes, async (which, lane) => {
      const policy = policies[which];
      const lived = await runLife({ ...common, directory: policy.directory, policy }, kill_s, lanes > 1 ? lane : undefined);
      const nextStep = await durableStep(policy.directory);
      // Killed before it came to read a checkpoint: it went on from the one before, and no further.
      const restoredStep = lived.restoredStep ?? nextStep;
      const { wall_s, startup_s, acknowledgedStep } = lived;
      policy.lives.push({ kill_s, wall_s, startup_s, restoredStep, nextStep, acknowledgedStep });
      if (settings.lives !== '')
        appendFileSync(settings.lives, `${JSON.stringify({ policy: policy.name, life, ...policy.lives.at(-1) })}\n`);
    });
    if (life % 8 === 7) references.push(await stepTime(common, directory, 8));
    progress(
      `life ${life + 1}/${kills.length}, ${kill_s.toFixed(1)} s: ${policies.map(({ name, lives }) => `${name} ${lives.at(-1).nextStep}`).join(', ')}`,
    );
  }
  const result = await evaluate({ settings, calibration, references, policies, kills });
  if (settings.plot !== '') {
    mkdirSync(path.dirname(path.resolve(settings.plot)), { recursive: true });
    writeFileSync(settings.plot, await plot(result));
  }
  return result;
}

/** Runs `work` for each, as many at a time as there are lanes. */
async function inLanes(items, lanes, work) {
  const left = [...items];
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next, lane);
    }),
  );
}

/** What a step, a save and a start take here. */
async function calibrate(common, directory, seconds) {
  const place = path.join(directory, 'calibration');
  const step_s = await stepTime(common, directory, seconds);
  const lives = [];
  for (let i = 0; i < 3; i++)
    lives.push(await runLife({ ...common, directory: place, policy: { kind: 'fixed', seconds: 1 } }, seconds / 2));
  const { saves } = await readHistory(place);
  const costs = saves.map(({ stall_s, persist_s, slowdown = 0 }) => stall_s + slowdown * persist_s);
  if (costs.length === 0)
    throw new Error('No save was measured in the calibration: give more memory to the disk, or a smaller --state-mb.');
  return {
    step_s,
    cost_s: median(costs),
    persist_s: common.mode === 'sync' ? 0 : median(saves.map(({ persist_s }) => persist_s)),
    restart_s: median(lives.flatMap(({ startup_s }) => (startup_s === undefined ? [] : [startup_s]))),
    saves: costs.length,
  };
}

/** Seconds of a step in a process that saves nothing: the mean behind the first ones, in which code is compiled. */
async function stepTime(common, directory, seconds) {
  const { steps } = await runLife({ ...common, directory: path.join(directory, 'reference'), policy: { kind: 'none' } }, seconds);
  const later = steps.slice(Math.floor(steps.length / 4));
  return later.reduce((sum, each) => sum + each, 0) / Math.max(1, later.length);
}

async function evaluate({ settings, calibration, references, policies, kills }) {
  const step_s = references.reduce((sum, each) => sum + each, 0) / references.length;
  const mtbf_s = kills.reduce((sum, each) => sum + each, 0) / kills.length;
  const { cost_s, persist_s, restart_s } = calibration;
  const livesOf = Object.fromEntries(policies.map(({ name, lives }) => [name, lives]));
  const evaluated = [];
  for (const { name, kind, seconds, directory, lives } of policies) {
    const { saves, failures } = await readHistory(directory);
    const costs = saves.map(({ stall_s, persist_s: latency, slowdown = 0 }) => stall_s + slowdown * latency);
    const own_s = costs.length === 0 ? cost_s : median(costs);
    const gaps = workBetween(saves);
    const nominal_s = kind === 'fixed' ? seconds - (settings.mode === 'sync' ? cost_s : 0) : exactInterval_s({ cost_s, mtbf_s });
    // Where hardly a life is long enough for two saves, there is only what was asked for.
    const work_s = gaps.length < 3 ? nominal_s : median(gaps);
    evaluated.push({
      ...{ name, kind, work_s, cost_s: own_s, failures },
      saves: lives.length === 0 ? 0 : saves.length,
      useful: { value: usefulFraction(lives, step_s), ...bootstrap({ it: lives }, ({ it }) => usefulFraction(it, step_s)) },
      predicted: predictedFraction({ interval_s: work_s, stall_s: own_s, persist_s, restart_s, mtbf_s }),
      lostAcknowledged: lives.filter(({ acknowledgedStep = 0, nextStep }) => nextStep < acknowledgedStep).length,
      lives,
    });
  }
  const value = ratioToBest(livesOf, step_s, 'auto');
  const ratio = { value, ...bootstrap(livesOf, (drawn) => ratioToBest(drawn, step_s, 'auto')) };
  const curve = expectedCurve(
    { cost_s, mtbf_s, restart_s, persist_s },
    {
      points: 81,
      from_s: Math.min(...evaluated.map(({ work_s }) => work_s)) / 1.5,
      to_s: Math.max(...evaluated.map(({ work_s }) => work_s)) * 1.5,
    },
  );
  return { settings, calibration: { ...calibration, step_s, mtbf_s }, curve, policies: evaluated, ratio, met: value >= BAR };
}

/** Seconds of work between saves of the same life, as they came about. */
function workBetween(saves) {
  return saves.flatMap((save, i) => {
    const before = saves[i - 1];
    if (before === undefined || before.up_s >= save.up_s) return [];
    const cost_s = save.stall_s + (save.slowdown ?? 0) * save.persist_s;
    return save.up_s - before.up_s > cost_s ? [save.up_s - before.up_s - cost_s] : [];
  });
}

function print({ settings, environment, calibration, policies, ratio, met }) {
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  const rows = policies.map(({ name, work_s, useful, predicted, saves, failures, lostAcknowledged }) => [
    name,
    formatDuration_s(work_s),
    `${percent(useful.value)} (${percent(useful.low)} to ${percent(useful.high)})`,
    percent(predicted),
    String(saves),
    String(failures),
    String(lostAcknowledged),
  ]);
  const head = ['policy', 'work between', 'useful, 95 %', 'predicted', 'saves', 'failures', 'lost acknowledged'];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `  ${cells.map((cell, i) => cell.padEnd(widths[i])).join('  ')}`.trimEnd();
  return `
${settings.minutes} minutes per policy, killed every ${settings.mtbf} s on average, ${settings.mode}hronous saves, ${settings.backend} backend
${describeMachine(environment)}
a step ${formatDuration_s(calibration.step_s)}, a save ${formatDuration_s(calibration.cost_s)}, a start ${formatDuration_s(calibration.restart_s)}, mean life ${formatDuration_s(calibration.mtbf_s)}

${line(head)}
${rows.map(line).join('\n')}

  auto against the best fixed interval: ${ratio.value.toFixed(3)} (${ratio.low.toFixed(3)} to ${ratio.high.toFixed(3)}); at least ${BAR}: ${met ? 'met' : 'NOT met'}`;
}

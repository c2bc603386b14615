#!/usr/bin/env node
// How long a training loop's event loop is blocked around one save: ours, tfjs-node's, and plain files; with a plot.
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoopProbe } from '../dist/bench/event-loop.js';
import { CheckpointManager, keep } from '../dist/index.js';
import { saveModelAsync } from '../dist/tfjs/index.js';
import { fileName, positiveNumber, wholeNumber } from './lib/options.mjs';
import { COLOURS, renderSvg } from './lib/plot.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { median, short } from './lib/stats.mjs';
import { bytesOf, denseModel, loadTf, tensorsOf, trainStep } from './lib/tfjs.mjs';

const HELP = `The delay of the event loop around one save of the same tfjs-node model, by three ways of saving.

  node bench/event-loop.mjs [--params MILLIONS] [--runs N] [--around MS] [--svg FILE] [--dir DIRECTORY] [--json] [--out FILE]

  --params  millions of parameters; with Adam a save has three times as many numbers. Default 84: about 1 GB
  --runs    rounds; each saves once in every way. The plot is of the round whose longest block is the median. Default 5
  --around  milliseconds before and after each save that are recorded, too. Default 500
  --svg     write the plot into this file
  --dir     where to write; default a new directory here
  --json    one JSON document on standard output; --out writes it into a file as well

saveModelAsync is durable at its end. tfjs-node's model.save('file://…') does not sync. The third is what one writes oneself: writeFileSync of every
tensor's dataSync, then fsync. A timer of 2 ms records how late it is.
Needs tfjs-node ("npm run setup:tfjs-node").

Examples
  node bench/event-loop.mjs --svg docs/images/event-loop.svg
  node bench/event-loop.mjs --params 10 --runs 1 --json`;

const PROBE_MS = 2;
/** Dots per line of the plot; each is the longest delay in its stretch of time. */
const DOTS = 600;

/** Shorter delays are not shown. */
const LEAST_MS = 0.5;

const NAMES = {
  ours: 'holdfast: saveModelAsync',
  stock: "tfjs-node: model.save('file://…')",
  buffered: 'plain files: writeFileSync of every tensor, then fsync',
};
const ENDS = { ours: 'durable', stock: 'returned, not durable,', buffered: 'durable' };
const COLOURS_OF = { ours: COLOURS.ours, stock: COLOURS.theirs, buffered: COLOURS.other };

await runBenchmark({
  name: 'event-loop',
  help: HELP,
  options: { params: positiveNumber(84), runs: wholeNumber(5), around: wholeNumber(500, 1), svg: fileName() },
  measure,
  print,
});

async function measure({ params, runs, around, svg }, { directory, progress }) {
  const tf = await loadTf('node');
  const model = denseModel(tf, params * 1e6);
  // The first step makes the slots; after the second every tensor is one that an operation has made.
  await trainStep(tf, model);
  await trainStep(tf, model);
  const bytes = bytesOf(tensorsOf(model));
  const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), { keep: keep.last(1) });
  const ways = waysToSave(manager, model, directory);
  const rounds = [];
  // The first round finds code cold, and does not count.
  for (let run = 0; run <= runs; run++) {
    const round = {};
    for (const [name, save] of Object.entries(ways)) {
      round[name] = await record(() => save(run), around);
      // The checkpoint before the last one is removed behind the save: not beside the next way.
      await manager.flush();
      const { longestMs, seconds } = round[name];
      if (run > 0) progress(`round ${run}/${runs}: ${NAMES[name]}: longest block ${short(longestMs)} ms of ${short(seconds)} s`);
    }
    if (run > 0) rounds.push(round);
  }
  await manager.close();
  const series = Object.fromEntries(Object.keys(NAMES).map((name) => [name, typical(rounds.map((round) => round[name]))]));
  if (svg !== '') await writePlot(svg, series, { bytes, around });
  return { settings: { bytes, tfjs: tf.version_core, probeMs: PROBE_MS }, ways: summarize(rounds), series };
}

function waysToSave(manager, model, directory) {
  return {
    async ours(step) {
      const pending = await saveModelAsync(manager, model, { step });
      await pending.committed;
    },
    async stock() {
      await model.save(`file://${path.join(directory, 'stock')}`, { includeOptimizer: true });
    },
    async buffered() {
      const place = path.join(directory, 'buffered');
      mkdirSync(place, { recursive: true });
      for (const [i, tensor] of tensorsOf(model).entries()) {
        const file = openSync(path.join(place, `${i}.bin`), 'w');
        writeFileSync(file, tensor.dataSync());
        fsyncSync(file);
        closeSync(file);
      }
      rmSync(place, { recursive: true });
    },
  };
}

/** Seconds that a save took, its longest block, and how late the timer was when, in milliseconds from the call. */
async function record(save, around) {
  const probe = new EventLoopProbe(PROBE_MS, true);
  await sleep(around);
  const called = performance.now();
  await save();
  const ended = performance.now();
  await sleep(around);
  probe.stop();
  const turns = probe.turns.map(({ at, late }) => [round(at - called), round(late)]);
  const during = probe.turns.filter(({ at, late }) => at >= called && at - late <= ended);
  return { seconds: (ended - called) / 1000, longestMs: Math.max(...during.map(({ late }) => late)), turns };
}

/** The record whose longest block is the median of all. */
function typical(records) {
  return [...records].sort((a, b) => a.longestMs - b.longestMs)[records.length >> 1];
}

function summarize(rounds) {
  const of = (name, key) => median(rounds.map((round) => round[name][key]));
  return Object.fromEntries(
    Object.keys(NAMES).map((name) => [
      name,
      {
        longestMs: of(name, 'longestMs'),
        seconds: of(name, 'seconds'),
        rounds: rounds.map((round) => ({ longestMs: round[name].longestMs, seconds: round[name].seconds })),
      },
    ]),
  );
}

/** One strip per way of saving, above each other, with the same axes. */
async function writePlot(file, series, { bytes, around }) {
  const from = -around / 1000;
  const to = Math.max(...Object.values(series).map(({ seconds }) => seconds)) - from;
  const scales = { x: { domain: [from, to], nice: false }, y: { type: 'log', domain: [LEAST_MS, 100_000], clamp: true } };
  const svg = await renderSvg({
    title: {
      text: 'How long the event loop is blocked while a model is saved',
      subtitle: `${short(bytes / 1e9)} GB of weights and Adam state on tfjs-node; delay of a timer of ${PROBE_MS} ms, log scale`,
    },
    spacing: 26,
    vconcat: Object.entries(series).map(([name, record], i, all) => strip(name, record, scales, i === all.length - 1)),
  });
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, svg);
}

function strip(name, { turns, seconds, longestMs }, scales, last) {
  const [from, to] = scales.x.domain;
  const dots = outline(turns, (1000 * (to - from)) / DOTS);
  const color = COLOURS_OF[name];
  const labelExpr = "datum.value >= 1000 ? datum.value / 1000 + ' s' : datum.value + ' ms'";
  const title = last ? 'seconds since the call' : null;
  const x = { field: 's', type: 'quantitative', scale: scales.x, axis: { title, labels: last, ticks: last, grid: false, tickCount: 10 } };
  const axis = { title: null, values: [1, 10, 100, 1000, 10_000], labelExpr, grid: true, gridColor: '#e6e6e6' };
  const y = { field: 'ms', type: 'quantitative', scale: scales.y, axis };
  const late = seconds > (from + to) / 2;
  return {
    width: 760,
    height: 120,
    title: { text: `${NAMES[name]}: longest block ${duration(longestMs)}`, color, fontSize: 13, offset: 8, anchor: 'start' },
    layer: [
      {
        data: { values: dots },
        mark: { type: 'area', interpolate: 'step-before', clip: true, color, fillOpacity: 0.25, line: { color, strokeWidth: 1.5 } },
        encoding: { x, y, y2: { datum: LEAST_MS } },
      },
      {
        data: { values: [{ s: seconds }] },
        mark: { type: 'rule', color: '#444444', strokeDash: [4, 3] },
        encoding: { x },
      },
      {
        data: { values: [{ s: seconds, ms: 40_000, text: `${ENDS[name]} after ${short(seconds)} s` }] },
        mark: { type: 'text', align: late ? 'right' : 'left', dx: late ? -6 : 6, color: '#444444', fontSize: 12 },
        encoding: { x, y, text: { field: 'text' } },
      },
    ],
  };
}

function duration(ms) {
  return ms >= 1000 ? `${short(ms / 1000)} s` : `${short(ms)} ms`;
}

/**
 * The delays as a line: at every moment how long the block lasts that it lies in. Stretches of `width` milliseconds without a long block
 * become one dot, at their longest delay.
 */
function outline(turns, width) {
  const dots = [];
  let until = Number.NEGATIVE_INFINITY;
  for (const [at, late] of turns) {
    const ms = Math.max(LEAST_MS, late);
    const last = dots.at(-1);
    if (at - late > until || last === undefined || late > width) {
      if (late > width && last !== undefined) dots.push({ s: (at - late) / 1000, ms: last.ms });
      dots.push({ s: at / 1000, ms });
      until = at + (late > width ? 0 : width);
    } else {
      last.s = at / 1000;
      last.ms = Math.max(last.ms, ms);
    }
  }
  return dots;
}

function round(value) {
  return Number(value.toFixed(2));
}

function print({ settings, environment, ways }) {
  const lines = Object.entries(ways).map(
    ([name, { longestMs, seconds }]) => `  ${NAMES[name].padEnd(54)} ${short(longestMs).padStart(6)} ms   ${short(seconds).padStart(5)} s`,
  );
  return `
${short(settings.bytes / 1e9)} GB of weights and Adam state, tfjs-node ${settings.tfjs}, medians of ${settings.runs} rounds
${describeMachine(environment)}

  ${''.padEnd(54)} longest    the save
  ${''.padEnd(54)}   block       takes
${lines.join('\n')}`;
}

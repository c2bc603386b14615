#!/usr/bin/env node
// How long a directory of ten thousand checkpoints takes to open, to list and to save to, with and without its registry.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { decodeManifest } from '../dist/format/manifest.js';
import { encodeManifest } from '../dist/format/manifest-encode.js';
import { CheckpointManager, keep, listDirectory } from '../dist/index.js';
import { wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { spread, summary } from './lib/stats.mjs';

const HELP = `How long a directory of many checkpoints takes to open, to list and to save to.

  node bench/many-checkpoints.mjs [--checkpoints N] [--runs N] [--dir DIRECTORY] [--json] [--out FILE]

  --checkpoints  default 10000, each of two small files and a manifest
  --runs         default 5
  --dir          where to write; default a new directory here
  --json         one JSON document on standard output; --out writes it into a file as well

"open" is CheckpointManager.open: the lock, sweeping, a look at every manifest. Without a registry every one is read, and the registry is made.
What is read is in the page cache. The aim is 1 s with a registry, and 10 s without.

Examples
  node bench/many-checkpoints.mjs
  node bench/many-checkpoints.mjs --checkpoints 1000 --runs 15 --json`;

/** Seconds for 10,000 checkpoints. */
const BARS = { openWithRegistry: 1, openWithout: 10 };

const TITLES = {
  openWithRegistry: 'open, with a registry',
  openWithout: 'open, without',
  list: 'list',
  save: 'one more save',
};

await runBenchmark({
  name: 'many-checkpoints',
  help: HELP,
  options: { checkpoints: wholeNumber(10_000), runs: wholeNumber(5) },
  measure,
  print,
});

async function measure({ checkpoints, runs }, { directory, progress }) {
  await fill(directory, checkpoints);
  progress(`${checkpoints} checkpoints are there`);
  const all = { openWithRegistry: [], openWithout: [], list: [], save: [] };
  for (let run = 0; run < runs; run++) {
    rmSync(path.join(directory, 'registry.json'), { force: true });
    all.openWithout.push(await timed(() => openAndClose(directory)));
    all.openWithRegistry.push(await timed(() => openAndClose(directory)));
    all.list.push(await timed(() => listDirectory(directory)));
    all.save.push(await saveOnce(directory, checkpoints + run));
    progress(`run ${run + 1} of ${runs}`);
  }
  const seconds = Object.fromEntries(Object.entries(all).map(([name, each]) => [name, summary(each)]));
  const met = Object.entries(BARS).every(([name, bar]) => seconds[name].median <= bar);
  return { seconds, met };
}

/** Copies of one real checkpoint, each with a manifest of its own. */
async function fill(directory, count) {
  const manager = await CheckpointManager.open(directory, { keep: keep.all() });
  const { path: first } = await manager.save(request(0));
  await manager.close();
  const files = readdirSync(first).map((name) => [name, readFileSync(path.join(first, name))]);
  const manifest = decodeManifest(readFileSync(path.join(first, 'manifest.json')), 'first');
  for (let step = 1; step < count; step++) {
    const target = path.join(directory, `checkpoint_step${String(step).padStart(8, '0')}_loss${(1 / step).toFixed(4)}`);
    mkdirSync(target);
    for (const [name, bytes] of files) writeFileSync(path.join(target, name), bytes);
    const own = { ...manifest, sequence: step + 1, step, metrics: { loss: 1 / step } };
    writeFileSync(path.join(target, 'manifest.json'), encodeManifest(own));
  }
}

function request(step) {
  const data = new Float32Array(256).fill(step);
  return { step, metrics: { loss: 1 / (step + 1) }, state: { step }, tensors: { x: { dtype: 'F32', shape: [256], data } } };
}

async function openAndClose(directory) {
  await (await CheckpointManager.open(directory, { keep: keep.all() })).close();
}

/** The second save of a manager: its worker knows the directory by then. */
async function saveOnce(directory, step) {
  const manager = await CheckpointManager.open(directory, { keep: keep.all() });
  await manager.save(request(step));
  const seconds = await timed(() => manager.save(request(step + 100_000)));
  await manager.close();
  return seconds;
}

async function timed(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function print({ settings, environment, seconds, met }) {
  const lines = Object.entries(TITLES).map(([name, title]) => {
    const bar = BARS[name] === undefined ? '' : `   aim ${BARS[name]} s`;
    return `  ${title.padEnd(23)}${spread(seconds[name], ' s')}${bar}`;
  });
  return `
${settings.checkpoints} checkpoints in one directory
${describeMachine(environment)}

${lines.join('\n')}

${met ? 'Both aims are met.' : 'An aim is missed.'}`;
}

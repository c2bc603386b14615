#!/usr/bin/env node
// How long does a directory of ten thousand checkpoints take to open, to list and to save to, with and without its registry?
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { decodeManifest } from '../dist/format/manifest.js';
import { encodeManifest } from '../dist/format/manifest-encode.js';
import { CheckpointManager, keep, listDirectory } from '../dist/index.js';

const HELP = `How long does a directory of many checkpoints take to open, to list and to save to?

  node bench/many-checkpoints.mjs [--checkpoints N] [--runs N] [--dir DIR] [--json]

  --checkpoints N   default 10000, each of two small files and a manifest
  --runs N          default 5; medians, with the least and the most
  --dir DIR         where they are made and removed again; default bench-run

"open" is CheckpointManager.open: the lock, sweeping, a look at every checkpoint. Without a registry every manifest is read, and the
registry is written. What is read is in the page cache. The bars: 1 s with a registry, 10 s without.
Exit code 0: both bars are met; 1: not.`;

const { values } = parseArgs({
  options: {
    checkpoints: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: 'bench-run' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) console.log(HELP);
else process.exitCode = await main();

async function main() {
  const [checkpoints, runs] = [Number(values.checkpoints), Number(values.runs)];
  if (!(Number.isSafeInteger(checkpoints) && checkpoints > 0 && Number.isSafeInteger(runs) && runs > 0)) {
    console.error('--checkpoints and --runs need whole numbers of at least 1.');
    return 2;
  }
  const directory = path.resolve(values.dir, `many-checkpoints-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  try {
    await fill(directory, checkpoints);
    const seconds = { withRegistry: [], withoutRegistry: [], list: [], save: [] };
    for (let run = 0; run < runs; run++) {
      rmSync(path.join(directory, 'registry.json'), { force: true });
      seconds.withoutRegistry.push(await timed(() => openAndClose(directory)));
      seconds.withRegistry.push(await timed(() => openAndClose(directory)));
      seconds.list.push(await timed(() => listDirectory(directory)));
      seconds.save.push(await saveOnce(directory, checkpoints + run));
    }
    const figures = Object.fromEntries(Object.entries(seconds).map(([name, all]) => [name, summary(all)]));
    const met = figures.withRegistry.median <= 1 && figures.withoutRegistry.median <= 10;
    if (values.json) console.log(JSON.stringify({ checkpoints, runs, seconds: figures, met }));
    else print(checkpoints, figures, met);
    return met ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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
  return {
    step,
    metrics: { loss: 1 / (step + 1) },
    state: { step },
    tensors: { x: { dtype: 'F32', shape: [256], data: new Float32Array(256).fill(step) } },
  };
}

async function openAndClose(directory) {
  await (await CheckpointManager.open(directory, { keep: keep.all() })).close();
}

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

function summary(all) {
  const sorted = [...all].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)], least: sorted[0], most: sorted.at(-1) };
}

function print(checkpoints, figures, met) {
  const rows = [
    ['open, with a registry', 'withRegistry', '1 s'],
    ['open, without', 'withoutRegistry', '10 s'],
    ['list (holdfast ls)', 'list', ''],
    ['one more save, durable', 'save', ''],
  ];
  console.log(`${checkpoints} checkpoints, seconds: median (least to most)`);
  for (const [title, name, bar] of rows) {
    const { median, least, most } = figures[name];
    console.log(
      `  ${title.padEnd(24)} ${median.toFixed(3)} (${least.toFixed(3)} to ${most.toFixed(3)})${bar === '' ? '' : `   bar ${bar}`}`,
    );
  }
  console.log(met ? 'Both bars are met.' : 'A bar is missed.');
}

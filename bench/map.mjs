#!/usr/bin/env node
// How long it takes until one tensor of a large checkpoint is there, its checksum compared.
import path from 'node:path';
import { dropCache } from '../dist/bench/drop-cache.js';
import { randomFloats } from '../dist/bench/random.js';
import { CheckpointManager, keep } from '../dist/index.js';
import { choice, sizeOf, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';

const HELP = `The first tensor of a large checkpoint, by memory map and by reading: from opening the directory until every byte of it was looked at.

  node bench/map.mjs [--size SIZE] [--tensor SIZE] [--others SIZE] [--runs N] [--engine native|portable] [--dir DIRECTORY] [--json] [--out FILE]

  --size    of the checkpoint. Default 4GiB
  --tensor  of its first tensor. Default 1MiB
  --others  of every other one. Default 64MiB
  --runs    default 15
  --engine  default native
  --dir     where to write; default a new directory here
  --json    one JSON document on standard output; --out writes it into a file as well

The page cache is emptied before every run, where the system lets one. Map and read take turns.

Examples
  node bench/map.mjs
  node bench/map.mjs --size 4GiB --others 1MiB
  node bench/map.mjs --size 256MiB --tensor 64KiB --json`;

const MIB = 2 ** 20;
const FLOAT_BYTES = 4;

await runBenchmark({
  name: 'map',
  help: HELP,
  options: {
    size: sizeOf('4GiB', FLOAT_BYTES),
    tensor: sizeOf('1MiB', FLOAT_BYTES),
    others: sizeOf('64MiB', FLOAT_BYTES),
    runs: wholeNumber(15),
    engine: choice(['native', 'portable']),
  },
  measure,
  print,
});

async function measure({ size: bytes, tensor, others, runs, engine }, { directory, progress }) {
  const checkpoints = path.join(directory, 'checkpoints');
  const data = randomFloats(tensor / 4, 1);
  const other = randomFloats(others / 4, 2);
  const count = 1 + Math.max(0, Math.floor((bytes - tensor) / others));
  const manager = await CheckpointManager.open(checkpoints, { engine, keep: keep.last(1) });
  const tensors = Array.from({ length: count }, (_, i) => {
    const given = i === 0 ? data : other;
    return { name: `t${String(i).padStart(8, '0')}`, dtype: 'F32', shape: [given.length], data: given, stable: true };
  });
  const { path: saved } = await manager.save({ step: 1, tensors });
  await manager.close();
  const milliseconds = { map: [], read: [] };
  let cold = true;
  for (let run = 0; run < runs; run++) {
    for (const way of run % 2 === 0 ? ['map', 'read'] : ['read', 'map']) {
      cold = (await dropCache(saved)) && cold;
      milliseconds[way].push(await first(checkpoints, engine, way, data));
    }
    progress(`run ${run + 1} of ${runs}`);
  }
  const ways = Object.fromEntries(Object.entries(milliseconds).map(([way, each]) => [way, summary(each)]));
  return { bytes: tensor + (count - 1) * others, tensors: count, cold, milliseconds: ways };
}

/** Milliseconds until the first tensor was looked at; throws if it is not the one that was saved. */
async function first(checkpoints, engine, way, expected) {
  const began = performance.now();
  const manager = await CheckpointManager.open(checkpoints, { engine, readOnly: true });
  const checkpoint = await manager.openCheckpoint();
  const { data } = await checkpoint[way]('t00000000');
  const right = Buffer.compare(bytesOf(data), bytesOf(expected)) === 0;
  const took = performance.now() - began;
  await checkpoint.close();
  await manager.close();
  if (!right) throw new Error(`${way} gave other bytes than were saved.`);
  return took;
}

function bytesOf({ buffer, byteOffset, byteLength }) {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function print({ settings, environment, bytes, tensors, cold, milliseconds }) {
  const lines = Object.entries(milliseconds).map(([way, each]) => `  ${way.padEnd(5)}${spread(each, ' ms')}`);
  return `
The first of ${tensors} tensors, of ${short(settings.tensor / MIB)} MiB, of ${short(bytes / MIB)} MiB in all, ${settings.engine} engine, ${cold ? 'page cache emptied' : 'PAGE CACHE NOT EMPTIED'}
${describeMachine(environment)}

${lines.join('\n')}`;
}

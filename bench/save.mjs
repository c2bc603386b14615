#!/usr/bin/env node
// Durable saves against the limit of the disk: what fio reaches with the same bytes in the same directory.
import path from 'node:path';
import { peakBytes, restartPeak } from '../dist/bench/memory.js';
import { randomFloats } from '../dist/bench/random.js';
import { CheckpointManager, keep } from '../dist/index.js';
import { chooseFioEngine, fioArguments, HUGE_PAGES, runFio } from './lib/fio.mjs';
import { choice, describeMachine, positiveNumber, runBenchmark, wholeNumber } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';

const HELP = `Durable saves against fio, side by side.

  node bench/save.mjs [--size GIB] [--runs N] [--dir DIRECTORY] [--tensors N] [--engine native|portable] [--json] [--out FILE]

  --size     GiB of tensor data in one checkpoint (default 2)
  --runs     rounds; each is fio, fio with huge pages, ours, and both again (default 15)
  --tensors  number of tensors (default 64)
  --dir      where to write; default a new directory here
  --json     one JSON document on standard output

fio runs as it comes, and once more with its buffers in huge pages, as ours are: a virtual disk may take those twice as fast,
so the second is the harder limit. A round compares our save with the mean of the two runs around it; a limit against
itself in the same round gives the noise (A/A). Counted: everything from the call to the acknowledgement, with checksums, fsync of every file, manifest,
rename and directory fsyncs. The data is random; nothing goes through the page cache unless the result says so.

Examples
  node bench/save.mjs
  node bench/save.mjs --size 0.5 --runs 5 --dir /mnt/disk --json --out save.json`;

await runBenchmark({
  name: 'save',
  help: HELP,
  options: { size: positiveNumber(2), runs: wholeNumber(15), tensors: wholeNumber(64), engine: choice(['native', 'portable']) },
  measure,
  print,
});

async function measure({ size, runs, tensors: count, engine }, { directory, progress }) {
  // fio writes whole blocks.
  const bytes = Math.ceil((size * 2 ** 30) / 4096) * 4096;
  const fioEngine = chooseFioEngine(directory);
  const tensors = makeTensors(bytes, count);
  const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), { engine, keep: keep.last(1) });
  // One save that does not count: it warms up code and memory. Peak memory counts from here on.
  const before = restartPeak();
  await saveOnce(manager, tensors, 0);
  const rounds = [];
  for (let run = 1; run <= runs; run++) {
    const plainBefore = runFio(directory, bytes, fioEngine);
    const hugeBefore = runFio(directory, bytes, fioEngine, HUGE_PAGES);
    const save = await saveOnce(manager, tensors, run);
    const hugeAfter = runFio(directory, bytes, fioEngine, HUGE_PAGES);
    const plainAfter = runFio(directory, bytes, fioEngine);
    const round = { save, fio: compare(save, plainBefore, plainAfter), fioHugePages: compare(save, hugeBefore, hugeAfter) };
    rounds.push(round);
    const { fio, fioHugePages } = round;
    progress(
      `round ${run}/${runs}: holdfast ${gbps(bytes, save.total)}, of fio ${short(fio.ratio)}, of fio with huge pages ${short(fioHugePages.ratio)}`,
    );
  }
  const extraMemoryBytes = before === null ? null : peakBytes() - before;
  await manager.close();
  return {
    settings: { bytes, fio: ['fio', ...fioArguments('FILE', bytes, fioEngine)].join(' ') },
    saveBytesPerSecond: summary(rounds.map(({ save }) => bytes / save.total)),
    fio: summarizeLimit(
      rounds.map(({ fio }) => fio),
      bytes,
    ),
    fioHugePages: summarizeLimit(
      rounds.map(({ fioHugePages }) => fioHugePages),
      bytes,
    ),
    stallSeconds: summary(rounds.map(({ save }) => save.stall)),
    extraMemoryBytes,
    direct: rounds.every(({ save }) => save.direct),
    rounds,
  };
}

/** Our save against the mean of two runs of a limit around it, and these two against each other. */
function compare(save, before, after) {
  return { seconds: [before, after], ratio: (before + after) / 2 / save.total, noise: before / after };
}

function summarizeLimit(limits, bytes) {
  return {
    bytesPerSecond: summary(limits.flatMap(({ seconds }) => seconds.map((s) => bytes / s))),
    ratio: summary(limits.map(({ ratio }) => ratio)),
    noise: summary(limits.map(({ noise }) => noise)),
  };
}

async function saveOnce(manager, tensors, step) {
  const { seconds, direct } = await manager.save({ step, tensors });
  return { total: seconds.total, stall: seconds.snapshot, write: seconds.write, sync: seconds.sync, commit: seconds.commit, direct };
}

/** Random tensors, `stable` so that nothing is copied before the save. */
function makeTensors(bytes, count) {
  const each = Math.floor(bytes / count / 4) * 4;
  return Array.from({ length: count }, (_, i) => {
    const length = i === count - 1 ? bytes - each * (count - 1) : each;
    return { name: `tensor.${i}`, dtype: 'F32', shape: [length / 4], data: randomFloats(length / 4, i + 1), stable: true };
  });
}

function gbps(bytes, seconds) {
  return `${short(bytes / seconds / 1e9)} GB/s`;
}

function print({ settings, saveBytesPerSecond, fio, fioHugePages, stallSeconds, extraMemoryBytes, direct, environment }) {
  const rate = (figures) => spread(figures, ' GB/s', 1e9);
  return `
${settings.bytes} bytes in ${settings.tensors} tensors, ${settings.runs} rounds, ${settings.engine} engine${direct ? ', direct I/O' : ', through the page cache'}
${describeMachine(environment)}

  holdfast save, durable        ${rate(saveBytesPerSecond)}
  fio                           ${rate(fio.bytesPerSecond)}
  fio, buffers in huge pages    ${rate(fioHugePages.bytesPerSecond)}
  ours / fio                    ${spread(fio.ratio)}; fio against itself ${spread(fio.noise)}
  ours / fio with huge pages    ${spread(fioHugePages.ratio)}; against itself ${spread(fioHugePages.noise)}
  stall                         ${short(stallSeconds.median * 1000)} ms
  extra memory                  ${short(extraMemoryBytes / 2 ** 20)} MiB`;
}

#!/usr/bin/env node
// Durable saves against the limit of the disk: what fio reaches with the same bytes in the same directory.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CheckpointManager, keep } from '../dist/index.js';
import { describeEnvironment } from './lib/environment.mjs';
import { chooseFioEngine, fioArguments, runFio } from './lib/fio.mjs';
import { short, summary } from './lib/stats.mjs';

const HELP = `Durable saves against fio, side by side.

  node bench/save.mjs [--size GIB] [--runs N] [--dir DIRECTORY] [--tensors N] [--engine native|portable] [--json] [--out FILE]

  --size     GiB of tensor data in one checkpoint (default 2)
  --runs     rounds; each is fio, ours, fio again (default 15)
  --tensors  number of tensors (default 64)
  --dir      where to write; default a new directory here
  --json     one JSON document on standard output

A round compares our save with the mean of the two fio runs around it; fio against itself in the same round gives the
noise (A/A). Counted: everything from the call to the acknowledgement, with checksums, fsync of every file, manifest,
rename and directory fsyncs. The data is random; nothing goes through the page cache unless the result says so.

Examples
  node bench/save.mjs
  node bench/save.mjs --size 0.5 --runs 5 --dir /mnt/disk --json --out save.json`;

const { values: options } = parseArgs({
  options: {
    size: { type: 'string', default: '2' },
    runs: { type: 'string', default: '15' },
    tensors: { type: 'string', default: '64' },
    dir: { type: 'string' },
    engine: { type: 'string', default: 'native' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (options.help) {
  console.log(HELP);
} else {
  await main();
}

async function main() {
  const bytes = Math.round(Number(options.size) * 2 ** 30);
  const runs = Number(options.runs);
  if (!(bytes > 0) || !(runs >= 1)) throw new Error('--size and --runs must be positive numbers.');
  const base = options.dir ?? 'bench-run';
  mkdirSync(base, { recursive: true });
  const directory = mkdtempSync(path.join(path.resolve(base), 'save-'));
  try {
    const result = await measure(directory, bytes, runs);
    if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(result, null, 2)}\n`);
    if (options.json) console.log(JSON.stringify(result, null, 2));
    else print(result);
  } finally {
    rmSync(directory, { recursive: true, force: true });
    if (options.dir === undefined) rmSync(base, { recursive: true, force: true });
  }
}

async function measure(directory, bytes, runs) {
  const fioEngine = chooseFioEngine(directory);
  const tensors = makeTensors(bytes, Number(options.tensors));
  const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), { engine: options.engine, keep: keep.last(1) });
  // One save that does not count: it warms up code and memory. Peak memory counts from here on.
  const before = resetPeakMemory();
  await saveOnce(manager, tensors, 0);
  const rounds = [];
  for (let run = 1; run <= runs; run++) {
    const first = runFio(directory, bytes, fioEngine);
    const ours = await saveOnce(manager, tensors, run);
    const second = runFio(directory, bytes, fioEngine);
    const limit = (first.seconds + second.seconds) / 2;
    rounds.push({ fio: [first.seconds, second.seconds], save: ours, ratio: limit / ours.total, noise: first.seconds / second.seconds });
    if (!options.json)
      process.stderr.write(
        `round ${run}/${runs}: fio ${gbps(bytes, limit)}, holdfast ${gbps(bytes, ours.total)}, ratio ${short(limit / ours.total)}\n`,
      );
  }
  const extraMemoryBytes = peakMemory() - before;
  await manager.close();
  return {
    benchmark: 'save',
    environment: describeEnvironment(directory),
    settings: {
      bytes,
      tensors: Number(options.tensors),
      runs,
      engine: options.engine,
      fio: ['fio', ...fioArguments('FILE', bytes, fioEngine)].join(' '),
    },
    ratio: summary(rounds.map(({ ratio }) => ratio)),
    noise: summary(rounds.map(({ noise }) => noise)),
    saveBytesPerSecond: summary(rounds.map(({ save }) => bytes / save.total)),
    fioBytesPerSecond: summary(rounds.flatMap(({ fio }) => fio.map((seconds) => bytes / seconds))),
    stallSeconds: summary(rounds.map(({ save }) => save.stall)),
    extraMemoryBytes,
    direct: rounds.every(({ save }) => save.direct),
    rounds,
  };
}

async function saveOnce(manager, tensors, step) {
  const { seconds, direct } = await manager.save({ step, tensors });
  return { total: seconds.total, stall: seconds.snapshot, write: seconds.write, sync: seconds.sync, commit: seconds.commit, direct };
}

/** Random tensors that share one buffer, `stable` so that nothing is copied before the save. */
function makeTensors(bytes, count) {
  const each = Math.floor(bytes / count / 4) * 4;
  return Array.from({ length: count }, (_, i) => {
    const length = i === count - 1 ? bytes - each * (count - 1) : each;
    return { name: `tensor.${i}`, dtype: 'F32', shape: [length / 4], data: randomWords(length / 4, i + 1), stable: true };
  });
}

/** xorshift32: fast, and no disk or file system can compress it. */
function randomWords(length, seed) {
  const words = new Uint32Array(length);
  let x = seed;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Float32Array(words.buffer);
}

/** Makes the kernel forget the peak so far (Linux); gives the memory in use. */
function resetPeakMemory() {
  globalThis.gc?.();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {}
  return memoryLine('VmRSS');
}

function peakMemory() {
  return memoryLine('VmHWM');
}

function memoryLine(name) {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}

function gbps(bytes, seconds) {
  return `${short(bytes / seconds / 1e9)} GB/s`;
}

function print({ settings, ratio, noise, saveBytesPerSecond, fioBytesPerSecond, stallSeconds, extraMemoryBytes, direct, environment }) {
  const rate = ({ median, min, max }) => `${short(median / 1e9)} GB/s (${short(min / 1e9)} to ${short(max / 1e9)})`;
  console.log(`
${settings.bytes} bytes in ${settings.tensors} tensors, ${settings.runs} rounds, ${settings.engine} engine${direct ? ', direct I/O' : ', through the page cache'}
on ${environment.cpu}, ${environment.cores} cores, ${environment.device}, ${environment.kernel}, Node.js ${environment.node}

  holdfast save, durable   ${rate(saveBytesPerSecond)}
  fio, the limit           ${rate(fioBytesPerSecond)}
  ratio                    ${short(ratio.median)} (${short(ratio.min)} to ${short(ratio.max)})
  fio against itself       ${short(noise.median)} (${short(noise.min)} to ${short(noise.max)})
  stall                    ${short(stallSeconds.median * 1000)} ms
  extra memory             ${short(extraMemoryBytes / 2 ** 20)} MiB`);
}

#!/usr/bin/env node
// Durable saves against the limit of the disk: what fio reaches with the same bytes in the same directory.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CheckpointManager, keep } from '../dist/index.js';
import { describeEnvironment } from './lib/environment.mjs';
import { chooseFioEngine, fioArguments, HUGE_PAGES, runFio } from './lib/fio.mjs';
import { short, summary } from './lib/stats.mjs';

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
    const plainBefore = runFio(directory, bytes, fioEngine);
    const hugeBefore = runFio(directory, bytes, fioEngine, HUGE_PAGES);
    const save = await saveOnce(manager, tensors, run);
    const hugeAfter = runFio(directory, bytes, fioEngine, HUGE_PAGES);
    const plainAfter = runFio(directory, bytes, fioEngine);
    const round = { save, fio: compare(save, plainBefore, plainAfter), fioHugePages: compare(save, hugeBefore, hugeAfter) };
    rounds.push(round);
    if (!options.json) {
      const { fio, fioHugePages } = round;
      process.stderr.write(
        `round ${run}/${runs}: holdfast ${gbps(bytes, save.total)}, of fio ${short(fio.ratio)}, of fio with huge pages ${short(fioHugePages.ratio)}\n`,
      );
    }
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

function print({ settings, saveBytesPerSecond, fio, fioHugePages, stallSeconds, extraMemoryBytes, direct, environment }) {
  const spread = ({ median, min, max }, scale = 1, unit = '') =>
    `${short(median / scale)}${unit} (${short(min / scale)} to ${short(max / scale)})`;
  const rate = (figures) => spread(figures, 1e9, ' GB/s');
  console.log(`
${settings.bytes} bytes in ${settings.tensors} tensors, ${settings.runs} rounds, ${settings.engine} engine${direct ? ', direct I/O' : ', through the page cache'}
on ${environment.cpu}, ${environment.cores} cores, ${environment.device}, ${environment.kernel}, Node.js ${environment.node}

  holdfast save, durable        ${rate(saveBytesPerSecond)}
  fio                           ${rate(fio.bytesPerSecond)}
  fio, buffers in huge pages    ${rate(fioHugePages.bytesPerSecond)}
  ours / fio                    ${spread(fio.ratio)}; fio against itself ${spread(fio.noise)}
  ours / fio with huge pages    ${spread(fioHugePages.ratio)}; against itself ${spread(fioHugePages.noise)}
  stall                         ${short(stallSeconds.median * 1000)} ms
  extra memory                  ${short(extraMemoryBytes / 2 ** 20)} MiB`);
}

#!/usr/bin/env node
// The two ways in which the native engine transfers, against each other: threads, and threads with an io_uring each.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFloats } from '../dist/bench/random.js';
import { loadNative } from '../dist/native.js';
import { Missing } from './lib/missing.mjs';
import { positiveNumber, wholeNumber, wholeNumbers } from './lib/options.mjs';
import { describeMachine, REST, runBenchmark } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';

const HELP = `Writing and reading a file by threads and by io_uring, in one process, in turns.

  node bench/engines.mjs [--size GIB] [--runs N] [--sweep] [--operations LIST] [--depths LIST] [--rest MS] [--dir DIRECTORY] [--json] [--out FILE]

  --size        GiB of the file. Default 2. Reading takes as much memory, writing 1 GiB at most
  --runs        rounds; each writes and reads the file by threads, by io_uring, and by threads again; the order changes. Default 15
  --sweep       every operation size with every depth, and not only the defaults of the library
  --operations  KiB of one operation, for --sweep. Default 512,1024,4096,8192
  --depths      operations in flight, for --sweep. Default 2,8,16
  --rest        milliseconds of rest after each write. Default 200
  --dir         where to write; default a new directory here
  --json        one JSON document on standard output; --out writes it into a file as well

Direct I/O, random bytes, checksums and fsync included, as in a save and a restore. Seconds are from opening to closing; CPU seconds are those of the
whole process in that time. Ratios are io_uring's figure by the mean of the two runs of threads of the same round; these by each other are
the noise (A/A). A ratio of speed above 1 and one of CPU below 1 are in favour of io_uring.

Examples
  node bench/engines.mjs
  node bench/engines.mjs --size 0.25 --runs 3 --sweep --operations 1024,4096 --depths 4,8`;

const GIB = 2 ** 30;
const CHUNK_BYTES = 4 * 2 ** 20;

await runBenchmark({
  name: 'engines',
  help: HELP,
  options: {
    size: positiveNumber(2),
    runs: wholeNumber(15),
    operations: wholeNumbers('512,1024,4096,8192'),
    depths: wholeNumbers('2,8,16'),
    rest: REST,
  },
  flags: ['sweep'],
  measure,
  print,
});

async function measure({ size, runs, sweep, operations, depths, rest }, { directory, progress }) {
  const { addon, reason } = loadNative();
  if (addon === undefined) throw new Missing(`the native engine is not there: ${reason}`);
  const io = addon.ioUring();
  if (!io.available) throw new Missing(`there is nothing to compare: ${io.reason}.`);
  const bytes = Math.max(4096, Math.round((size * GIB) / 4096) * 4096);
  const file = makeFile(addon, path.join(directory, 'file'), bytes);
  const shapes = sweep
    ? operations.flatMap((kib) => depths.map((queueDepth) => ({ operationBytes: kib * 1024, queueDepth })))
    : [{ operationBytes: 0, queueDepth: 0 }];
  const cases = [];
  for (const shape of shapes) {
    const result = { ...shape, ...(await compare(file, shape, runs, rest)) };
    cases.push(result);
    const words = ['write', 'read'].map((what) => `${what} ${spread(result[what].speed)}, CPU ${spread(result[what].cpu)}`);
    progress(`${nameOf(shape)}: io_uring by threads: ${words.join('; ')}`);
  }
  file.release();
  return { bytes, direct: file.direct(), cases };
}

/** Seconds and CPU seconds of both ways, in rounds. */
async function compare(file, shape, runs, rest) {
  const variants = ['threads', 'io_uring', 'threads'];
  const rounds = [];
  for (let run = 0; run <= runs; run++) {
    const figures = new Array(variants.length);
    for (let i = 0; i < variants.length; i++) {
      const index = (i + run) % variants.length;
      const options = { ...shape, io: variants[index] };
      await file.remove();
      const write = await timed(() => file.write(options));
      await sleep(rest);
      const read = await timed(() => file.read(options));
      figures[index] = { write, read };
    }
    // The first round finds code and memory cold, and does not count.
    if (run > 0) rounds.push(figures);
  }
  return { write: judge(rounds, 'write', file.bytes), read: judge(rounds, 'read', file.bytes), rounds };
}

function judge(rounds, what, bytes) {
  const gib = bytes / GIB;
  const pick = (key) => rounds.map(([a, ring, b]) => [a[what][key], ring[what][key], b[what][key]]);
  const ratios = (key) => summary(pick(key).map(([a, ring, b]) => (2 * ring) / (a + b)));
  const noise = (key) => summary(pick(key).map(([a, , b]) => a / b));
  const seconds = pick('seconds');
  return {
    threads: summary(seconds.flatMap(([a, , b]) => [bytes / a, bytes / b])),
    ioUring: summary(seconds.map(([, ring]) => bytes / ring)),
    threadsCpuPerGib: summary(pick('cpuSeconds').flatMap(([a, , b]) => [a / gib, b / gib])),
    ioUringCpuPerGib: summary(pick('cpuSeconds').map(([, ring]) => ring / gib)),
    speed: summary(seconds.map(([a, ring, b]) => (a + b) / (2 * ring))),
    speedNoise: noise('seconds'),
    cpu: ratios('cpuSeconds'),
    cpuNoise: noise('cpuSeconds'),
  };
}

async function timed(action) {
  const before = process.cpuUsage();
  const began = performance.now();
  await action();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

/** A file that can be written and read again and again; both check what they did. */
function makeFile(addon, name, bytes) {
  const source = randomFloats(Math.min(bytes, GIB) / 4, 1);
  const target = new ArrayBuffer(bytes);
  new Uint8Array(target).fill(1);
  const pins = [addon.pin(source.buffer, true), addon.pin(target, true)];
  const pieces = [];
  for (let at = 0; at < bytes; at += source.byteLength) pieces.push(pins[0], 0, Math.min(source.byteLength, bytes - at));
  const common = { chunkBytes: CHUNK_BYTES, spans: Float64Array.of(bytes), abort: 0 };
  let crc32c;
  let direct;
  const check = (digest, { io }) => {
    crc32c ??= digest.crc32c;
    direct = digest.direct;
    if (digest.crc32c !== crc32c) throw new Error(`A checksum is wrong: ${digest.crc32c} instead of ${crc32c}.`);
    if (digest.io !== io) throw new Error(`${digest.io} was used instead of ${io}.`);
  };
  return {
    bytes,
    direct: () => direct,
    remove: () => rm(name, { force: true }),
    async write(options) {
      const writer = await addon.openWriter(name, { ...common, ...options, direct: 'optional', mode: 0o644 });
      await addon.write(writer, Float64Array.from(pieces));
      check(await addon.finishWriter(writer), options);
    },
    async read(options) {
      const { reader } = await addon.openReader(name, 'optional');
      check(await addon.read(reader, { ...common, ...options, offset: 0, destinations: Float64Array.of(pins[1], 0) }), options);
      addon.closeReader(reader);
    },
    release() {
      for (const pin of pins) addon.unpin(pin);
    },
  };
}

function nameOf({ operationBytes, queueDepth }) {
  return operationBytes === 0 ? 'the defaults' : `${operationBytes / 1024} KiB, ${queueDepth} deep`;
}

function print({ settings, environment, bytes, direct, cases }) {
  const rows = cases.flatMap((result) => [
    `  ${nameOf(result)}`,
    ...['write', 'read'].flatMap((what) => {
      const { threads, ioUring, threadsCpuPerGib, ioUringCpuPerGib, speed, speedNoise, cpu, cpuNoise } = result[what];
      return [
        `    ${what.padEnd(5)}  threads  ${spread(threads, ' GB/s', 1e9).padEnd(30)} ${spread(threadsCpuPerGib, ' CPU s/GiB')}`,
        `           io_uring ${spread(ioUring, ' GB/s', 1e9).padEnd(30)} ${spread(ioUringCpuPerGib, ' CPU s/GiB')}`,
        `           io_uring by threads: speed ${spread(speed)}, A/A ${spread(speedNoise)}; CPU ${spread(cpu)}, A/A ${spread(cpuNoise)}`,
      ];
    }),
  ]);
  return `
Threads and io_uring, ${short(bytes / GIB)} GiB, ${direct ? 'direct I/O' : 'through the page cache'}, ${settings.runs} rounds
${describeMachine(environment)}

${rows.join('\n')}`;
}

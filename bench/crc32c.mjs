#!/usr/bin/env node
// Throughput of every CRC32C variant that this processor runs, and of the best one beside Intel ISA-L's.
import { loadNative } from '../dist/native.js';
import { compareWithIsal, describeComparison } from './lib/crc32c-peer.mjs';
import { Missing } from './lib/missing.mjs';
import { positiveNumber, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { short } from './lib/stats.mjs';

const HELP = `Throughput of every CRC32C variant that this processor runs, on one core and on data in its cache.

  node bench/crc32c.mjs [--mib N] [--runs N] [--peer-mib N] [--pairs N] [--dir DIRECTORY] [--json] [--out FILE]

  --mib       MiB of the data. Default 2
  --runs      the figure is the median over so many. Default 101
  --peer-mib  MiB of memory for the comparison with ISA-L, which is in no cache; 0 leaves that out. Default 1024
  --pairs     rounds of that comparison. Default 15
  --dir       where that is compiled; default a new directory here
  --json      one JSON document on standard output; --out writes it into a file as well

memcpy (Buffer.copy) is there to compare with. The variant that the library uses is measured beside Intel ISA-L's in the same program, which is compiled for
the purpose where g++ and ISA-L are installed (Debian: apt-get install g++ libisal-dev). The ratio is of speeds: above 1 the library is faster.
Exits with 1 if a checksum is wrong.

Examples
  node bench/crc32c.mjs
  node bench/crc32c.mjs --mib 0.25 --runs 11 --peer-mib 0 --json`;

/** Bytes of one run: as often as this takes, so that the clock and the call itself do not show. */
const RUN_BYTES = 8 * 2 ** 20;
const WARM_RUNS = 3;

await runBenchmark({
  name: 'crc32c',
  help: HELP,
  options: { mib: positiveNumber(2), runs: wholeNumber(101), 'peer-mib': wholeNumber(1024, 0), pairs: wholeNumber(15) },
  measure,
  print,
});

async function measure({ mib, runs, 'peer-mib': peerMib, pairs }, { directory }) {
  const { addon, reason } = loadNative();
  if (addon === undefined) throw new Missing(`the native engine is not there: ${reason}`);
  const bytes = Math.max(4, Math.round((mib * 2 ** 20) / 4) * 4);
  const data = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) data.writeInt32LE(Math.imul(at, 0x9e3779b1), at);
  const copy = Buffer.alloc(bytes);
  const expected = addon.crc32c(data, 0, 'portable');
  const results = addon.crc32cImplementations().map((name) => {
    const correct = addon.crc32c(data, 0, name) === expected;
    return { name, correct, gigabytesPerSecond: speedOf(() => addon.crc32c(data, 0, name), bytes, runs) };
  });
  results.push({ name: 'memcpy', correct: true, gigabytesPerSecond: speedOf(() => data.copy(copy), bytes, runs) });
  const peer = peerMib === 0 ? { leftOut: '--peer-mib is 0' } : compareWithIsal({ mib: peerMib, pairs, directory });
  if (peer.correct === false || results.some(({ correct }) => !correct)) process.exitCode = 1;
  return { bytes, results, peer };
}

/** Gigabytes (10^9) per second: the median, and the quartiles around it. */
function speedOf(action, bytes, runs) {
  const repetitions = Math.max(1, Math.round(RUN_BYTES / bytes));
  const figures = [];
  for (let run = -WARM_RUNS; run < runs; run++) {
    const started = process.hrtime.bigint();
    for (let repetition = 0; repetition < repetitions; repetition++) action();
    const nanoseconds = Number(process.hrtime.bigint() - started);
    if (run >= 0) figures.push((bytes * repetitions) / nanoseconds);
  }
  figures.sort((a, b) => a - b);
  const at = (part) => Number(figures[Math.floor((figures.length - 1) * part)].toFixed(2));
  return { median: at(0.5), lowerQuartile: at(0.25), upperQuartile: at(0.75) };
}

function print({ settings, environment, bytes, results, peer }) {
  const rows = results.map(({ name, correct, gigabytesPerSecond: { median, lowerQuartile, upperQuartile } }) => {
    const spread = `(${lowerQuartile} to ${upperQuartile})`;
    return `  ${name.padEnd(12)} ${median.toFixed(1).padStart(7)} GB/s ${spread}${correct ? '' : '  WRONG'}`;
  });
  return `
CRC32C of ${short(bytes / 2 ** 20)} MiB on one core, medians of ${settings.runs} runs
${describeMachine(environment)}

${rows.join('\n')}

${describeComparison(peer)}`;
}

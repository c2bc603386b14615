/**
 * Throughput of every CRC32C variant that this processor runs, on one core and on data in its cache.
 *
 *   node bench/crc32c.mjs [--json] [--mib 2] [--runs 101] [--peer-mib 1024] [--pairs 15]
 *
 * And the one that the library uses beside Intel ISA-L's, in the same program (compiled for the purpose, where ISA-L is installed), on memory of
 * --peer-mib MiB, which is in no cache; 0 leaves that out. The ratio is of speeds: above 1 the library is faster.
 *
 * A figure is the median over the runs; memcpy (Buffer.copy) is there to compare with.
 */
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareWithIsal, describeComparison } from './lib/crc32c-peer.mjs';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    mib: { type: 'string', default: '2' },
    runs: { type: 'string', default: '101' },
    'peer-mib': { type: 'string', default: '1024' },
    pairs: { type: 'string', default: '15' },
  },
});
const bytes = Math.round(Number(values.mib) * 2 ** 20);
const runs = Number(values.runs);
const peerMib = Number(values['peer-mib']);
const pairs = Number(values.pairs);
if (!(bytes > 0) || !(runs > 0) || !(pairs > 0) || !Number.isInteger(peerMib) || peerMib < 0) {
  process.stderr.write('--mib, --runs and --pairs must be positive numbers, --peer-mib a whole one\n');
  process.exit(2);
}

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const addon = require(process.env['HOLDFAST_ADDON'] ?? require('node-gyp-build').path(root));

const data = Buffer.alloc(bytes);
for (let at = 0; at < bytes; at += 4) data.writeInt32LE(Math.imul(at, 0x9e3779b1), at);
const copy = Buffer.alloc(bytes);
const expected = addon.crc32c(data, 0, 'portable');

/** Gigabytes (10^9) per second: the median, and the quartiles around it. */
function measure(action) {
  // Enough repetitions per run that the clock and the call itself do not show.
  const repetitions = Math.max(1, Math.round((8 << 20) / bytes));
  const figures = [];
  for (let run = -3; run < runs; run++) {
    const started = process.hrtime.bigint();
    for (let repetition = 0; repetition < repetitions; repetition++) action();
    const nanoseconds = Number(process.hrtime.bigint() - started);
    if (run >= 0) figures.push((bytes * repetitions) / nanoseconds);
  }
  figures.sort((a, b) => a - b);
  const at = (part) => Number(figures[Math.floor((figures.length - 1) * part)].toFixed(2));
  return { median: at(0.5), lowerQuartile: at(0.25), upperQuartile: at(0.75) };
}

const results = addon.crc32cImplementations().map((name) => {
  const correct = addon.crc32c(data, 0, name) === expected;
  return { name, correct, gigabytesPerSecond: measure(() => addon.crc32c(data, 0, name)) };
});
results.push({ name: 'memcpy', correct: true, gigabytesPerSecond: measure(() => data.copy(copy)) });

const peer = peerMib === 0 ? { leftOut: '--peer-mib is 0' } : compareWithIsal(peerMib, pairs);
const report = { bytes, runs, cpu: os.cpus()[0]?.model ?? 'unknown', arch: process.arch, node: process.version, results, peer };
if (values.json) {
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
} else {
  process.stdout.write(`${values.mib} MiB, median of ${runs} runs, one core of ${report.cpu}\n`);
  for (const { name, correct, gigabytesPerSecond: speed } of results) {
    const spread = `(${speed.lowerQuartile} to ${speed.upperQuartile})`;
    process.stdout.write(`  ${name.padEnd(12)} ${speed.median.toFixed(1).padStart(7)} GB/s ${spread}${correct ? '' : '  WRONG'}\n`);
  }
  process.stdout.write(`\n${describeComparison(peer)}\n`);
}
if (peer.correct === false || results.some(({ correct }) => !correct)) process.exit(1);

// Intel ISA-L's CRC32C beside the library's, in one program that is compiled when it is wanted.
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { short, spread, summary } from './stats.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Each with the instructions that it alone may use, as in CMakeLists.txt. */
const SOURCES = {
  'native/core/crc32c.cc': [],
  'native/core/crc32c_portable.cc': [],
  ...(process.arch === 'x64' && {
    'native/core/crc32c_sse42.cc': ['-msse4.2'],
    'native/core/crc32c_avx512.cc': ['-mavx512f', '-mavx512vl', '-mavx512bw', '-msse4.2', '-mpclmul', '-mvpclmulqdq'],
  }),
  ...(process.arch === 'arm64' && { 'native/core/crc32c_arm64.cc': ['-march=armv8-a+crc'] }),
};

/** Compares in memory of `mib` MiB, `pairs` times; `{ leftOut: why }` where that cannot be done. The program is compiled in `directory`. */
export function compareWithIsal({ mib, pairs, directory }) {
  if (spawnSync('g++', ['--version']).error) return { leftOut: 'there is no g++ to compile it with' };
  const probe = spawnSync('g++', ['-x', 'c++', '-E', '-'], { input: '#include <isa-l/crc.h>\n', encoding: 'utf8' });
  if (probe.status !== 0) return { leftOut: 'ISA-L is not installed (Debian: apt-get install libisal-dev)' };
  const compile = (source, flags) => {
    const object = path.join(directory, `${path.basename(source)}.o`);
    run('g++', ['-std=c++20', '-O3', '-DNDEBUG', '-I', path.join(root, 'native'), ...flags, '-c', path.join(root, source), '-o', object]);
    return object;
  };
  const objects = Object.entries(SOURCES).map(([source, flags]) => compile(source, flags));
  const program = path.join(directory, 'crc32c-peer');
  run('g++', [compile('bench/lib/crc32c-peer.cc', []), ...objects, '-lisal', '-o', program]);
  const { implementation, rounds, correct } = JSON.parse(run(program, [String(mib), String(pairs)]));
  const speeds = (pick) => summary(rounds.map((seconds) => (mib * 2 ** 20) / pick(seconds)));
  return {
    mib,
    pairs,
    implementation,
    correct,
    ours: speeds(([a, , b]) => (a + b) / 2),
    isal: speeds(([, peer]) => peer),
    ratio: summary(rounds.map(([a, peer, b]) => (2 * peer) / (a + b))),
    noise: summary(rounds.map(([a, , b]) => a / b)),
  };
}

export function describeComparison({ leftOut, mib, pairs, implementation, correct, ours, isal, ratio, noise }) {
  if (leftOut !== undefined) return `Beside Intel ISA-L: left out, ${leftOut}.`;
  return [
    `Beside Intel ISA-L, ${short(mib / 1024)} GiB of memory, ${pairs} pairs, one core${correct ? '' : '; THE CHECKSUMS DIFFER'}`,
    `  ${implementation.padEnd(12)} ${spread(ours, ' GB/s', 1e9)}`,
    `  ${'crc32_iscsi'.padEnd(12)} ${spread(isal, ' GB/s', 1e9)}`,
    `  ratio        ${spread(ratio)}, ours against itself ${spread(noise)}`,
  ].join('\n');
}

function run(command, args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

#!/usr/bin/env node
// Does it pay to write several tensor files of a checkpoint at a time?
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFloats } from '../dist/bench/random.js';
import { factsOfHead } from '../dist/catalog/file-head.js';
import { persistCheckpoint } from '../dist/catalog/persist.js';
import { selectEngine } from '../dist/engine/select.js';
import { layOutTensors } from '../dist/format/layout.js';
import { choice, positiveNumber, wholeNumber, wholeNumbers } from './lib/options.mjs';
import { describeMachine, REST, runBenchmark } from './lib/program.mjs';
import { short, spread, summary } from './lib/stats.mjs';

const HELP = `Writing a checkpoint's files one at a time or several at a time.

  node bench/parallel-files.mjs [--at-once LIST] [--scale N] [--runs N] [--engine native|portable] [--rest MS] [--dir DIRECTORY] [--json] [--out FILE]

  --at-once  how many files at a time; each is compared with one. Default 2,3,4
  --scale    multiplies the bytes of every case. Default 1
  --runs     rounds; each writes every case one file at a time, twice, and with every number of --at-once; the order changes. Default 15
  --engine   default native
  --rest     milliseconds of rest after each write. Default 200
  --dir      where to write; default a new directory here
  --json     one JSON document on standard output; --out writes it into a file as well

Cases: shards, 4 files of 256 MiB; pair, a model of 256 MiB and an optimizer of 512 MiB; tiny, a model of 64 KiB and an optimizer of 128 KiB with
model.json and state.json, as a small TensorFlow.js model has; many, 64 files of 1 MiB. Counted: everything from making the temporary directory to its fsync, manifest included. Speed is against the mean of
the two runs with one file at a time of the same round, and these against each other are the noise (A/A).

Examples
  node bench/parallel-files.mjs
  node bench/parallel-files.mjs --scale 0.1 --runs 3 --at-once 2,8`;

const MIB = 2 ** 20;
/** Bytes per tensor and how many, by role. Every file has several tensors, but the smallest. */
const CASES = {
  shards: { model: { tensors: 16, bytes: 64 * MIB, perFile: 4 } },
  pair: { model: { tensors: 8, bytes: 32 * MIB, perFile: 8 }, optimizer: { tensors: 16, bytes: 32 * MIB, perFile: 16 } },
  tiny: { model: { tensors: 4, bytes: MIB / 64, perFile: 4 }, optimizer: { tensors: 8, bytes: MIB / 64, perFile: 8 } },
  many: { model: { tensors: 256, bytes: MIB / 4, perFile: 4 } },
};
const SMALL_FILES = [
  { name: 'model.json', role: 'attachment', bytes: Buffer.alloc(4096, 'x') },
  { name: 'state.json', role: 'state', bytes: Buffer.alloc(2048, 'x') },
];

await runBenchmark({
  name: 'parallel-files',
  help: HELP,
  options: {
    'at-once': wholeNumbers('2,3,4'),
    scale: positiveNumber(1),
    runs: wholeNumber(15),
    engine: choice(['native', 'portable']),
    rest: REST,
  },
  measure,
  print,
});

async function measure({ 'at-once': numbers, scale, runs, engine: name, rest }, { directory, progress }) {
  const engine = selectEngine(name);
  const cases = {};
  for (const [title, roles] of Object.entries(CASES)) {
    const files = toFiles(engine, roles, scale);
    const smallFiles = title === 'tiny' ? SMALL_FILES : [];
    const write = (filesAtOnce) => writeOnce(engine, directory, { files, smallFiles }, filesAtOnce);
    cases[title] = {
      files: files.length + smallFiles.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      ...(await compare(write, numbers, runs, rest)),
    };
    const { speed, noise } = cases[title];
    progress(`${title}: ${numbers.map((n) => `${n} at once ${short(speed[n].median)}`).join(', ')}; A/A ${spread(noise)}`);
    for (const { segments } of files) for (const { held } of segments) for (const each of held) each.release();
  }
  return { cases };
}

/** Seconds with one file at a time, twice, and with each of `numbers`, in rounds. */
async function compare(write, numbers, runs, rest) {
  const variants = [1, ...numbers, 1];
  const rounds = [];
  for (let run = 0; run <= runs; run++) {
    const seconds = new Array(variants.length);
    for (let i = 0; i < variants.length; i++) {
      const index = (i + run) % variants.length;
      seconds[index] = await write(variants[index]);
      await sleep(rest);
    }
    // The first round finds code cold, and does not count.
    if (run > 0) rounds.push(seconds);
  }
  const alone = rounds.map((seconds) => (seconds[0] + seconds.at(-1)) / 2);
  const byNumber = (pick) =>
    Object.fromEntries(numbers.map((number, i) => [number, summary(rounds.map((seconds, r) => pick(seconds[i + 1], alone[r])))]));
  return {
    oneSeconds: summary(alone),
    seconds: byNumber((seconds) => seconds),
    speed: byNumber((seconds, one) => one / seconds),
    noise: summary(rounds.map((seconds) => seconds[0] / seconds.at(-1))),
    rounds,
  };
}

async function writeOnce(engine, directory, contents, filesAtOnce) {
  const temporary = '.tmp-parallel';
  const record = async () => ({ runId: 'bench', sequence: 1, contents: 'full', step: 1, metrics: {}, software: {} });
  const options = { engine, direct: 'optional', chunkBytes: 4 * MIB, verifyWrites: false, filesAtOnce };
  const began = performance.now();
  await persistCheckpoint({ directory, temporary, ...contents, record }, options);
  const seconds = (performance.now() - began) / 1000;
  await rm(path.join(directory, temporary), { recursive: true });
  return seconds;
}

/** Files as a save hands them to the worker. */
function toFiles(engine, roles, scale) {
  let seed = 1;
  return Object.entries(roles).flatMap(([role, { tensors, bytes, perFile }]) => {
    const byteLength = Math.max(4, Math.round((bytes * scale) / 4) * 4);
    const specs = Array.from({ length: tensors }, (_, i) => ({ name: `tensor.${i}`, dtype: 'F32', shape: [byteLength / 4], byteLength }));
    const { files } = layOutTensors(role, specs, perFile * byteLength);
    return files.map((plan) => {
      const held = plan.tensors.map(() => engine.hold({ buffer: randomFloats(byteLength / 4, seed++).buffer, byteOffset: 0, byteLength }));
      const facts = factsOfHead(plan, (part) => engine.crc32c(part));
      return { ...plan, ...facts, segments: [{ kind: 'memory', held }], expected: new Float64Array() };
    });
  });
}

function print({ settings, environment, cases }) {
  const numbers = settings['at-once'];
  const rows = Object.entries(cases).flatMap(([title, { files, bytes, oneSeconds, seconds, speed, noise }]) => [
    `  ${title}: ${files} files, ${short(bytes / MIB)} MiB; one at a time ${spread(oneSeconds, ' ms', 0.001)}, against itself ${spread(noise)}`,
    ...numbers.map((n) => `    ${n} at a time ${spread(seconds[n], ' ms', 0.001).padEnd(34)} ${spread(speed[n])} times as fast`),
  ]);
  return `
Files at a time, ${settings.engine} engine, ${settings.runs} rounds
${describeMachine(environment)}

${rows.join('\n')}`;
}

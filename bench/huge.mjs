#!/usr/bin/env node
// Tensors of many gigabytes, and checkpoints larger than memory: are they right, and how much memory do they take?
import path from 'node:path';
import { peakBytes, restartPeak } from '../dist/bench/memory.js';
import { randomFloats } from '../dist/bench/random.js';
import { CheckpointManager, keep, verifyPath } from '../dist/index.js';
import { choice, sizeOf, wholeNumber } from './lib/options.mjs';
import { describeMachine, runBenchmark } from './lib/program.mjs';
import { exposeGarbageCollection } from './lib/resources.mjs';
import { short } from './lib/stats.mjs';

const HELP = `A checkpoint of huge tensors: saved, verified, and read in part and whole, with the most memory that each took.

  node bench/huge.mjs [--size SIZE] [--tensors N] [--chunk SIZE] [--source stream|memory] [--whole none|read|map|restore]
                      [--engine native|portable] [--dir DIRECTORY] [--json] [--out FILE]

  --size     of all tensors together. Default 8GiB
  --tensors  how many they are. Default 1
  --chunk    what a stream gives at a time, always in the same memory. Default 4MiB
  --source   stream: made while it is written, so that it may be larger than memory. memory: one buffer a tensor, promised stable
  --whole    read: each tensor, one after another; map: the same, mapped; restore: all at a time. Default none
  --engine   default native
  --dir      where to write; default a new directory here. Needs room for the size
  --json     one JSON document on standard output; --out writes it into a file as well

Every row of a tensor begins with its own number, so bytes in the wrong place are found. Rows are read from the beginning, the end, and around every
power of two of bytes, and compared; with --whole every row is. Exits with 1 if anything is not as it was saved. Memory is that of the whole process,
buffers of --source memory included; known on Linux.

Examples
  node bench/huge.mjs
  node bench/huge.mjs --size 26GiB --chunk 2MiB
  node bench/huge.mjs --size 26GiB --tensors 5 --source stream --whole read
  node bench/huge.mjs --source memory --whole map`;

const ROW_BYTES = 4096;
const ROW_FLOATS = ROW_BYTES / 4;
/** A view of more than 4 GiB cannot be had with every version of Node.js. */
const VIEW_BYTES = 2 ** 30;
const MIB = 2 ** 20;

await runBenchmark({
  name: 'huge',
  help: HELP,
  options: {
    size: sizeOf('8GiB', ROW_BYTES),
    tensors: wholeNumber(1),
    chunk: sizeOf('4MiB', ROW_BYTES),
    source: choice(['stream', 'memory']),
    whole: choice(['none', 'read', 'map', 'restore']),
    engine: choice(['native', 'portable']),
  },
  measure,
  print,
});

async function measure({ size: bytes, tensors: count, chunk, source, whole, engine }, { directory, progress }) {
  exposeGarbageCollection();
  const names = Array.from({ length: count }, (_, i) => `huge_${i}`);
  const rows = Math.floor(bytes / count / ROW_BYTES);
  const pattern = randomFloats(chunk / 4, 1);
  const manager = await CheckpointManager.open(path.join(directory, 'checkpoints'), { engine, keep: keep.last(1) });
  const phases = {};
  const phase = async (name, body) => {
    restartPeak();
    const began = performance.now();
    const result = await body();
    phases[name] = { seconds: (performance.now() - began) / 1000, peakBytes: peakBytes(), ...result };
    progress(`${name}: ${phaseLine(phases[name])}`);
  };
  const wrong = [];
  const compare = (where, buffer, byteOffset, byteLength, tensor, firstRow) => {
    const row = firstWrongRow(buffer, byteOffset, byteLength, pattern, tensor, firstRow);
    if (row !== undefined) wrong.push(`${where}: row ${row} of ${names[tensor]}`);
  };
  await phase('save', async () => {
    const tensors = names.map((name, i) => {
      const data = source === 'stream' ? streamOf(rows, pattern, i) : bufferOf(rows, pattern, i);
      return { name, dtype: 'F32', shape: [rows, ROW_FLOATS], data, ...(source === 'memory' ? { stable: true } : {}) };
    });
    const { committed } = await manager.saveAsync({ step: 1, tensors });
    const { bytes: saved } = await committed;
    return { bytes: saved };
  });
  await phase('verify', async () => {
    const { ok, problems, checked } = await verifyPath(path.join(directory, 'checkpoints'), { engine });
    if (!ok || checked.tensors !== count) wrong.push(...problems.map(({ message }) => message), `${checked.tensors} tensors verified`);
    return { bytes: checked.bytes };
  });
  const checkpoint = await manager.openCheckpoint();
  await phase('slices', async () => {
    let read = 0;
    for (const [i, name] of names.entries()) {
      for (const [begin, end] of placesIn(rows)) {
        const { buffer, data } = await checkpoint.slice(name, begin, end);
        compare('slice', buffer, data.byteOffset, data.byteLength, i, begin);
        read += data.byteLength;
      }
    }
    return { bytes: read };
  });
  if (whole === 'read' || whole === 'map') {
    await phase(whole, async () => {
      for (const [i, name] of names.entries()) {
        const { buffer, data } = await checkpoint[whole](name);
        compare(whole, buffer, data.byteOffset, data.byteLength, i, 0);
      }
      return { bytes: count * rows * ROW_BYTES };
    });
  }
  await checkpoint.close();
  if (whole === 'restore') {
    await phase(whole, async () => {
      const { tensors } = await manager.restore();
      for (const [i, name] of names.entries()) {
        const { buffer, data } = tensors.get(name);
        compare(whole, buffer, data.byteOffset, data.byteLength, i, 0);
      }
      return { bytes: count * rows * ROW_BYTES };
    });
  }
  await manager.close();
  if (wrong.length > 0) process.exitCode = 1;
  return { ok: wrong.length === 0, wrong, phases };
}

/** The rows from `firstRow` on into `target`: the pattern again and again, and at the front of each row its tensor and its number. */
function fillRows(target, pattern, tensor, firstRow) {
  const period = pattern.length / ROW_FLOATS;
  const rows = target.length / ROW_FLOATS;
  for (let row = 0; row < rows; ) {
    const from = (firstRow + row) % period;
    const run = Math.min(period - from, rows - row);
    target.set(pattern.subarray(from * ROW_FLOATS, (from + run) * ROW_FLOATS), row * ROW_FLOATS);
    row += run;
  }
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let row = 0; row < rows; row++) {
    words[row * ROW_FLOATS] = tensor;
    words[row * ROW_FLOATS + 1] = firstRow + row;
  }
}

/** Its chunks are one piece of memory, used again and again: what the library keeps of them is what it takes itself. */
function streamOf(rows, pattern, tensor) {
  return {
    byteLength: rows * ROW_BYTES,
    async *[Symbol.asyncIterator]() {
      const chunk = new Float32Array(pattern.length);
      const perChunk = chunk.length / ROW_FLOATS;
      for (let row = 0; row < rows; row += perChunk) {
        const given = chunk.subarray(0, Math.min(perChunk, rows - row) * ROW_FLOATS);
        fillRows(given, pattern, tensor, row);
        yield new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
      }
    },
  };
}

function bufferOf(rows, pattern, tensor) {
  const buffer = new ArrayBuffer(rows * ROW_BYTES);
  for (const [at, bytes] of pieces(buffer.byteLength)) {
    fillRows(new Float32Array(buffer, at, bytes / 4), pattern, tensor, at / ROW_BYTES);
  }
  return buffer;
}

/** The number of the first row that is not as it should be. */
function firstWrongRow(buffer, byteOffset, byteLength, pattern, tensor, firstRow) {
  const expected = new Float32Array(pattern.length);
  for (let at = 0; at < byteLength; at += pattern.byteLength) {
    const bytes = Math.min(pattern.byteLength, byteLength - at);
    fillRows(expected.subarray(0, bytes / 4), pattern, tensor, firstRow + at / ROW_BYTES);
    const found = new Uint8Array(buffer, byteOffset + at, bytes);
    const wanted = new Uint8Array(expected.buffer, 0, bytes);
    if (Buffer.compare(found, wanted) === 0) continue;
    return firstRow + Math.floor((at + found.findIndex((byte, i) => byte !== wanted[i])) / ROW_BYTES);
  }
  return undefined;
}

function* pieces(bytes) {
  for (let at = 0; at < bytes; at += VIEW_BYTES) yield [at, Math.min(VIEW_BYTES, bytes - at)];
}

/** From and to which rows: both ends, and around every power of two of bytes, where offsets outgrow their types. */
function placesIn(rows) {
  const places = [
    [0, Math.min(3, rows)],
    [Math.max(0, rows - 3), rows],
  ];
  for (let row = 1; row < rows; row *= 2) places.push([Math.max(0, row - 2), Math.min(rows, row + 3)]);
  return places;
}

function phaseLine({ seconds, bytes, peakBytes: peak }) {
  const memory = peak === null ? '' : `, at most ${short(peak / MIB)} MiB of memory`;
  return `${short(bytes / 2 ** 30)} GiB in ${short(seconds)} s${memory}`;
}

function print({ settings, environment, ok, wrong, phases }) {
  const { size: bytes, tensors, source, engine } = settings;
  const lines = Object.entries(phases).map(([name, measured]) => `  ${name.padEnd(9)}${phaseLine(measured)}`);
  return `
${short(bytes / 2 ** 30)} GiB in ${tensors === 1 ? 'one tensor' : `${tensors} tensors`} from ${source === 'stream' ? 'a stream' : 'memory'}, ${engine} engine
${describeMachine(environment)}

${lines.join('\n')}

${ok ? 'Every byte that was looked at is right.' : `WRONG: ${wrong.join('; ')}`}`;
}

// What the workload saves, as a pure function of (seed, step): the checker makes the same bytes again.
import { makeRandom, mix } from './prng.mjs';

// Total sizes that the steps cycle through: below a block, below a page cluster, and up to several
// 1 MiB direct writes with an unaligned tail.
const SIZES_BYTES = [9_000, 310_004, 2_500_008, 52, 41_000, 1_300_000, 4_200_004, 120_000];

const DTYPES = [
  { dtype: 'F32', make: (buffer) => new Float32Array(buffer) },
  { dtype: 'I32', make: (buffer) => new Int32Array(buffer) },
  { dtype: 'U8', make: (buffer) => new Uint8Array(buffer) },
];

/** The tensors of a step: `[{ name, dtype, shape, data }]`. The bits are random: F32 holds NaN payloads too. */
export function tensorsOf(seed, step) {
  const random = makeRandom(mix(seed, step, 1));
  const bytesTotal = SIZES_BYTES[step % SIZES_BYTES.length];
  const count = Math.min(1 + random.below(12), Math.floor(bytesTotal / 4));
  const words = Math.floor(bytesTotal / 4);
  const tensors = [];
  let wordsLeft = words;
  for (let index = 0; index < count; index += 1) {
    const last = index === count - 1;
    const size = last ? wordsLeft : Math.max(1, random.below(Math.max(1, wordsLeft - count)));
    wordsLeft -= size;
    const { dtype, make } = random.pick(DTYPES);
    const buffer = new ArrayBuffer(size * 4);
    fill(new Uint32Array(buffer), mix(seed, step, 2, index));
    const data = make(buffer);
    tensors.push({ name: `layer${index}/weights`, dtype, shape: [data.length], data });
  }
  return tensors;
}

/** The JSON state of a step. */
export function stateOf(seed, step) {
  return { seed, step, marker: `step ${step} of ${seed}`, numbers: [mix(seed, step, 3), step / 7] };
}

/** The metrics of a step; the best one is somewhere in the middle of the run. */
export function metricsOf(seed, step) {
  return { loss: 0.25 + (mix(seed, step, 4) % 10_000) / 10_000 };
}

/** xorshift32: fast enough that regenerating megabytes per state costs little. */
function fill(words, seed) {
  let x = seed || 1;
  for (let index = 0; index < words.length; index += 1) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[index] = x;
  }
}

/** Null where `tensors` (a Map of name → { dtype, shape, data }) and `state` are exactly this step's, else what differs. */
export function difference(seed, step, tensors, state) {
  const expected = tensorsOf(seed, step);
  if (tensors.size !== expected.length) {
    return `${tensors.size} tensors instead of ${expected.length}`;
  }
  for (const want of expected) {
    const got = tensors.get(want.name);
    if (!got) return `tensor ${want.name} is missing`;
    if (got.dtype !== want.dtype) return `tensor ${want.name} is ${got.dtype}, saved as ${want.dtype}`;
    if (JSON.stringify([...got.shape]) !== JSON.stringify(want.shape)) {
      return `tensor ${want.name} has shape ${got.shape}, saved as ${want.shape}`;
    }
    if (Buffer.compare(bytesOf(got.data), bytesOf(want.data)) !== 0) {
      return `tensor ${want.name} has wrong bytes`;
    }
  }
  if (JSON.stringify(state) !== JSON.stringify(stateOf(seed, step))) return 'the state differs';
  return null;
}

function bytesOf(view) {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

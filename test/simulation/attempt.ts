/** One save that a history asks for: what is in it follows from its number, so that whatever is read back can be recognised. */
import type { Dtype } from '../../src/format/dtype.js';
import type { SaveRequest } from '../../src/manager/save-request.js';
import type { TensorData, TensorInput } from '../../src/snapshot/source.js';
import { mix, type Random } from './prng.js';

/** Where the bytes lie when they are saved. */
export type Memory = 'copied' | 'shared' | 'fed' | 'streamed';

/** A tensor of a model. */
export interface TensorPlan {
  readonly name: string;
  readonly role: 'model' | 'optimizer';
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly memory: Memory;
}

/** What is known of a save: `unknown` where the process died before it heard, `refused` where nothing may have been saved. */
export type Outcome = 'pending' | 'unknown' | 'refused' | 'acknowledged';

/**
 * What was done to a checkpoint: bytes of a file changed; its size, or a file gone; its manifest not readable any more; all of it removed; or what
 * is left after the fsync of a directory had failed.
 */
export type Harm = 'none' | 'hidden' | 'visible' | 'unreadable' | 'removed' | 'lost';

export interface Attempt {
  readonly id: number;
  readonly seed: number;
  readonly step: number;
  readonly epoch: number | undefined;
  readonly metrics: Readonly<Record<string, number>>;
  readonly contents: 'full' | 'weights';
  readonly tensors: readonly TensorPlan[];
  outcome: Outcome;
  /** As it was first seen under a name. */
  name: string | undefined;
  sequence: number | undefined;
  files: ReadonlyMap<string, Uint8Array> | undefined;
  harm: Harm;
  /** Somebody has put a file of his own into it: retention leaves it alone. */
  noted: boolean;
  /** It must be there, unless it was harmed or retention took it. */
  expected: boolean;
  /** Retention took it. */
  retired: boolean;
}

const DTYPES = [
  ['F32', 4],
  ['BF16', 2],
  ['I64', 8],
  ['U8', 1],
] as const;

/** The tensors of a model, which all saves of a history share. */
export function planTensors(random: Random): TensorPlan[] {
  const memories: readonly Memory[] = ['copied', 'copied', 'copied', 'shared', 'fed', 'streamed'];
  const optimizer = random.chance(0.3);
  return Array.from({ length: random.between(1, optimizer ? 4 : 3) }, (_, i) => {
    const [dtype, size] = random.pick(DTYPES);
    const shape = random.pick([[], [random.below(4)], [random.between(1, 300)], [random.between(1, 40), random.between(1, 60)]]);
    const bytes = shape.reduce((product, length) => product * length, size as number);
    return { name: `tensor/${i}`, role: optimizer && i > 0 ? 'optimizer' : 'model', dtype, shape, bytes, memory: random.pick(memories) };
  });
}

/** The bytes of its `index`th tensor. */
export function bytesOf({ seed, id, tensors }: Attempt, index: number): Uint8Array<ArrayBuffer> {
  const { bytes } = tensors[index] as TensorPlan;
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = mix(seed, id, index) | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

/** The request, and what training does to its memory as soon as the call has returned. */
export function requestOf(attempt: Attempt): { readonly request: SaveRequest; readonly trainOn: () => void } {
  const copied: Uint8Array[] = [];
  const inputs = attempt.tensors.map((plan, index) => ({ plan, input: inputOf(attempt, plan, index, copied) }));
  const ofRole = (role: TensorPlan['role']) => inputs.filter(({ plan }) => plan.role === role).map(({ input }) => input);
  const optimizer = ofRole('optimizer');
  const { step, epoch, metrics, contents, id } = attempt;
  const request = {
    step,
    epoch,
    metrics,
    contents,
    state: { attempt: id },
    tensors: ofRole('model'),
    ...(optimizer.length === 0 ? {} : { optimizer }),
  };
  const trainOn = () => {
    for (const bytes of copied) bytes.fill(0xee);
  };
  return { request, trainOn };
}

function inputOf(attempt: Attempt, { name, dtype, shape, memory }: TensorPlan, index: number, copied: Uint8Array[]): TensorInput {
  const bytes = bytesOf(attempt, index);
  if (memory === 'copied') copied.push(bytes);
  return { name, dtype, shape, data: dataOf(bytes, memory), stable: memory === 'shared' || memory === 'fed' };
}

function dataOf(bytes: Uint8Array<ArrayBuffer>, memory: Memory): TensorData {
  if (memory === 'streamed') return Object.assign(inHalves(bytes), { byteLength: bytes.length });
  if (memory !== 'shared') return bytes;
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

async function* inHalves(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const half = bytes.length >> 1;
  yield bytes.subarray(0, half);
  yield bytes.subarray(half);
}

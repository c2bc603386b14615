/**
 * Fifteen thousand tensors, as of a model with many small layers and the slots of its optimizer: short ones that are copied whatever was
 * promised, a few long ones that are not, and a manifest so long that the engine writes it.
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RestoredTensor } from '../../src/catalog/tensor.js';
import { byteLengthOf, type Dtype } from '../../src/format/dtype.js';
import { verifyPath } from '../../src/manager/describe.js';
import type { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import type { TensorInput } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { openManager } from '../helpers/manager.js';
import { randomBytes } from '../helpers/random.js';

const MODEL = 10_000;
const SLOTS = 5000;
const KIBI = 2 ** 10;
/** A manifest above this is written by the engine. */
const LONG_MANIFEST_BYTES = 2 ** 20;

const SHORT_DTYPES: readonly Dtype[] = ['F32', 'I32', 'BOOL', 'U8', 'F16', 'BF16', 'F64', 'I64', 'I8'];
/** Scalars, nothing at all, odd lengths. */
const SHORT_SHAPES: readonly (readonly number[])[] = [[], [0], [1], [3], [5, 7], [4, 0, 9], [31], [2, 2, 2], [127], [333]];
/** Around the length up to which stable tensors are copied, and well beyond. */
const LONG_BYTES = [16 * KIBI - 1, 16 * KIBI, 16 * KIBI + 1, 70_001, 1_000_003];

interface Tensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly stable: boolean;
  /** Where its owner has it; written to in place for every step. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly seed: number;
}

/** `count` tensors, some of them views of one buffer, at any offset. */
function tensorsOf(prefix: string, count: number): Tensor[] {
  const common = new ArrayBuffer(count * KIBI);
  let used = 1;
  return Array.from({ length: count }, (_, i) => {
    const long = i % 499 === 0 ? LONG_BYTES[(i / 499) % LONG_BYTES.length] : undefined;
    const dtype = long === undefined ? (SHORT_DTYPES[i % SHORT_DTYPES.length] as Dtype) : 'U8';
    const shape = long === undefined ? (SHORT_SHAPES[i % SHORT_SHAPES.length] as readonly number[]) : [long];
    const length = byteLengthOf(dtype, shape) as number;
    const shared = i % 3 === 0 && used + length <= common.byteLength;
    const bytes = shared ? new Uint8Array(common, used, length) : new Uint8Array(length);
    if (shared) used += length + 1;
    return { name: `${prefix}/layer_${i}/weights`, dtype, shape, stable: i % 7 < 4, bytes, seed: i };
  });
}

const inputOf = ({ name, dtype, shape, stable, bytes }: Tensor): TensorInput => ({ name, dtype, shape, stable, data: bytes });
const valuesOf = ({ bytes, seed }: Tensor, step: number) => randomBytes(bytes.length, step * 100_000 + seed);

/** What the tensors hold at a step follows from it, so that nothing needs to be remembered. */
function fill(tensors: readonly Tensor[], step: number): void {
  for (const tensor of tensors) tensor.bytes.set(valuesOf(tensor, step));
}

function spoil(tensors: readonly Tensor[], stable: boolean): void {
  for (const tensor of tensors) if (tensor.stable === stable) tensor.bytes.fill(0xee);
}

/** One step of a training: saved as it goes on, with everything overwritten as soon as it may be. */
async function saveStep(manager: CheckpointManager, step: number, model: readonly Tensor[], slots: readonly Tensor[]): Promise<void> {
  const all = [...model, ...slots];
  fill(all, step);
  const call = manager.saveAsync({ step, tensors: model.map(inputOf), optimizer: slots.map(inputOf) });
  spoil(all, false);
  const result = await (await call).committed;
  spoil(all, true);
  const saved = result?.path as string;
  expect(statSync(path.join(saved, 'manifest.json')).size).toBeGreaterThan(LONG_MANIFEST_BYTES);
  expect(await verifyPath(saved)).toMatchObject({ ok: true, problems: [] });
}

/** Names of tensors that did not come back as they were. */
function wrong(restored: ReadonlyMap<string, RestoredTensor> | undefined, tensors: readonly Tensor[], step: number): string[] {
  const differs = (tensor: Tensor) => {
    const found = restored?.get(tensor.name);
    if (found === undefined || found.dtype !== tensor.dtype || found.shape.join() !== tensor.shape.join()) return true;
    const { buffer, byteOffset, byteLength } = found.data;
    return Buffer.compare(new Uint8Array(buffer, byteOffset, byteLength), valuesOf(tensor, step)) !== 0;
  };
  return tensors.filter(differs).map(({ name }) => name);
}

describe.each(ENGINES)('many tensors, %s engine', (engine) => {
  test('come back bit by bit from every step, also where shapes and names change in between', async () => {
    const manager = await openManager(freshDirectory(), { engine, keep: keep.all() });
    const model = tensorsOf('model', MODEL);
    const slots = tensorsOf('optimizer', SLOTS);
    // The layout that is known must not be used for as many bytes in another shape, or by another name, or for more bytes.
    const at = model.findIndex(({ shape }) => shape.join() === '5,7');
    const reshaped = model.with(at, { ...(model[at] as Tensor), shape: [7, 5] });
    const renamed = slots.with(1234, { ...(slots[1234] as Tensor), name: 'optimizer/renamed/weights' });
    const [longer] = tensorsOf('other', 1) as [Tensor];
    const steps = [
      [model, slots],
      [model, slots],
      [reshaped, renamed],
      [reshaped, renamed.with(77, { ...longer, name: (slots[77] as Tensor).name })],
    ] as const;
    for (const [i, [tensors, optimizer]] of steps.entries()) await saveStep(manager, i + 1, tensors, optimizer);
    expect(await manager.verify()).toMatchObject({
      ok: true,
      checked: { checkpoints: steps.length, tensors: steps.length * (MODEL + SLOTS) },
      problems: [],
    });
    for (const [i, [tensors, optimizer]] of steps.entries()) {
      const restored = await manager.restore({ step: i + 1 });
      expect([restored?.tensors.size, restored?.optimizer?.size]).toEqual([MODEL, SLOTS]);
      expect(wrong(restored?.tensors, tensors, i + 1)).toEqual([]);
      expect(wrong(restored?.optimizer, optimizer, i + 1)).toEqual([]);
    }
  });
});

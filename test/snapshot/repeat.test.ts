/** Tensors that are those of an earlier save again: what is not looked at twice must not be what went wrong. */
import { describe, expect, test } from 'vitest';
import type { TensorInput } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { leftovers } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';

/** Enough for short ones to be copied from JavaScript, and for stable ones to be copied. */
const COUNT = 1200;

type Changeable = { -readonly [Key in keyof TensorInput]: TensorInput[Key] };

function listOf(step: number, stable: boolean): Changeable[] {
  return Array.from({ length: COUNT }, (_, i) => ({
    name: `t${i}`,
    dtype: 'F32',
    shape: [2, 6],
    data: new Float32Array(12).fill(step * COUNT + i + 0.5),
    stable,
  }));
}

/** A tensor whose data is asked for when `before` of the others was looked at already. */
function withGetter(tensors: Changeable[], at: number, whenAsked: () => void): TensorInput[] {
  const { data, ...rest } = tensors[at] as Changeable;
  const tricky = Object.defineProperty({ ...rest }, 'data', {
    enumerable: true,
    get: () => {
      whenAsked();
      return data;
    },
  });
  return tensors.map((tensor, i) => (i === at ? (tricky as TensorInput) : tensor));
}

const resizable = (bytes: number) =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer & { resize(bytes: number): void })(bytes, {
    maxByteLength: bytes,
  });

/** What is wrong with the 700th tensor of the second save, and what is said of it. */
const WRONG: [string, Parameters<typeof rejection>[1], (tensor: Changeable) => Changeable][] = [
  ['shape of other sizes', 'ERR_INVALID_TENSOR', (tensor) => ({ ...tensor, shape: [2, 7] })],
  ['data of another length', 'ERR_INVALID_TENSOR', (tensor) => ({ ...tensor, data: new Float32Array(11) })],
  ['data of another class', 'ERR_INVALID_TENSOR', (tensor) => ({ ...tensor, data: new Int32Array(12) })],
  ['unknown property', 'ERR_UNKNOWN_OPTION', (tensor) => ({ ...tensor, stabel: true }) as Changeable],
  ['unknown dtype', 'ERR_INVALID_TENSOR', (tensor) => ({ ...tensor, dtype: 'F33' as 'F32' })],
  ['stable that is no truth', 'ERR_INVALID_TENSOR', (tensor) => ({ ...tensor, stable: 1 as unknown as boolean })],
  ['name of another tensor', 'ERR_DUPLICATE_TENSOR', (tensor) => ({ ...tensor, name: 't0' })],
];

describe.each(ENGINES)('tensors given again, %s engine', (engine) => {
  test.each([false, true])('are saved with their new bytes (stable: %s)', async (stable) => {
    const manager = await openManager(freshDirectory(), { engine });
    for (const step of [1, 2, 3]) {
      const tensors = listOf(step, stable);
      // Of the same bytes, but of another shape, each time.
      (tensors[5] as Changeable).shape = [[2, 6], [12], [3, 4]][step - 1] as number[];
      // And one whose bytes are given as bytes.
      (tensors[6] as Changeable).data = new Uint8Array(new Float32Array(12).fill(step).buffer);
      await manager.save({ step, tensors });
      const restored = await manager.restore();
      expect(restored?.info.step).toBe(step);
      const data = tensors.map(({ name }) => Array.from(restored?.tensors.get(name)?.data as Float32Array));
      const expected = tensors.map((_, i) => new Array(12).fill(i === 6 ? step : step * COUNT + i + 0.5));
      expect(data).toEqual(expected);
      expect(restored?.tensors.get('t5')?.shape).toEqual(tensors[5]?.shape);
    }
  });

  test.each(WRONG)('are refused for a %s', async (_, code, spoil) => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    await manager.save({ step: 1, tensors: listOf(1, true) });
    const tensors = listOf(2, true);
    tensors[700] = spoil(tensors[700] as Changeable);
    await rejection(manager.save({ step: 2, tensors }), code);
    expect(leftovers(directory)).toEqual([]);
    expect((await manager.restore())?.info.step).toBe(1);
  });

  describe.each([
    ['save', false],
    ['save', true],
    ['saveAsync', false],
  ] as const)('%s, stable: %s', (how, stable) => {
    test.each([
      ['is detached', (buffer: ArrayBuffer) => void structuredClone(buffer, { transfer: [buffer] })],
      ['shrinks', (buffer: ArrayBuffer) => (buffer as ReturnType<typeof resizable>).resize(40)],
    ])('memory that %s while the others are looked at is refused, whatever it was given as', async (_, spoil) => {
      const directory = freshDirectory();
      const manager = await openManager(directory, { engine });
      await manager.save({ step: 1, tensors: listOf(1, stable) });
      for (const asView of [true, false]) {
        const buffer = resizable(48);
        const tensors = listOf(2, stable);
        (tensors[3] as Changeable).data = asView ? new Float32Array(buffer) : buffer;
        const request = { step: 2, tensors: withGetter(tensors, 900, () => spoil(buffer)) };
        await rejection(manager[how](request), 'ERR_SOURCE_CHANGED');
        expect(leftovers(directory)).toEqual([]);
      }
      await manager.save({ step: 3, tensors: listOf(3, stable) });
      expect((await manager.restore())?.info.step).toBe(3);
    });
  });
});

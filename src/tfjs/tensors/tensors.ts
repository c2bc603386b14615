/** What a tensor is saved as, and tensors from what was restored. */
import type { DataType, Tensor } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import type { Dtype } from '../../format/dtype.js';
import { DTYPE_OF_TFJS } from '../../tfjs-record/dtypes.js';
import { decodeStrings } from '../../tfjs-record/strings.js';
import type { Engine } from '../engine.js';

/** A tensor's dtype in safetensors. Throws `ERR_MODEL` for one that tfjs does not have today. */
export function toDtype(dtype: string, name: string): Dtype {
  if (Object.hasOwn(DTYPE_OF_TFJS, dtype)) return DTYPE_OF_TFJS[dtype] as Dtype;
  throw new HoldfastError(
    'ERR_MODEL',
    `The weight ${JSON.stringify(name)} has the dtype ${dtype}, which cannot be saved. Known are ${Object.keys(DTYPE_OF_TFJS).join(', ')}.`,
    { tensors: [name] },
  );
}

/** What a tensor must be to be restored into a place. */
export interface TensorPlace {
  readonly dtype: DataType;
  readonly shape: readonly number[];
}

/** Throws `ERR_MODEL_MISMATCH` or `ERR_UNSUPPORTED` where {@link toTensor} would, for whatever backend. */
export function assertMakeable(restored: RestoredTensor, place: TensorPlace, name: string): void {
  if (place.dtype === 'string') decodeStrings(bytesOf(restored), countOf(place), name);
  // One view must hold it, which is looked at here.
  else void restored.data;
}

/** A tensor in the active backend with the bytes of `restored`, which it may keep. The caller disposes it. */
export function toTensor(restored: RestoredTensor, place: TensorPlace, name: string, engine: Engine): Tensor {
  const { dtype } = place;
  const shape = [...place.shape];
  if (dtype === 'string') {
    return engine.makeTensor(decodeStrings(bytesOf(restored), countOf(place), name) as unknown as string[], shape, dtype);
  }
  if (dtype === 'complex64') return toComplex(restored.data as Float32Array, shape, engine);
  return engine.makeTensor(restored.data as Float32Array, shape, dtype);
}

function bytesOf({ buffer, byteOffset, byteLength }: RestoredTensor): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function countOf({ shape }: TensorPlace): number {
  return shape.reduce((product, size) => product * size, 1);
}

function toComplex(pairs: Float32Array, shape: number[], engine: Engine): Tensor {
  const parts: Tensor[] = [];
  try {
    for (const offset of [0, 1]) {
      const values = new Float32Array(pairs.length / 2);
      for (let i = 0; i < values.length; i++) values[i] = pairs[2 * i + offset] as number;
      parts.push(engine.makeTensor(values, shape, 'float32'));
    }
    const [real, imag] = parts as [Tensor, Tensor];
    return engine.runKernel('Complex', { real, imag }) as Tensor;
  } finally {
    for (const part of parts) part.dispose();
  }
}

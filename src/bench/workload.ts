/** What is saved: the names and shapes of float32 tensors, the same for every contender. */
import { HoldfastError } from '../errors.js';

/** One tensor of float32. */
export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
  /** Default `model`. */
  readonly role?: 'optimizer';
}

/** A view has at most 2^32 elements, and a file less than 2 GiB. */
const MAX_TENSOR_BYTES = 2 ** 31 - 2 ** 20;

/** Elements of one tensor; 1 for a scalar. */
export function elementsOf({ shape }: TensorShape): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes of all tensors together. */
export function bytesOf(tensors: readonly TensorShape[]): number {
  return 4 * tensors.reduce((sum, tensor) => sum + elementsOf(tensor), 0);
}

/**
 * `count` tensors of equal length, `bytes` together (less what does not make a whole float32); the last one takes what is left. Throws
 * `ERR_INVALID_ARGUMENT` if that is too little for so many, or too much for so few.
 */
export function equalTensors(bytes: number, count: number): TensorShape[] {
  const elements = Math.floor(bytes / 4);
  if (elements < count) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${bytes} bytes are too few for ${count} tensors of float32: each has 4 at least.`);
  }
  if (bytes / count > MAX_TENSOR_BYTES) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${bytes} bytes in ${count} tensors: each would exceed 2 GiB. Use more tensors.`);
  }
  const each = Math.floor(elements / count);
  return Array.from({ length: count }, (_, i) => ({
    name: `tensor.${i}`,
    shape: [i === count - 1 ? elements - each * (count - 1) : each],
  }));
}

/** The tensors with their first dimension changed so that they have about `bytes` together; as many as before, none empty. */
export function scaleTensors(tensors: readonly TensorShape[], bytes: number): TensorShape[] {
  const factor = bytes / bytesOf(tensors);
  return tensors.map((tensor) => {
    const [first, ...rest] = tensor.shape;
    return first === undefined ? tensor : { ...tensor, shape: [Math.max(1, Math.round(first * factor)), ...rest] };
  });
}

/** The tensors of a contender that runs in Node.js: random bytes, the same for all of them. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { randomFloats } from '../random.js';
import { elementsOf, type TensorShape } from '../workload.js';

export interface Tensor extends TensorShape {
  readonly data: Float32Array<ArrayBuffer>;
}

/** The event loop has a turn between tensors: the process must notice that nobody wants it any more. */
export async function makeTensors(shapes: readonly TensorShape[]): Promise<Tensor[]> {
  const tensors: Tensor[] = [];
  for (const [i, shape] of shapes.entries()) {
    tensors.push({ ...shape, data: randomFloats(elementsOf(shape), i + 1) });
    if (i % 16 === 0) await nextTurn();
  }
  return tensors;
}

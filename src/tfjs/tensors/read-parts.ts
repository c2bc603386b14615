/** Reading a tensor piece by piece, so that no piece keeps the event loop for long. */
import type { Tensor } from '@tensorflow/tfjs';
import { liveArray, type NumberArray, type Place, placeOf } from './backends.js';

/**
 * Bytes read at a time. Measured on tfjs-node and wasm: parts of 2 to 8 MiB are read at least as fast as whole tensors of 64 to 256 MiB, because
 * the memory of a part that is written serves for a later one and is not faulted in anew; larger parts only keep the event loop longer.
 */
export const PART_BYTES = 4 * 1024 * 1024;

/**
 * All elements of `tensor`, in order, in parts, each in memory of its own. Where it is is looked up for every part: tfjs moves data when another
 * backend becomes active. Throws whatever the backend throws.
 */
export async function* readParts(tensor: Tensor, bytesPerElement: number): AsyncGenerator<NumberArray> {
  const valuesPerElement = tensor.dtype === 'complex64' ? 2 : 1;
  const step = PART_BYTES / bytesPerElement;
  for (let start = 0; start < tensor.size; start += step) {
    const end = Math.min(tensor.size, start + step);
    const part = readPart(tensor, start, end);
    if (part === undefined) {
      // Backends that cannot give a part may well be unable to read synchronously, too.
      const whole = (await placeOf(tensor).engine.read(tensor.dataId)) as NumberArray;
      const values = checkArray(whole, tensor, tensor.size);
      for (let at = start; at < tensor.size; at += step) yield values.slice(at * valuesPerElement, (at + step) * valuesPerElement);
      return;
    }
    yield checkArray(part, tensor, end - start);
  }
}

/** Elements `start` to `end`, or undefined where the backend gives tensors as a whole only. */
function readPart(tensor: Tensor, start: number, end: number): NumberArray | undefined {
  const place = placeOf(tensor);
  const { engine, backend, known } = place;
  if (known === 'wasm') return (backend as unknown as WasmBackend).readSync(tensor.dataId, start, end);
  if (known !== 'tensorflow' || liveArray(tensor, place) !== undefined) return undefined;
  if (start === 0 && end === tensor.size) return engine.readSync(tensor.dataId) as NumberArray;
  // Kernels run on the active backend.
  return engine.registry[engine.backendName] === backend ? readSlice(tensor, start, end, place) : undefined;
}

interface WasmBackend {
  readSync(dataId: object, start: number, end: number): NumberArray;
}

/** On tfjs-node: flattening and slicing along the first dimension share the memory, so only the part is copied. */
function readSlice(tensor: Tensor, start: number, end: number, { engine }: Place): NumberArray {
  const made: Tensor[] = [];
  try {
    const flat = engine.runKernel('Reshape', { x: tensor }, { shape: [tensor.size] }) as Tensor;
    made.push(flat);
    const slice = engine.runKernel('Slice', { x: flat }, { begin: [start], size: [end - start] }) as Tensor;
    made.push(slice);
    return engine.readSync(slice.dataId) as NumberArray;
  } finally {
    for (const each of made) each.dispose();
  }
}

const ARRAY_OF: Readonly<Record<string, string>> = {
  float32: 'Float32Array',
  int32: 'Int32Array',
  bool: 'Uint8Array',
  complex64: 'Float32Array',
};

/** `array` if it has the type and length of `elements` elements of `tensor`; throws if not: what a backend gives is not trusted. */
export function checkArray(array: unknown, { dtype }: Tensor, elements: number): NumberArray {
  const tag = Object.prototype.toString.call(array).slice('[object '.length, -1);
  const length = elements * (dtype === 'complex64' ? 2 : 1);
  if (tag === ARRAY_OF[dtype] && (array as NumberArray).length === length) return array as NumberArray;
  const what = ArrayBuffer.isView(array) ? `${tag} of ${(array as NumberArray).length}` : tag;
  throw new Error(`the backend gave ${what} for ${elements} elements of ${dtype}`);
}

/** Capturing tensors at one moment, to be written while training goes on. */
import type { Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import { bitsOf, type Dtype } from '../../format/dtype.js';
import type { StreamedData, TensorInput } from '../../snapshot/source.js';
import { encodeStrings } from '../../tfjs-record/strings.js';
import { liveArray, type NumberArray, type Place, placeOf, shareTensor } from './backends.js';
import { checkArray, readParts } from './read-parts.js';
import { toDtype } from './tensors.js';

/** Where the bytes of a captured tensor are until they are written. */
export type Hold = 'device' | 'host';

export interface CaptureOptions {
  /** Whether arrays that tfjs was given by the caller can be trusted not to change. */
  readonly stable: boolean;
  readonly hold: Hold;
}

/**
 * Captures tensors, all of them in one synchronous stretch. The kind of source follows from where a tensor is:
 *
 * - in an array of JavaScript memory (float32 and int32 of the cpu backend; on tfjs-node what no operation has used yet): that very array,
 *   held or, without `stable`, copied by the save. `tf.memory()` does not change;
 * - elsewhere: a tensor that shares the data, read when the save comes to it. With `hold: 'host'` its bytes, read now;
 * - strings: their encoded bytes, since nothing else tells how many there are.
 */
export class TensorCapture {
  private readonly shared: SharedTensor[] = [];

  constructor(private readonly options: CaptureOptions) {}

  /** Captures one tensor. Throws `ERR_MODEL` if it is disposed or cannot be read. */
  take(tensor: Tensor, name: string): TensorInput {
    const dtype = toDtype(tensor.dtype, name);
    try {
      return this.capture(tensor, name, dtype, placeOf(tensor));
    } catch (cause) {
      throw new HoldfastError('ERR_MODEL', `The tensor ${JSON.stringify(name)} cannot be read: ${messageOf(cause)}. Nothing was saved.`, {
        tensors: [name],
        cause,
      });
    }
  }

  /** Lets everything go that was captured. Calling it again does nothing. */
  release(): void {
    for (const tensor of this.shared) tensor.release();
  }

  private capture(tensor: Tensor, name: string, dtype: Dtype, place: Place): TensorInput {
    const { engine, known } = place;
    if (tensor.dtype === 'string') {
      const bytes = encodeStrings(engine.readSync(tensor.dataId) as unknown as Uint8Array[]);
      return { name, dtype, shape: [bytes.length], data: bytes, stable: true };
    }
    const shape = [...tensor.shape];
    if (tensor.size === 0) return { name, dtype, shape, data: new Uint8Array(0), stable: true };
    const live = liveArray(tensor, place);
    // An unknown backend may keep the caller's own array, too: it is then read, and copied, now.
    const trusted = this.options.stable || known === 'wasm' || known === 'tensorflow';
    if (live === undefined && this.options.hold === 'device' && trusted) {
      const shared = new SharedTensor(shareTensor(tensor, place), name, bitsOf(dtype) / 8);
      this.shared.push(shared);
      return { name, dtype, shape, data: shared };
    }
    const data = live ?? (engine.readSync(tensor.dataId) as NumberArray);
    return { name, dtype, shape, data: checkArray(data, tensor, tensor.size), stable: this.options.stable };
  }
}

/** A tensor that shares the captured one's data, read when it is asked for. */
class SharedTensor implements StreamedData {
  /** Parts are read into memory of their own. Left to the garbage collector they make it stop the event loop for long. */
  readonly transfer = true;

  constructor(
    private readonly tensor: Tensor,
    private readonly name: string,
    private readonly bytesPerElement: number,
  ) {}

  get byteLength(): number {
    return this.tensor.size * this.bytesPerElement;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for await (const { buffer, byteOffset, byteLength } of readParts(this.tensor, this.bytesPerElement)) {
        yield new Uint8Array(buffer, byteOffset, byteLength);
      }
      // What is read need not wait for the rest: beside training it is a second generation of the weights.
      this.release();
    } catch (cause) {
      throw new HoldfastError(
        'ERR_SOURCE',
        `The tensor ${JSON.stringify(this.name)} can no longer be read: ${messageOf(cause)}. Nothing was saved.`,
        { tensors: [this.name], cause },
      );
    }
  }

  release(): void {
    this.tensor.dispose();
  }
}

function messageOf(error: unknown): string {
  return String((error as Error | undefined)?.message ?? error);
}

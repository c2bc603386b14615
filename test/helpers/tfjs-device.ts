/** What a backend really holds, counted where it is made and let go; and a backend that fails. */
import { onTestFinished } from 'vitest';
import type { Tf } from './tfjs.js';

/** The functions of a backend that make and let go of memory. */
interface Backend {
  write(values: unknown, shape: number[], dtype: string): object;
  disposeData(dataId: object, force?: boolean): boolean;
}

export interface HighWater {
  /** Bytes and buffers of the backend above those that there were at first, at the worst moment, or now. */
  readonly most: { bytes: number; buffers: number };
  readonly now: { bytes: number; buffers: number };
  /** The most that `tf.memory().numBytes` was above what it was at first; it counts what shares data twice. */
  readonly mostCounted: number;
}

/** Counts in the real backend from now to the end of the test. Complex tensors and what operations make are not seen by `write`. */
export function watchDevice(tf: Tf): HighWater {
  const backend = tf.backend() as unknown as Backend;
  const { write, disposeData } = backend;
  const infos = tf.engine().state.tensorInfo;
  const first = tf.memory().numBytes;
  const seen = { most: { bytes: 0, buffers: 0 }, now: { bytes: 0, buffers: 0 }, mostCounted: 0 };
  backend.write = function (values, shape, dtype) {
    const dataId = write.call(this, values, shape, dtype);
    seen.now.bytes += tf.util.sizeFromShape(shape) * (dtype === 'bool' ? 1 : 4);
    seen.now.buffers += 1;
    seen.most.bytes = Math.max(seen.most.bytes, seen.now.bytes);
    seen.most.buffers = Math.max(seen.most.buffers, seen.now.buffers);
    return dataId;
  };
  backend.disposeData = function (dataId, force) {
    seen.mostCounted = Math.max(seen.mostCounted, tf.memory().numBytes - first);
    const bytes = infos.get(dataId)?.bytes ?? 0;
    const gone = disposeData.call(this, dataId, force);
    if (gone) {
      seen.now.bytes -= bytes;
      seen.now.buffers -= 1;
    }
    return gone;
  };
  onTestFinished(() => void Object.assign(backend, { write, disposeData }));
  return seen;
}

/** From now to the end of the test, or until `end` is called, the backend has room for `tensors` more, none of which has more than `bytes`. */
export function runOutAfter(tf: Tf, { tensors = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY }): { end(): void } {
  const backend = tf.backend() as unknown as Backend;
  const { write } = backend;
  let left = tensors;
  backend.write = function (values, shape, dtype) {
    if (left === 0 || 4 * tf.util.sizeFromShape(shape) > bytes) throw new Error('the device is out of memory');
    left -= 1;
    return write.call(this, values, shape, dtype);
  };
  const end = () => void Object.assign(backend, { write });
  onTestFinished(end);
  return { end };
}

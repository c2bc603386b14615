/** A checksum of a batch, by which it is recognized when a run is resumed. */
import type { Tensor } from '@tensorflow/tfjs';
import { crc32c, crcHex } from '../../format/crc32c.js';

/** Bytes of one tensor that are looked at: enough to tell batches apart, and little time. */
const MOST_BYTES = 1024 * 1024;

/** CRC32C of tensors, each with its shape; undefined where the backend cannot read them at once. */
export function fingerprintOf(tensors: readonly Tensor[]): string | undefined {
  let crc = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (bytes === undefined) return undefined;
    crc = crc32c(bytes, crc32c(Buffer.from(`${tensor.dtype} ${tensor.shape}`), crc));
  }
  return crcHex(crc);
}

function bytesOf(tensor: Tensor): Uint8Array | undefined {
  let data: ArrayBufferView | readonly string[];
  try {
    data = tensor.dataSync();
  } catch {
    return undefined;
  }
  if (!ArrayBuffer.isView(data)) return Buffer.from(JSON.stringify(data));
  return new Uint8Array(data.buffer, data.byteOffset, Math.min(data.byteLength, MOST_BYTES));
}

/** The tensors of what a pipeline gives: of a list, of an object by its names, of either inside of the other. */
export function tensorsIn(value: unknown): Tensor[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('dataId' in value) return [value as Tensor];
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value).sort();
  return keys.flatMap((key) => tensorsIn((value as Record<string | number, unknown>)[key]));
}

/** A checksum of a batch, by which it is recognized when a run is resumed. */
import type { Tensor } from '@tensorflow/tfjs';
import { crc32c, crcHex } from '../../format/crc32c.js';

/** Bytes of one tensor that are looked at: enough to tell batches apart, and little time. */
const MOST_BYTES = 1024 * 1024;

/** CRC32C of tensors, each with its shape; undefined where the backend cannot read them at once. */
export function fingerprintOf(tensors: readonly Tensor[]): string | undefined {
  try {
    return crcHex(tensors.reduce((crc, tensor) => crc32c(bytesOf(tensor), crc32c(Buffer.from(`${tensor.dtype} ${tensor.shape}`), crc)), 0));
  } catch {
    return undefined;
  }
}

function bytesOf(tensor: Tensor): Uint8Array {
  const data: ArrayBufferView | readonly string[] = tensor.dataSync();
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

/**
 * String tensors. safetensors has no dtype for them, so their bytes are a U8 tensor of one dimension:
 * per element its length as a little-endian u32, then its UTF-8 bytes. That is also how tfjs' own
 * weight files hold them, so stock loaders read the same bytes.
 */
import { HoldfastError } from '../errors.js';

const LENGTH_BYTES = 4;

export function encodeStrings(elements: readonly Uint8Array[]): Uint8Array {
  const total = elements.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.length, true);
    bytes.set(element, at + LENGTH_BYTES);
    at += LENGTH_BYTES + element.length;
  }
  return bytes;
}

/** Throws `ERR_MODEL_MISMATCH` unless `bytes` hold exactly `count` strings. */
export function decodeStrings(bytes: Uint8Array, count: number, name: string): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length && elements.length < count) {
    const end = at + LENGTH_BYTES <= bytes.length ? at + LENGTH_BYTES + view.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) break;
    elements.push(bytes.slice(at + LENGTH_BYTES, end));
    at = end;
  }
  if (at === bytes.length && elements.length === count) return elements;
  throw new HoldfastError('ERR_MODEL_MISMATCH', `Tensor ${JSON.stringify(name)} does not hold the ${count} strings of its shape.`, {
    tensors: [name],
  });
}

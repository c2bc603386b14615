/** Numbers in JSON, without loss. */
import type { Json } from '../../format/state.js';

/** A number as JSON keeps it: what JSON has no number for is text. */
export function encodeNumber(value: number): Json {
  return Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? '-0' : String(value);
}

export function decodeNumber(value: Json): number {
  return Number(value);
}

/** float32 as base64. */
export function encodeFloats(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}

export function decodeFloats(text: string): Float32Array {
  // A copy, since pooled memory need not be aligned.
  return new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
}

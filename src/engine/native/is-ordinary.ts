/**
 * Tells an ArrayBuffer from the memory of a WebAssembly.Memory, which is detached when it grows. No API says it. The addon takes what begins on
 * a page and has a whole number of WebAssembly pages for one, and is wrong about few: 1 in 256 of what lies in the C library's heap.
 */
import { types } from 'node:util';
import { isResizable } from '../is-resizable.js';

/** Buffers that were found to be ordinary: those that are held cannot be asked again, as they may not be transferred. */
const ordinary = new WeakSet<ArrayBufferLike>();

/** False if in doubt. Nothing is done to `buffer`. */
export function isOrdinary(buffer: ArrayBufferLike): boolean {
  if (ordinary.has(buffer)) return true;
  if (!types.isArrayBuffer(buffer) || isResizable(buffer)) return false;
  try {
    // What may be transferred may not be transferred twice; all are looked at before any is taken (HTML, StructuredSerializeWithTransfer).
    structuredClone(null, { transfer: [buffer, buffer] });
  } catch (error) {
    if (!String(error).includes('duplicate')) return false;
    ordinary.add(buffer);
    return true;
  }
  return false; // Node.js 20 passes over what may not be transferred
}

/**
 * Keeps a buffer's memory where it is while it is being read. Detaching hands the memory to somebody who may
 * free it, and native code that reads it then reads what is there next, or crashes.
 */
import { markAsUntransferable } from 'node:worker_threads';

/** How many hold a buffer at present. */
const holders = new WeakMap<ArrayBuffer, number>();

/** The methods by which a script detaches a buffer. Node.js 24 heeds the mark there, 22 does not, 20 has neither. */
const DETACHING = ['transfer', 'transferToFixedLength'] as const;

/**
 * Forbids posting `buffer` to another thread (for good: Node.js has no way back) and detaching it (until {@link letMove}). Never for the memory
 * of a WebAssembly.Memory: Node.js 24 ends the process when marked memory grows.
 */
export function keepInPlace(buffer: ArrayBuffer): void {
  const count = holders.get(buffer) ?? 0;
  holders.set(buffer, count + 1);
  if (count > 0) return;
  markAsUntransferable(buffer);
  for (const name of DETACHING) {
    if (name in ArrayBuffer.prototype) Object.defineProperty(buffer, name, { value: refuse, configurable: true });
  }
}

/** Ends what one {@link keepInPlace} began. */
export function letMove(buffer: ArrayBuffer): void {
  const count = holders.get(buffer) ?? 0;
  if (count > 1) {
    holders.set(buffer, count - 1);
    return;
  }
  holders.delete(buffer);
  for (const name of DETACHING) Reflect.deleteProperty(buffer, name);
}

function refuse(): never {
  throw new TypeError('This ArrayBuffer is being saved as stable memory; it cannot be transferred until the save is done.');
}

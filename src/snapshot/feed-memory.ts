/** Stable memory that no other thread can see, read piece by piece while it is written. */
import type { MemoryRange } from '../engine/contract.js';
import { HoldfastError } from '../errors.js';

/** Copied in one turn of the event loop: about a millisecond's worth. */
const PIECE_BYTES = 4 * 2 ** 20;

/** The bytes of `range`, whose memory is looked at now: throws `ERR_SOURCE_CHANGED` once it was detached or resized. */
export function feedMemory({ buffer, byteOffset, byteLength }: MemoryRange): AsyncIterable<Uint8Array> {
  const expected = buffer.byteLength;
  return (async function* pieces() {
    for (let at = 0; at < byteLength; at += PIECE_BYTES) {
      if (buffer.byteLength !== expected) {
        throw new HoldfastError(
          'ERR_SOURCE_CHANGED',
          'A tensor’s memory was detached, transferred or resized while it was being saved, although it was promised stable. Keep it until the save resolves, or leave out "stable".',
        );
      }
      yield new Uint8Array(buffer, byteOffset + at, Math.min(PIECE_BYTES, byteLength - at));
    }
  })();
}

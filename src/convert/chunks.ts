/** Streams of bytes: from files, and cut so that elements and strings stay whole. */
import { constants } from 'node:fs';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { open } from '../fs.js';

/** Largest piece that is read at a time. */
export const PIECE_BYTES = 4 * 2 ** 20;

/** `length` bytes of a regular file from `offset` on, each piece memory of its own. Throws `ERR_TRUNCATED` where it ends before. */
export async function* fileBytes(
  file: string,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (length === 0) return;
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((error: unknown) => {
    throw toHoldfastError(error, `open ${file}`, { path: file });
  });
  try {
    for (let at = 0; at < length; ) {
      throwIfAborted(signal, 'The conversion');
      const piece = new Uint8Array(Math.min(PIECE_BYTES, length - at));
      const bytesRead = await handle.read(piece, 0, piece.length, offset + at).catch((error: unknown) => {
        throw toHoldfastError(error, `read ${file}`, { path: file });
      });
      if (bytesRead === 0) {
        throw new HoldfastError('ERR_TRUNCATED', `${file} ended at byte ${offset + at}, ${length - at} bytes early.`, {
          path: file,
          offset: offset + at,
        });
      }
      yield piece.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** The same bytes in pieces whose lengths are multiples of `size`. Throws `ERR_FORMAT` where the last element is cut. */
export async function* wholeElements(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks) {
    const joined = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = joined.length - (joined.length % size);
    rest = joined.slice(whole);
    if (whole > 0) yield joined.subarray(0, whole);
  }
  if (rest.length > 0) throw new HoldfastError('ERR_FORMAT', `Tensor ${JSON.stringify(name)} ends inside an element.`, { tensors: [name] });
}

/**
 * The same bytes, of which it is made sure that they are `count` strings, each a little-endian u32 length and so many bytes. Throws
 * `ERR_FORMAT` otherwise.
 */
export async function* wholeStrings(
  chunks: AsyncIterable<Uint8Array>,
  count: number,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const walk = new StringWalk();
  for await (const chunk of chunks) {
    walk.take(chunk);
    yield chunk;
  }
  if (walk.ended === count && walk.isBetween) return;
  throw new HoldfastError('ERR_FORMAT', `Tensor ${JSON.stringify(name)} does not hold the ${count} strings of its shape.`, {
    tensors: [name],
  });
}

/** Counts strings in bytes that come in pieces. */
export class StringWalk {
  ended = 0;
  /** Bytes of the current string, or of its length, that are still to come. */
  private left = LENGTH_BYTES;
  private length = 0;
  private inLength = true;

  /** Whether the last string is complete. */
  get isBetween(): boolean {
    return this.inLength && this.left === LENGTH_BYTES;
  }

  /** Takes bytes until `enough` strings have ended; gives how many bytes that were. */
  take(bytes: Uint8Array, enough = Number.POSITIVE_INFINITY): number {
    let at = 0;
    while (at < bytes.length && this.ended < enough) {
      if (this.inLength) {
        this.length += (bytes[at] as number) * 2 ** (8 * (LENGTH_BYTES - this.left));
        at++;
        this.left--;
      } else {
        const step = Math.min(this.left, bytes.length - at);
        at += step;
        this.left -= step;
      }
      if (this.left === 0) this.turn();
    }
    return at;
  }

  private turn(): void {
    if (this.inLength && this.length > 0) {
      this.left = this.length;
      this.inLength = false;
      return;
    }
    this.ended++;
    this.left = LENGTH_BYTES;
    this.length = 0;
    this.inLength = true;
  }
}

const LENGTH_BYTES = 4;

/** Number of elements of a shape. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

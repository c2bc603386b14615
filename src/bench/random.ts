/** Data that no disk or file system can compress. */

/** `length` random words as float32 (xorshift32: fast), the same for the same seed. */
export function randomFloats(length: number, seed: number): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(length);
  // Consecutive seeds must not begin alike, and 0 would stay 0.
  let x = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Float32Array(words.buffer);
}

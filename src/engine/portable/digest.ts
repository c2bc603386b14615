/** Running checksums of a byte stream, cut at chunk and span boundaries. */
import { crc32c, crc32cCombine } from '../../format/crc32c.js';

/** Takes the bytes of a file in order and keeps one CRC32C per chunk, per span and for the whole. */
export class StreamDigest {
  readonly chunks: Uint32Array;
  readonly spans: Uint32Array;
  whole = 0;
  /** Bytes taken so far. */
  position = 0;
  readonly totalBytes: number;
  private span = 0;
  private spanLeft: number;

  constructor(
    private readonly spanBytes: ArrayLike<number>,
    private readonly chunkBytes: number,
  ) {
    this.totalBytes = sumOf(spanBytes);
    this.chunks = new Uint32Array(Math.ceil(this.totalBytes / chunkBytes));
    this.spans = new Uint32Array(spanBytes.length);
    this.spanLeft = spanBytes[0] ?? 0;
    this.skipFinishedSpans();
  }

  /** `bytes` follow what was taken before; they must not exceed the total. */
  update(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const chunk = Math.floor(this.position / this.chunkBytes);
      const chunkLeft = (chunk + 1) * this.chunkBytes - this.position;
      const length = Math.min(bytes.length - at, chunkLeft, this.spanLeft);
      const crc = crc32c(bytes.subarray(at, at + length));
      this.chunks[chunk] = crc32cCombine(this.chunks[chunk] as number, crc, length);
      this.spans[this.span] = crc32cCombine(this.spans[this.span] as number, crc, length);
      this.whole = crc32cCombine(this.whole, crc, length);
      this.position += length;
      this.spanLeft -= length;
      at += length;
      this.skipFinishedSpans();
    }
  }

  private skipFinishedSpans(): void {
    while (this.spanLeft === 0 && this.span < this.spanBytes.length - 1) {
      this.span++;
      this.spanLeft = this.spanBytes[this.span] as number;
    }
  }
}

function sumOf(numbers: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i] as number;
  return sum;
}

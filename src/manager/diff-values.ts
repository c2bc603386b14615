/** Reads the tensors of two sides beside each other, piece by piece, and compares their values. */
import { firstFailure } from '../catalog/parallel.js';
import type { ReadSpan } from '../engine/contract.js';
import { throwIfAborted } from '../engine/system-error.js';
import { ValueComparison, type ValueDifference } from '../format/compare-values.js';
import { crc32cCombine } from '../format/crc32c.js';
import { MAX_CHUNK_BYTES } from '../format/manifest.js';
import { TurnSharing } from '../saver/turns.js';
import type { SideFile, SideTensor } from './diff-side.js';

/** Two tensors of the same dtype and shape. */
export interface TensorPair {
  readonly a: SideTensor;
  readonly b: SideTensor;
}

export interface CompareOptions {
  /** False: only whether bytes are equal is wanted. */
  readonly values: boolean;
  readonly signal: AbortSignal | undefined;
  /** Told how many bytes of both sides together were read, and from where. */
  readonly onRead: (bytes: number, pair: TensorPair) => void;
}

/** Read at a time from each side; two such pieces are in memory, one that is compared and one that is being read. */
const PIECE_BYTES = 16 * 1024 * 1024;
/** Most tensors in a piece. */
const MAX_PARTS = 16 * 1024;
/** What lies between two wanted tensors is read as well, for nobody, where it takes less time than another read. */
const MAX_GAP_BYTES = 256 * 1024;
/** Compared without giving the event loop a turn. */
const STEP_BYTES = 1024 * 1024;
/** In memory tensors begin at multiples of the largest element. */
const ALIGNMENT = 8;

/** A tensor, or a part of it. */
interface Part {
  readonly pair: TensorPair;
  /** Counted from the tensor's first byte. */
  readonly begin: number;
  readonly bytes: number;
}

/** What is read and compared together. */
interface Piece {
  readonly parts: Part[];
  bytes: number;
}

/** A part in memory. */
interface ReadPart extends Part {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly crcA: number;
  readonly crcB: number;
}

/**
 * Compares every pair, in the order given, and says how they differ; `undefined`: every byte is equal. Every byte is checked against the
 * tensor's checksum where there is one. Throws `ERR_CHECKSUM`, `ERR_ABORTED`, and what the disk says.
 */
export async function comparePairs(pairs: readonly TensorPair[], options: CompareOptions): Promise<(ValueDifference | undefined)[]> {
  const pieces = planPieces(pairs);
  const room = pieces.reduce((most, { bytes, parts }) => Math.max(most, bytes + parts.length * ALIGNMENT), 0);
  const memory = Array.from({ length: Math.min(2, pieces.length) }, () => ({ a: new Uint8Array(room), b: new Uint8Array(room) }));
  const results: (ValueDifference | undefined)[] = [];
  const progress = new PairProgress(options, results);
  const read = (number: number): Promise<ReadPart[]> | undefined => {
    const piece = pieces[number];
    if (piece === undefined) return undefined;
    const reading = readPiece(piece, memory[number % memory.length] as Memory, options.signal);
    // Who waits for it hears of a failure; until then it is no unhandled rejection.
    reading.catch(() => {});
    return reading;
  };
  let next = read(0);
  try {
    for (let number = 0; next !== undefined; number++) {
      const parts = await next;
      next = read(number + 1);
      for (const part of parts) await progress.compare(part);
    }
  } finally {
    // The files are closed afterwards, and nothing may be reading then.
    await next?.catch(() => {});
  }
  return results;
}

interface Memory {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
}

/** Short tensors together, long ones in parts. */
function planPieces(pairs: readonly TensorPair[]): Piece[] {
  const pieces: Piece[] = [];
  let last: Piece | undefined;
  for (const pair of pairs) {
    const { bytes } = pair.a.entry;
    if (last !== undefined && last.bytes + bytes <= PIECE_BYTES && last.parts.length < MAX_PARTS) {
      last.parts.push({ pair, begin: 0, bytes });
      last.bytes += bytes;
      continue;
    }
    for (let begin = 0; begin === 0 || begin < bytes; begin += PIECE_BYTES) {
      const part = { pair, begin, bytes: Math.min(PIECE_BYTES, bytes - begin) };
      last = { parts: [part], bytes: part.bytes };
      pieces.push(last);
    }
  }
  return pieces;
}

async function readPiece({ parts }: Piece, memory: Memory, signal: AbortSignal | undefined): Promise<ReadPart[]> {
  const readSide = (side: 'a' | 'b') => async (stop: AbortSignal) => {
    const views = viewsOf(parts, memory[side]);
    const crcs = new Array<number>(parts.length);
    for (const { file, offset, spans } of runsOf(parts, views, side)) {
      const digest = await file.read({ chunkBytes: MAX_CHUNK_BYTES, offset, spans, signal: stop });
      spans.forEach(({ part }, i) => {
        if (part !== undefined) crcs[part] = digest.spans[i] as number;
      });
    }
    return { views, crcs };
  };
  const [a, b] = (await firstFailure<SideRead>(signal, 2, [readSide('a'), readSide('b')])) as [SideRead, SideRead];
  return parts.map((part, i) => ({
    ...part,
    ...{ a: a.views[i] as Uint8Array, b: b.views[i] as Uint8Array },
    ...{ crcA: a.crcs[i] as number, crcB: b.crcs[i] as number },
  }));
}

interface SideRead {
  readonly views: readonly Uint8Array[];
  readonly crcs: readonly number[];
}

function viewsOf(parts: readonly Part[], memory: Uint8Array): Uint8Array[] {
  let at = 0;
  return parts.map(({ bytes }) => {
    const view = memory.subarray(at, at + bytes);
    at = Math.ceil((at + bytes) / ALIGNMENT) * ALIGNMENT;
    return view;
  });
}

/** One read of a file. */
interface Run {
  readonly file: SideFile;
  readonly offset: number;
  readonly spans: RunSpan[];
  end: number;
}

interface RunSpan extends ReadSpan {
  /** Number of the part that it is for; without one it is a gap. */
  readonly part?: number;
}

/** The reads that bring `parts` of one side into `views`: as few as the places allow at which the tensors lie there. */
function runsOf(parts: readonly Part[], views: readonly Uint8Array[], side: 'a' | 'b'): Run[] {
  const placed = parts.map(({ pair, begin, bytes }, part) => ({
    part,
    file: pair[side].file,
    offset: pair[side].entry.offset + begin,
    bytes,
  }));
  const byFile = new Map<SideFile, typeof placed>();
  for (const place of placed) {
    const others = byFile.get(place.file);
    if (others === undefined) byFile.set(place.file, [place]);
    else others.push(place);
  }
  const runs: Run[] = [];
  for (const [file, places] of byFile) {
    let run: Run | undefined;
    for (const { part, offset, bytes } of places.sort((x, y) => x.offset - y.offset || x.bytes - y.bytes)) {
      if (run === undefined || offset - run.end > MAX_GAP_BYTES) {
        run = { file, offset, spans: [], end: offset };
        runs.push(run);
      }
      if (offset > run.end) run.spans.push({ bytes: offset - run.end });
      run.spans.push({ bytes, into: views[part], part });
      run.end = offset + bytes;
    }
  }
  return runs;
}

/** The pair whose parts are being compared. */
class PairProgress {
  private comparison = new ValueComparison(undefined);
  private crcA = 0;
  private crcB = 0;
  private readonly turns = new TurnSharing();

  constructor(
    private readonly options: CompareOptions,
    private readonly results: (ValueDifference | undefined)[],
  ) {}

  async compare({ pair, begin, bytes, a, b, crcA, crcB }: ReadPart): Promise<void> {
    const { values, signal, onRead } = this.options;
    const { entry } = pair.a;
    if (begin === 0) {
      this.comparison = new ValueComparison(values ? entry.dtype : undefined);
      this.crcA = 0;
      this.crcB = 0;
    }
    for (let at = 0; at < bytes; at += STEP_BYTES) {
      const end = Math.min(bytes, at + STEP_BYTES);
      this.comparison.add(a.subarray(at, end), b.subarray(at, end));
      await this.turns.pause();
      throwIfAborted(signal, 'The comparison');
    }
    this.crcA = crc32cCombine(this.crcA, crcA, bytes);
    this.crcB = crc32cCombine(this.crcB, crcB, bytes);
    onRead(2 * bytes, pair);
    if (begin + bytes < entry.bytes) return;
    pair.a.file.check(pair.a.index, this.crcA);
    pair.b.file.check(pair.b.index, this.crcB);
    this.results.push(this.comparison.result());
  }
}

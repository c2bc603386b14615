/** By how much two tensors of the same dtype and shape differ. */
import { decoderOf, viewOf } from './decode-values.js';
import { bitsOf, type Dtype } from './dtype.js';

/**
 * How two tensors differ that are not equal byte by byte. All figures are `null` where only bytes were compared, as they are for
 * dtypes whose elements do not fill bytes (F6, F4).
 */
export interface ValueDifference {
  /** Elements of different value. NaN equals NaN and 0 equals −0, so that it may be 0 although bytes differ. */
  readonly differing: number | null;
  /** Largest |a − b|, over the pairs without a NaN; of complex numbers the modulus. */
  readonly maxAbs: number | null;
  /** ‖a − b‖ / ‖a‖ over the pairs of finite numbers; infinite where an infinity stands against something else, or something against zeros only. */
  readonly relativeNorm: number | null;
  /** Pairs of which exactly one is NaN. */
  readonly nanOnOneSide: number | null;
}

/** Numbers that are decoded at a time: two such blocks stay in a processor's cache. */
const BLOCK = 16 * 1024;
const TWO_32 = 2 ** 32;

/** Compares two tensors that come in pieces. */
export class ValueComparison {
  private readonly tally = new Tally();
  private equal = true;

  /** Without a dtype only bytes are compared. */
  constructor(private readonly dtype: Dtype | undefined) {}

  /** The next bytes of both, as many of one as of the other, and whole elements. */
  add(a: Uint8Array, b: Uint8Array): void {
    const equal = Buffer.compare(a, b) === 0;
    this.equal &&= equal;
    const { dtype, tally } = this;
    if (dtype === 'I64' || dtype === 'U64') {
      addIntegers64(a, b, dtype === 'I64', tally);
      return;
    }
    const decode = dtype === undefined ? undefined : decoderOf(dtype);
    if (dtype === undefined || decode === undefined) return;
    const isComplex = dtype === 'C64';
    const bytesPerNumber = bitsOf(dtype) / (isComplex ? 16 : 8);
    const numbers = a.length / bytesPerNumber;
    for (let at = 0; at < numbers; at += BLOCK) {
      const count = Math.min(BLOCK, numbers - at);
      const left = blockA.subarray(0, count);
      decode(a.subarray(at * bytesPerNumber), left);
      // What is equal counts for the norm of a, for which it need not be decoded twice.
      const right = equal ? left : blockB.subarray(0, count);
      if (!equal) decode(b.subarray(at * bytesPerNumber), right);
      if (isComplex) addComplex(left, right, tally);
      else addReals(left, right, tally);
    }
  }

  /** How they differ; `undefined` where every byte was equal. */
  result(): ValueDifference | undefined {
    if (this.equal) return undefined;
    const hasFigures = this.dtype !== undefined && bitsOf(this.dtype) >= 8;
    return hasFigures ? this.tally.result() : { differing: null, maxAbs: null, relativeNorm: null, nanOnOneSide: null };
  }
}

const blockA = new Float64Array(BLOCK);
const blockB = new Float64Array(BLOCK);

class Tally {
  differing = 0;
  maxAbs = 0;
  nanOnOneSide = 0;
  readonly norm = new Norm();
  readonly normOfDifference = new Norm();

  result(): ValueDifference {
    const { differing, maxAbs, nanOnOneSide } = this;
    return { differing, maxAbs, relativeNorm: this.relativeNorm(), nanOnOneSide };
  }

  private relativeNorm(): number {
    if (this.maxAbs === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    return this.normOfDifference.dividedBy(this.norm);
  }

  /** A pair of which one is not finite, or their difference is not. */
  addSpecial(x: number, y: number): void {
    if (Number.isNaN(x) && Number.isNaN(y)) return;
    if (Number.isNaN(x) || Number.isNaN(y)) {
      this.nanOnOneSide++;
      this.differing++;
    } else if (x !== y) {
      this.differing++;
      this.maxAbs = Number.POSITIVE_INFINITY;
    }
  }
}

/** Squares beyond these are summed apart, scaled: the numbers themselves are far from the limits of a double. */
const LEAST_SQUARE = 1e-280;
const MOST_SQUARE = 1e280;
const SCALE = 2 ** 600;

/** A Euclidean norm, of doubles of any size. */
class Norm {
  private squares = 0;
  private large = 0;
  private small = 0;

  /** A sum of squares between the two limits. */
  addSquares(sum: number): void {
    this.squares += sum;
  }

  /** A number, not 0, whose square is not between them. */
  addExtreme(x: number): void {
    if (Math.abs(x) > 1) this.large += (x / SCALE) ** 2;
    else this.small += (x * SCALE) ** 2;
  }

  dividedBy(other: Norm): number {
    // The norm of doubles may be beyond all doubles.
    const unit = this.large > 0 || other.large > 0 ? SCALE : 1;
    const size = this.inUnits(unit);
    return size === 0 ? 0 : size / other.inUnits(unit);
  }

  private inUnits(unit: number): number {
    const ordinary = Math.sqrt(this.squares) / unit;
    if (this.large === 0 && this.small === 0) return ordinary;
    return Math.hypot(Math.sqrt(this.large) * (SCALE / unit), ordinary, Math.sqrt(this.small) / SCALE / unit);
  }
}

function addReals(a: Float64Array, b: Float64Array, tally: Tally): void {
  let squares = 0;
  let squaresOfDifference = 0;
  let { differing, maxAbs } = tally;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const difference = x - (b[i] as number);
    // Only of finite numbers (whose difference is none beyond the limits) is it 0.
    if (difference - difference !== 0) {
      tally.differing = differing;
      tally.maxAbs = maxAbs;
      tally.addSpecial(x, b[i] as number);
      ({ differing, maxAbs } = tally);
      continue;
    }
    const square = x * x;
    if (square > LEAST_SQUARE && square < MOST_SQUARE) squares += square;
    else if (x !== 0) tally.norm.addExtreme(x);
    if (difference === 0) continue;
    differing++;
    const size = Math.abs(difference);
    if (size > maxAbs) maxAbs = size;
    const squareOfDifference = size * size;
    if (squareOfDifference > LEAST_SQUARE && squareOfDifference < MOST_SQUARE) squaresOfDifference += squareOfDifference;
    else tally.normOfDifference.addExtreme(size);
  }
  Object.assign(tally, { differing, maxAbs });
  tally.norm.addSquares(squares);
  tally.normOfDifference.addSquares(squaresOfDifference);
}

/** Pairs of single-precision numbers: their squares are far from the limits of a double. */
function addComplex(a: Float64Array, b: Float64Array, tally: Tally): void {
  for (let i = 0; i < a.length; i += 2) {
    const re = a[i] as number;
    const im = a[i + 1] as number;
    const re2 = b[i] as number;
    const im2 = b[i + 1] as number;
    const isNaN1 = Number.isNaN(re) || Number.isNaN(im);
    const isNaN2 = Number.isNaN(re2) || Number.isNaN(im2);
    if (isNaN1 || isNaN2) {
      tally.addSpecial(isNaN1 ? Number.NaN : 0, isNaN2 ? Number.NaN : 0);
      continue;
    }
    const finite = Number.isFinite(re + im + re2 + im2);
    const square = (re === re2 ? 0 : (re - re2) ** 2) + (im === im2 ? 0 : (im - im2) ** 2);
    if (square !== 0) {
      tally.differing++;
      tally.maxAbs = Math.max(tally.maxAbs, Math.sqrt(square));
    }
    if (!finite) continue;
    tally.norm.addSquares(re * re + im * im);
    tally.normOfDifference.addSquares(square);
  }
}

/** Whether they differ is seen from the bits; the difference is exact but for one rounding to a double. */
function addIntegers64(a: Uint8Array, b: Uint8Array, signed: boolean, tally: Tally): void {
  const left = viewOf(Uint32Array, a, a.length / 4);
  const right = viewOf(Uint32Array, b, b.length / 4);
  let squares = 0;
  let squaresOfDifference = 0;
  for (let i = 0; i < left.length; i += 2) {
    const low = left[i] as number;
    const high = signed ? (left[i + 1] as number) | 0 : (left[i + 1] as number);
    const high2 = signed ? (right[i + 1] as number) | 0 : (right[i + 1] as number);
    const x = high * TWO_32 + low;
    squares += x * x;
    const size = Math.abs((high - high2) * TWO_32 + (low - (right[i] as number)));
    if (size === 0) continue;
    tally.differing++;
    tally.maxAbs = Math.max(tally.maxAbs, size);
    squaresOfDifference += size * size;
  }
  tally.norm.addSquares(squares);
  tally.normOfDifference.addSquares(squaresOfDifference);
}

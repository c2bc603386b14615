/** What saves cost, from what they were seen to cost: as a function of their bytes, and as a summary; with how sure that is. */
import { HoldfastError } from '../errors.js';
import { assertNotNegative, assertObject, finite } from './checks.js';
import { studentQuantile } from './student.js';

/** One measurement. */
export interface CostSample {
  readonly bytes: number;
  readonly seconds: number;
}

/** An estimate, and where it lies with 95 % confidence, by Student's t. */
export interface Estimate {
  readonly value: number;
  /** At least 0, like `value`. */
  readonly low: number;
  readonly high: number;
  /** Measurements that it rests on. */
  readonly samples: number;
  /** Degrees of freedom. With 0 there is nothing to tell how sure it is: `low` and `high` are then `value`, and mean nothing. */
  readonly degrees: number;
}

/** What a save of some size costs. */
export interface CostPrediction extends Estimate {
  /** Where 95 % of single saves lie; `low` and `high` are of their mean. */
  readonly single: readonly [low: number, high: number];
}

/**
 * What the measurements show. `line`: what a save costs whatever its size, and what each byte costs. `proportional`: they are of one size, within 1 %, or a line
 * would make a save of no bytes cost less than nothing, so only bytes cost. `constant`: larger ones did not take longer, so bytes cost nothing.
 */
export type CostShape = 'line' | 'proportional' | 'constant';

/** Seconds as a function of bytes. */
export interface CostModel {
  readonly shape: CostShape;
  /** What a save costs whatever its size; at least 0. */
  readonly fixed_s: number;
  /** What a byte more costs; at least 0. */
  readonly perByte_s: number;
  /** 95 % intervals of both; `null` where the measurements do not show one. */
  readonly confidence: {
    readonly fixed_s: readonly [low: number, high: number] | null;
    readonly perByte_s: readonly [low: number, high: number] | null;
  };
  readonly samples: number;
  /** What saves of so many bytes cost on average, in seconds, and a single one. Throws `ERR_INVALID_ARGUMENT`. */
  predict(bytes: number): CostPrediction;
}

/** Times shorter than this share of the longest one weigh no more than it does: a clock cannot see them that well. */
const SHORTEST = 1e-3;
/** Sizes that differ by less than this share are one size: checkpoints of one run differ by the text of their state, which shows no slope. */
const ONE_SIZE = 0.01;
/** Weights follow from the line and the line from the weights; they settle within a few rounds. */
const ROUNDS = 30;

/** A line, and the sums that it and its variance come from. In units of the largest size and the longest time. */
interface Line {
  readonly shape: CostShape;
  readonly fixed: number;
  readonly slope: number;
  /** Sum of the weights. */
  readonly count: number;
  readonly mean: number;
  readonly spread: number;
  /** Sum of weight · bytes². */
  readonly square: number;
}

/**
 * Least squares of seconds = fixed + perByte · bytes, each at least 0. The relative error of a measurement is taken to be the same at all sizes, so each
 * weighs as 1/(what the line says)². See {@link CostShape} for measurements that show no line. Throws `ERR_INVALID_ARGUMENT` where there are none, or where one is
 * no number.
 */
export function fitCost(samples: readonly CostSample[]): CostModel {
  checkSamples(samples);
  const [most, longest_s] = [largest(samples.map(({ bytes }) => bytes)), largest(samples.map(({ seconds }) => seconds))];
  const points = samples.map(({ bytes, seconds }) => ({ bytes: bytes / most, seconds: seconds / longest_s }));
  const { line, weights } = settle(points);
  const degrees = samples.length - (line.shape === 'line' ? 2 : 1);
  const squares = points.map(({ bytes, seconds }, i) => (weights[i] as number) * (seconds - at(line, bytes)) ** 2);
  // Of the relative error; without degrees of freedom there is none to see.
  const variance = degrees > 0 ? sum(squares) / degrees : 0;
  const reach = degrees > 0 ? studentQuantile(degrees) : 0;
  const range = (value: number, error: number): readonly [number, number] => [
    Math.max(0, value - reach * error) * longest_s,
    finite((value + reach * error) * longest_s),
  ];
  const predict = (bytes: number): CostPrediction => {
    assertNotNegative('predict', { bytes });
    const size = Math.min(bytes / most, 1e150);
    const value = at(line, size);
    const ofMean = variance * varianceAt(line, size);
    const [low, high] = range(value, Math.sqrt(ofMean));
    const single = range(value, Math.sqrt(ofMean + variance * Math.max(value, SHORTEST) ** 2));
    return { value: finite(value * longest_s), low, high, samples: samples.length, degrees, single };
  };
  const perByte = ([low, high]: readonly [number, number]) => [low / most, finite(high / most)] as const;
  return {
    shape: line.shape,
    fixed_s: line.fixed * longest_s,
    perByte_s: finite((line.slope * longest_s) / most),
    confidence: {
      fixed_s: degrees === 0 || line.shape === 'proportional' ? null : range(line.fixed, Math.sqrt(variance * varianceAt(line, 0))),
      perByte_s: degrees === 0 || line.shape === 'constant' ? null : perByte(range(line.slope, Math.sqrt(variance / spreadOf(line)))),
    },
    samples: samples.length,
    predict,
  };
}

function checkSamples(samples: readonly CostSample[]): void {
  if (!Array.isArray(samples) || samples.length === 0) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'fitCost: there are no measurements. Measure a save first, such as with holdfast bench.',
    );
  }
  for (const [i, sample] of samples.entries()) {
    const { bytes, seconds } = assertObject(`fitCost: measurement ${i}`, sample as CostSample);
    assertNotNegative(`fitCost: measurement ${i}`, { bytes, seconds });
  }
}

/** The largest, which others are divided by; 1 where all are 0. */
function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0) || 1;
}

/** The line with weights that are its own. */
function settle(points: readonly CostSample[]): { line: Line; weights: readonly number[] } {
  let weights = points.map(() => 1);
  let line = fitLine(points, weights);
  for (let i = 0; i < ROUNDS; i++) {
    const before = line;
    weights = points.map(({ bytes }) => 1 / Math.max(at(before, bytes), SHORTEST) ** 2);
    line = fitLine(points, weights);
    if (Math.abs(line.fixed - before.fixed) + Math.abs(line.slope - before.slope) < 1e-14) break;
  }
  return { line, weights };
}

function fitLine(points: readonly CostSample[], weights: readonly number[]): Line {
  const weighted = (of: (point: CostSample) => number) => sum(points.map((point, i) => (weights[i] as number) * of(point)));
  const count = sum(weights);
  const mean = weighted(({ bytes }) => bytes) / count;
  const meanSeconds = weighted(({ seconds }) => seconds) / count;
  const spread = weighted(({ bytes }) => (bytes - mean) ** 2);
  const square = weighted(({ bytes }) => bytes * bytes);
  const sums = { count, mean, spread, square };
  const constant: Line = { shape: 'constant', fixed: meanSeconds, slope: 0, ...sums };
  if (square === 0) return constant;
  const proportional: Line = {
    shape: 'proportional',
    fixed: 0,
    slope: weighted(({ bytes, seconds }) => bytes * seconds) / square,
    ...sums,
  };
  if (spread <= ONE_SIZE ** 2 * square) return proportional;
  const slope = weighted(({ bytes, seconds }) => (bytes - mean) * (seconds - meanSeconds)) / spread;
  // What noise makes of it: larger saves are not faster, and none takes less than no time.
  if (slope < 0) return constant;
  const fixed = meanSeconds - slope * mean;
  return fixed < 0 ? proportional : { shape: 'line', fixed, slope, ...sums };
}

function at({ fixed, slope }: Line, bytes: number): number {
  return fixed + slope * bytes;
}

/** The variance of the line at a size, over that of the relative error. */
function varianceAt(line: Line, bytes: number): number {
  const { shape, count, mean, spread, square } = line;
  if (shape === 'proportional') return (bytes * bytes) / square;
  return 1 / count + (shape === 'line' ? (bytes - mean) ** 2 / spread : 0);
}

/** What the variance of the slope is the inverse of. */
function spreadOf({ shape, spread, square }: Line): number {
  return shape === 'line' ? spread : square;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The mean of measurements of P, σ or R, with its 95 % interval by Student's t. Throws `ERR_INVALID_ARGUMENT` where there are none, or one is no number. */
export function estimateMean(values: readonly number[]): Estimate {
  if (!Array.isArray(values) || values.length === 0) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'estimateMean: there are no measurements.');
  }
  for (const value of values) assertNotNegative('estimateMean', { value });
  const samples = values.length;
  const degrees = samples - 1;
  const scale = largest(values);
  const mean = sum(values.map((each) => each / scale)) / samples;
  const variance = degrees > 0 ? sum(values.map((each) => (each / scale - mean) ** 2)) / degrees : 0;
  const error = degrees > 0 ? studentQuantile(degrees) * Math.sqrt(variance / samples) : 0;
  return { value: mean * scale, low: Math.max(0, mean - error) * scale, high: finite((mean + error) * scale), samples, degrees };
}

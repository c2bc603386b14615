/** What saves cost, from what they were seen to cost: as a function of their bytes, and as a summary; with how sure that is. */
import { HoldfastError } from '../errors.js';
import { assertNotNegative } from './checks.js';
import { studentQuantile } from './student.js';

/** One measurement. */
export interface CostSample {
  readonly bytes: number;
  readonly seconds: number;
}

/** An estimate, and where it lies with 95 % confidence; the same numbers where a single measurement says nothing of that. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** Seconds as a function of bytes. */
export interface CostModel {
  /** What a save costs whatever its size; at least 0. */
  readonly fixed_s: number;
  /** What a byte more costs; at least 0. */
  readonly perByte_s: number;
  readonly samples: number;
  /** What a save of so many bytes costs on average, in seconds. Throws `ERR_INVALID_ARGUMENT`. */
  predict(bytes: number): Estimate;
}

interface Sums {
  readonly count: number;
  readonly meanBytes: number;
  readonly meanSeconds: number;
  readonly spread: number;
}

/**
 * Least squares of seconds = fixed + perByte · bytes, each at least 0. Where all saves were of one size they show no slope: the cost is then taken to be
 * proportional to the bytes, and `predict` is sure of that size alone. The relative error of a measurement is taken to be the same at all sizes, so each weighs as
 * 1/seconds². Throws `ERR_INVALID_ARGUMENT` where there are none, or where one is no number.
 */
export function fitCost(samples: readonly CostSample[]): CostModel {
  if (samples.length === 0) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'fitCost: there are no measurements. Measure a save first, such as with holdfast bench.',
    );
  }
  for (const { bytes, seconds } of samples) assertNotNegative('fitCost', { bytes, seconds });
  const floor = Math.max(...samples.map(({ seconds }) => seconds)) * 1e-3 || 1e-9;
  const weights = samples.map(({ seconds }) => 1 / Math.max(seconds, floor) ** 2);
  const { fixed_s, perByte_s } = fitLine(samples, weights);
  const sums = sumUp(samples, weights);
  const residuals = samples.map(({ bytes, seconds }, i) => (weights[i] as number) * (seconds - fixed_s - perByte_s * bytes) ** 2);
  const degrees = samples.length - (sums.spread > 0 ? 2 : 1);
  const variance = degrees > 0 ? residuals.reduce((sum, value) => sum + value, 0) / degrees : 0;
  const predict = (bytes: number): Estimate => {
    assertNotNegative('predict', { bytes });
    const value = fixed_s + perByte_s * bytes;
    const distance = sums.spread > 0 ? (bytes - sums.meanBytes) ** 2 / sums.spread : 0;
    const error = degrees > 0 ? studentQuantile(degrees) * Math.sqrt(variance * (1 / sums.count + distance)) : 0;
    return { value, low: Math.max(0, value - error), high: value + error, samples: samples.length };
  };
  return { fixed_s, perByte_s, samples: samples.length, predict };
}

function fitLine(samples: readonly CostSample[], weights: readonly number[]): { fixed_s: number; perByte_s: number } {
  const { meanBytes, meanSeconds, spread } = sumUp(samples, weights);
  const throughZero = () => {
    const [numerator, denominator] = samples.reduce(
      ([above, below], { bytes, seconds }, i) => [
        above + (weights[i] as number) * bytes * seconds,
        below + (weights[i] as number) * bytes * bytes,
      ],
      [0, 0],
    );
    return denominator === 0 ? { fixed_s: meanSeconds, perByte_s: 0 } : { fixed_s: 0, perByte_s: numerator / denominator };
  };
  if (spread === 0) return throughZero();
  const slope =
    samples.reduce((sum, { bytes, seconds }, i) => sum + (weights[i] as number) * (bytes - meanBytes) * (seconds - meanSeconds), 0) /
    spread;
  // What noise makes of it: larger saves are not faster, and none takes less than no time.
  if (slope < 0) return { fixed_s: meanSeconds, perByte_s: 0 };
  const fixed_s = meanSeconds - slope * meanBytes;
  return fixed_s < 0 ? throughZero() : { fixed_s, perByte_s: slope };
}

function sumUp(samples: readonly CostSample[], weights: readonly number[]): Sums {
  const count = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = (of: (sample: CostSample) => number) =>
    samples.reduce((sum, sample, i) => sum + (weights[i] as number) * of(sample), 0) / count;
  const meanBytes = mean(({ bytes }) => bytes);
  const spread = samples.reduce((sum, { bytes }, i) => sum + (weights[i] as number) * (bytes - meanBytes) ** 2, 0);
  // Sizes that differ by less than rounding are one size.
  const isOneSize = spread <= 1e-12 * count * meanBytes ** 2;
  return { count, meanBytes, meanSeconds: mean(({ seconds }) => seconds), spread: isOneSize ? 0 : spread };
}

/** The mean of measurements of P, σ or R, with its 95 % interval by Student's t. Throws `ERR_INVALID_ARGUMENT` where there are none, or one is no number. */
export function estimateMean(values: readonly number[]): Estimate {
  if (values.length === 0) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'estimateMean: there are no measurements.');
  for (const value of values) assertNotNegative('estimateMean', { value });
  const samples = values.length;
  const value = values.reduce((sum, each) => sum + each, 0) / samples;
  if (samples === 1) return { value, low: value, high: value, samples };
  const variance = values.reduce((sum, each) => sum + (each - value) ** 2, 0) / (samples - 1);
  const error = studentQuantile(samples - 1) * Math.sqrt(variance / samples);
  return { value, low: Math.max(0, value - error), high: value + error, samples };
}

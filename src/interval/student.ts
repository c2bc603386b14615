/** Student's t, for confidence from few measurements. */

/** 97.5 % quantiles of Student's t with 1 to 30 degrees of freedom. */
const QUANTILES = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086,
  2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
] as const;

/** With which factor a standard error makes a 95 % interval. Beyond 30 degrees of freedom by the expansion of Abramowitz and Stegun 1964, 26.7.5. */
export function studentQuantile(degrees: number): number {
  const z = 1.959964;
  return QUANTILES[degrees - 1] ?? z + (z ** 3 + z) / (4 * degrees) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2);
}

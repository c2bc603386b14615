/** Student's t, for confidence from few measurements. */

/** 97.5 % quantiles of Student's t with 1 to 30 degrees of freedom, to eight digits. */
const QUANTILES = [
  12.706205, 4.3026527, 3.1824463, 2.7764451, 2.5705818, 2.4469119, 2.3646243, 2.3060041, 2.2621572, 2.2281389, 2.2009852, 2.1788128,
  2.1603687, 2.1447867, 2.1314495, 2.1199053, 2.1098156, 2.100922, 2.0930241, 2.0859634, 2.0796138, 2.0738731, 2.0686576, 2.0638986,
  2.0595386, 2.0555294, 2.0518305, 2.0484071, 2.0452296, 2.0422725,
] as const;

/** With which factor a standard error makes a 95 % interval. Beyond 30 degrees of freedom by the expansion of Abramowitz and Stegun 1964, 26.7.5. */
export function studentQuantile(degrees: number): number {
  const z = 1.959963985;
  const terms = [z, (z ** 3 + z) / 4, (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96, (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384];
  return QUANTILES[degrees - 1] ?? terms.reduce((sum, term, i) => sum + term / degrees ** i, 0);
}

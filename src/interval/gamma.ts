/** The gamma distribution, for how sure an estimate of a failure rate is. */

const ITERATIONS = 1000;
const PRECISION = 1e-12;

/** ln Γ(x) for x > 0: the shift of Γ(x + 1) = x·Γ(x) up to 10, then Stirling's series (Abramowitz and Stegun 1964, 6.1.41). */
export function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  for (; at < 10; at++) shift += Math.log(at);
  const square = 1 / (at * at);
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / at;
  return (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

/** P(a, x), the share of a gamma distribution of shape `a` and scale 1 that lies below `x`: the series of Abramowitz and Stegun, 6.5.29. */
export function gammaShareBelow(a: number, x: number): number {
  if (x <= 0) return 0;
  // Far above the mean and the spread nothing is left, and the series would be long.
  if (x > a + 40 + 20 * Math.sqrt(a)) return 1;
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < ITERATIONS && term > sum * PRECISION; n++) {
    term *= x / (a + n);
    sum += term;
  }
  return Math.min(1, sum * Math.exp(a * Math.log(x) - x - logGamma(a)));
}

/** Where that share is `share`, between 0 and 1 exclusive. */
export function gammaQuantile(a: number, share: number): number {
  let [low, high] = [0, a + 40 + 20 * Math.sqrt(a)];
  for (let i = 0; i < 200 && high - low > PRECISION * high; i++) {
    const middle = (low + high) / 2;
    if (gammaShareBelow(a, middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

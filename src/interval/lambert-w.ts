/** The branch W₀ of Lambert's function near its branch point, where 1 + W₀ would lose all its digits if it were computed as it stands. */

/** Below it the series of −ln(1 − δ) − δ takes over, whose first term is δ²/2: the difference itself would cancel. */
const SERIES_BELOW = 0.1;
/** Far more than Newton's method takes. */
const ITERATIONS = 100;

/**
 * δ = 1 + W₀(−e^{−1−x}) for x > 0, between 0 and 1.
 *
 * With w = δ − 1, w·e^w = −e^{−1−x} becomes −ln(1 − δ) − δ = x: no term is near another one, however small x is. Solved by Newton's method for
 * u = −ln(1 − δ), so that δ = 1 − e^{−u} comes close to 1 without ever reaching it too early. Source of W: R. M. Corless et al., "On the Lambert W
 * function", Advances in Computational Mathematics 5, 1996.
 */
export function excessOfLambertW(x: number): number {
  // From u²/2 − u³/6 + … = x for small x, and u = x + 1 − e^{−u} for large ones.
  let u = x < 1 ? Math.sqrt(2 * x) * (1 + Math.sqrt(2 * x) / 6) : x + 1 - Math.exp(-x - 0.5);
  for (let i = 0; i < ITERATIONS; i++) {
    const step = (loss(u) - x) / -Math.expm1(-u);
    const next = u - step;
    if (!(Math.abs(next - u) > 1e-16 * u)) return -Math.expm1(-next);
    u = next;
  }
  return -Math.expm1(-u);
}

/** u − (1 − e^{−u}), for u > 0. */
function loss(u: number): number {
  if (u > SERIES_BELOW) return u + Math.expm1(-u);
  // u²/2! − u³/3! + u⁴/4! − …
  let term = (u * u) / 2;
  let sum = term;
  for (let n = 3; Math.abs(term) > 1e-18 * sum; n++) {
    term *= -u / n;
    sum += term;
  }
  return sum;
}

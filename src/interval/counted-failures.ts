/** What a count of failures says of the mean time between them, with nothing believed beforehand. */
import { assertCount, assertPositive } from './checks.js';
import { gammaQuantile } from './gamma.js';

/** Standard normal quantile of 0.975. */
const NORMAL = 1.959963984540054;
/** From here on the series for the quantile would be long, and the normal approximation is right to a millionth. */
const MANY = 10_000;

/**
 * Where the mean time between failures lies with 95 % confidence, in seconds, after `failures` were counted in `during_s`: T/G(n + 1, 0.975) to
 * T/G(n, 0.025), with quantiles of gamma distributions. F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936. Throws
 * `ERR_INVALID_ARGUMENT`, also for no failures: that sets no upper limit.
 */
export function countedMtbf_s({
  failures,
  during_s,
}: {
  readonly failures: number;
  readonly during_s: number;
}): [low_s: number, high_s: number] {
  assertCount('countedMtbf_s', 'failures', failures);
  assertPositive('countedMtbf_s', { during_s });
  return [during_s / quantile(failures + 1, 0.975), during_s / quantile(failures, 0.025)];
}

/** For many failures after E. B. Wilson and M. M. Hilferty, "The distribution of chi-square", 1931. */
function quantile(shape: number, share: number): number {
  if (shape <= MANY) return gammaQuantile(shape, share);
  const z = share > 0.5 ? NORMAL : -NORMAL;
  return shape * (1 - 1 / (9 * shape) + z / (3 * Math.sqrt(shape))) ** 3;
}

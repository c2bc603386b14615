export function pairedInterval<Life>(
  policies: readonly (readonly Life[])[],
  statistic: (drawn: readonly (readonly Life[])[]) => number,
  options?: { readonly resamples?: number; readonly seed?: number },
): { readonly low: number; readonly high: number };

/** Axes of plots in SVG: where lines stand and what is written beside them. */

/** Four or five round steps from 0. */
export function evenTicks(most: number): number[] {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** Lengths of time that people use, in seconds. */
const ROUND_S = [
  ...[1e-3, 1e-2, 1e-1].flatMap((power) => [power, 2 * power, 5 * power]),
  ...[1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18_000, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000],
];
const MOST_TICKS = 9;

/** Round lengths of time on a logarithmic axis, not too many; powers of ten beyond those that have names. */
export function timeTicks(from: number, to: number): number[] {
  const isInside = (seconds: number) => seconds >= from && seconds <= to;
  const named = ROUND_S.filter(isInside);
  const all = named.length > 1 ? named : Array.from({ length: 61 }, (_, i) => 10 ** (i - 30)).filter(isInside);
  const every = Math.ceil(all.length / MOST_TICKS);
  return all.filter((_, i) => i % every === 0);
}

/** Powers of two on a logarithmic axis, not too many. */
export function sizeTicks(from: number, to: number): number[] {
  const all = Array.from({ length: 60 }, (_, i) => 2 ** i).filter((bytes) => bytes >= from && bytes <= to);
  const every = Math.ceil(all.length / MOST_TICKS);
  return all.filter((_, i) => i % every === 0);
}

/** Coordinates need no more. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

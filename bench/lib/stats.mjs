// Medians and what surrounds them, and how they are printed.
export { median, summary } from '../../dist/bench/stats.js';

/** A number with three significant digits. */
export function short(value) {
  return Number(value.toPrecision(3)).toString();
}

/** `1.23 ms (1.1 to 1.4)`, every number divided by `scale`. */
export function spread({ median, min, max }, unit = '', scale = 1) {
  return `${short(median / scale)}${unit} (${short(min / scale)} to ${short(max / scale)})`;
}

/** The slope of a straight line through `points` of [x, y] (least squares). */
export function slope(points) {
  const n = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}

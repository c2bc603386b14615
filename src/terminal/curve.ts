/** A curve on a terminal, in characters. */

export interface TerminalCurve {
  /** Points with ascending `x`; both are above 0, and `x` is logarithmic. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** Marks on the horizontal axis, each one character. */
  readonly marks: readonly { readonly x: number; readonly mark: string }[];
  /** A part of the horizontal axis that is drawn thicker. */
  readonly band: readonly [low: number, high: number];
  readonly width: number;
  readonly height: number;
  formatX(x: number): string;
  formatY(y: number): string;
}

const EIGHTHS = ' ▁▂▃▄▅▆▇█';

/** The lines: the curve as columns from the bottom, an axis with the band and the marks, and its ends. */
export function drawCurve({ points, marks, band, width, height, formatX, formatY }: TerminalCurve): string[] {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || first.x === last.x) return [];
  const most = Math.max(...points.map(({ y }) => y));
  const labels = [formatY(most), formatY(0)];
  const margin = Math.max(...labels.map((label) => label.length)) + 1;
  const columns = Math.max(10, width - margin - 1);
  const columnOf = (x: number) => Math.round((Math.log(x / first.x) / Math.log(last.x / first.x)) * (columns - 1));
  const heights = Array.from({ length: columns }, (_, column) => {
    const x = first.x * (last.x / first.x) ** (column / (columns - 1));
    return (interpolate(points, x) / most) * height * 8;
  });
  const rows = Array.from({ length: height }, (_, row) => {
    const base = (height - 1 - row) * 8;
    const cells = heights.map((value) => EIGHTHS[Math.max(0, Math.min(8, Math.round(value - base)))]).join('');
    return `${(row === 0 ? (labels[0] as string) : '').padStart(margin)}│${cells.trimEnd()}`;
  });
  const [from, to] = band.map((x) => columnOf(Math.min(last.x, Math.max(first.x, x)))) as [number, number];
  const axis: string[] = Array.from({ length: columns }, (_, column) => (column >= from && column <= to ? '━' : '─'));
  for (const { x, mark } of marks) if (x >= first.x && x <= last.x) axis[columnOf(x)] = mark;
  const ends = [formatX(first.x), formatX(last.x)] as const;
  return [
    ...rows,
    `${(labels[1] as string).padStart(margin)}┼${axis.join('')}`,
    `${' '.repeat(margin + 1)}${ends[0]}${' '.repeat(Math.max(1, columns - ends[0].length - ends[1].length))}${ends[1]}`,
  ];
}

function interpolate(points: TerminalCurve['points'], x: number): number {
  const after = points.findIndex((point) => point.x >= x);
  const right = points[after];
  const left = points[after - 1];
  if (right === undefined) return (points.at(-1) as { y: number }).y;
  if (left === undefined) return right.y;
  const share = Math.log(x / left.x) / Math.log(right.x / left.x);
  return left.y + share * (right.y - left.y);
}

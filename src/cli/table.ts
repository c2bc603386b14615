/** Aligned columns that fit a terminal. */
import { pad, shorten, widthOf } from '../terminal/text.js';

/** A column of a table of `Row`s. */
export interface Column<Row> {
  readonly title: string;
  /** What stands in the cell: safe to print, in one line. */
  readonly value: (row: Row) => string;
  readonly align?: 'left' | 'right';
  /** Left out where there is no room, the highest number first; without one it stays. */
  readonly dispensable?: number;
  /** Where leaving out is not enough, it is shortened down to this many columns. */
  readonly shortest?: number;
}

export interface Table {
  readonly header: string;
  /** One line per row. */
  readonly lines: readonly string[];
}

interface Laid<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  width: number;
}

const GAP = '  ';

/** Lays `rows` out in at most `width` columns if that can be done; columns without any content are left out. */
export function layOut<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): Table {
  const measured = columns.map((column) => measure(column, rows)).filter(({ cells }) => cells.some((cell) => cell !== ''));
  const laid = choose(measured, width);
  for (const candidate of laid) {
    const excess = totalWidth(laid) - width;
    const { shortest } = candidate.column;
    if (excess <= 0 || shortest === undefined) continue;
    candidate.width = Math.max(shortest, candidate.width - excess);
  }
  return {
    header: joinCells(laid, ({ column }) => column.title),
    lines: rows.map((_, i) => joinCells(laid, ({ cells }) => cells[i] as string)),
  };
}

/** The columns that must stay, and of the others the most important ones that there is room for. */
function choose<Row>(measured: readonly Laid<Row>[], width: number): Laid<Row>[] {
  const rank = ({ column }: Laid<Row>) => column.dispensable ?? 0;
  const chosen = new Set(measured.filter(({ column }) => column.dispensable === undefined));
  const others = measured.filter((candidate) => !chosen.has(candidate)).sort((a, b) => rank(a) - rank(b));
  for (const candidate of others) {
    if (totalWidth([...chosen, candidate]) <= width) chosen.add(candidate);
  }
  return measured.filter((candidate) => chosen.has(candidate));
}

function measure<Row>(column: Column<Row>, rows: readonly Row[]): Laid<Row> {
  const cells = rows.map(column.value);
  const width = cells.reduce((widest, cell) => Math.max(widest, widthOf(cell)), widthOf(column.title));
  return { column, cells, width };
}

function totalWidth(laid: readonly { readonly width: number }[]): number {
  return laid.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length);
}

function joinCells<Row>(laid: readonly Laid<Row>[], textOf: (laid: Laid<Row>) => string): string {
  return laid
    .map((item) => pad(shorten(textOf(item), item.width), item.width, item.column.align))
    .join(GAP)
    .trimEnd();
}

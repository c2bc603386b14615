/** The two streams: one for results, one for everything else. */
import { UNSAFE, unicodeEscape } from '../terminal/text.js';

/** Results go here, and with --json one document is all that does. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Errors and hints. */
export function printError(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints the one JSON document of a command. */
export function printJson(document: unknown): void {
  print(toJsonText(document, 2));
}

/** JSON that is safe on a terminal too: what JSON itself lets through and a terminal obeys is written as an escape. */
export function toJsonText(document: unknown, indent?: number): string {
  return JSON.stringify(document, null, indent).replace(UNSAFE, (c) => (c === '\n' ? c : unicodeEscape(c)));
}

/** Metrics as JSON carries them: what is not finite becomes a string. */
export function jsonMetrics(metrics: Readonly<Record<string, number>>): Record<string, number | string> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, jsonNumber(value)]));
}

/** A number as JSON carries it: what JSON has no number for becomes a string. */
export function jsonNumber(value: number): number | string {
  return Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : String(value);
}

/**
 * A reader that has seen enough (`| head`) is no error: what is left goes nowhere, and the exit code stays.
 * Results that could not be written (a full disk) must not look like success.
 */
export function guardStreams(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') return;
      if (stream === process.stdout) printError(`holdfast: Could not write the output: ${error.message} (ERR_IO)`);
      process.exit(2);
    });
  }
}

/** Columns to lay a table out for. A pipe has no width, unless COLUMNS says one. */
export function outputWidth(): number {
  const said = Number(process.env['COLUMNS']);
  if (process.stdout.isTTY) return process.stdout.columns || 80;
  return Number.isInteger(said) && said > 0 ? said : Number.POSITIVE_INFINITY;
}

const COLOURS = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Colour = keyof typeof COLOURS;

/** Colours `text` if stdout is a terminal that wants it (https://no-color.org). */
export function paint(colour: Colour, text: string): string {
  const wanted = process.stdout.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  return wanted ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
}

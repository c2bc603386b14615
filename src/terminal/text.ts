/** Text on a terminal: what is safe to print, and how wide it is. */

/**
 * Characters that a terminal obeys or that make text look like other text: control characters, bidirectional
 * overrides, invisible ones, line separators, halves of surrogate pairs.
 */
export const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` with everything unsafe spelled out, such as `\x1b` or `\u202e`. Names in files are untrusted. */
export function escapeText(text: string, { keepLines = false }: { readonly keepLines?: boolean } = {}): string {
  return text.replace(UNSAFE, (c) => {
    if (keepLines && c === '\n') return c;
    const code = c.charCodeAt(0);
    return SHORT[c] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : unicodeEscape(c));
  });
}

/** `\u202e` and the like, as JSON and JavaScript spell it. */
export function unicodeEscape(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NARROW_ONLY = /^[\u0020-\u02ff]*$/;

/** Columns that `text` (without control characters) takes. */
export function widthOf(text: string): number {
  if (NARROW_ONLY.test(text)) return text.length;
  let width = 0;
  for (const c of text) width += charWidth(c);
  return width;
}

function charWidth(c: string): number {
  if (/\p{Mn}|\p{Me}|\ufe0f/u.test(c)) return 0;
  return WIDE.test(c) || (c.codePointAt(0) as number) >= 0x20000 ? 2 : 1;
}

/** Fills `text` up with spaces to `width` columns. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'left' ? text + space : space + text;
}

/** At most `width` columns of `text`, with `…` for what was taken out of its middle: both ends of a name tell most. */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const characters = [...text];
  const tail = Math.floor((width - 1) / 2);
  return `${take(characters, width - 1 - tail)}…${[...take(characters.reverse(), tail)].reverse().join('')}`;
}

function take(characters: readonly string[], width: number): string {
  let taken = '';
  let used = 0;
  for (const c of characters) {
    used += charWidth(c);
    if (used > width) break;
    taken += c;
  }
  return taken;
}

/** Breaks `text` at spaces into lines of at most `width` columns; longer words stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && widthOf(longer) > width) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** A message about a file of `checkpoint` whose name was just printed. */
export function withoutName(message: string, checkpoint: string | null): string {
  return checkpoint !== null && message.startsWith(`${checkpoint}/`) ? message.slice(checkpoint.length + 1) : message;
}

/**
 * A strict JSON reader for files that others may have made. Unlike `JSON.parse` it refuses duplicate
 * keys (also when spelled with escapes), limits the depth, keeps integers apart from floats, refuses
 * lone surrogates, and gives objects as Maps, so that `__proto__` is a key like any other.
 */

/** A number that is not a safe integer written as one: with a fraction or an exponent, `-0`, or too large (then perhaps infinite). */
export class JsonFloat {
  constructor(readonly value: number) {}
}

/** A parsed value. A plain number is an integer of at most 2^53 − 1. */
export type JsonValue = null | boolean | string | number | JsonFloat | JsonValue[] | JsonObject;
export type JsonObject = Map<string, JsonValue>;

/** Why and where a text is not acceptable; `kind` lets callers choose their error code. */
export class JsonError extends Error {
  constructor(
    readonly kind: 'syntax' | 'duplicate' | 'depth',
    message: string,
    readonly position: number,
  ) {
    super(`${message} at character ${position}`);
  }
}

/** Parses one JSON value, in white space or not, with at most `maxDepth` arrays and objects inside each other. Throws {@link JsonError}. */
export function parseJson(text: string, maxDepth = 64): JsonValue {
  const reader = new Reader(text, maxDepth);
  const value = reader.value(0);
  reader.skipSpace();
  if (reader.position < text.length) throw reader.error('unexpected text after the value');
  return value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

class Reader {
  position = 0;

  constructor(
    private readonly text: string,
    private readonly maxDepth: number,
  ) {}

  error(message: string, kind: JsonError['kind'] = 'syntax', at = this.position): JsonError {
    return new JsonError(kind, message, at);
  }

  skipSpace(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.position);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.position++;
    }
  }

  value(depth: number): JsonValue {
    this.skipSpace();
    const first = this.text[this.position];
    if ((first === '{' || first === '[') && depth >= this.maxDepth) throw this.error(`nested deeper than ${this.maxDepth}`, 'depth');
    switch (first) {
      case '{':
        return this.object(depth);
      case '[':
        return this.array(depth);
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private word<T extends JsonValue>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.position)) throw this.error('unexpected character');
    this.position += word.length;
    return value;
  }

  private number(): number | JsonFloat {
    NUMBER.lastIndex = this.position;
    const match = NUMBER.exec(this.text);
    if (match === null) {
      throw this.error(this.position >= this.text.length ? 'unexpected end' : 'unexpected character');
    }
    this.position += match[0].length;
    const value = Number(match[0]);
    const isInteger = match[1] === undefined && match[2] === undefined && Number.isSafeInteger(value) && !Object.is(value, -0);
    return isInteger ? value : new JsonFloat(value);
  }

  private string(): string {
    const text = this.text;
    const start = this.position + 1;
    let at = start;
    let result = '';
    let copied = start;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === 0x22) break;
      if (Number.isNaN(c)) throw this.error('unterminated string', 'syntax', start - 1);
      if (c < 0x20) throw this.error('control character in a string', 'syntax', at);
      if (c !== 0x5c) {
        at++;
        continue;
      }
      result += text.slice(copied, at);
      const [piece, next] = this.escape(at);
      result += piece;
      at = copied = next;
    }
    this.position = at + 1;
    return copied === start ? text.slice(start, at) : result + text.slice(copied, at);
  }

  /** Decodes the escape at `at` (the backslash); gives its text and where reading goes on. */
  private escape(at: number): [string, number] {
    const letter = this.text[at + 1] ?? '';
    if (letter !== 'u') {
      const plain = ESCAPES[letter];
      if (plain === undefined) throw this.error('invalid escape', 'syntax', at);
      return [plain, at + 2];
    }
    const unit = this.hexUnit(at);
    if (unit >= 0xdc00 && unit <= 0xdfff) throw this.error('lone surrogate', 'syntax', at);
    if (unit < 0xd800 || unit > 0xdbff) return [String.fromCharCode(unit), at + 6];
    if (!this.text.startsWith('\\u', at + 6)) throw this.error('lone surrogate', 'syntax', at);
    const low = this.hexUnit(at + 6);
    if (low < 0xdc00 || low > 0xdfff) throw this.error('lone surrogate', 'syntax', at);
    return [String.fromCharCode(unit, low), at + 12];
  }

  private hexUnit(at: number): number {
    const digits = this.text.slice(at + 2, at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.error('invalid \\u escape', 'syntax', at);
    return Number.parseInt(digits, 16);
  }

  private array(depth: number): JsonValue[] {
    const items: JsonValue[] = [];
    this.position++;
    this.skipSpace();
    if (this.text[this.position] === ']') {
      this.position++;
      return items;
    }
    for (;;) {
      items.push(this.value(depth + 1));
      if (this.separator(']')) return items;
    }
  }

  private object(depth: number): JsonObject {
    const members: JsonObject = new Map();
    this.position++;
    this.skipSpace();
    if (this.text[this.position] === '}') {
      this.position++;
      return members;
    }
    for (;;) {
      this.skipSpace();
      const at = this.position;
      if (this.text[at] !== '"') throw this.error('expected a string key');
      const key = this.string();
      if (members.has(key)) throw this.error(`duplicate key ${JSON.stringify(key)}`, 'duplicate', at);
      this.skipSpace();
      if (this.text[this.position] !== ':') throw this.error('expected ":"');
      this.position++;
      members.set(key, this.value(depth + 1));
      if (this.separator('}')) return members;
    }
  }

  /** Consumes `,` (false) or the closing bracket (true). */
  private separator(close: string): boolean {
    this.skipSpace();
    const c = this.text[this.position];
    if (c !== ',' && c !== close) throw this.error(`expected "," or "${close}"`);
    this.position++;
    return c === close;
  }
}

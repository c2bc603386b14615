/** Numbers as Python's format mini-language writes them, byte for byte (in the C locale). */
import { type Decimal, roundedToDigits, roundedToPlaces, shortest } from './decimal.js';

/** What Python would hold the value as: the two have different types, and different texts for the same number. */
export type NumberKind = 'int' | 'float';

/** Largest width and precision; Python takes far larger ones, which no name has room for. */
const MAX_WIDTH = 200;
const MAX_PRECISION = 100;

/** A format specification that was checked: `[[fill]align][sign]["z"]["#"]["0"][width][grouping]["." precision][type]`. */
export interface NumberSpec {
  readonly kind: NumberKind;
  readonly fill: string;
  readonly align: '<' | '>' | '=' | '^';
  /** Of what is not negative; empty where the specification has none, which means the same as `-`. */
  readonly sign: '' | '-' | '+' | ' ';
  /** `z`: what is rounded to −0 is written as 0. */
  readonly noNegativeZero: boolean;
  /** `#` */
  readonly alternate: boolean;
  /** In code points. 0: as long as it is. */
  readonly width: number;
  readonly grouping: '' | ',' | '_';
  readonly precision: number | undefined;
  /** The letter at the end; empty where there is none. */
  readonly type: string;
}

const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?([0-9]+)?([,_])?(?:\.([0-9]+))?(.*)$/su;
const FLOAT_TYPES = 'eEfFgG%';
const TYPES: Readonly<Record<NumberKind, string>> = { int: `bcdnoxX${FLOAT_TYPES}`, float: `n${FLOAT_TYPES}` };

/** Reads the part of a field after the colon. Calls `refuse`, which throws, with what is wrong with it. */
export function parseNumberSpec(text: string, kind: NumberKind, refuse: (why: string) => never): NumberSpec {
  const [, fill, align, sign = '', z, alternate, zero, width, grouping = '', precision, type = ''] = SPEC.exec(text) as RegExpExecArray;
  // After a fill of its own, "0" is the first digit of the width; before one, it is fill and alignment.
  const zeroFill = zero !== undefined && fill === undefined;
  const spec: NumberSpec = {
    kind,
    fill: fill ?? (zeroFill ? '0' : ' '),
    align: (align ?? (zeroFill ? '=' : '>')) as NumberSpec['align'],
    sign: sign as NumberSpec['sign'],
    noNegativeZero: z !== undefined,
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping: grouping as NumberSpec['grouping'],
    precision: precision === undefined ? undefined : Number(precision),
    type,
  };
  const why = problemOf(spec);
  if (why !== undefined) refuse(why);
  return spec;
}

function problemOf(spec: NumberSpec): string | undefined {
  const { kind, sign, noNegativeZero, alternate, width, grouping, precision = 0, type } = spec;
  const types = TYPES[kind];
  const quoted = JSON.stringify(type);
  if (type !== '' && (type.length !== 1 || !types.includes(type))) {
    return `${quoted} is not a type of ${kind === 'int' ? 'an integer' : 'a float'}, which are ${[...types].join(' ')}`;
  }
  if (width > MAX_WIDTH) return `the width ${width} is more than ${MAX_WIDTH}`;
  if (precision > MAX_PRECISION) return `the precision ${precision} is more than ${MAX_PRECISION}`;
  const grouped = type === '' || type === 'd' || FLOAT_TYPES.includes(type) || (grouping === '_' && type !== '' && 'boxX'.includes(type));
  if (grouping !== '' && !grouped) return `"${grouping}" does not go with the type ${quoted}`;
  if (kind === 'float' || (type !== '' && FLOAT_TYPES.includes(type))) return undefined;
  if (spec.precision !== undefined) return 'an integer has no precision';
  if (noNegativeZero) return 'an integer has no "z"';
  if (type === 'c' && (sign !== '' || alternate)) return 'a character ("c") has no sign and no "#"';
  return undefined;
}

/** The text of a number; `undefined` where it has none: a character (`c`) beyond Unicode. An `int` must be a safe integer. */
export function formatNumber(value: number, spec: NumberSpec): string | undefined {
  const { kind, type } = spec;
  if (kind === 'float' || (type !== '' && FLOAT_TYPES.includes(type))) {
    // An integer has no −0.
    return formatFloat(kind === 'int' && value === 0 ? 0 : value, spec);
  }
  if (type !== 'c') return formatInteger(value, spec);
  if (value < 0 || value > 0x10ffff) return undefined;
  return padded(spec, { negative: false, prefix: '', digits: '', rest: String.fromCodePoint(value) });
}

const BASES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function formatInteger(value: number, spec: NumberSpec): string {
  const base = BASES[spec.type] ?? 10;
  const upper = (text: string) => (spec.type === 'X' ? text.toUpperCase() : text);
  const prefix = spec.alternate && base !== 10 ? `0${spec.type}` : '';
  return padded(spec, { negative: value < 0, prefix, digits: upper(Math.abs(value).toString(base)), rest: '' });
}

function formatFloat(given: number, spec: NumberSpec): string {
  const percent = spec.type === '%';
  const value = percent ? given * 100 : given;
  const upper = (text: string) => (/[EFG]/.test(spec.type) ? text.toUpperCase() : text);
  const rest = percent ? '%' : '';
  if (Number.isNaN(value)) return padded(spec, { negative: false, prefix: '', digits: '', rest: `${upper('nan')}${rest}` });
  const negative = value < 0 || Object.is(value, -0);
  if (!Number.isFinite(value)) return padded(spec, { negative, prefix: '', digits: '', rest: `${upper('inf')}${rest}` });
  const { whole, tail, isZero } = writeMagnitude(Math.abs(value), spec);
  return padded(spec, {
    negative: negative && !(isZero && spec.noNegativeZero),
    prefix: '',
    digits: whole,
    rest: `${upper(tail)}${rest}`,
  });
}

/** A number without sign: its digits before the point, and everything from the point on. */
interface Magnitude {
  readonly whole: string;
  readonly tail: string;
  readonly isZero: boolean;
}

function writeMagnitude(value: number, { type, precision, alternate }: NumberSpec): Magnitude {
  if (type === 'e' || type === 'E') {
    const digits = (precision ?? 6) + 1;
    return laidOut(roundedToDigits(value, digits), { shown: digits, exponential: true, alternate });
  }
  if (type === 'f' || type === 'F' || type === '%') {
    const places = precision ?? 6;
    const decimal = roundedToPlaces(value, places);
    return laidOut(decimal, { shown: decimal.point + places, exponential: false, alternate });
  }
  // Without a type it is what str() gives, or with a precision the like of "g"; both keep a digit after the point.
  const bare = type === '';
  const digits = precision === undefined && bare ? undefined : Math.max(1, precision ?? 6);
  const decimal = digits === undefined ? shortest(value) : roundedToDigits(value, digits);
  const last = digits === undefined ? 16 : bare ? digits - 1 : digits;
  return laidOut(decimal, {
    shown: alternate && digits !== undefined ? digits : decimal.digits.length,
    exponential: decimal.point <= -4 || decimal.point > last,
    alternate,
    wantsFraction: bare,
  });
}

interface Layout {
  /** How many digits from the first one on are shown, if more than there are: filled up with zeros. */
  readonly shown: number;
  readonly exponential: boolean;
  /** The point stays, also with nothing after it. */
  readonly alternate: boolean;
  /** At least one digit after the point, unless there is an exponent. */
  readonly wantsFraction?: boolean;
}

function laidOut({ digits, point: given }: Decimal, { shown, exponential, alternate, wantsFraction }: Layout): Magnitude {
  const point = exponential ? 1 : given;
  const end = Math.max(shown, wantsFraction && !exponential ? point + 1 : point);
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  const fraction = (point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits).padEnd(end - point, '0');
  const exponent = given - 1;
  const suffix = exponential ? `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}` : '';
  return { whole, tail: `${fraction !== '' || alternate ? '.' : ''}${fraction}${suffix}`, isZero: digits === '0' };
}

/** What a text is put together from. */
interface Parts {
  readonly negative: boolean;
  /** `0x` and the like. */
  readonly prefix: string;
  /** These are grouped. */
  readonly digits: string;
  readonly rest: string;
}

function padded({ fill, align, sign, width, grouping, type }: NumberSpec, { negative, prefix, digits, rest }: Parts): string {
  const lead = `${negative ? '-' : sign === '-' ? '' : sign}${type === 'X' ? prefix.toUpperCase() : prefix}`;
  const fixed = lead.length + [...rest].length;
  // Zeros between sign and digits are digits themselves, with separators between them.
  const least = fill === '0' && align === '=' ? width - fixed : 0;
  const body = digits === '' ? '' : grouped(digits, least, grouping, type in BASES ? 4 : 3);
  const missing = Math.max(0, width - fixed - body.length);
  switch (align) {
    case '<':
      return lead + body + rest + fill.repeat(missing);
    case '>':
      return fill.repeat(missing) + lead + body + rest;
    case '=':
      return lead + fill.repeat(missing) + body + rest;
    case '^': {
      const left = Math.floor(missing / 2);
      return fill.repeat(left) + lead + body + rest + fill.repeat(missing - left);
    }
  }
}

/** `digits` in groups of `size` from the right, filled up with zeros to `width`, or one more where a separator would come first. */
function grouped(digits: string, width: number, separator: string, size: number): string {
  if (separator === '') return digits.padStart(width, '0');
  const groups: string[] = [];
  let left = digits.length;
  let wanted = width;
  for (;;) {
    const length = Math.min(size, Math.max(left, wanted, 1));
    groups.unshift(digits.slice(Math.max(0, left - length), Math.max(0, left)).padStart(length, '0'));
    left -= length;
    wanted -= length;
    if (left <= 0 && wanted <= 0) return groups.join(separator);
    wanted -= separator.length;
  }
}

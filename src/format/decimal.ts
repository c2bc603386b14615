/** Decimal digits of binary floating-point numbers, rounded exactly: half to even on the value itself, which JavaScript's toFixed does not do. */

/** The number 0.d₁d₂d₃… × 10^point. Without zeros at the end; zero itself is `0` with a point of 1. */
export interface Decimal {
  readonly digits: string;
  readonly point: number;
}

const ZERO: Decimal = { digits: '0', point: 1 };

/** The fewest digits that are read back as the same number. `value` is finite and not negative, as in all functions here. */
export function shortest(value: number): Decimal {
  if (value === 0) return ZERO;
  const [digits = '', exponent] = value.toExponential().split('e');
  return { digits: digits.replace('.', ''), point: Number(exponent) + 1 };
}

/** Rounded to `places` digits after the point. */
export function roundedToPlaces(value: number, places: number): Decimal {
  return decimalOf(rounded(scaled(fractionOf(value), places)), places);
}

/** Rounded to `count` significant digits, at least one. */
export function roundedToDigits(value: number, count: number): Decimal {
  if (value === 0) return ZERO;
  const fraction = fractionOf(value);
  // Of the shortest digits, which may have been rounded up to the next power of ten.
  let exponent = Number(value.toExponential().split('e')[1]);
  const leading = scaled(fraction, -exponent);
  if (leading.numerator < leading.denominator) exponent--;
  const places = count - 1 - exponent;
  return decimalOf(rounded(scaled(fraction, places)), places);
}

interface Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** The exact value of a double. */
function fractionOf(value: number): Fraction {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n);
  const power = BigInt(Math.max(exponent, 1) - 1075);
  return power >= 0n ? { numerator: mantissa << power, denominator: 1n } : { numerator: mantissa, denominator: 1n << -power };
}

function scaled({ numerator, denominator }: Fraction, places: number): Fraction {
  if (places >= 0) return { numerator: numerator * 10n ** BigInt(places), denominator };
  return { numerator, denominator: denominator * 10n ** BigInt(-places) };
}

function rounded({ numerator, denominator }: Fraction): bigint {
  const quotient = numerator / denominator;
  const twice = 2n * (numerator % denominator);
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

function decimalOf(integer: bigint, places: number): Decimal {
  if (integer === 0n) return ZERO;
  const text = integer.toString();
  return { digits: text.replace(/0+$/, ''), point: text.length - places };
}

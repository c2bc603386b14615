/** Shares as people read them. */

/** More of it says nothing more. */
const MOST_PERCENT = 1e7;

/** In percent: `3.95 %`, `97.4 %`, `99.87 %`, `2,145 %`; without exponents, and never 0 or 100 for what is neither. */
export function formatShare(share: number): string {
  const value = share * 100;
  if (!(value <= MOST_PERCENT)) return `more than ${grouped(MOST_PERCENT)} %`;
  if (value >= 1000) return `${grouped(Math.round(value))} %`;
  if (value >= 99.995 && value < 100) return 'more than 99.99 %';
  if (value > 99 && value < 100) return `${value.toFixed(2)} %`;
  return value < 1e-4 && value > 0 ? 'less than 0.0001 %' : `${Number(value.toPrecision(3))} %`;
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

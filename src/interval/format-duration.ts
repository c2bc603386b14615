/** Seconds as people read them. */

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
] as const;

/** Such as `0.83 s`, `12 min 40 s`, `2 h 5 min`, `3 d 4 h`: the two largest units. */
export function formatDuration_s(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'forever';
  if (seconds < 1e-3) return seconds === 0 ? '0 s' : `${Number((seconds * 1e6).toPrecision(2))} µs`;
  if (seconds < 0.1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 59.5) return `${seconds < 10 ? Number(seconds.toPrecision(2)) : Math.round(seconds)} s`;
  // 59.7 s is a minute, and 59.9 minutes are an hour.
  const index = UNITS.findIndex(([, length]) => Math.round(seconds) >= length * (length > 60 ? 0.999 : 1));
  const [name, length] = UNITS[index] as (typeof UNITS)[number];
  const [smaller, smallerLength] = UNITS[index + 1] ?? (['s', 1] as const);
  const parts = Math.round(seconds / smallerLength);
  const perUnit = length / smallerLength;
  const [whole, rest] = [Math.floor(parts / perUnit), parts % perUnit];
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${smaller}`;
}

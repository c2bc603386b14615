/** Numbers and times as people read them. */

const BYTE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const RATE_UNITS = ['kB/s', 'MB/s', 'GB/s', 'TB/s'];
const COUNT_UNITS = ['', ' thousand', ' million', ' billion', ' trillion'];

/** `bytes` in three digits and binary units: `512 B`, `1.17 GiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return scaled(bytes / 1024, 1024, BYTE_UNITS);
}

/** Bytes per second in decimal units, as disks are sold: `3.60 GB/s`. */
export function formatRate(bytesPerSecond: number): string {
  if (bytesPerSecond < 1000) return `${Math.round(bytesPerSecond)} B/s`;
  return scaled(bytesPerSecond / 1000, 1000, RATE_UNITS);
}

/** A large number in words: `25.6 million`. */
export function formatCount(count: number): string {
  return count < 1_000_000 ? formatInteger(count) : scaled(count, 1000, COUNT_UNITS, '');
}

function scaled(first: number, base: number, units: readonly string[], gap = ' '): string {
  let value = first;
  let unit = 0;
  // 999.5 would be printed as 1000.
  for (; value >= Math.min(base, 999.5) && unit < units.length - 1; unit++) value /= base;
  return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)}${gap}${units[unit]}`;
}

/** A whole number with thousands set apart: `4,194,304`. */
export function formatInteger(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** `1 file`, `3 files`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatInteger(count)} ${count === 1 ? one : many}`;
}

/** A metric in four significant digits. */
export function formatMetric(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size < 1e-4 || size >= 1e6 ? value.toExponential(3) : value.toPrecision(Math.max(4, Math.ceil(Math.log10(size))));
}

/** `0.42 s`, `12.3 s`, `4 min 5 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long ago, up to two weeks; the day for anything older, or in the future (clocks differ). */
export function formatAge(iso: string, now: number): string {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return '?';
  const age = now - time;
  if (age < -MINUTE_MS || age >= 14 * DAY_MS) return new Date(time).toISOString().slice(0, 10);
  if (age < MINUTE_MS) return 'just now';
  if (age < HOUR_MS) return `${Math.floor(age / MINUTE_MS)} min ago`;
  if (age < 2 * DAY_MS) return `${Math.floor(age / HOUR_MS)} h ago`;
  return `${Math.floor(age / DAY_MS)} days ago`;
}

/** Lengths of time on the command line. */
import { UsageError } from './exit.js';

/** Seconds of a unit, by every way to write it. A year is 365.25 days. */
const SECONDS: ReadonlyMap<string, number> = new Map(
  (
    [
      [365.25 * 86_400, 'y year years'],
      [7 * 86_400, 'w week weeks'],
      [86_400, 'd day days'],
      [3600, 'h hour hours'],
      [60, 'm min minute minutes'],
      [1, 's sec second seconds'],
      [0.001, 'ms'],
    ] as const
  ).flatMap(([seconds, names]) => names.split(' ').map((name) => [name, seconds] as const)),
);

const PARTS = /^(?:\d{1,9}(?:\.\d{1,9})? ?[a-z]+ ?)+$/;
const PART = /(\d+(?:\.\d+)?) ?([a-z]+)/g;

/**
 * Seconds of a length of time such as `5s`, `90 s`, `500ms`, `5min`, `24h`, `30d`, `1y` or `1h30min`. Throws a {@link UsageError} of
 * `ERR_INVALID_ARGUMENT` that names `option`: without a unit, below zero, with an unknown unit, with units that do not get smaller, and for
 * zero unless `orZero` is set.
 */
export function parseDuration_s(option: string, text: string, { orZero = false }: { readonly orZero?: boolean } = {}): number {
  const refuse = (why: string) =>
    new UsageError(
      'ERR_INVALID_ARGUMENT',
      `${option} cannot be ${JSON.stringify(text)}: ${why}. Give a length of time such as 90s, 5min, 1h30min or 30d.`,
    );
  const given = text.trim();
  // The next option took its place.
  if (/^--?[a-z]/i.test(given)) throw refuse('that is an option');
  if (/^[+-]?\d+(?:\.\d+)?$/.test(given) && Number(given) !== 0) throw refuse('it has no unit');
  if (/^-/.test(given)) throw refuse('it is below zero');
  if (!PARTS.test(given)) throw refuse('that is no length of time');
  let seconds = 0;
  let before = Number.POSITIVE_INFINITY;
  for (const [, amount, name = ''] of given.matchAll(PART)) {
    const unit = SECONDS.get(name);
    if (unit === undefined) throw refuse(`there is no unit "${name}"`);
    if (unit >= before) throw refuse('its units must get smaller, each at most once');
    seconds += Number(amount) * unit;
    before = unit;
  }
  if (seconds === 0 && !orZero) throw refuse('it must be more than zero');
  return seconds;
}

export { formatDuration_s } from '../interval/format-duration.js';

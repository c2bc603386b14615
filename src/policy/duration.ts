/** Lengths of time that people write down. */
import { HoldfastError } from '../errors.js';

/** The sum of what is given. */
export interface Duration {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
}

const MILLISECONDS: Readonly<Record<keyof Duration, number>> = { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1000 };

/** Throws `ERR_INVALID_ARGUMENT` unless it is a length of time above 0. */
export function toMilliseconds(where: string, duration: Duration): number {
  if (duration !== undefined && (duration === null || typeof duration !== 'object')) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${where} takes a length of time such as { hours: 24 }, not ${typeof duration === 'string' ? JSON.stringify(duration) : String(duration)}.`,
    );
  }
  let sum = 0;
  for (const [unit, value] of Object.entries(duration ?? {})) {
    if (!Object.hasOwn(MILLISECONDS, unit) || !Number.isFinite(value) || value < 0) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `${where} takes numbers of days, hours, minutes and seconds, not ${unit}: ${String(value)}.`,
      );
    }
    sum += value * MILLISECONDS[unit as keyof Duration];
  }
  if (sum > 0 && Number.isFinite(sum)) return sum;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} needs a length of time, such as { hours: 24 }.`);
}

/** For messages, such as `1 days 12 hours`. */
export function formatDuration(duration: Duration): string {
  return Object.entries(duration)
    .map(([unit, value]) => `${value} ${unit}`)
    .join(' ');
}

/** What `holdfast prune` is told to keep, from the command line. */
import { InvalidArgumentError } from 'commander';
import type { keep, RetentionRule } from '../../index.js';
import { parseSize } from '../../terminal/sizes.js';

/** A rule, once the module that has the rules is loaded. */
export type Rule = (rules: typeof keep) => RetentionRule;

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440 };

/** For options that may be given several times. */
export function collect<T>(parse: (text: string) => T): (text: string, before: T[] | undefined) => T[] {
  return (text, before = []) => [...before, parse(text)];
}

export function parseCount(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number of at least 1.');
}

/** `METRIC:N`, `METRIC:N:min` or `METRIC:N:max`; the metric's name may have colons. */
export function parseBest(text: string): Rule {
  const [, monitor, count, mode] = /^(.+?):([1-9]\d{0,14})(?::(min|max))?$/.exec(text) ?? [];
  if (monitor === undefined) {
    throw new InvalidArgumentError('Give a metric and a number, such as val_loss:3, or with the way that is better, score:3:max.');
  }
  return (keep) => keep.best(Number(count), { monitor, mode: mode as 'min' | 'max' | undefined });
}

/** Steps, or with a unit a length of time. */
export function parseInterval(text: string): Rule {
  const [, amount, unit] = /^([1-9]\d{0,14})([mhd])?$/.exec(text) ?? [];
  if (amount === undefined)
    throw new InvalidArgumentError('Give a number of steps, such as 1000, or of minutes, hours or days: 30m, 2h, 1d.');
  const minutes = MINUTES[unit ?? ''];
  return (keep) => (minutes === undefined ? keep.everySteps(Number(amount)) : keep.everyMinutes(Number(amount) * minutes));
}

export function parseDuration(text: string): Rule {
  const [, amount, unit = ''] = /^(\d{1,9}(?:\.\d+)?)([mhd])$/.exec(text) ?? [];
  if (amount === undefined || Number(amount) === 0) throw new InvalidArgumentError('Give a length of time, such as 90m, 12h or 7d.');
  const name = { m: 'minutes', h: 'hours', d: 'days' }[unit] as 'minutes' | 'hours' | 'days';
  return (keep) => keep.youngerThan({ [name]: Number(amount) });
}

export function parseSteps(text: string): number[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.every((item) => /^\d{1,15}$/.test(item))) return items.map(Number);
  throw new InvalidArgumentError('Give steps with commas between them, such as 1000,5000.');
}

export function parseBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError('Give a size, such as 100GiB.');
  return bytes;
}

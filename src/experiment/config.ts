/** `config.json`: the configuration in force. Older ones are kept beside the log, whatever they are. */
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { TEMPORARY_PREFIX } from '../format/names.js';
import { assertJson, type Json, MAX_STATE_BYTES, memberPath } from '../format/state.js';
import { createFileDurably, readSmallFile, replaceFileDurably } from '../storage/local.js';
import { now } from '../system.js';
import type { ConfigRecord, Untimed } from './records.js';

/** Where the configuration is, and where older ones go. */
export interface ConfigPlaces {
  /** The file config.json. */
  readonly file: string;
  /** The directory of older ones. */
  readonly logs: string;
}

/** A configuration that a caller gave, checked and copied. */
export interface GivenConfig {
  readonly value: Json;
  readonly bytes: Uint8Array;
}

/** What is on disk. */
export type StoredConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'valid'; readonly value: Json; readonly bytes: Uint8Array }
  | { readonly kind: 'damaged'; readonly why: string; readonly bytes: Uint8Array };

/** Checks and copies what the caller gave. Throws `ERR_INVALID_STATE` with the path of what JSON would alter. */
export function checkConfig(given: unknown): GivenConfig {
  assertJson(given, 'config');
  const text = JSON.stringify(given, null, 2);
  const bytes = Buffer.from(`${text}\n`, 'utf8');
  if (bytes.length > MAX_STATE_BYTES) {
    throw new HoldfastError('ERR_INVALID_STATE', `The config is ${bytes.length} bytes of JSON; the limit is ${MAX_STATE_BYTES}.`, {
      actual: bytes.length,
      expected: MAX_STATE_BYTES,
    });
  }
  return { value: JSON.parse(text) as Json, bytes };
}

/** Reads config.json. Throws what the operating system says, as HoldfastError. */
export async function readConfig(file: string): Promise<StoredConfig> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readSmallFile(file, MAX_STATE_BYTES);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'none' };
    // ELOOP (EMLINK on some systems): a symbolic link stands in its place.
    if (code !== 'ELOOP' && code !== 'EMLINK') throw toHoldfastError(error, `read ${file}`, { path: file });
  }
  if (bytes === undefined) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${file} is not a regular file of at most ${MAX_STATE_BYTES} bytes. Move it away: the configuration stands there.`,
      { path: file },
    );
  }
  try {
    return { kind: 'valid', value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json, bytes };
  } catch (error) {
    // The message quotes what it met, which may be anything.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
    return { kind: 'damaged', why: (error as Error).message.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd'), bytes };
  }
}

/** Puts `given` in force, if it is given and differs from what is stored. Gives what the log has to say about it. */
export async function settleConfig(
  { file, logs }: ConfigPlaces,
  given: GivenConfig | undefined,
  stored: StoredConfig,
): Promise<Untimed<ConfigRecord> | undefined> {
  const damaged = stored.kind === 'damaged' ? { damaged: stored.why } : {};
  if (given === undefined) return stored.kind === 'damaged' ? { event: 'config', changed: [], kept: null, ...damaged } : undefined;
  const changed = stored.kind === 'valid' ? changedPaths(stored.value, given.value, 'config') : ['config'];
  if (changed.length === 0) return undefined;
  try {
    // The older one first: a crash in between leaves one copy too many, never one too few.
    const kept = stored.kind === 'none' ? null : await keepOlder(logs, stored.bytes);
    await replaceFileDurably(file, given.bytes, TEMPORARY_PREFIX);
    return stored.kind === 'none' ? undefined : { event: 'config', changed, kept, ...damaged };
  } catch (error) {
    throw toHoldfastError(error, `write ${file}`, { path: file });
  }
}

/** Keeps the bytes as they are, under the time of now. Gives the file's name. */
async function keepOlder(logs: string, bytes: Uint8Array): Promise<string> {
  const name = `config-${new Date(now()).toISOString().replaceAll(':', '-')}`;
  for (let i = 1; ; i++) {
    const file = `${name}${i === 1 ? '' : `.${i}`}.json`;
    if (await createFileDurably(path.join(logs, file), bytes, TEMPORARY_PREFIX)) return file;
  }
}

/** The paths at which two JSON values differ: added, removed or changed. The order of members is no difference. */
export function changedPaths(before: Json, after: Json, at: string): string[] {
  if (isList(before) && isList(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, i) => i).flatMap((i) =>
      i < before.length && i < after.length ? changedPaths(before[i] as Json, after[i] as Json, `${at}[${i}]`) : [`${at}[${i}]`],
    );
  }
  if (isObject(before) && isObject(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
      Object.hasOwn(before, key) && Object.hasOwn(after, key)
        ? changedPaths(before[key] as Json, after[key] as Json, memberPath(at, key))
        : [memberPath(at, key)],
    );
  }
  return Object.is(before, after) ? [] : [at];
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

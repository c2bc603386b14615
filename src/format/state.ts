/** `state.json`: the user's own JSON and what integrations such as TensorFlow.js keep beside it. */
import { HoldfastError } from '../errors.js';
import { STATE_NAME } from './names.js';

/** JSON that comes back exactly as it was given. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What a run goes on from beside tensors, each as its owner encodes it; undefined where there is none. */
export interface RunState {
  /** Of the learning-rate scheduler. */
  readonly scheduler?: Json | undefined;
  /** Of the generators of random numbers. */
  readonly rng?: Json | undefined;
  /** Where in the data training is: epoch, batch, order. */
  readonly dataPosition?: Json | undefined;
  /** What the run was started with. */
  readonly config?: Json | undefined;
}

export const RUN_STATE_KEYS = ['scheduler', 'rng', 'dataPosition', 'config'] as const satisfies readonly (keyof RunState)[];

/** The document of state.json. */
export interface StateDocument {
  /** What the caller gave as `state`; undefined where he gave none. */
  readonly user?: Json | undefined;
  /** What the caller gave of the run itself. */
  readonly run?: RunState | undefined;
  /** Kept by integrations, by their name. */
  readonly extensions: Readonly<Record<string, Json>>;
}

export const STATE_VERSION = 1;
/** Limit on the encoded document, in bytes. Large data belongs into tensors. */
export const MAX_STATE_BYTES = 64 * 1024 * 1024;
const MAX_DEPTH = 500;

/** Encodes state.json. Throws `ERR_INVALID_STATE` with the path of what JSON would alter. */
export function encodeState({ user, run = {}, extensions }: StateDocument): Uint8Array {
  if (user !== undefined) assertJson(user, 'state');
  const given = Object.fromEntries(RUN_STATE_KEYS.flatMap((key) => (run[key] === undefined ? [] : [[key, run[key]]])));
  for (const [key, value] of Object.entries(given)) assertJson(value, key);
  for (const [name, value] of Object.entries(extensions)) assertJson(value, `extensions.${name}`);
  const document = {
    ...{ format: 'holdfast-state', version: STATE_VERSION },
    ...(user === undefined ? {} : { user }),
    ...(Object.keys(given).length === 0 ? {} : { run: given }),
    extensions,
  };
  const bytes = Buffer.from(`${JSON.stringify(document)}\n`, 'utf8');
  if (bytes.length > MAX_STATE_BYTES) {
    throw new HoldfastError(
      'ERR_INVALID_STATE',
      `The state is ${bytes.length} bytes of JSON; the limit is ${MAX_STATE_BYTES}. Save large data as tensors.`,
      { actual: bytes.length, expected: MAX_STATE_BYTES },
    );
  }
  return bytes;
}

/** Decodes state.json, whose checksum was checked before. Throws `ERR_STATE`. */
export function decodeState(bytes: Uint8Array, checkpoint: string): StateDocument {
  const fail = (why: string) => new HoldfastError('ERR_STATE', `state.json of ${checkpoint} ${why}.`, { checkpoint, file: STATE_NAME });
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw fail(`is not JSON: ${(error as Error).message}`);
  }
  if (document === null || typeof document !== 'object') throw fail('is not an object');
  const { format, version, user, run, extensions } = document as Record<string, unknown>;
  if (format !== 'holdfast-state') throw fail('is not a holdfast state document');
  if (version !== STATE_VERSION) throw fail(`has version ${String(version)}; this holdfast reads version ${STATE_VERSION}`);
  if (extensions === null || typeof extensions !== 'object' || Array.isArray(extensions)) throw fail('has no extensions object');
  if (run !== undefined && (run === null || typeof run !== 'object' || Array.isArray(run))) throw fail('has a run that is no object');
  return { user: user as Json | undefined, run: run as RunState | undefined, extensions: extensions as Record<string, Json> };
}

/** Throws `ERR_INVALID_STATE` unless `JSON.parse(JSON.stringify(value))` gives back exactly `value`. */
export function assertJson(value: unknown, path: string): asserts value is Json {
  walk(value, path, []);
}

function refuse(path: string, what: string): never {
  throw new HoldfastError(
    'ERR_INVALID_STATE',
    `${path} is ${what}, which JSON would alter or drop. Leave it out, or turn it into plain numbers, strings, arrays and objects.`,
    { path },
  );
}

function walk(value: unknown, path: string, parents: object[]): void {
  switch (typeof value) {
    case 'boolean':
    case 'string':
      return;
    case 'number':
      if (!Number.isFinite(value) || Object.is(value, -0)) refuse(path, Object.is(value, -0) ? '-0' : String(value));
      return;
    case 'object':
      break;
    default:
      refuse(path, value === undefined ? 'undefined' : `a ${typeof value}`);
  }
  if (value === null) return;
  if (parents.includes(value)) refuse(path, 'a circular reference');
  if (parents.length >= MAX_DEPTH) refuse(path, `nested deeper than ${MAX_DEPTH} levels`);
  parents.push(value);
  if (Array.isArray(value)) walkArray(value, path, parents);
  else walkObject(value, path, parents);
  parents.pop();
}

function walkArray(array: readonly unknown[], path: string, parents: object[]): void {
  for (let i = 0; i < array.length; i++) {
    if (!(i in array)) refuse(`${path}[${i}]`, 'a hole in an array');
    walk(array[i], `${path}[${i}]`, parents);
  }
  if (Object.keys(array).length !== array.length) refuse(path, 'an array with named properties');
}

function walkObject(object: object, path: string, parents: object[]): void {
  const prototype = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    refuse(path, `a ${(object as { constructor?: { name?: string } }).constructor?.name ?? 'class instance'}`);
  }
  if (Object.getOwnPropertySymbols(object).length > 0) refuse(path, 'an object with symbol keys');
  if (typeof (object as { toJSON?: unknown }).toJSON === 'function') refuse(path, 'an object with toJSON');
  for (const [key, child] of Object.entries(object)) {
    walk(child, memberPath(path, key), parents);
  }
}

/** The path of an object's member, as JavaScript would write it. */
export function memberPath(path: string, key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

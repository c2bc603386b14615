/** Where two JSON values differ. */
import type { Json } from './state.js';

/** A place where two values differ, as JSON text, shortened where it is long; `null` where there is nothing. */
export interface JsonDifference {
  /** Such as `state.schedule[0]["a key"]`. */
  readonly path: string;
  readonly a: string | null;
  readonly b: string | null;
}

/** Two values to be compared; `undefined`: there is none. */
export interface JsonPair {
  /** What the paths of their members begin with. */
  readonly path: string;
  readonly a: Json | undefined;
  readonly b: Json | undefined;
}

/** Longest text of a value, and of a path, in characters. */
const MAX_TEXT = 60;
const MAX_PATH = 500;

/** The first `most` differences in the order of the documents, and how many more there are. The order of an object's members is none. */
export function compareJson(pairs: readonly JsonPair[], most: number): { differences: JsonDifference[]; more: number } {
  const differences: JsonDifference[] = [];
  let more = 0;
  for (const { path, a, b } of pairs) {
    walk(a, b, (keys, x, y) => {
      if (differences.length < most) differences.push({ path: shortPath(path + keys().join('')), a: textOf(x), b: textOf(y) });
      else more++;
    });
  }
  return { differences, more };
}

/** Two arrays or two objects, whose members are being compared. */
interface Frame {
  readonly a: JsonArray | JsonObject;
  readonly b: JsonArray | JsonObject;
  /** Of objects: all names of both. */
  readonly keys: readonly string[] | undefined;
  readonly length: number;
  /** How many of them were looked at. */
  done: number;
}

/** Calls `report` for every difference, with what gives the way to it. */
function walk(
  a: Json | undefined,
  b: Json | undefined,
  report: (keys: () => string[], a: Json | undefined, b: Json | undefined) => void,
): void {
  // Not by recursion: a document from elsewhere may be nested deeper than any stack.
  const frames: Frame[] = [];
  const visit = (x: Json | undefined, y: Json | undefined) => {
    if (Object.is(x, y)) return;
    const frame = frameOf(x, y);
    if (frame === undefined) report(() => frames.map(currentKey), x, y);
    else frames.push(frame);
  };
  visit(a, b);
  for (let top = frames.at(-1); top !== undefined; top = frames.at(-1)) {
    if (top.done === top.length) {
      frames.pop();
      continue;
    }
    const key = top.keys === undefined ? String(top.done) : (top.keys[top.done] as string);
    top.done++;
    visit(memberOf(top.a, key), memberOf(top.b, key));
  }
}

function frameOf(a: Json | undefined, b: Json | undefined): Frame | undefined {
  if (Array.isArray(a) && Array.isArray(b)) return { a, b, keys: undefined, length: Math.max(a.length, b.length), done: 0 };
  if (!isObject(a) || !isObject(b)) return undefined;
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return { a, b, keys, length: keys.length, done: 0 };
}

function currentKey({ keys, done }: Frame): string {
  if (keys === undefined) return `[${done - 1}]`;
  const key = keys[done - 1] as string;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function shortPath(path: string): string {
  return path.length <= MAX_PATH ? path : `${path.slice(0, MAX_PATH / 2)}…${path.slice(1 - MAX_PATH / 2)}`;
}

type JsonArray = readonly Json[];
type JsonObject = Readonly<Record<string, Json>>;

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function memberOf(container: JsonArray | JsonObject, key: string): Json | undefined {
  return Object.hasOwn(container, key) ? (container as JsonObject)[key] : undefined;
}

function textOf(value: Json | undefined): string | null {
  if (value === undefined) return null;
  const text = beginningOf(value, MAX_TEXT + 1);
  if (text.length <= MAX_TEXT) return text;
  // Not through the middle of a surrogate pair.
  return `${text.slice(0, MAX_TEXT - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** The JSON text of `value`, complete if it is shorter than `enough`: of the rest no more is looked at than needed. */
function beginningOf(value: Json, enough: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, enough));
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  let text = open as string;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    if (text.length >= enough) return text;
    if (text.length > 1) text += ',';
    if (typeof key === 'string') text += `${JSON.stringify(key.slice(0, enough))}:`;
    if (text.length < enough) text += beginningOf((value as JsonObject)[key] as Json, enough - text.length);
  }
  return text + close;
}

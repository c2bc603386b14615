/** `holdfast://DIR?step=1000`: which directory, and which checkpoint of it. */
import path from 'node:path';
import { HoldfastError } from '../../errors.js';
import type { RestoreTarget } from '../../manager/target.js';

const SCHEME = 'holdfast://';

/** What a URL says. */
export interface HoldfastUrl {
  /** Of checkpoints, or of one; or a directory or model.json of stock tfjs. */
  readonly directory: string;
  /** Undefined where it names none. */
  readonly target: RestoreTarget | undefined;
  /** For a save: its step. */
  readonly step: number | undefined;
  /** For a save: the name that it gets. */
  readonly tag: string | undefined;
  readonly includeOptimizer: boolean | undefined;
}

const PARAMETERS = ['step', 'checkpoint', 'tag', 'optimizer'] as const;
type Parameter = (typeof PARAMETERS)[number];

/** Whether a model is to be saved to, or loaded from, such a URL. */
export function isHoldfastUrl(url: unknown): url is string {
  return typeof url === 'string' && url.startsWith(SCHEME);
}

/** Reads a URL. Throws `ERR_INVALID_ARGUMENT`, and `ERR_UNKNOWN_OPTION` for a parameter that does not exist. */
export function parseUrl(url: string): HoldfastUrl {
  const [beforeHash = '', ...hashes] = url.slice(SCHEME.length).split('#');
  const [place = '', ...queries] = beforeHash.split('?');
  const directory = decoded(url, place);
  if (directory === '' || directory.includes('\0')) throw wrong(url, 'it names no directory');
  const parameters = readParameters(url, queries.join('?'));
  const fragment = decoded(url, hashes.join('#'));
  if (fragment !== '' && fragment !== 'best' && fragment !== 'latest')
    throw wrong(url, `#${fragment} is unknown; there are #best and #latest`);
  const named = [
    ...(['step', 'checkpoint', 'tag'] as const).filter((name) => parameters.has(name)),
    ...(fragment === '' ? [] : [`#${fragment}`]),
  ];
  if (named.length > 1) throw wrong(url, `${named.join(' and ')} each name a checkpoint; give one of them`);
  const step = readStep(url, parameters.get('step'));
  const tag = parameters.get('tag');
  const name = parameters.get('checkpoint') ?? tag;
  if (name !== undefined && (name === '' || name.includes('/') || name.includes('\\') || name.startsWith('.'))) {
    throw wrong(url, `${JSON.stringify(name)} is not the name of something in a directory`);
  }
  const chosen = step !== undefined ? { step } : name === undefined ? undefined : path.resolve(directory, name);
  return {
    directory,
    target: chosen ?? (fragment === '' ? undefined : fragment),
    step,
    tag,
    includeOptimizer: readFlag(url, parameters.get('optimizer')),
  };
}

/** As {@link parseUrl}, for a save: it cannot name a checkpoint that is there already. */
export function parseSaveUrl(url: string): HoldfastUrl {
  const parsed = parseUrl(url);
  if (parsed.target === undefined || parsed.step !== undefined || parsed.tag !== undefined) return parsed;
  throw wrong(url, 'a model cannot be saved to a checkpoint that is there already; give the directory, with ?step= or ?tag= if you like');
}

function readParameters(url: string, query: string): Map<Parameter, string> {
  const found = new Map<Parameter, string>();
  for (const part of query === '' ? [] : query.split('&')) {
    const cut = part.indexOf('=');
    const name = decoded(url, cut === -1 ? part : part.slice(0, cut)) as Parameter;
    if (!PARAMETERS.includes(name)) {
      throw new HoldfastError(
        'ERR_UNKNOWN_OPTION',
        `${url}: the parameter ${JSON.stringify(name)} is unknown. There are ${PARAMETERS.join(', ')}. A question mark in a path is written %3F.`,
      );
    }
    if (found.has(name)) throw wrong(url, `${name} is given twice`);
    found.set(name, cut === -1 ? '' : decoded(url, part.slice(cut + 1)));
  }
  return found;
}

function readStep(url: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const step = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(step)) return step;
  throw wrong(url, `step must be a whole number, not ${JSON.stringify(text)}`);
}

function readFlag(url: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw wrong(url, `optimizer must be true or false, not ${JSON.stringify(text)}`);
}

function decoded(url: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(url, 'its percent-encoding is broken; a percent sign is written %25');
  }
}

function wrong(url: string, what: string): HoldfastError {
  return new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `${url}: ${what}. Write holdfast://DIR, or holdfast:///absolute/dir, such as holdfast://checkpoints?step=1000.`,
  );
}

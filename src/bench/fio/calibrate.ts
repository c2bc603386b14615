/** Finds out how fio is fastest on this disk: the limit must be a hard one. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { isHoldfastError } from '../../errors.js';
import type { LeftOut } from '../report.js';
import { type FioWay, fioArguments, startFio } from './command.js';

/** What is tried. */
export const CANDIDATES: readonly FioWay[] = [
  { engine: 'io_uring', blockBytes: 4 << 20, depth: 8 },
  { engine: 'io_uring', blockBytes: 4 << 20, depth: 8, fixedBuffers: true },
  { engine: 'io_uring', blockBytes: 1 << 20, depth: 16 },
  { engine: 'threads', blockBytes: 4 << 20, depth: 4 },
  { engine: 'threads', blockBytes: 4 << 20, depth: 2 },
  { engine: 'threads', blockBytes: 1 << 20, depth: 8 },
];

/** Enough to tell them apart, little enough to be done soon. */
const MOST_BYTES = 256 * 2 ** 20;
const TRIES = 2;

/** A candidate and the seconds of its tries; none if it failed. */
export interface Tried {
  readonly way: FioWay;
  readonly seconds: readonly number[];
  /** What the last failure said. */
  readonly failure?: string;
}

/** The best way of every engine that works, the fastest first, by the shortest time of each. */
export function bestWays(tried: readonly Tried[]): FioWay[] {
  const best = new Map<FioWay['engine'], { way: FioWay; seconds: number }>();
  for (const { way, seconds } of tried) {
    const shortest = Math.min(...seconds);
    const known = best.get(way.engine);
    if (seconds.length > 0 && (known === undefined || shortest < known.seconds)) best.set(way.engine, { way, seconds: shortest });
  }
  return [...best.values()].sort((a, b) => a.seconds - b.seconds).map(({ way }) => way);
}

/** Why there is no way of an engine, for the result; a missing fio is one reason for all. */
export function reasons(tried: readonly Tried[], installed: boolean): LeftOut[] {
  if (!installed) {
    return [{ name: 'fio', why: 'it is not installed, so there is no limit to compare with (Debian, Ubuntu: apt-get install fio)' }];
  }
  const engines = [...new Set(tried.map(({ way }) => way.engine))];
  return engines
    .filter((engine) => tried.every(({ way, seconds }) => way.engine !== engine || seconds.length === 0))
    .map((engine) => ({
      name: `fio-${engine}`,
      why: `it does not work here: ${tried.find(({ way, failure }) => way.engine === engine && failure !== undefined)?.failure ?? 'no reason given'}`,
    }));
}

export interface Calibration {
  /** The fastest way of each engine that works, the fastest first. */
  readonly ways: readonly FioWay[];
  readonly leftOut: readonly LeftOut[];
}

/** Tries every candidate in `directory`, in turns, with no more than 256 MiB. Leaves nothing. */
export async function calibrate(directory: string, bytes: number, direction: 'write' | 'read', signal?: AbortSignal): Promise<Calibration> {
  const size = Math.min(bytes, MOST_BYTES);
  const results = CANDIDATES.map((way) => ({ way, seconds: [] as number[], failure: undefined as string | undefined }));
  let installed = true;
  for (let i = 0; i < TRIES && installed; i++) {
    for (const result of results) {
      if (signal?.aborted || !installed) break;
      // What failed once fails again.
      if (result.failure !== undefined) continue;
      try {
        result.seconds.push(await tryOnce(directory, size, result.way, direction, signal));
      } catch (error) {
        installed = !isHoldfastError(error, 'ERR_NOT_FOUND');
        result.failure = (error as Error).message.replace(/\.$/, '');
        result.seconds.length = 0;
      }
    }
  }
  const tried = results.map(({ way, seconds, failure }) => ({ way, seconds, ...(failure === undefined ? {} : { failure }) }));
  return { ways: bestWays(tried), leftOut: signal?.aborted ? [] : reasons(tried, installed) };
}

async function tryOnce(directory: string, bytes: number, way: FioWay, direction: 'write' | 'read', signal?: AbortSignal): Promise<number> {
  const file = path.join(directory, 'calibration.bin');
  const run = async (rw: 'write' | 'read') => {
    const running = startFio(fioArguments(file, bytes, way, rw));
    signal?.addEventListener('abort', running.stop, { once: true });
    try {
      return (await running.result).seconds;
    } finally {
      signal?.removeEventListener('abort', running.stop);
    }
  };
  try {
    const written = await run('write');
    return direction === 'write' ? written : await run('read');
  } finally {
    await rm(file, { force: true });
  }
}

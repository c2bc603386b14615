/** What a run goes on from beside the model: where in the data it is, the history so far and the state of callbacks, as a checkpoint keeps it. */
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import type { FitFacts } from './facts.js';

const VERSION = 1;

/** Where a run is; `dataPosition` of its checkpoints. */
export interface RunPosition {
  /** Which `fit` or `fitDataset` of the run it is in, from 1. */
  readonly fit: number;
  /** The epoch that is being trained or comes next. */
  readonly epoch: number;
  /** Batches of it that are done. */
  readonly batch: number;
  /** Whether a callback has stopped training here. */
  readonly stopped: boolean;
  /** Whether the fit is over. */
  readonly done: boolean;
  /** To which epoch it was to go. */
  readonly epochs: number;
  /** What it was given. */
  readonly facts: FitFacts;
  /** Of each epoch that was begun, the state from which its order was drawn, packed; empty unless arrays are shuffled. */
  readonly begins: readonly (readonly number[])[];
  /** Loss and metrics of the batches of this epoch that are done, float32 in base64: the epoch's averages go on from them. */
  readonly outputs: string;
  /** CRC32C of the first batch of an epoch, by which other data is recognized. */
  readonly fingerprint: Fingerprint | null;
}

export interface Fingerprint {
  readonly epoch: number;
  readonly crc: string;
}

/** What `fit` returns, as JSON. */
export interface SavedHistory {
  readonly epoch: readonly number[];
  readonly history: Readonly<Record<string, readonly Json[]>>;
}

/** `state` of a run's checkpoints. */
export interface SavedRun {
  /** Of each callback with state, by its name. */
  readonly callbacks: Readonly<Record<string, Json>>;
  /** Of each fit, the one in progress included. */
  readonly histories: readonly SavedHistory[];
}

/** All that is read of a checkpoint. */
export interface RunRecord {
  readonly position: RunPosition;
  readonly run: SavedRun;
  readonly rng: Json;
  /** What the random numbers of the run follow from. */
  readonly seed: string;
}

export function encodePosition(position: RunPosition): Json {
  return { version: VERSION, ...position } as unknown as Json;
}

export function encodeRun(run: SavedRun): Json {
  return { version: VERSION, ...run } as unknown as Json;
}

export function encodeRandom(seed: string, state: Json): Json {
  return { seed, state };
}

/**
 * Reads a checkpoint's part of the run. Throws `ERR_RUN_MISMATCH` for one that something else than a resumable run has made,
 * `ERR_UNSUPPORTED_VERSION`, and `ERR_STATE` for what is malformed.
 */
export function decodeRecord(
  { dataPosition, state, rng }: { dataPosition?: Json | undefined; state?: Json | undefined; rng?: Json | undefined },
  checkpoint: string,
): RunRecord {
  const parts = [dataPosition, state, rng].map((part) => (isObject(part) ? part : undefined));
  const [position, run, random] = parts;
  if (position?.['version'] === undefined || run?.['version'] === undefined || random === undefined) {
    throw new HoldfastError(
      'ERR_RUN_MISMATCH',
      `${checkpoint} was not saved by resumable or BackupAndRestore, so it does not say where in the data training was. Give the run a directory of its own.`,
      { checkpoint },
    );
  }
  const versions = [position['version'], run['version']];
  if (versions.some((version) => version !== VERSION)) {
    throw new HoldfastError(
      'ERR_UNSUPPORTED_VERSION',
      `The run in ${checkpoint} is of version ${JSON.stringify(versions)}; this holdfast reads version ${VERSION}.`,
      { checkpoint },
    );
  }
  const { seed, state: numbers } = random;
  if (!isPosition(position) || !isRun(run) || typeof seed !== 'string' || numbers === undefined) {
    throw new HoldfastError('ERR_STATE', `dataPosition, state or rng in state.json of ${checkpoint} is malformed.`, { checkpoint });
  }
  return { position, run, rng: numbers, seed } as unknown as RunRecord;
}

type JsonObject = { readonly [key: string]: Json };

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: Json | undefined): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPosition({ fit, epoch, batch, stopped, done, epochs, facts, begins, outputs, fingerprint }: JsonObject): boolean {
  const counts = [fit, epoch, batch, epochs].every(isCount) && (fit as number) > 0;
  const lists = Array.isArray(begins) && begins.every((state) => Array.isArray(state) && state.length === 4 && state.every(isCount));
  const flags = typeof stopped === 'boolean' && typeof done === 'boolean' && typeof outputs === 'string';
  const print = fingerprint === null || (isObject(fingerprint) && isCount(fingerprint['epoch']) && typeof fingerprint['crc'] === 'string');
  return counts && lists && flags && print && isObject(facts);
}

function isRun({ callbacks, histories }: JsonObject): boolean {
  return isObject(callbacks) && Array.isArray(histories) && histories.every(isHistory);
}

function isHistory(value: Json): boolean {
  return (
    isObject(value) && Array.isArray(value['epoch']) && isObject(value['history']) && Object.values(value['history']).every(Array.isArray)
  );
}

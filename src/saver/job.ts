/** What the thread that saves and the worker that writes say to each other. Everything here can be structured-cloned. */
import type { MessagePort } from 'node:worker_threads';
import type { HeadFacts } from '../catalog/file-head.js';
import type { LockClaim } from '../catalog/lock.js';
import type { Persist, PersistFigures, PersistFile, PersistOptions } from '../catalog/persist.js';
import type { EngineName, SharedMemory } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { type ErrorCode, type ErrorDetails, HoldfastError } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import type { Monitor } from '../policy/best.js';
import type { PolicyEntry } from '../policy/entry.js';
import { textOf } from './harmlessly.js';

/** Where the bytes of consecutive tensors come from. */
export type JobSegment =
  | { readonly kind: 'memory'; readonly shared: SharedMemory; readonly copies?: UnfinishedCopies | undefined }
  /** One tensor, by its number in the file, asked for by the number of its stream. */
  | { readonly kind: 'stream'; readonly tensor: number; readonly stream: number };

/** Pieces of memory that are being filled while the job is given. */
export interface UnfinishedCopies {
  /** Of the {@link Filling}. */
  readonly counter: SharedArrayBuffer;
  /** Per piece, how many runs must be there before it is. */
  readonly after: Uint32Array;
}

/** A tensor file; the worker reads its tensors from the head, and so checks the head as a reader would. */
export interface JobFile extends Omit<PersistFile, 'segments' | keyof HeadFacts> {
  /** Which head it is: what is known of it need not be found out again. */
  readonly headId: string;
  readonly segments: readonly JobSegment[];
}

/** One save to be written. */
export interface SaveJob extends Omit<Persist, 'files' | 'record'>, Pick<PersistOptions, 'direct' | 'chunkBytes' | 'verifyWrites'> {
  readonly engine: EngineName;
  /** How far the writing threads stand back behind others, 0 to 19. */
  readonly nice: number;
  readonly files: readonly JobFile[];
  /** Wanted name of the checkpoint. */
  readonly name: string;
  /** Whether the name is that of a link: the checkpoint itself is then `NAME.<sequence>`. */
  readonly numbered: boolean;
  /** Links that the checkpoint gets, beside `latest` and `best`. */
  readonly tags: readonly string[];
  /** Whether retention may run first where there is no room. */
  readonly makeRoom: boolean;
  readonly record: Omit<Manifest, 'files' | 'createdAt' | 'sequence' | 'monitor'>;
  /** The highest sequence that was ever committed here, as far as the saving thread knows. */
  readonly highestSequence: number;
  readonly lock: LockClaim;
  /** Whether `ready` must be answered before the checkpoint gets its name: the snapshot has memory that only its own thread can check. */
  readonly ask: boolean;
  readonly monitor: Monitor | undefined;
  readonly port: MessagePort;
}

/** A directory as retention sees it. */
export interface Outlook {
  /** The good checkpoints, oldest first. */
  readonly entries: readonly PolicyEntry[];
  /** Name of the best. */
  readonly best: string | undefined;
  readonly monitor: Monitor;
}

export type ToWorker =
  | { readonly type: 'abort' }
  | { readonly type: 'piece'; readonly stream: number; readonly piece: number; readonly shared: SharedMemory }
  | { readonly type: 'end'; readonly stream: number }
  /** The answer to `ready`: there is no way back; and which checkpoints may go when this one is there. */
  | { readonly type: 'publish'; readonly names: readonly string[]; readonly warnings: readonly string[] }
  /** The answer to `full`: which checkpoints may go before this one is written. */
  | { readonly type: 'room'; readonly names: readonly string[] };

export type FromWorker =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'want'; readonly stream: number }
  /** There is no room, and there might be: the directory as it is, and as it will be with this checkpoint. */
  | { readonly type: 'full'; readonly now: Outlook; readonly later: Outlook }
  /** The bytes of the piece are staged: its memory may be let go. */
  | { readonly type: 'taken'; readonly stream: number; readonly piece: number }
  /**
   * Everything is durable under its temporary name; it gets its own, with `ask` if the answer is `publish`. The good checkpoints, oldest first, and
   * the best, as they will be then: retention is asked for. Rules are functions, which stay with their thread.
   */
  | { readonly type: 'ready'; readonly sequence: number; readonly outlook: Outlook }
  /** The checkpoint is durable. */
  | { readonly type: 'committed'; readonly name: string }
  /** Links, registry and retention are done as well; what was renamed away is being removed. */
  | { readonly type: 'settled'; readonly written: Written }
  /** It was not. */
  | { readonly type: 'unremoved'; readonly reason: string };

/** What became of a save. Seconds. */
export interface Written {
  readonly name: string;
  readonly sequence: number;
  readonly persisted: PersistFigures;
  readonly seconds: { readonly persist: number; readonly commit: number };
  readonly removed: readonly string[];
  readonly warnings: readonly string[];
}

/** Without an error the save was `settled`. */
export type SaveReply = { readonly error?: PostedError };

/** An error on its way between threads, where classes get lost. */
export interface PostedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

export function postError(error: HoldfastError): PostedError {
  const { name: _, code, message, stack: __, cause, ...fields } = error as HoldfastError & Record<string, unknown>;
  // A cause is there to be read by people: as text it survives whatever it holds.
  const details = cause === undefined ? fields : { ...fields, cause: new Error(textOf(cause)) };
  return { code, message, details };
}

export function receiveError({ code, message, details }: PostedError): HoldfastError {
  return new HoldfastError(code, message, details);
}

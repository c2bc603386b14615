/** What the thread that saves and the worker that writes say to each other. Everything here can be structured-cloned. */
import type { MessagePort } from 'node:worker_threads';
import type { Persist, Persisted, PersistFile, PersistOptions } from '../catalog/persist.js';
import type { EngineName, SharedMemory } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { type ErrorCode, type ErrorDetails, HoldfastError } from '../errors.js';

/** Where the bytes of consecutive tensors come from. */
export type JobSegment =
  | { readonly kind: 'memory'; readonly shared: SharedMemory }
  /** One tensor, asked for by the number of its stream. */
  | { readonly kind: 'stream'; readonly stream: number };

/** A tensor file; the worker reads its tensors from the head, and so checks the head as a reader would. */
export interface JobFile extends Omit<PersistFile, 'segments' | 'tensors'> {
  readonly segments: readonly JobSegment[];
}

/** One save to be written. */
export interface PersistJob extends Omit<Persist, 'files'>, Pick<PersistOptions, 'direct' | 'chunkBytes' | 'verifyWrites'> {
  readonly engine: EngineName;
  /** How far the writing threads stand back behind others, 0 to 19. */
  readonly nice: number;
  readonly files: readonly JobFile[];
  readonly port: MessagePort;
}

export type ToWorker =
  | { readonly type: 'abort' }
  | { readonly type: 'piece'; readonly stream: number; readonly piece: number; readonly shared: SharedMemory }
  | { readonly type: 'end'; readonly stream: number };

export type FromWorker =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'want'; readonly stream: number }
  /** The bytes of the piece are staged: its memory may be let go. */
  | { readonly type: 'taken'; readonly stream: number; readonly piece: number };

export type PersistReply = { readonly persisted: Persisted } | { readonly error: PostedError };

/** An error on its way between threads, where classes get lost. */
export interface PostedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

export function postError(error: HoldfastError): PostedError {
  const { name: _, code, message, stack: __, cause, ...fields } = error as HoldfastError & Record<string, unknown>;
  // A cause is there to be read by people: as text it survives whatever it holds.
  const details = cause === undefined ? fields : { ...fields, cause: new Error(String((cause as Error)?.message ?? cause)) };
  return { code, message, details };
}

export function receiveError({ code, message, details }: PostedError): HoldfastError {
  return new HoldfastError(code, message, details);
}

/** What the process of a trial and the one that started it say to each other. */
import { type ErrorCode, type ErrorDetails, HoldfastError, isHoldfastError } from '../errors.js';
import type { StallRow, StallTrial } from './stall-trial.js';

export type ToTrial = { readonly type: 'run'; readonly trial: StallTrial } | { readonly type: 'stop' };

export type FromTrial =
  | { readonly type: 'progress'; readonly bytes: number; readonly what: string }
  | { readonly type: 'row'; readonly row: StallRow }
  | { readonly type: 'failure'; readonly failure: PostedFailure };

/** An error in words: classes do not survive the way between processes. */
export interface PostedFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

export function postFailure(error: unknown): PostedFailure {
  if (!isHoldfastError(error)) return { code: 'ERR_INTERNAL', message: String((error as Error)?.stack ?? error), details: {} };
  const { name: _, code, message, stack: __, cause: ___, ...details } = error as HoldfastError & Record<string, unknown>;
  return { code, message, details };
}

export function receiveFailure({ code, message, details }: PostedFailure): HoldfastError {
  return new HoldfastError(code, message, details);
}

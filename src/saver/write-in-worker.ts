/** One save in a worker, seen from the thread that saves. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { LockClaim } from '../catalog/lock.js';
import { discardTemporary } from '../catalog/remove.js';
import { sweepLeftovers } from '../catalog/sweep.js';
import type { SmallFile } from '../catalog/write-files.js';
import type { DirectIo, Engine } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { abortError, throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { LaidOutFile } from '../format/layout.js';
import type { TensorEntry } from '../format/safetensors.js';
import type { Monitor } from '../policy/best.js';
import type { MemorySegment } from '../snapshot/captured-file.js';
import type { CapturedFile, Snapshot } from '../snapshot/snapshot.js';
import { harmlessly, textOf } from './harmlessly.js';
import {
  type FromWorker,
  type JobFile,
  type JobSegment,
  type Outlook,
  receiveError,
  type SaveJob,
  type SaveReply,
  type ToWorker,
  type UnfinishedCopies,
  type Written,
} from './job.js';
import { type OutgoingStream, OutgoingStreams } from './outgoing.js';
import { runInWorker } from './pool.js';
import { takeBack } from './take-back.js';

/** Which checkpoints may go, and what kept somebody from saying so. */
export interface RetentionAnswer {
  readonly names: readonly string[];
  readonly warnings: readonly string[];
}

/** What is to be saved, and how. */
export interface WriteRequest {
  readonly directory: string;
  /** Basename of the temporary directory to be made. */
  readonly temporary: string;
  /** Wanted name of the checkpoint, or with `numbered` of a link to it. */
  readonly name: string;
  readonly numbered: boolean;
  readonly tags: readonly string[];
  readonly makeRoom: boolean;
  readonly files: readonly LaidOutFile[];
  readonly smallFiles: readonly SmallFile[];
  /** Of the files. */
  readonly snapshot: Snapshot;
  readonly record: SaveJob['record'];
  readonly highestSequence: number;
  readonly lock: LockClaim;
  readonly monitor: Monitor | undefined;
  readonly engine: Engine;
  readonly direct: DirectIo;
  readonly chunkBytes: number;
  readonly verifyWrites: boolean;
  readonly nice: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /** Decides over the good checkpoints, oldest first. */
  readonly retain: (outlook: Outlook) => RetentionAnswer;
  /** Names of those that may go before the checkpoint is written. */
  readonly findRoom: (now: Outlook, later: Outlook) => readonly string[];
  /** Called when the checkpoint is durable, before links and retention. */
  readonly onCommitted: () => void;
}

/** A checkpoint, and what is still being done for it. */
export interface WrittenCheckpoint {
  readonly written: Written;
  /** Resolves when what retention removed is gone from the disk as well. Never rejects. */
  readonly tidied: Promise<void>;
}

/**
 * Writes the snapshot and makes it a checkpoint. When it rejects there is none, and what was written is gone; either way no thread
 * reads the snapshot any more.
 */
export async function writeInWorker(request: WriteRequest): Promise<WrittenCheckpoint> {
  throwIfAborted(request.signal, 'The save');
  const { port1, port2 } = new MessageChannel();
  const dialogue = new Dialogue(request, port1);
  const finished = finish(dialogue, request, runInWorker(dialogue.jobFor(port2), [port2]));
  const written = await Promise.race([dialogue.settled, finished]);
  return { written, tidied: finished.then(() => {}) };
}

/** Waits for the worker to be done. Gives the checkpoint, or rejects if there is none. */
async function finish(dialogue: Dialogue, request: WriteRequest, running: Promise<SaveReply>): Promise<Written> {
  try {
    const { error } = await running;
    if (error !== undefined) throw dialogue.whyNot(receiveError(error));
    return dialogue.settlement();
  } catch (error) {
    const committed = dialogue.drain();
    // The error that made the save fail is the one to report, whatever becomes of the leftovers.
    if (committed === undefined) await discard(request, dialogue.publishing, error).catch(() => {});
    if (hasDied(error)) await sweepLeftovers(request.directory).catch(() => {});
    if (committed !== undefined) return committed;
    throw error;
  } finally {
    dialogue.end();
  }
}

async function discard({ directory, temporary, record }: WriteRequest, publishing: number | undefined, error: unknown): Promise<void> {
  if (publishing !== undefined && hasDied(error)) await takeBack(directory, temporary, record.runId, publishing);
  else await discardTemporary(directory, temporary);
}

/** A worker that died may leave more than the checkpoint in the making: a link, a registry, or what retention was about to remove. */
function hasDied(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 'ERR_WORKER';
}

/** What is said over the port of one save. */
class Dialogue {
  /** The sequence of the checkpoint, once the worker was told to publish it: from there on it may exist. */
  publishing: number | undefined;
  /** Resolves when the worker says that everything but removing files is done. */
  readonly settled: Promise<Written>;
  private settle: (written: Written) => void = () => {};
  private written: Written | undefined;
  private committed: string | undefined;
  private failure: Error | undefined;
  private readonly outgoing: OutgoingStreams;
  private readonly files: readonly JobFile[];
  /** Whether the worker asks before it publishes: only memory of the caller's needs another look. */
  private readonly asked: boolean;
  private readonly abort = () => {
    if (this.publishing === undefined) this.tell({ type: 'abort' });
  };

  constructor(
    private readonly request: WriteRequest,
    private readonly port: MessagePort,
  ) {
    this.settled = new Promise((resolve) => {
      this.settle = resolve;
    });
    const { files, streams } = toJobFiles(request);
    this.files = files;
    this.asked = request.snapshot.isPinned;
    this.outgoing = new OutgoingStreams(streams, request.engine, port);
    port.on('message', (message: FromWorker) => this.hear(message));
    request.signal.addEventListener('abort', this.abort, { once: true });
  }

  jobFor(port: MessagePort): SaveJob {
    const { directory, temporary, name, numbered, tags, makeRoom, smallFiles, record, highestSequence, lock, monitor } = this.request;
    const { engine, direct, chunkBytes, verifyWrites, nice } = this.request;
    const what = { directory, temporary, name, numbered, tags, makeRoom, smallFiles, record, highestSequence, lock, monitor };
    return { ...what, files: this.files, ask: this.asked, engine: engine.name, direct, chunkBytes, verifyWrites, nice, port };
  }

  /** What the worker says is not always why: a stream may have failed here, or the save may have been taken back. */
  whyNot(said: Error & { readonly code: string }): Error {
    const { signal, snapshot } = this.request;
    if (snapshot.failure !== undefined) return toHoldfastError(snapshot.failure, 'take a snapshot of the tensors');
    if (this.failure !== undefined) return this.failure;
    if (this.outgoing.failure !== undefined) return this.outgoing.failure;
    return signal.aborted && said.code === 'ERR_ABORTED' ? abortError(signal, 'The save') : said;
  }

  /** What a worker that is done has said: its answer may come before it. */
  settlement(): Written {
    this.hearAll();
    if (this.written !== undefined) return this.written;
    throw new HoldfastError(
      'ERR_INTERNAL',
      'The worker that wrote the checkpoint did not say so. This is a defect in holdfast: please report it.',
    );
  }

  private hearAll(): void {
    for (let next = receiveMessageOnPort(this.port); next !== undefined; next = receiveMessageOnPort(this.port)) {
      this.hear((next as { readonly message: FromWorker }).message);
    }
  }

  /** Hears what a worker that died had still said; gives the checkpoint if it was durable by then. */
  drain(): Written | undefined {
    this.hearAll();
    if (this.written !== undefined) return this.written;
    if (this.committed === undefined || this.publishing === undefined) return undefined;
    return {
      name: this.committed,
      sequence: this.publishing,
      persisted: { bytes: 0, direct: false, directReason: 'not known: the worker died', seconds: { write: 0, sync: 0, verify: 0 } },
      seconds: { persist: 0, commit: 0 },
      removed: [],
      warnings: ['The worker thread died right after the commit: links, registry and retention are left to the next save.'],
    };
  }

  /** Nobody reads the snapshot any more. */
  end(): void {
    this.request.signal.removeEventListener('abort', this.abort);
    this.outgoing.stop();
    this.port.close();
  }

  private hear(message: FromWorker): void {
    const { request } = this;
    switch (message.type) {
      case 'progress':
        harmlessly('A listener of progress', () => request.onProgress(message.progress));
        break;
      case 'want':
        this.outgoing.start(message.stream);
        break;
      case 'taken':
        this.outgoing.taken(message);
        break;
      case 'ready':
        this.publish(message);
        break;
      case 'full':
        this.tell({ type: 'room', names: this.findRoom(message) });
        break;
      case 'committed':
        this.committed = message.name;
        harmlessly('What is told of a commit', () => request.onCommitted());
        break;
      case 'settled':
        this.written = message.written;
        this.settle(message.written);
        break;
      case 'unremoved':
        process.emitWarning(`Files of a checkpoint that retention removed are still there: ${message.reason}`, 'HoldfastWarning');
    }
  }

  /** The worker waits for the answer, whatever the caller's rules do. */
  private retain(outlook: Outlook): RetentionAnswer {
    try {
      return this.request.retain(outlook);
    } catch (error) {
      return { names: [], warnings: [`Could not decide which checkpoints may go: ${textOf(error)}`] };
    }
  }

  /** The worker waits for this answer too. Where the rules fail nothing goes, and the save fails for want of room. */
  private findRoom({ now, later }: Extract<FromWorker, { readonly type: 'full' }>): readonly string[] {
    try {
      return this.request.findRoom(now, later);
    } catch (error) {
      process.emitWarning(`Could not decide which checkpoints may make room: ${textOf(error)}`, 'HoldfastWarning');
      return [];
    }
  }

  /** The last look before there is no way back, where the worker waits for it; where it does not, it is publishing already. */
  private publish({ sequence, outlook }: Extract<FromWorker, { readonly type: 'ready' }>): void {
    if (this.asked) {
      try {
        throwIfAborted(this.request.signal, 'The save');
        this.request.snapshot.assertIntact();
      } catch (error) {
        this.failure = error as Error;
        this.tell({ type: 'abort' });
        return;
      }
    }
    this.tell({ type: 'publish', ...this.retain(outlook) });
    this.publishing = sequence;
  }

  private tell(message: ToWorker): void {
    this.port.postMessage(message);
  }
}

/** The files in a form that can be posted: held memory by handles, streams by number. */
function toJobFiles({ files: plans, snapshot, engine }: WriteRequest): { files: JobFile[]; streams: OutgoingStream[] } {
  const streams: OutgoingStream[] = [];
  const files = plans.map(({ name, role, head, headId, bytes, tensors }, file): JobFile => {
    const { segments: captured, expected } = snapshot.files[file] as CapturedFile;
    const segments = captured.map((segment): JobSegment => {
      if (segment.kind === 'memory') return { kind: 'memory', shared: engine.share(segment.held), copies: copiesOf(segment, snapshot) };
      const { index, stream, chunks } = segment;
      const { name: tensor } = tensors[index] as TensorEntry;
      return { kind: 'stream', tensor: index, stream: streams.push({ file, tensor, stream, chunks }) - 1 };
    });
    return { name, role, head, headId, bytes, segments, expected };
  });
  return { files, streams };
}

function copiesOf({ after }: MemorySegment, { filling }: Snapshot): UnfinishedCopies | undefined {
  return filling.isFinished || after.every((runs) => runs === 0) ? undefined : { counter: filling.counter, after: Uint32Array.from(after) };
}

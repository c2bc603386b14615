/** The saving thread's side of streams: reads them when the worker asks, piece by piece, with a turn of the event loop between. */
import { types } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import type { Engine, HeldMemory } from '../engine/contract.js';
import { isResizable } from '../engine/is-resizable.js';
import { HoldfastError } from '../errors.js';
import type { Chunks } from '../snapshot/source.js';
import { textOf } from './harmlessly.js';
import type { FromWorker, ToWorker } from './job.js';
import { TurnSharing } from './turns.js';

/** A stream of one tensor. */
export interface OutgoingStream {
  /** Number of the file that it belongs to; the streams of a file are read one after another. */
  readonly file: number;
  readonly tensor: string;
  readonly stream: AsyncIterable<Uint8Array>;
  readonly chunks: Chunks;
}

/** Most bytes that are read ahead of the disk; a single larger chunk is let through. */
const WINDOW_BYTES = 64 * 2 ** 20;
/** Chunks that must be copied travel in parts of this size. */
const COPY_BYTES = 4 * 2 ** 20;
/** Copies of one save that may be under way at a time. */
const COPIES = 4;
/** Shared memory for copies, kept between saves: V8 does not count it, and so would leave whole saves' worth of it to be collected some day. */
const spareCopies: SharedArrayBuffer[] = [];

/** What the worker has been told of and has not taken yet. */
interface Piece {
  readonly held: HeldMemory;
  /** Whether it is nobody's once it is taken. */
  readonly discard: boolean;
}

type Taken = Extract<FromWorker, { readonly type: 'taken' }>;

/** All streams of one save. */
export class OutgoingStreams {
  /** Why a stream could not be read to its end; the save then fails with this, whatever the worker says. */
  failure: HoldfastError | undefined;
  private readonly outstanding = new Map<number, Piece>();
  private outstandingBytes = 0;
  private nextPiece = 0;
  private stopped = false;
  private readonly started = new Set<number>();
  private readonly turns = new TurnSharing();
  private readonly active = new Set<AsyncIterator<Uint8Array>>();
  private waiting: (() => void)[] = [];
  /** Which copy a piece lies in: its memory is used again when the worker has taken it. */
  private readonly copyOf = new Map<number, SharedArrayBuffer>();

  constructor(
    private readonly streams: readonly OutgoingStream[],
    private readonly engine: Engine,
    private readonly port: MessagePort,
  ) {}

  /**
   * The worker wants a stream: begins to read those of its file, ahead of what the worker asks for. What goes wrong is
   * kept in {@link failure}, and ends the save.
   */
  start(index: number): void {
    const { file } = this.streams[index] as OutgoingStream;
    if (this.started.has(file)) return;
    this.started.add(file);
    void this.flowAll(file);
  }

  private async flowAll(file: number): Promise<void> {
    for (const [index, stream] of this.streams.entries()) {
      if (stream.file !== file) continue;
      try {
        await this.flow(index, stream);
      } catch (error) {
        if (this.stopped) return;
        this.failure ??= error instanceof HoldfastError ? error : streamFailed(stream.tensor, error);
        this.tell({ type: 'abort' });
        return;
      }
    }
  }

  taken({ piece }: Taken): void {
    const found = this.outstanding.get(piece);
    if (found === undefined) return;
    this.letGo(piece, found.held, found.discard);
    this.wake();
  }

  /** The worker reads nothing any more: lets everything go. Streams that are stuck are left behind. */
  stop(): void {
    this.stopped = true;
    for (const iterator of this.active) leave(iterator);
    this.active.clear();
    for (const [piece, { held }] of this.outstanding) this.letGo(piece, held, false);
    this.wake();
  }

  private letGo(piece: number, held: HeldMemory, discard: boolean): void {
    this.outstanding.delete(piece);
    this.outstandingBytes -= held.byteLength;
    held.release(discard);
    const copy = this.copyOf.get(piece);
    this.copyOf.delete(piece);
    if (copy !== undefined && spareCopies.length < COPIES) spareCopies.push(copy);
  }

  private async flow(index: number, { tensor, stream, chunks }: OutgoingStream): Promise<void> {
    const iterator = stream[Symbol.asyncIterator]();
    this.active.add(iterator);
    try {
      for (;;) {
        while (!this.stopped && this.outstandingBytes >= WINDOW_BYTES) await this.changed();
        // Streams that are never short of data would otherwise keep the event loop to themselves.
        await this.turns.pause();
        if (this.stopped) return;
        const { done, value } = await iterator.next();
        if (this.stopped) return;
        if (done === true) break;
        if (!ArrayBuffer.isView(value)) {
          throw new HoldfastError('ERR_INVALID_TENSOR', `The stream of tensor ${JSON.stringify(tensor)} must give Uint8Array chunks.`, {
            tensors: [tensor],
          });
        }
        await this.send(index, value, chunks);
      }
      this.active.delete(iterator);
      this.tell({ type: 'end', stream: index });
    } finally {
      if (this.active.delete(iterator)) leave(iterator);
    }
  }

  private async send(index: number, { buffer, byteOffset, byteLength }: ArrayBufferView, chunks: Chunks): Promise<void> {
    if (byteLength === 0) return;
    // An engine that has to be fed cannot let another thread see an ArrayBuffer.
    const own = chunks === 'given' && this.engine.unholdable !== 'feed' ? takeOver(buffer, byteLength) : undefined;
    if (own !== undefined) return this.post(index, this.engine.hold({ buffer: own, byteOffset: 0, byteLength }), true);
    const held = chunks === 'reused' ? undefined : this.engine.tryHold({ buffer: buffer as ArrayBuffer, byteOffset, byteLength });
    if (held !== undefined) return this.post(index, held, false);
    for (let at = 0; at < byteLength && !this.stopped; at += COPY_BYTES) {
      const length = Math.min(COPY_BYTES, byteLength - at);
      while (!this.stopped && this.copyOf.size >= COPIES) await this.changed();
      if (this.stopped) return;
      const copy = spareCopies.pop() ?? new SharedArrayBuffer(COPY_BYTES);
      new Uint8Array(copy, 0, length).set(new Uint8Array(buffer, byteOffset + at, length));
      this.copyOf.set(this.nextPiece, copy);
      this.post(index, this.engine.hold({ buffer: copy, byteOffset: 0, byteLength: length }), false);
    }
  }

  private post(stream: number, held: HeldMemory, discard: boolean): void {
    const piece = this.nextPiece++;
    this.outstanding.set(piece, { held, discard });
    this.outstandingBytes += held.byteLength;
    this.tell({ type: 'piece', stream, piece, shared: this.engine.share([held]) });
  }

  /** Something has changed, or the save is over. Another flow may have been woken first: look again, and go on without another wait. */
  private changed(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private tell(message: ToWorker): void {
    this.port.postMessage(message);
  }
}

/** Memory that is a chunk and nothing else, in an ArrayBuffer that only this save knows; `undefined` where it cannot be taken. */
function takeOver(buffer: ArrayBufferLike, byteLength: number): ArrayBuffer | undefined {
  if (!types.isArrayBuffer(buffer) || buffer.byteLength !== byteLength || isResizable(buffer)) return undefined;
  try {
    // What must not be transferred is copied by Node.js 20, and refused by later versions.
    return structuredClone(buffer, { transfer: [buffer] });
  } catch {
    return undefined;
  }
}

/** Tells a stream that nobody reads it any more. Not awaited: one that is stuck may never answer this either. */
function leave(iterator: AsyncIterator<Uint8Array>): void {
  void (async () => iterator.return?.())().catch(() => {});
}

function streamFailed(tensor: string, cause: unknown): HoldfastError {
  return new HoldfastError('ERR_SOURCE', `The stream of tensor ${JSON.stringify(tensor)} failed: ${textOf(cause)}`, {
    tensors: [tensor],
    cause,
  });
}

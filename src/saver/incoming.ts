/** The worker's side of streams: pieces that the saving thread provides, asked for one stream at a time per file. */
import type { MessagePort } from 'node:worker_threads';
import type { Piece } from '../catalog/write-files.js';
import type { Engine } from '../engine/contract.js';
import { untilAborted } from '../engine/system-error.js';
import type { FromWorker, ToWorker } from './job.js';

type StreamMessage = Extract<ToWorker, { readonly stream: number }>;

/** Messages of one stream that have come and were not looked at yet, and who waits for the next. */
interface Mailbox {
  readonly messages: StreamMessage[];
  wake: () => void;
}

export class IncomingStreams {
  private readonly mailboxes = new Map<number, Mailbox>();

  constructor(
    private readonly port: MessagePort,
    private readonly engine: Engine,
    private readonly signal: AbortSignal,
  ) {}

  receive(message: StreamMessage): void {
    const mailbox = this.mailboxOf(message.stream);
    mailbox.messages.push(message);
    mailbox.wake();
  }

  /** The pieces of a stream, which begins to flow when the first one is asked for. Throws `ERR_ABORTED`. */
  async *open(stream: number): AsyncGenerator<Piece> {
    const mailbox = this.mailboxOf(stream);
    this.tell({ type: 'want', stream });
    for (;;) {
      const message = mailbox.messages.shift();
      if (message === undefined) {
        const arrival = new Promise<void>((resolve) => {
          mailbox.wake = resolve;
        });
        await untilAborted(arrival, this.signal, 'The save');
      } else if (message.type === 'end') return;
      else yield* this.toPieces(message);
    }
  }

  private *toPieces({ stream, piece, shared }: Extract<StreamMessage, { readonly type: 'piece' }>): Generator<Piece> {
    const held = this.engine.adopt(shared);
    let left = held.length;
    for (const each of held) {
      yield {
        held: each,
        taken: () => {
          each.release();
          if (--left === 0) this.tell({ type: 'taken', stream, piece });
        },
      };
    }
  }

  private mailboxOf(stream: number): Mailbox {
    let mailbox = this.mailboxes.get(stream);
    if (mailbox === undefined) {
      mailbox = { messages: [], wake: () => {} };
      this.mailboxes.set(stream, mailbox);
    }
    return mailbox;
  }

  private tell(message: FromWorker): void {
    this.port.postMessage(message);
  }
}

/** The worker's side of a save's port: what the saving thread says, sorted. */
import type { MessagePort } from 'node:worker_threads';
import type { Engine } from '../engine/contract.js';
import { IncomingStreams } from './incoming.js';
import type { FromWorker, ToWorker } from './job.js';

type Answer = Extract<ToWorker, { readonly type: 'publish' | 'remove' }>;

export class Inbox {
  readonly streams: IncomingStreams;
  private readonly cancelled = new AbortController();
  private readonly answers: Answer[] = [];
  private wake = () => {};

  constructor(
    private readonly port: MessagePort,
    engine: Engine,
  ) {
    this.streams = new IncomingStreams(port, engine, this.signal);
    port.on('message', (message: ToWorker) => {
      if (message.type === 'abort') this.cancelled.abort();
      else if (message.type === 'piece' || message.type === 'end') this.streams.receive(message);
      else {
        this.answers.push(message);
        this.wake();
      }
    });
  }

  /** Fires when the save is to stop. */
  get signal(): AbortSignal {
    return this.cancelled.signal;
  }

  tell(message: FromWorker): void {
    this.port.postMessage(message);
  }

  /** Asks something that has an answer: it comes, unless it is that the save is to stop ({@link signal}). */
  async ask<Type extends Answer['type']>(question: FromWorker, type: Type): Promise<Extract<Answer, { readonly type: Type }>> {
    this.tell(question);
    for (;;) {
      const index = this.answers.findIndex((answer) => answer.type === type);
      if (index >= 0) return this.answers.splice(index, 1)[0] as Extract<Answer, { readonly type: Type }>;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

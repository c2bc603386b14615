/** The worker's side of a save's port: what the saving thread says, sorted. */
import type { MessagePort } from 'node:worker_threads';
import type { Engine } from '../engine/contract.js';
import { IncomingStreams } from './incoming.js';
import type { FromWorker, ToWorker } from './job.js';

type Answer = Extract<ToWorker, { readonly type: 'publish' }>;

export class Inbox {
  readonly streams: IncomingStreams;
  private readonly cancelled = new AbortController();
  /** What is answered to `ready`: it comes, unless it is that the save is to stop ({@link signal}). */
  readonly answer: Promise<Answer>;
  /** What is answered to `full`: names of checkpoints that may go. */
  readonly room: Promise<readonly string[]>;

  constructor(
    private readonly port: MessagePort,
    engine: Engine,
  ) {
    this.streams = new IncomingStreams(port, engine, this.signal);
    let resolve: (answer: Answer) => void = () => {};
    this.answer = new Promise((settle) => {
      resolve = settle;
    });
    let makeRoom: (names: readonly string[]) => void = () => {};
    this.room = new Promise((settle) => {
      makeRoom = settle;
    });
    port.on('message', (message: ToWorker) => {
      if (message.type === 'abort') this.cancelled.abort();
      else if (message.type === 'piece' || message.type === 'end') this.streams.receive(message);
      else if (message.type === 'room') makeRoom(message.names);
      else resolve(message);
    });
  }

  /** Fires when the save is to stop. */
  get signal(): AbortSignal {
    return this.cancelled.signal;
  }

  tell(message: FromWorker): void {
    this.port.postMessage(message);
  }
}

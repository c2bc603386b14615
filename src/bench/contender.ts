/** One of those that are compared: this library, another one, or the bare disk. */
import type { RowKind } from './report.js';

/** One run. */
export interface Measured {
  readonly seconds: number;
  /** Of all threads of its process, user and system; `null` where it cannot be told. */
  readonly cpuSeconds: number | null;
  /** The most resident memory of its process; `null` where it cannot be told. */
  readonly maxRssBytes: number | null;
}

export interface Contender {
  /** As it stands in the result. */
  readonly name: string;
  readonly kind: RowKind;
  /** Bytes of one of its runs. */
  readonly bytes: number;
  /** Memory that it holds between `start` and `stop`, its tensors included. */
  readonly memoryBytes: number;
  /** The most disk space that it holds at a time. */
  readonly diskBytes: number;
  /** What a reader must know to judge its row, in one sentence; known after `start`. */
  readonly note?: string | undefined;
  /** Why it cannot take part and how that could be helped; `undefined` where it can. */
  unavailable(): Promise<string | undefined>;
  /** Makes its data. May be called again after `stop`. */
  start(): Promise<void>;
  /** One run, which is measured, and then the removal of what the next one does not need, which is not. */
  run(round: number): Promise<Measured>;
  /** Ends its processes, whatever they are doing. Never rejects. */
  stop(): Promise<void>;
}

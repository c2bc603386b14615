/** Losses and metrics of the epochs of a fit, over interruptions. */
import type { History } from '@tensorflow/tfjs';
import type { Json } from '../../format/state.js';
import type { Logs } from './gates.js';
import { decodeNumber, encodeNumber } from './numbers.js';
import type { SavedHistory } from './position.js';

/** Grows by an epoch at a time. */
export class HistoryRecord {
  private readonly epoch: number[];
  private readonly history: Record<string, Json[]>;
  /** What another process has trained. */
  private readonly earlier: SavedHistory | undefined;
  private isInserted: boolean;

  constructor(saved: SavedHistory | undefined) {
    this.earlier = saved;
    this.isInserted = saved === undefined;
    this.epoch = [...(saved?.epoch ?? [])];
    this.history = Object.fromEntries(Object.entries(saved?.history ?? {}).map(([name, values]) => [name, [...values]]));
  }

  get saved(): SavedHistory {
    return {
      epoch: [...this.epoch],
      history: Object.fromEntries(Object.entries(this.history).map(([name, values]) => [name, [...values]])),
    };
  }

  /** Of the epoch that was added last. */
  get lastMetrics(): Readonly<Record<string, number>> {
    const last = Object.entries(this.history).map(([name, values]) => [name, decodeNumber(values.at(-1) as Json)] as const);
    return Object.fromEntries(last);
  }

  /** Adds an epoch; gives its numbers. */
  async add(epoch: number, logs: Logs): Promise<Readonly<Record<string, number>>> {
    const read = await Promise.all(
      Object.entries(logs).map(
        async ([name, value]) => [name, typeof value === 'number' ? value : ((await value.data())[0] as number)] as const,
      ),
    );
    this.epoch.push(epoch);
    for (const [name, value] of read) {
      this.history[name] ??= [];
      this.history[name].push(encodeNumber(value));
    }
    return Object.fromEntries(read);
  }

  /** Puts the epochs of before in front of what TensorFlow.js has recorded; doing it again does nothing. */
  insertInto(history: History): void {
    if (this.isInserted || this.earlier === undefined) return;
    this.isInserted = true;
    putBefore(history, this.earlier);
  }
}

/** What `fit` gave when it was over. */
export function historyOf(saved: SavedHistory): History {
  const history = { epoch: [], history: {}, validationData: null } as unknown as History;
  putBefore(history, saved);
  return history;
}

function putBefore(history: History, { epoch, history: values }: SavedHistory): void {
  history.epoch.unshift(...epoch);
  for (const [name, list] of Object.entries(values)) {
    const known = history.history[name];
    if (known === undefined) history.history[name] = list.map(decodeNumber);
    else known.unshift(...(list.map(decodeNumber) as number[] & (typeof known)[number][]));
  }
}

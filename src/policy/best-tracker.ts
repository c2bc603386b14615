/** The best value so far, while saves are on their way that may fail. */
import { type Candidate, findBest, improves, type Monitor, metricOf } from './best.js';

/** Of one monitor. Saves that were accepted count at once: the next value has to beat them too. */
export class BestTracker {
  private settled: number | undefined;
  private readonly onTheirWay = new Map<object, number>();

  constructor(readonly monitor: Monitor) {}

  /** Learns of the good checkpoints that there are. */
  learn(entries: readonly Candidate[]): void {
    const best = findBest(entries, this.monitor);
    const value = best && metricOf(best, this.monitor.metric);
    if (value !== undefined) this.settled = this.settled === undefined ? value : this.better(this.settled, value);
  }

  /** The value to beat; `undefined` where there is none. */
  get best(): number | undefined {
    return [...this.onTheirWay.values()].reduce((best, value) => this.better(best, value), this.settled);
  }

  /** A save was accepted; `save` is what it is called in {@link settle}. */
  accept(save: object, metrics: Readonly<Record<string, number>>): void {
    const value = metricOf({ metrics }, this.monitor.metric);
    if (value !== undefined) this.onTheirWay.set(save, value);
  }

  /** It was committed, or it was not. */
  settle(save: object, committed: boolean): void {
    const value = this.onTheirWay.get(save);
    if (value === undefined) return;
    this.onTheirWay.delete(save);
    if (committed) this.settled = this.better(this.settled, value);
  }

  private better(best: number | undefined, value: number): number | undefined {
    return improves(value, best, this.monitor) ? value : best;
  }
}

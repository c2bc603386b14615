/** Loss and metrics of the batches of an epoch, kept so that its averages come out the same when training goes on in the middle of it. */
import type { Tensor } from '@tensorflow/tfjs';
import { runningEngine } from '../engine.js';
import { placeOf, shareTensor } from '../tensors/backends.js';
import { decodeFloats, encodeFloats } from './numbers.js';

/** As many batches may be unread; reading makes a GPU wait. */
const MOST_UNREAD = 256;

/** Of one epoch. */
export class BatchOutputs {
  private readonly read: number[] = [];
  private unread: Tensor[] = [];

  /** Begins with the outputs of `batches` batches, as `encoded` gave them. */
  constructor(
    encoded = '',
    private readonly batches = 0,
  ) {
    this.read.push(...decodeFloats(encoded));
  }

  /** What the training function gave for the next batch; the caller keeps the tensors. */
  record(outputs: readonly Tensor[]): void {
    for (const output of outputs) this.unread.push(shareTensor(output, placeOf(output)));
    if (this.unread.length > MOST_UNREAD * outputs.length) this.readAll();
  }

  /** The outputs of a batch that it began with, as the training function would give them. */
  replay(batch: number): Tensor[] {
    const labels = this.read.length / this.batches;
    const engine = runningEngine();
    return this.read
      .slice(batch * labels, (batch + 1) * labels)
      .map((value) => engine.makeTensor(new Float32Array([value]), [], 'float32') as Tensor);
  }

  /** All so far, batch by batch. */
  get encoded(): string {
    this.readAll();
    return encodeFloats(Float32Array.from(this.read));
  }

  /** Lets the tensors go that are not read. */
  dispose(): void {
    for (const tensor of this.unread.splice(0)) tensor.dispose();
  }

  private readAll(): void {
    for (const tensor of this.unread) this.read.push(tensor.dataSync()[0] as number);
    this.dispose();
  }
}

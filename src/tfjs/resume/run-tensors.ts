/** Tensors of a checkpoint that callbacks had, until they get them back. */
import type { RestoredTensor } from '../../catalog/tensor.js';
import type { Restored } from '../../manager/restore.js';
import { isRunTensor, runTensorName } from '../../tfjs-record/run-tensors.js';

export class RunTensors {
  private constructor(private readonly tensors: Map<string, RestoredTensor>) {}

  /** Of what was read, before it goes into the model. */
  static of(read: Restored | null): RunTensors {
    return new RunTensors(new Map([...(read?.optimizer ?? [])].filter(([name]) => isRunTensor(name))));
  }

  /** Those of one callback, by the names that it gave; they are let go here. */
  take(stateName: string): Map<string, RestoredTensor> {
    const prefix = runTensorName(stateName, '');
    const taken = new Map<string, RestoredTensor>();
    for (const [name, tensor] of this.tensors) {
      if (!name.startsWith(prefix)) continue;
      taken.set(name.slice(prefix.length), tensor);
      this.tensors.delete(name);
    }
    return taken;
  }

  /** Whoever has not got them back by the end of the fit will not. */
  clear(): void {
    this.tensors.clear();
  }
}

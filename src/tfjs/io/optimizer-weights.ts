/**
 * The state of an optimizer as tfjs writes it down itself: its iterations, then its slots in its own order, told apart by position. That leaves out
 * Adam's running products of beta, which tfjs recomputes as powers, so that training goes on nearly but not exactly; for Adamax it has no form at all.
 */
import type { RestoredTensor } from '../../catalog/tensor.js';
import type { TensorInput } from '../../snapshot/source.js';
import type { OptimizerRecord } from '../../tfjs-record/extension.js';
import { findKind } from '../../tfjs-record/optimizer-kinds.js';
import type { StoredWeight } from './weight-data.js';

/** How well tfjs can take a state. */
export type Exactness = 'exact' | 'nearly' | 'not at all';

export function exactnessOf(className: string): Exactness {
  if (className === 'Adamax' || findKind(className) === undefined) return 'not at all';
  return className === 'Adam' ? 'nearly' : 'exact';
}

/** The optimizer that a trainingConfig is of. */
export function classNameIn(trainingConfig: unknown): string | undefined {
  return (trainingConfig as { optimizer_config?: Partial<OptimizerConfig> } | null | undefined)?.optimizer_config?.class_name;
}

/** A checkpoint's state as tfjs takes it. */
export function toOptimizerWeights(record: OptimizerRecord, stored: ReadonlyMap<string, RestoredTensor>): StoredWeight[] {
  const iterations = { buffer: new Int32Array([record.iterations]).buffer, byteOffset: 0, byteLength: 4 };
  const weights: StoredWeight[] = [{ spec: { name: 'iter', dtype: 'int32', shape: [], group: 'optimizer' }, bytes: iterations }];
  for (const { suffix } of findKind(record.className)?.slots ?? []) {
    for (const owner of record.slots) {
      const name = `${owner}/${suffix}`;
      const tensor = stored.get(name);
      if (tensor !== undefined) weights.push({ spec: { name, dtype: 'float32', shape: tensor.shape, group: 'optimizer' }, bytes: tensor });
    }
  }
  return weights;
}

/** What a trainingConfig says of the optimizer. */
interface OptimizerConfig {
  readonly class_name: string;
  readonly config: Readonly<Record<string, number | boolean>>;
}

/**
 * A state that tfjs wrote down, as a checkpoint has it; undefined where it cannot be told what belongs to what. `names` are the model's weights.
 * Adam's running products are made as tfjs itself makes them.
 */
export function fromOptimizerWeights(
  trainingConfig: unknown,
  weights: readonly StoredWeight[],
  names: ReadonlySet<string>,
): { record: OptimizerRecord; tensors: TensorInput[] } | undefined {
  const { class_name: className, config } = (trainingConfig as { optimizer_config: OptimizerConfig }).optimizer_config;
  const kind = findKind(className);
  const [first, ...slots] = weights;
  if (kind === undefined || first?.spec.dtype !== 'int32' || first.bytes.byteLength !== 4) return undefined;
  const iterations = new DataView(first.bytes.buffer, first.bytes.byteOffset, 4).getInt32(0, true);
  const hyperparameters = Object.fromEntries(kind.hyperparameters.map((name) => [name, config[name] as number | boolean]));
  const lists = kind.slots.length - (className === 'RMSProp' && config['centered'] !== true ? 1 : 0);
  const count = lists === 0 ? 0 : slots.length / lists;
  const owners = slots.slice(0, count).map(({ spec }) => ownerOf(spec.name, names));
  if (!Number.isInteger(count) || owners.includes(undefined) || Object.values(hyperparameters).includes(undefined as never))
    return undefined;
  const record = { className, iterations, hyperparameters, slots: owners as string[] };
  const tensors: TensorInput[] = kind.scalars.map(({ name }) => ({
    name,
    dtype: 'F32',
    shape: [],
    data: scalar(name, hyperparameters, iterations),
  }));
  slots.forEach(({ spec, bytes }, i) => {
    const name = `${owners[i % count]}/${kind.slots[Math.floor(i / count)]?.suffix}`;
    tensors.push({
      name,
      dtype: 'F32',
      shape: spec.shape,
      data: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      stable: true,
    });
  });
  return { record, tensors };
}

/** The weight that a slot such as `dense/kernel_1/momentum` belongs to: its variable may have got a number to be unique. */
function ownerOf(slot: string, names: ReadonlySet<string>): string | undefined {
  const variable = slot.slice(0, Math.max(slot.lastIndexOf('/'), 0));
  if (names.has(variable)) return variable;
  const bare = variable.replace(/_\d+$/, '');
  return names.has(bare) ? bare : undefined;
}

function scalar(name: string, hyperparameters: Readonly<Record<string, number | boolean>>, iterations: number): Float32Array {
  const { learningRate, momentum, beta1, beta2 } = hyperparameters as Record<string, number>;
  const values: Record<string, number> = {
    negative_learning_rate: -(learningRate as number),
    momentum: momentum as number,
    accBeta1: (beta1 as number) ** (iterations + 1),
    accBeta2: (beta2 as number) ** (iterations + 1),
  };
  return new Float32Array([values[name] as number]);
}

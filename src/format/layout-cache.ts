/** A training run saves tensors of the same names and shapes again and again, and waits while they are laid out: once is enough. */
import type { Dtype } from './dtype.js';
import { assertTensorSpecs, layOutTensors, type TensorLayout, type TensorRole, type TensorSpec } from './layout.js';

/** What a layout follows from, in few and dense arrays: it is compared when nothing of it is in the processor's caches. */
export interface Signature {
  readonly names: readonly string[];
  readonly dtypes: readonly Dtype[];
  /** Per tensor the number of dimensions, then their sizes. */
  readonly shapes: readonly number[];
  /** Bytes per tensor. */
  readonly bytes: readonly number[];
}

/** Tensors that were laid out before. */
export interface KnownSpecs {
  readonly specs: readonly TensorSpec[];
  readonly signature: Signature;
}

interface Known extends KnownSpecs {
  readonly layout: TensorLayout;
  /** Lists that were compared already. */
  readonly lists: WeakSet<readonly TensorSpec[]>;
}

/** The newest layout of each role. Layouts are shared between saves: nobody may change them. */
export class LayoutCache {
  private readonly newest = new Map<TensorRole, Known>();

  constructor(private readonly maxShardBytes: number) {}

  /** What was laid out last. */
  known(role: TensorRole): KnownSpecs | undefined {
    return this.newest.get(role);
  }

  /** As {@link assertTensorSpecs}; what was laid out before is right. */
  assertSpecs(role: TensorRole, tensors: readonly TensorSpec[]): void {
    if (this.find(role, tensors) === undefined) assertTensorSpecs(tensors);
  }

  /** As {@link layOutTensors}, of a list that {@link assertSpecs} has accepted and that did not change since. */
  layOut(role: TensorRole, tensors: readonly TensorSpec[]): TensorLayout {
    const found = this.find(role, tensors);
    if (found !== undefined) return found;
    const layout = layOutTensors(role, tensors, this.maxShardBytes);
    this.newest.set(role, { specs: tensors, signature: signatureOf(tensors), layout, lists: new WeakSet([tensors]) });
    return layout;
  }

  private find(role: TensorRole, tensors: readonly TensorSpec[]): TensorLayout | undefined {
    const known = this.newest.get(role);
    if (known === undefined || (!known.lists.has(tensors) && !isOf(known.signature, tensors))) return undefined;
    known.lists.add(tensors);
    return known.layout;
  }
}

function signatureOf(tensors: readonly TensorSpec[]): Signature {
  return {
    names: tensors.map(({ name }) => name),
    dtypes: tensors.map(({ dtype }) => dtype),
    shapes: tensors.flatMap(({ shape }) => [shape.length, ...shape]),
    bytes: tensors.map(({ byteLength }) => byteLength),
  };
}

function isOf({ names, dtypes, shapes, bytes }: Signature, tensors: readonly TensorSpec[]): boolean {
  if (tensors.length !== names.length) return false;
  let at = 0;
  for (let i = 0; i < tensors.length; i++) {
    const { name, dtype, shape, byteLength } = tensors[i] as TensorSpec;
    if (name !== names[i] || dtype !== dtypes[i] || byteLength !== bytes[i] || shape.length !== shapes[at++]) return false;
    for (const size of shape) if (size !== shapes[at++]) return false;
  }
  return true;
}

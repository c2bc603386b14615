/** A training run saves tensors of the same names and shapes again and again, and waits while they are laid out: once is enough. */
import type { Dtype } from './dtype.js';
import { layOutTensors, type TensorLayout, type TensorRole, type TensorSpec } from './layout.js';

/** What a layout follows from, in few and dense arrays: it is compared when nothing of it is in the processor's caches. */
interface Signature {
  readonly names: readonly string[];
  readonly dtypes: readonly Dtype[];
  /** Per tensor the number of dimensions, then their sizes. */
  readonly shapes: readonly number[];
}

/** The newest layout of each role. Layouts are shared between saves: nobody may change them. */
export class LayoutCache {
  private readonly newest = new Map<TensorRole, { readonly signature: Signature; readonly layout: TensorLayout }>();

  constructor(private readonly maxShardBytes: number) {}

  /** As {@link layOutTensors}, of tensors that {@link assertTensorSpecs} has accepted: their lengths follow from dtype and shape. */
  layOut(role: TensorRole, tensors: readonly TensorSpec[]): TensorLayout {
    const known = this.newest.get(role);
    if (known !== undefined && isOf(known.signature, tensors)) return known.layout;
    const layout = layOutTensors(role, tensors, this.maxShardBytes);
    this.newest.set(role, { signature: signatureOf(tensors), layout });
    return layout;
  }
}

function signatureOf(tensors: readonly TensorSpec[]): Signature {
  return {
    names: tensors.map(({ name }) => name),
    dtypes: tensors.map(({ dtype }) => dtype),
    shapes: tensors.flatMap(({ shape }) => [shape.length, ...shape]),
  };
}

function isOf({ names, dtypes, shapes }: Signature, tensors: readonly TensorSpec[]): boolean {
  if (tensors.length !== names.length) return false;
  let at = 0;
  for (let i = 0; i < tensors.length; i++) {
    const { name, dtype, shape } = tensors[i] as TensorSpec;
    if (name !== names[i] || dtype !== dtypes[i] || shape.length !== shapes[at++]) return false;
    for (const size of shape) if (size !== shapes[at++]) return false;
  }
  return true;
}

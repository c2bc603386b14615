/**
 * tfjs' weightsManifest over the tensor files of a checkpoint, so that stock `tf.loadLayersModel` reads a checkpoint directory as it is.
 *
 * A weightsManifest is a list of files that are decoded one spec after another from byte 0. The head of a safetensors
 * file is stepped over by an entry of dtype `bool` as long as the head, in the group `optimizer`: such weights
 * are not matched to variables as long as there is no `trainingConfig`, which is why model.json never has one.
 *
 * Stock tfjs applies a weight's constraint once more when it loads (its own files, too), so such weights differ there;
 * with string weights it needs `{ strict: false }`. holdfast restores both exactly.
 */
import type { TensorFilePlan } from '../format/layout.js';

export const MODEL_JSON = 'model.json';

/** What a spec of the manifest says of a weight. */
export interface WeightSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** How a graph model's weight is stored in fewer bits, as tfjs writes it down. */
  readonly quantization?: object | undefined;
}

/** tfjs' weightsManifest over the tensor files of a checkpoint. */
export function weightsManifest(weights: readonly WeightSpec[], files: readonly TensorFilePlan[]): object[] {
  const specs = new Map(
    weights.map(({ name, dtype, shape, quantization }) => [
      name,
      { name, dtype, shape, ...(quantization === undefined ? {} : { quantization }) },
    ]),
  );
  const modelFiles = files.filter(({ role }) => role === 'model');
  // tfjs takes files for equally long if all but the last are, and then reads zeros from a longer last one.
  const longestFirst = [...modelFiles].sort((a, b) => b.bytes - a.bytes);
  return longestFirst.map(({ name, head, tensors }) => ({
    paths: [name],
    weights: [headSpec(name, head.length, specs), ...tensors.map((tensor) => specs.get(tensor.name))],
  }));
}

/** Whether a spec of a manifest is of the head of a safetensors file, not of a weight. */
export function isHeadSpec({ name, group }: { readonly name: string; readonly group?: string | undefined }): boolean {
  return group === 'optimizer' && name.startsWith(HEAD_SPEC);
}

const HEAD_SPEC = 'safetensors header of ';

function headSpec(file: string, bytes: number, taken: ReadonlyMap<string, unknown>): object {
  let name = `${HEAD_SPEC}${file}`;
  while (taken.has(name)) name += '_';
  return { name, dtype: 'bool', shape: [bytes], group: 'optimizer' };
}

/** tfjs-node refuses larger files; tfjs joins all of them into one array, which Node.js 20 limits. */
const STOCK_FILE_BYTES = 2 ** 31 - 1;
const STOCK_TOTAL_BYTES = 2 ** 32;

/** Why stock tfjs cannot read these files, in a sentence each; holdfast can. */
export function stockWarnings(files: readonly { readonly name: string; readonly role: string; readonly bytes: number }[]): string[] {
  const warnings: string[] = [];
  const modelFiles = files.filter(({ role }) => role === 'model');
  const advice = 'Read it with holdfast/tfjs, or choose a smaller maxShardBytes.';
  for (const { name, bytes } of modelFiles) {
    if (bytes > STOCK_FILE_BYTES) warnings.push(`Stock tf.loadLayersModel cannot read ${name}: it is larger than 2 GiB. ${advice}`);
  }
  const total = modelFiles.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total > STOCK_TOTAL_BYTES) {
    warnings.push(
      'Stock tf.loadLayersModel cannot read this checkpoint: its tensors are larger than 4 GiB in all. Read it with holdfast/tfjs.',
    );
  }
  return warnings;
}

/** A stock directory of TensorFlow.js as a target: model.json, and the weights in files of equal length beside it. */
import path from 'node:path';
import { HoldfastError } from '../errors.js';
import type { Dtype } from '../format/dtype.js';
import { lossFunctionsOf } from '../tfjs-record/training-config.js';
import { MODEL_JSON } from '../tfjs-record/weights-manifest.js';
import { VERSION } from '../version.js';
import type { SourceTensor } from './contents.js';
import { assertFits, type Plan } from './plan.js';
import { type Meter, NewFile } from './staging.js';
import { toStockOptimizer } from './stock-optimizer.js';
import type { WrittenTarget } from './write-plain.js';

/** As long as those that tfjs' own converter makes. */
export const TFJS_SHARD_BYTES = 4 * 2 ** 20;

const TFJS_DTYPE: Partial<Record<Dtype, string>> = { F32: 'float32', I32: 'int32', BOOL: 'bool', C64: 'complex64' };

/** Writes into a directory that is there. Throws `ERR_CONVERT`, `ERR_MODEL_MISMATCH`. */
export async function writeTfjs(plan: Plan, directory: string, shardBytes: number, meter: Meter): Promise<WrittenTarget> {
  const { model, training } = plan;
  if (model === undefined) {
    throw new HoldfastError(
      'ERR_CONVERT',
      'TensorFlow.js needs to know the model that the tensors are the weights of, and the source does not say. Name a model.json of the same model: --topology model.json.',
    );
  }
  const byName = new Map(plan.tensors.map((tensor) => [tensor.name, tensor]));
  const specs = plan.tensors.map((tensor) => specOf(tensor));
  assertFits(model, plan.tensors, MODEL_JSON);
  const names = plan.order.filter((name) => byName.has(name));
  const tensors = (names.length === byName.size ? names : [...byName.keys()]).map((name) => byName.get(name) as SourceTensor);
  const specByName = new Map(specs.map((spec) => [spec.name, spec]));
  const isLayers = model.format === 'layers-model';
  const trained = isLayers && training !== undefined ? training : undefined;
  const optimizer = trained === undefined ? undefined : await toStockOptimizer(trained, plan.optimizer, new Set(byName.keys()));
  const trainingConfig = trained?.trainingConfig ?? null;
  const slots = optimizer?.tensors ?? [];
  const weights = [
    ...tensors.map(({ name }) => specByName.get(name)),
    ...slots.map(({ name, tensor }) => ({ ...specOf(tensor), name, group: 'optimizer' })),
  ];
  const all = [...tensors, ...slots.map(({ tensor }) => tensor)];
  const shards = await writeShards(all, directory, shardBytes, meter);
  const document = {
    ...model.fields,
    format: model.format,
    generatedBy: model.fields['generatedBy'] ?? `holdfast ${VERSION}`,
    convertedBy: `holdfast ${VERSION}`,
    weightsManifest: [{ paths: shards.names, weights }],
    ...(trainingConfig === null || lossFunctionsOf(trainingConfig).length > 0 ? {} : { trainingConfig }),
  };
  const json = Buffer.from(`${JSON.stringify(document)}\n`);
  const bytes = await NewFile.write(path.join(directory, MODEL_JSON), meter, (file) => file.append(json));
  return { tensors: all.length, bytes: bytes + shards.bytes, warnings: [...(optimizer?.warnings ?? []), ...limitsOf(shards.bytes)] };
}

interface StockSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly quantization?: { readonly dtype: 'float16'; readonly original_dtype: 'float32' };
}

function specOf({ name, dtype, shape, strings }: SourceTensor): StockSpec {
  if (strings !== undefined) return { name, dtype: 'string', shape: strings };
  // tfjs keeps halves in files, and makes float32 of them.
  if (dtype === 'F16') return { name, dtype: 'float32', shape, quantization: { dtype: 'float16', original_dtype: 'float32' } };
  const known = TFJS_DTYPE[dtype];
  if (known !== undefined) return { name, dtype: known, shape };
  const advice = dtype === 'BF16' || dtype === 'F64' || dtype.startsWith('F8') ? 'Convert it: --dtype f32.' : 'Leave it out with --only.';
  throw new HoldfastError(
    'ERR_CONVERT',
    `TensorFlow.js has no type for ${dtype}, of which the tensor ${JSON.stringify(name)} is. ${advice}`,
    {
      tensors: [name],
    },
  );
}

async function writeShards(
  tensors: readonly SourceTensor[],
  directory: string,
  shardBytes: number,
  meter: Meter,
): Promise<{ names: readonly string[]; bytes: number }> {
  const total = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const count = Math.max(1, Math.ceil(total / shardBytes));
  const names = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  const pieces = piecesOf(tensors, meter.signal);
  let rest: Uint8Array | undefined;
  let bytes = 0;
  try {
    for (const [i, name] of names.entries()) {
      const wanted = Math.min(shardBytes, total - i * shardBytes);
      bytes += await NewFile.write(path.join(directory, name), meter, async (file) => {
        while (file.bytes < wanted) {
          rest ??= (await pieces.next()).value ?? undefined;
          if (rest === undefined) break;
          const room = wanted - file.bytes;
          await file.append(rest.subarray(0, room));
          rest = rest.length > room ? rest.subarray(room) : undefined;
        }
      });
    }
    // Of the last tensors nothing may be left, and none of its checks.
    const end = await pieces.next();
    if (bytes === total && rest === undefined && end.done === true) return { names, bytes };
  } finally {
    await pieces.return();
  }
  throw new HoldfastError('ERR_SOURCE_LENGTH', 'The source gave more or fewer bytes than its tensors have.');
}

async function* piecesOf(tensors: readonly SourceTensor[], signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { name, byteLength, read } of tensors) {
    let bytes = 0;
    for await (const piece of read(signal)) {
      bytes += piece.length;
      if (bytes <= byteLength && piece.length > 0) yield piece;
    }
    if (bytes === byteLength) continue;
    throw new HoldfastError(
      'ERR_SOURCE_LENGTH',
      `The source gave ${bytes} bytes of the tensor ${JSON.stringify(name)}, not ${byteLength}.`,
      {
        tensors: [name],
      },
    );
  }
}

/** Up to here stock tfjs can join all files in Node.js 20. */
const STOCK_TOTAL_BYTES = 2 ** 32;

function limitsOf(bytes: number): string[] {
  if (bytes <= STOCK_TOTAL_BYTES) return [];
  return ['Stock tfjs joins all weights in one array and cannot load more than 4 GiB on Node.js 20.'];
}

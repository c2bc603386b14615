/** Sources of every kind for the tests of `convert`, and looks into what became of them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CheckpointManager, type Dtype } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { random32 } from '../helpers/random.js';
import type { Tf } from '../helpers/tfjs.js';

/** A tensor as tests compare them. */
export interface Stored {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

export type StoredTensors = Readonly<Record<string, Stored>>;

/** Every dtype whose elements are whole bytes. */
export const BYTE_DTYPES: Readonly<Partial<Record<Dtype, number>>> = {
  ...{ F64: 8, I64: 8, U64: 8, C64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 },
  ...{ F8_E4M3: 1, F8_E5M2: 1 },
};

/** A tensor of random bytes: every bit pattern must come through. */
export function randomTensor(dtype: Dtype, shape: readonly number[], seed: number): Stored {
  const next = random32(seed);
  const length = shape.reduce((product, size) => product * size, 1) * (BYTE_DTYPES[dtype] as number);
  const bytes = Buffer.from({ length, [Symbol.iterator]: undefined } as ArrayLike<number>);
  for (let i = 0; i < length; i++) bytes[i] = dtype === 'BOOL' ? next() % 2 : next() % 256;
  return { dtype, shape, bytes };
}

/** Saves `tensors` in a fresh directory of checkpoints; gives the directory. */
export async function checkpointOf(tensors: StoredTensors, step = 1): Promise<string> {
  const directory = freshDirectory();
  await saveInto(directory, tensors, step);
  return directory;
}

export async function saveInto(directory: string, tensors: StoredTensors, step: number): Promise<string> {
  const manager = await CheckpointManager.open(directory);
  const list = Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => ({ name, dtype, shape, data: bytes }));
  const saved = await manager.save({ step, tensors: list });
  await manager.close();
  return saved.path;
}

/** All tensors of the newest checkpoint of `directory`. */
export async function tensorsOf(directory: string, target = 'latest'): Promise<{ tensors: StoredTensors; optimizer: StoredTensors }> {
  const manager = await CheckpointManager.open(directory, { readOnly: true });
  const restored = await manager.restore(target, { contents: 'any' });
  await manager.close();
  if (restored === null) throw new Error(`There is no checkpoint in ${directory}.`);
  const look = (map: typeof restored.tensors) =>
    Object.fromEntries(
      [...map].map(([name, { dtype, shape, buffer, byteOffset, byteLength }]) => [
        name,
        { dtype, shape, bytes: Buffer.from(buffer, byteOffset, byteLength) },
      ]),
    );
  return { tensors: look(restored.tensors), optimizer: look(restored.optimizer) };
}

/** Saves a model as stock tfjs does, with the weights in `shards` files; gives the directory. */
export async function saveStock(
  model: { save: (handler: never, config?: object) => Promise<unknown> },
  tf: Tf,
  shards = 1,
  includeOptimizer = true,
): Promise<string> {
  const directory = freshDirectory();
  const handler = tf.io.withSaveHandler(async (artifacts) => {
    const data = Buffer.from(artifacts.weightData as ArrayBuffer);
    const length = Math.ceil(data.length / shards);
    const paths = Array.from({ length: shards }, (_, i) => `group1-shard${i + 1}of${shards}.bin`);
    paths.forEach((name, i) => {
      writeFileSync(path.join(directory, name), data.subarray(i * length, (i + 1) * length));
    });
    const { weightData: _, weightSpecs: weights, ...rest } = artifacts;
    const json = { ...rest, weightsManifest: [{ paths, weights }] };
    writeFileSync(path.join(directory, 'model.json'), JSON.stringify(json));
    return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
  });
  await model.save(handler as never, { includeOptimizer });
  return directory;
}

/** Writes a stock directory by hand: a topology, weights and their bytes. */
export function stockDirectory(document: object, weights: readonly object[], data: Uint8Array): string {
  const directory = freshDirectory();
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'w.bin'), data);
  writeFileSync(path.join(directory, 'model.json'), JSON.stringify({ ...document, weightsManifest: [{ paths: ['w.bin'], weights }] }));
  return directory;
}

/** A handler with which stock tfjs loads a directory, as its own for files does. */
export function stockHandler(directory: string, tf: Tf) {
  const json = JSON.parse(readFileSync(path.join(directory, 'model.json'), 'utf8'));
  return {
    load: () =>
      tf.io.getModelArtifactsForJSON(json, async (manifest) => {
        const data = Buffer.concat(manifest.flatMap(({ paths }) => paths.map((name) => readFileSync(path.join(directory, name)))));
        return [manifest.flatMap(({ weights }) => weights), Uint8Array.from(data).buffer];
      }),
  };
}

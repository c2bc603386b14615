/** Real checkpoints for the command to look at, and ways to harm them. */
import { closeSync, cpSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { decodeManifest, type Manifest } from '../../src/format/manifest.js';
import { encodeManifest } from '../../src/format/manifest-encode.js';
import { CheckpointManager, type OpenOptions, type SaveRequest, type TensorInputs } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';

/** Three tensors; each of its own, so that a test can hit one. */
export function tensors(seed = 1): TensorInputs {
  return {
    'dense/kernel': { dtype: 'F32', shape: [4, 8], data: Float32Array.from({ length: 32 }, (_, i) => i * seed) },
    'dense/bias': { dtype: 'F32', shape: [8], data: new Float32Array(8).fill(seed) },
    steps: { dtype: 'I64', shape: [], data: BigInt64Array.of(BigInt(seed)) },
  };
}

/** Saves the requests into a fresh directory, one checkpoint each, and gives its path. */
export async function saveAll(requests: readonly Partial<SaveRequest>[], options: OpenOptions = {}): Promise<string> {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { engine: 'portable', ...options });
  let step = 0;
  for (const request of requests) {
    step += 1000;
    await manager.save({ step, epoch: step / 1000, tensors: tensors(step), ...request });
  }
  await manager.close();
  return directory;
}

/** A fresh copy of a directory, its links as they are. */
export function copyOf(directory: string): string {
  const copy = freshDirectory();
  cpSync(directory, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

/** Path of the checkpoint of `step`, by its default name. */
export function find(directory: string, names: readonly string[], step: number): string {
  const name = names.find((candidate) => candidate.includes(`_step${String(step).padStart(8, '0')}`));
  if (name === undefined) throw new Error(`no checkpoint of step ${step} among ${names.join(', ')}`);
  return path.join(directory, name);
}

export function readManifest(checkpoint: string): Manifest {
  return decodeManifest(readFileSync(path.join(checkpoint, 'manifest.json')), path.basename(checkpoint));
}

/** Writes the manifest anew, sealed, with some fields changed. */
export function alterManifest(checkpoint: string, changes: Partial<Manifest>): void {
  writeFileSync(path.join(checkpoint, 'manifest.json'), encodeManifest({ ...readManifest(checkpoint), ...changes }));
}

/** Flips the bits of one byte. */
export function flipByte(file: string, offset: number): void {
  const descriptor = openSync(file, 'r+');
  try {
    const byte = new Uint8Array(1);
    readSync(descriptor, byte, 0, 1, offset);
    writeSync(descriptor, Uint8Array.of((byte[0] as number) ^ 0xff), 0, 1, offset);
  } finally {
    closeSync(descriptor);
  }
}

/** tfjs-node: where it is, and what it saves. */
import { readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import { bytesOf } from '../workload.js';
import { syncFile } from './file-jobs.js';
import type { Job } from './job.js';
import type { JobSettings } from './messages.js';

const PACKAGES = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'];
const LAYERS = 64;

/** As much of TensorFlow.js as is used here: it is no dependency, so its types are not there either. */
interface Tf {
  enableProdMode(): void;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  sequential(options: { layers: unknown[] }): { save(url: string): Promise<unknown> };
  layers: { dense(options: Record<string, unknown>): unknown };
}

/** Its entry file as seen from the current directory, or from the directory that HOLDFAST_TFJS_NODE names; `undefined` where it is not installed. */
export function findTfjsNode(): string | undefined {
  const from = path.resolve(process.env['HOLDFAST_TFJS_NODE'] ?? '.', 'package.json');
  for (const name of PACKAGES) {
    try {
      return createRequire(from).resolve(name);
    } catch {
      // The other one, then.
    }
  }
  return undefined;
}

/** Bytes that a model of {@link LAYERS} square layers can have nearest to `bytes`. */
export function tfjsBytes(bytes: number): number {
  return 4 * LAYERS * widthFor(bytes) ** 2;
}

function widthFor(bytes: number): number {
  return Math.max(1, Math.floor(Math.sqrt(bytes / 4 / LAYERS)));
}

/** `model.save('file://…')`, and then the fsync of its files and its directory that it leaves out. */
export async function tfjsSave({ tensors, directory }: JobSettings): Promise<Job> {
  const tf = await loadTfjsNode();
  const width = widthFor(bytesOf(tensors));
  const layers = Array.from({ length: LAYERS }, (_, i) =>
    tf.layers.dense({ name: `dense_${i}`, units: width, useBias: false, ...(i === 0 ? { inputShape: [width] } : {}) }),
  );
  const model = tf.sequential({ layers });
  const target = (call: number) => path.join(directory, `model.${call}`);
  return {
    run: async (call) => {
      await model.save(`file://${target(call)}`);
      for (const name of await readdir(target(call))) await syncFile(path.join(target(call), name));
      await syncFile(target(call));
    },
    after: (call) => rm(target(call), { recursive: true }),
  };
}

async function loadTfjsNode(): Promise<Tf> {
  const file = findTfjsNode();
  if (file === undefined) throw new Error('@tensorflow/tfjs-node is not installed');
  // tfjs-node 4.22 uses what Node.js 24 has removed.
  const legacy = util as { isNullOrUndefined?: unknown; isArray?: unknown };
  legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const tf = createRequire(import.meta.url)(file) as Tf;
  tf.enableProdMode();
  await tf.setBackend('tensorflow');
  await tf.ready();
  return tf;
}

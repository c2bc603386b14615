/** A checkpoint as a target: saved as any other, with what the source says of model, training and run. */
import { scanDirectory } from '../catalog/scan.js';
import type { ProgressListener } from '../engine/progress.js';
import { HoldfastError } from '../errors.js';
import type { TensorFilePlan } from '../format/layout.js';
import { HISTORY_NAME, LOCK_NAME, REGISTRY_NAME } from '../format/names.js';
import type { Json } from '../format/state.js';
import { CheckpointManager } from '../manager/manager.js';
import type { Attachment, SaveRequest } from '../manager/save-request.js';
import { keep } from '../policy/keep.js';
import type { TensorInput } from '../snapshot/source.js';
import { exists, listDirectory, removeTree } from '../storage/local.js';
import { EXTENSION_NAME, encodeExtension } from '../tfjs-record/extension.js';
import { MODEL_JSON, stockWarnings, weightsManifest } from '../tfjs-record/weights-manifest.js';
import { VERSION } from '../version.js';
import type { SourceTensor } from './contents.js';
import type { ModelDocument } from './model-document.js';
import { assertFits, type Plan } from './plan.js';
import type { WrittenTarget } from './write-plain.js';

/** What a checkpoint is written with. */
export interface WriteCheckpointOptions {
  /** Whether checkpoints may be there already. They stay. */
  readonly force: boolean;
  readonly shardBytes: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ProgressListener | undefined;
}

/** Saves a checkpoint in `directory`, a directory of checkpoints; gives its path. */
export async function writeCheckpoint(
  plan: Plan,
  directory: string,
  { force, shardBytes, signal, onProgress }: WriteCheckpointOptions,
): Promise<WrittenTarget & { readonly path: string }> {
  const request = requestOf(plan);
  const isNew = !(await exists(directory));
  if (!force && !isNew) await assertEmpty(directory);
  try {
    const manager = await CheckpointManager.open(directory, {
      keep: keep.all(),
      ...(shardBytes === undefined ? {} : { maxShardBytes: shardBytes }),
    });
    try {
      const saved = await manager.save({ ...request, signal, onProgress });
      return { path: saved.path, tensors: plan.tensors.length + plan.optimizer.length, bytes: saved.bytes, warnings: saved.warnings };
    } finally {
      await manager.close();
    }
  } catch (error) {
    if (isNew) await removeEmpty(directory);
    // What the source has to say, not that it was a stream that said it.
    if (error instanceof HoldfastError && error.code === 'ERR_SOURCE' && error.cause instanceof HoldfastError) throw error.cause;
    throw error;
  }
}

async function assertEmpty(directory: string): Promise<void> {
  const found = await listDirectory(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found?.every(({ name }) => name.startsWith('.') || name === REGISTRY_NAME)) return;
  const checkpoints = found === undefined ? 0 : (await scanDirectory(directory)).length;
  const what =
    checkpoints > 0
      ? 'To add the new checkpoint to those that are there, use --force.'
      : 'Choose another name for the directory of the checkpoint.';
  throw new HoldfastError('ERR_EXISTS', `There is something at ${directory} already. ${what}`, { path: directory });
}

/** A directory that was only made for a checkpoint that did not come about. */
async function removeEmpty(directory: string): Promise<void> {
  const found = await listDirectory(directory).catch(() => undefined);
  const own: ReadonlySet<string> = new Set([HISTORY_NAME, LOCK_NAME, REGISTRY_NAME]);
  if (found?.every(({ name }) => own.has(name))) await removeTree(directory).catch(() => {});
}

function requestOf(plan: Plan): SaveRequest {
  const { tensors, optimizer, model, run, training, order } = plan;
  if (model !== undefined && plan.isCast && tensors.some(({ dtype }) => dtype === 'F16' || dtype === 'BF16')) {
    throw new HoldfastError(
      'ERR_CONVERT',
      'The checkpoint of a TensorFlow.js model holds float32, since tfjs computes with nothing smaller. Leave out --dtype, or convert to tfjs, safetensors or npz.',
    );
  }
  if (model !== undefined) assertFits(model, tensors, MODEL_JSON);
  const strings = tensors.flatMap(({ name, strings: shape }) => (shape === undefined ? [] : [{ name, shape }]));
  const isLayers = model?.format === 'layers-model' || (model === undefined && training !== undefined);
  const tfjs: Json | undefined = isLayers
    ? encodeExtension({ weights: order, strings, trainingConfig: training?.trainingConfig ?? null, optimizer: training?.optimizer ?? null })
    : undefined;
  const hasOptimizer = optimizer.length > 0 || training?.optimizer != null;
  let layout: readonly TensorFilePlan[] = [];
  return {
    step: run?.step ?? 0,
    ...{ epoch: run?.epoch, metrics: run?.metrics, state: run?.user, ...run?.run },
    tensors: tensors.map(toInput),
    ...(hasOptimizer ? { optimizer: optimizer.map(toInput) } : {}),
    contents: run?.contents ?? 'weights',
    extensions: { ...run?.extensions, ...(tfjs === undefined ? {} : { [EXTENSION_NAME]: tfjs }) },
    ...(run?.software === undefined ? {} : { software: withoutOwn(run.software) }),
    attachments: (files) => {
      layout = files;
      return [...(model === undefined ? [] : [encodeModel(model, files)]), ...(run?.attachments ?? [])];
    },
    warnings: () => (model === undefined ? [] : stockWarnings(layout)),
  };
}

/** Of this library and what it runs on the save itself says the versions. */
function withoutOwn(software: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(software).filter(([name]) => !['holdfast', 'node', 'platform'].includes(name)));
}

function toInput({ name, dtype, shape, byteLength, read }: SourceTensor): TensorInput {
  return { name, dtype, shape, data: { byteLength, [Symbol.asyncIterator]: () => read(undefined)[Symbol.asyncIterator]() } };
}

function encodeModel({ fields, format, weights }: ModelDocument, files: readonly TensorFilePlan[]): Attachment {
  const document = {
    ...fields,
    format,
    generatedBy: fields['generatedBy'] ?? `holdfast ${VERSION}`,
    weightsManifest: weightsManifest(weights, files),
  };
  return { name: MODEL_JSON, data: `${JSON.stringify(document)}\n` };
}

/** A checkpoint as a source: one that is named, or the newest good one of a directory of them. Every byte that is read is checked. */
import path from 'node:path';
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import { readCheckpoint } from '../catalog/read-checkpoint.js';
import { toError } from '../catalog/read-parts.js';
import type { Engine } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import { MANIFEST_NAME } from '../format/names.js';
import type { StateDocument } from '../format/state.js';
import { realpath } from '../fs.js';
import { CheckpointReader, type StoredTensor } from '../manager/checkpoint-reader.js';
import { type RestoreTarget, withTarget } from '../manager/target.js';
import { exists } from '../storage/local.js';
import { decodeExtension, EXTENSION_NAME, type TfjsExtension } from '../tfjs-record/extension.js';
import { MODEL_JSON } from '../tfjs-record/weights-manifest.js';
import type { OpenSourceOptions, SourceContents, SourceTensor } from './contents.js';
import { type ModelFile, parseModelFile } from './model-document.js';

/** Which checkpoint of a directory. */
export type CheckpointChoice = 'latest' | 'best' | { readonly step: number };

/** Options of {@link openCheckpoint}. */
export interface OpenCheckpointOptions extends OpenSourceOptions {
  readonly checkpoint: CheckpointChoice | undefined;
}

/** Opens a checkpoint. Throws what restoring throws; `ERR_NOT_FOUND` where there is none. */
export async function openCheckpoint(target: string, options: OpenCheckpointOptions): Promise<SourceContents> {
  const engine = selectEngine();
  const real = await realpath(target);
  const isOne = await exists(path.join(real, MANIFEST_NAME));
  if (isOne && options.checkpoint !== undefined) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${target} is one checkpoint. To choose among several, give the directory that they are in.`,
      {
        path: target,
      },
    );
  }
  const where: RestoreTarget = isOne ? real : (options.checkpoint ?? 'latest');
  const context = { directory: isOne ? path.dirname(real) : real, monitor: undefined, contents: 'any' as const };
  const found = await withTarget(where, context, async (info, manifest, skipped) => {
    // Only now another one can take its place.
    if (!isOne) await verify(info, manifest, engine, options.signal);
    return { info, manifest, skipped };
  });
  if (found === null) throw new HoldfastError('ERR_NOT_FOUND', `There is no checkpoint in ${target}.`, { path: target });
  return openFound(found.info, found.manifest, found.skipped, engine, options);
}

async function verify(info: CheckpointInfo, manifest: Manifest, engine: Engine, signal: AbortSignal | undefined): Promise<void> {
  for (const { problems } of await readCheckpoint(info.path, manifest, { engine, direct: 'optional', signal })) {
    if (problems[0] !== undefined) throw toError(problems[0], info.name);
  }
}

async function openFound(
  info: CheckpointInfo,
  manifest: Manifest,
  skipped: readonly SkippedCheckpoint[],
  engine: Engine,
  options: OpenCheckpointOptions,
): Promise<SourceContents> {
  const reader = await CheckpointReader.open(info, manifest, { engine, direct: 'optional' });
  try {
    const { state, attachments } = await readSmallFiles(info, manifest, engine, options.signal);
    const { [EXTENSION_NAME]: tfjs, ...extensions } = state.extensions;
    const extension = decodeExtension(tfjs, info.name);
    const json = attachments.get(MODEL_JSON);
    const model = json === undefined ? undefined : parseModelFile(json, `${info.name}/${MODEL_JSON}`);
    const strings = stringsOf(extension, model);
    const toTensor = (stored: StoredTensor): SourceTensor => ({
      ...{ name: stored.name, role: stored.role, dtype: stored.dtype, shape: stored.shape, byteLength: stored.byteLength },
      strings: stored.role === 'model' ? strings.get(stored.name) : undefined,
      read: (signal) => reader.stream(stored.name, { role: stored.role, signal }),
    });
    const optimizer = options.optimizer === false ? [] : [...reader.optimizer.values()].map(toTensor);
    const wantsOptimizer = options.optimizer !== false;
    return {
      kind: 'checkpoint',
      path: info.path,
      tensors: [...reader.tensors.values()].map(toTensor),
      optimizer,
      model: model?.document,
      order: extension?.weights,
      training: extension && { trainingConfig: extension.trainingConfig, optimizer: wantsOptimizer ? extension.optimizer : null },
      run: {
        ...{ step: manifest.step, epoch: manifest.epoch, metrics: manifest.metrics },
        contents: wantsOptimizer ? manifest.contents : 'weights',
        ...{ user: state.user, run: state.run, extensions },
        software: manifest.software,
        attachments: [...attachments].filter(([name]) => name !== MODEL_JSON).map(([name, data]) => ({ name, data })),
      },
      warnings: skipped.map(({ name, code, message }) => `${name} was passed over: ${code}: ${message}`),
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/** All but the tensors, whose bytes are not read. */
async function readSmallFiles(
  info: CheckpointInfo,
  manifest: Manifest,
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<{ state: StateDocument; attachments: ReadonlyMap<string, Uint8Array> }> {
  const files = await readCheckpoint(info.path, manifest, { engine, direct: 'optional', load: { wanted: () => false }, signal });
  const attachments = new Map<string, Uint8Array>();
  let state: StateDocument = { extensions: {} };
  for (const { file, problems, content, state: found } of files) {
    if (problems[0] !== undefined) throw toError(problems[0], info.name);
    if (file.role === 'attachment' && content !== undefined) attachments.set(file.name, content);
    state = found ?? state;
  }
  return { state, attachments };
}

function stringsOf(extension: TfjsExtension | undefined, model: ModelFile | undefined): ReadonlyMap<string, readonly number[]> {
  const ofModel = model?.document.weights.filter(({ dtype }) => dtype === 'string') ?? [];
  return new Map([...ofModel, ...(extension?.strings ?? [])].map(({ name, shape }) => [name, shape]));
}

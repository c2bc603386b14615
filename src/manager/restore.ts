/** Restoring: reads the tensors of a checkpoint into memory. */
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import type { ChooseMemory, TensorMemory, WantedTensor } from '../catalog/destinations.js';
import { type LoadOptions, type ReadCheckpointOptions, readCheckpoint } from '../catalog/read-checkpoint.js';
import { toError } from '../catalog/read-parts.js';
import type { RestoredTensor } from '../catalog/tensor.js';
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import type { Json, StateDocument } from '../format/state.js';
import { assertKnown, type CallOptions, checkCallOptions } from './options.js';
import { type RestoreTarget, type TargetContext, withTarget } from './target.js';

/** A restored checkpoint. */
export interface Restored {
  readonly info: CheckpointInfo;
  /** The model's tensors by name. */
  readonly tensors: ReadonlyMap<string, RestoredTensor>;
  /** The optimizer's tensors by name; empty where there are none. */
  readonly optimizer: ReadonlyMap<string, RestoredTensor>;
  /** What was given to `save` as `state`; undefined where nothing was. */
  readonly state: Json | undefined;
  /** State of integrations, by their name. */
  readonly extensions: Readonly<Record<string, Json>>;
  /** Attachments by name. */
  readonly attachments: ReadonlyMap<string, Uint8Array>;
  /** Checkpoints that were passed over on the way, newest first, and why. */
  readonly skipped: readonly SkippedCheckpoint[];
}

/** Tensors of an earlier restore, whose memory may be filled again. */
export type ReusedMemory = Pick<Restored, 'tensors' | 'optimizer'>;

/** Options of `restore`. */
export interface RestoreOptions extends CallOptions {
  /** Which tensors: their names, or a function that says of each whether it is wanted. The bytes of others are not read. Default all. */
  readonly tensors?: Iterable<string> | ((tensor: WantedTensor) => boolean);
  /**
   * Memory to read into, of exactly the length of the tensor: what an earlier restore gave (where it fits), or a function that gives it, or
   * `undefined` for new memory. When the call rejects, what it holds is undefined.
   */
  readonly into?: ReusedMemory | ((tensor: WantedTensor) => TensorMemory | undefined);
}

/** The options of a restore, checked. Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`. */
export function resolveRestoreOptions(
  options: RestoreOptions,
): CallOptions & { readonly names?: ReadonlySet<string>; readonly load: LoadOptions } {
  const { tensors, into, ...rest } = options ?? {};
  assertKnown('restore', options, ['tensors', 'into', 'signal', 'onProgress']);
  const call = checkCallOptions('restore', rest);
  const choose = toChoice(into);
  if (tensors === undefined || typeof tensors === 'function') return { ...call, load: { wanted: tensors, choose } };
  const names = new Set(typeof tensors === 'string' ? [] : tensors);
  if (names.size === 0 || [...names].some((name) => typeof name !== 'string')) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'tensors must be a list of names, or a function that says which tensors are wanted.');
  }
  return { ...call, names, load: { wanted: ({ name }) => names.has(name), choose } };
}

function toChoice(into: RestoreOptions['into']): ChooseMemory | undefined {
  if (into === undefined || typeof into === 'function') return into;
  const { tensors, optimizer } = into;
  if (!(tensors instanceof Map) || !(optimizer instanceof Map)) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'into must be what an earlier restore gave, or a function that gives memory for a tensor.',
    );
  }
  return ({ name, role, byteLength }) => {
    const memory: RestoredTensor | undefined = (role === 'model' ? tensors : optimizer).get(name);
    return memory?.byteLength === byteLength ? memory : undefined;
  };
}

export interface RestoreContext extends TargetContext, ReadCheckpointOptions {
  readonly load: LoadOptions;
  /** Names that must be there. */
  readonly names?: ReadonlySet<string>;
}

/** Restores `target`; `null` only where `latest` or `best` is asked for and there is no checkpoint at all. */
export async function restoreTarget(target: RestoreTarget, context: RestoreContext): Promise<Restored | null> {
  return withTarget(target, context, (info, manifest, skipped) => restoreOne(info, manifest, skipped, context));
}

/** Reads one checkpoint. Throws the first problem that it finds. */
async function restoreOne(
  info: CheckpointInfo,
  manifest: Manifest,
  skipped: readonly SkippedCheckpoint[],
  context: RestoreContext,
): Promise<Restored> {
  assertNames(info, manifest, context.names);
  const files = await readCheckpoint(info.path, manifest, context);
  const tensors = new Map<string, RestoredTensor>();
  const optimizer = new Map<string, RestoredTensor>();
  const attachments = new Map<string, Uint8Array>();
  let state: StateDocument = { extensions: {} };
  for (const result of files) {
    const [problem] = result.problems;
    if (problem !== undefined) throw toError(problem, info.name);
    const target = result.file.role === 'optimizer' ? optimizer : tensors;
    for (const [name, tensor] of result.tensors) target.set(name, tensor);
    if (result.file.role === 'attachment' && result.content !== undefined) attachments.set(result.file.name, result.content);
    state = result.state ?? state;
  }
  return { info, tensors, optimizer, state: state.user, extensions: state.extensions, attachments, skipped };
}

function assertNames(info: CheckpointInfo, { files }: Manifest, names: ReadonlySet<string> | undefined): void {
  if (names === undefined) return;
  const there = new Set(files.flatMap(({ tensors = [] }) => tensors.map(({ name }) => name)));
  const missing = [...names].filter((name) => !there.has(name));
  if (missing.length === 0) return;
  throw new HoldfastError('ERR_NOT_FOUND', `${info.name} has no tensor ${missing.map((name) => JSON.stringify(name)).join(', ')}.`, {
    checkpoint: info.name,
    tensors: missing,
  });
}

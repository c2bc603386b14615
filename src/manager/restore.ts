/** Restoring: reads the tensors of a checkpoint into memory. */
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import type { ChooseMemory, TensorMemory, WantedTensor } from '../catalog/destinations.js';
import { type LoadOptions, type ReadCheckpointOptions, readCheckpoint } from '../catalog/read-checkpoint.js';
import { toError } from '../catalog/read-parts.js';
import type { RestoredTensor } from '../catalog/tensor.js';
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Manifest } from '../format/manifest.js';
import type { TensorMatch } from '../format/match-tensors.js';
import type { Json, RunState, StateDocument } from '../format/state.js';
import { assertKnown } from '../known-options.js';
import { type Expectation, type ExpectedTensors, matchCheckpoint, toExpectation } from './expectation.js';
import { type CallOptions, checkCallOptions, oneOf } from './options.js';
import { type RestoreTarget, type TargetContext, type WantedContents, withTarget } from './target.js';

/** A restored checkpoint. `State` is what the caller saved as `state`; it is taken at his word. */
export interface Restored<State = Json> extends RunState {
  readonly info: CheckpointInfo;
  /** Global step. */
  readonly step: number;
  /** How many epochs were done; undefined where the save did not say. */
  readonly epoch: number | undefined;
  /** Where to go on, as Keras's `initial_epoch`: the index of the first epoch that is not done; 0 where the save did not say. */
  readonly initialEpoch: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** When it was committed. */
  readonly createdAt: Date;
  /** Versions of what wrote it. */
  readonly software: Readonly<Record<string, string>>;
  /** The model's tensors by name. */
  readonly tensors: ReadonlyMap<string, RestoredTensor>;
  /** The optimizer's tensors by name; empty where there are none. */
  readonly optimizer: ReadonlyMap<string, RestoredTensor>;
  /** What was given to `save` as `state`; undefined where nothing was. */
  readonly state: State | undefined;
  /** State of integrations, by their name. */
  readonly extensions: Readonly<Record<string, Json>>;
  /** Attachments by name. */
  readonly attachments: ReadonlyMap<string, Uint8Array>;
  /** Checkpoints that were passed over on the way, newest first, and why. */
  readonly skipped: readonly SkippedCheckpoint[];
  /** With `expect`: what fitted, and what did not. */
  readonly match?: TensorMatch;
}

/** Tensors of an earlier restore, whose memory may be filled again. */
export type ReusedMemory = Pick<Restored, 'tensors' | 'optimizer'>;

/** Options of `restore`. */
export interface RestoreOptions extends CallOptions {
  /**
   * What the checkpoint must hold: `full`, `weights`, or `any`. Default: for `latest` `full`, as training goes on from it; for the rest `any`. A
   * checkpoint that is named is taken as it is.
   */
  readonly contents?: WantedContents;
  /** The model's tensors as the program has them: by name, dtype and shape. */
  readonly expect?: ExpectedTensors;
  /** `strict` (default): where `expect` and the checkpoint differ, `ERR_MODEL_MISMATCH` lists how. `weak`: what fits is restored, and `match` tells of the rest. */
  readonly mode?: 'strict' | 'weak';
  /** For expected tensors that have other names in the checkpoint: those names. They come back under the expected ones. */
  readonly rename?: Readonly<Record<string, string>> | ((name: string) => string);
  /** Which tensors: their names, or a function that says of each whether it is wanted. The bytes of others are not read. Default all. */
  readonly tensors?: Iterable<string> | ((tensor: WantedTensor) => boolean);
  /**
   * Memory to read into, of exactly the length of the tensor: what an earlier restore gave (where it fits), or a function that gives it, or
   * `undefined` for new memory. When the call rejects, what it holds is undefined.
   */
  readonly into?: ReusedMemory | ((tensor: WantedTensor) => TensorMemory | undefined);
}

/** The options of a restore, checked. */
export interface ResolvedRestore extends CallOptions {
  readonly contents: WantedContents | undefined;
  readonly expectation: Expectation | undefined;
  /** Names that must be there. */
  readonly names?: ReadonlySet<string>;
  readonly load: LoadOptions;
}

/** The options of a restore, checked. Throws `ERR_UNKNOWN_OPTION`, `ERR_INVALID_ARGUMENT`. */
export function resolveRestoreOptions(options: RestoreOptions): ResolvedRestore {
  const { tensors, into, contents, expect, mode = 'strict', rename, ...rest } = options ?? {};
  assertKnown('restore', options, ['contents', 'expect', 'mode', 'rename', 'tensors', 'into', 'signal', 'onProgress']);
  if (contents !== undefined) oneOf('contents', contents, ['full', 'weights', 'any']);
  const expectation = toExpectation(expect, mode, rename);
  if (expectation !== undefined && tensors !== undefined) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'Give either expect, which says which tensors are wanted, or tensors.');
  }
  const call = { ...checkCallOptions('restore', rest), contents, expectation };
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

export interface RestoreContext extends TargetContext, ReadCheckpointOptions, Pick<ResolvedRestore, 'load' | 'names' | 'expectation'> {
  readonly load: LoadOptions;
  readonly contents: WantedContents | undefined;
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
  const { expectation } = context;
  const match = expectation && (await matchCheckpoint(info, manifest, expectation, context));
  const sources = match && sourcesOf(match);
  const fitting = new Set(sources?.values());
  const load =
    match === undefined
      ? context.load
      : { ...context.load, wanted: ({ role, name }: WantedTensor) => role === 'optimizer' || fitting.has(name) };
  const files = await readCheckpoint(info.path, manifest, { ...context, load });
  const model = new Map<string, RestoredTensor>();
  const optimizer = new Map<string, RestoredTensor>();
  const attachments = new Map<string, Uint8Array>();
  let state: StateDocument = { extensions: {} };
  for (const result of files) {
    const [problem] = result.problems;
    if (problem !== undefined) throw toError(problem, info.name);
    const target = result.file.role === 'optimizer' ? optimizer : model;
    for (const [name, tensor] of result.tensors) target.set(name, tensor);
    if (result.file.role === 'attachment' && result.content !== undefined) attachments.set(result.file.name, result.content);
    state = result.state ?? state;
  }
  // Two expected names may be of one tensor in the checkpoint: they share it, as tied weights do.
  const tensors = sources === undefined ? model : new Map([...sources].map(([name, from]) => [name, model.get(from) as RestoredTensor]));
  const { step, epoch, metrics, createdAt, software } = manifest;
  return {
    info,
    ...{ step, epoch, initialEpoch: epoch ?? 0, metrics, createdAt: new Date(createdAt), software },
    ...{ tensors, optimizer, state: state.user, extensions: state.extensions, attachments, skipped },
    ...{ scheduler: state.run?.scheduler, rng: state.run?.rng, dataPosition: state.run?.dataPosition, config: state.run?.config },
    ...(match === undefined ? {} : { match }),
  };
}

/** Names in the checkpoint, by those that are expected. */
function sourcesOf({ matched, renamed }: TensorMatch): Map<string, string> {
  return new Map([...matched.map((name) => [name, name] as const), ...renamed.map(({ name, from }) => [name, from] as const)]);
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

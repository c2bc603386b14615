/** What `save` is asked to do, checked. */

import { assertTag } from '../catalog/links.js';
import type { Progress } from '../engine/progress.js';
import { HoldfastError } from '../errors.js';
import type { TensorFilePlan } from '../format/layout.js';
import type { LayoutCache } from '../format/layout-cache.js';
import { type Contents, type FileRole, MAX_ATTACHMENT_BYTES } from '../format/manifest.js';
import { isFileName, isWellFormed } from '../format/names.js';
import type { Json } from '../format/state.js';
import type { NameValues } from '../format/template.js';
import { assertKnown } from '../known-options.js';
import type { Sources, TensorInputs } from '../snapshot/source.js';
import { toSources } from '../snapshot/to-sources.js';
import { assertSignalAndListener, count, oneOf, WHEN_BUSY, type WhenBusy } from './options.js';

/** A small file of the caller's own inside the checkpoint, checksummed like the rest. */
export interface Attachment {
  /** A basename that the format does not use itself. */
  readonly name: string;
  readonly data: Uint8Array | string;
}

/** One save. */
export interface SaveRequest {
  /** Global step, a whole number. */
  readonly step: number;
  /** How many epochs are done. */
  readonly epoch?: number | undefined;
  /** Numbers by name; NaN and infinities are kept. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  /** The model's tensors, written to model.safetensors. */
  readonly tensors: TensorInputs;
  /** The optimizer's tensors, written to optimizer.safetensors. */
  readonly optimizer?: TensorInputs | undefined;
  /** Of the learning-rate scheduler, as JSON; `restore` gives it back. */
  readonly scheduler?: Json | undefined;
  /** Of the generators of random numbers, as JSON. */
  readonly rng?: Json | undefined;
  /** Where in the data training is: epoch, batch, order, as JSON. */
  readonly dataPosition?: Json | undefined;
  /** What the run was started with, as JSON. */
  readonly config?: Json | undefined;
  /** Anything else that JSON carries without loss, at most 64 MiB with all of the above. */
  readonly state?: Json | undefined;
  /** Names for the checkpoint, made as links beside it: it is kept as long as it has one. A name that another checkpoint has moves to this one. */
  readonly tags?: readonly string[] | undefined;
  /** `full`: training can go on from it. `weights`: it cannot. Default: as the manager was opened. */
  readonly contents?: Contents | undefined;
  /** More small files; a function gets the layout of the tensor files. */
  readonly attachments?: readonly Attachment[] | ((files: readonly TensorFilePlan[]) => readonly Attachment[]) | undefined;
  /** State of integrations, by their name; kept beside the user's own. */
  readonly extensions?: Readonly<Record<string, Json>> | undefined;
  /** Versions of what the tensors come from, for the manifest. */
  readonly software?: Readonly<Record<string, string>> | undefined;
  /** Aborting before the commit rejects with `ERR_ABORTED` and leaves nothing behind. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** For integrations: asked after the commit for what to add to the result's `warnings`. */
  readonly warnings?: (() => readonly string[]) | undefined;
  /** For integrations: `performance.now()` when the caller's own capture began. The stall counts from there. */
  readonly started?: number | undefined;
  /** For integrations: what a name template is given for `epoch` and `batch`, where those count otherwise than the save does. */
  readonly naming?: Pick<NameValues, 'epoch' | 'batch'> | undefined;
}

/** One asynchronous save. */
export interface AsyncSaveRequest extends SaveRequest {
  /** What to do when `maxInFlight` saves are in flight. Default: as the manager was opened. */
  readonly whenBusy?: WhenBusy | undefined;
}

/** A checked request whose tensors are in one form. */
export interface CheckedRequest extends Omit<SaveRequest, 'tensors' | 'optimizer'> {
  readonly metrics: Readonly<Record<string, number>>;
  readonly software: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, Json>>;
  readonly contents: Contents;
  readonly tags: readonly string[];
  readonly model: Sources;
  readonly optimizerSources: Sources | undefined;
}

const KEYS = [
  'step',
  'epoch',
  'metrics',
  'tensors',
  'optimizer',
  'scheduler',
  'rng',
  'dataPosition',
  'config',
  'state',
  'tags',
  'contents',
  'attachments',
  'extensions',
  'software',
  'signal',
  'onProgress',
  'warnings',
  'started',
  'naming',
] as const satisfies readonly (keyof SaveRequest)[];

/** Takes out what only `saveAsync` knows. */
export function splitAsyncRequest(given: AsyncSaveRequest): { request: SaveRequest; whenBusy: WhenBusy | undefined } {
  assertKnown('saveAsync', given, [...KEYS, 'whenBusy']);
  const { whenBusy, ...request } = given;
  if (whenBusy !== undefined) oneOf('whenBusy', whenBusy, WHEN_BUSY);
  return { request, whenBusy };
}

/** Checks everything that can be checked before memory is touched. */
export function checkRequest(given: SaveRequest, layouts: LayoutCache, usual: Contents): CheckedRequest {
  assertKnown('save', given, KEYS);
  // Asked once: what is checked is what is used, whatever getters the caller's object has.
  const request: SaveRequest = { ...given };
  count('step', request.step, 0);
  if (request.epoch !== undefined) count('epoch', request.epoch, 0);
  const { contents = usual, tags = [] } = request;
  if (contents !== 'full' && contents !== 'weights') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `contents must be "full" or "weights", not ${String(contents)}.`);
  }
  if (!Array.isArray(tags)) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'tags must be a list of names.');
  for (const tag of tags) assertTag(tag);
  const { tensors, optimizer: ofOptimizer, ...rest } = request;
  // A manager for weights leaves the optimizer out; who says so himself means what he gives.
  const optimizer = request.contents === undefined && contents === 'weights' ? undefined : ofOptimizer;
  const model = toSources(tensors, layouts.known('model'));
  const optimizerSources = optimizer === undefined ? undefined : toSources(optimizer, layouts.known('optimizer'));
  layouts.assertSpecs('model', model.specs);
  if (optimizerSources !== undefined) layouts.assertSpecs('optimizer', optimizerSources.specs);
  const { attachments, extensions = {}, software = {}, metrics = {} } = request;
  assertPlainObject('extensions', extensions);
  assertSignalAndListener(request);
  const { warnings, started } = request;
  if (warnings !== undefined && typeof warnings !== 'function') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'warnings must be a function that gives a list of strings.');
  }
  if (started !== undefined && !(typeof started === 'number' && started <= performance.now())) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'started must be a performance.now() of the past.');
  }
  if (attachments !== undefined && typeof attachments !== 'function' && !Array.isArray(attachments)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'attachments must be a list of { name, data }, or a function that gives one.');
  }
  return {
    ...rest,
    contents,
    tags: [...new Set(tags)],
    metrics: checkMetrics(metrics),
    software: checkSoftware(software),
    extensions,
    model,
    optimizerSources,
  };
}

function checkMetrics(metrics: unknown): Record<string, number> {
  assertPlainObject('metrics', metrics);
  const copy: Record<string, number> = Object.create(null);
  for (const [name, value] of Object.entries(metrics)) {
    assertWellFormed('The metric name', name);
    if (typeof value !== 'number') {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `The metric "${name}" is ${value === null ? 'null' : `a ${typeof value}`}; give a number (NaN is one).`,
      );
    }
    copy[name] = value;
  }
  return copy;
}

function checkSoftware(software: unknown): Record<string, string> {
  assertPlainObject('software', software);
  for (const [name, version] of Object.entries(software)) {
    assertWellFormed('The software name', name);
    if (typeof version !== 'string') throw new HoldfastError('ERR_INVALID_ARGUMENT', `software["${name}"] must be a string.`);
    assertWellFormed(`software["${name}"]`, version);
  }
  return { ...(software as Record<string, string>) };
}

/** A Map, an array or a class instance has no members of its own that could be saved. */
function assertPlainObject(what: string, value: unknown): asserts value is object {
  const prototype = value === null || typeof value !== 'object' ? undefined : Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${what} must be a plain object.`);
}

function assertWellFormed(what: string, text: string): void {
  if (isWellFormed(text)) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${what} ${JSON.stringify(text)} holds half a surrogate pair, which UTF-8 cannot carry.`);
}

const RESERVED_NAME = /\.safetensors(\.index\.json)?$|^(state|manifest|registry)\.json$/;

/** Checks the caller's attachments and turns them into bytes. */
export function checkAttachments(attachments: readonly Attachment[]): { name: string; role: FileRole; bytes: Uint8Array }[] {
  if (!Array.isArray(attachments)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'attachments must be, or give, a list of { name, data }.');
  }
  const seen = new Set<string>();
  return attachments.map((attachment) => {
    const { name, data } = attachment ?? {};
    if (typeof name !== 'string' || !isFileName(name) || RESERVED_NAME.test(name) || seen.has(name)) {
      throw new HoldfastError(
        'ERR_INVALID_NAME',
        `An attachment cannot be named ${JSON.stringify(name)}: give a visible basename, used once, that the format does not use itself.`,
      );
    }
    seen.add(name);
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `The attachment ${name} must be a string or a Uint8Array.`);
    }
    const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : Uint8Array.from(data);
    if (bytes.length <= MAX_ATTACHMENT_BYTES) return { name, role: 'attachment', bytes };
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `The attachment ${name} is ${bytes.length} bytes long; the limit is ${MAX_ATTACHMENT_BYTES}. Save it as a tensor.`,
      {
        expected: MAX_ATTACHMENT_BYTES,
        actual: bytes.length,
      },
    );
  });
}

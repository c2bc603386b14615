/**
 * Existing saves to `file://DIR` as checkpoints: DIR holds the two newest, and a model.json that points into the newest. It is put in place in one rename when
 * the checkpoint is durable, so that a reader sees the older model or the newer one, whole, whenever a save is killed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import type { io } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import { MANIFEST_NAME, TEMPORARY_PREFIX } from '../../format/names.js';
import { keep } from '../../policy/keep.js';
import type { RetentionRule } from '../../policy/retention.js';
import { MODEL_JSON } from '../../tfjs-record/weights-manifest.js';
import type { Tf } from '../engine.js';
import type { ModelJson } from '../model/model-json.js';
import { type AfterSave, type HandlerOpenOptions, HoldfastHandler } from './handler.js';

/** How saves find their way. */
export interface FileTakeOver {
  /** The handler in the place of tfjs-node's own; undefined for what is none of it. */
  handlerFor(to: io.IOHandler | string): HoldfastHandler | undefined;
}

/** tfjs-node's handler of `file://`. */
interface FileSystem extends io.IOHandler {
  readonly path: string | readonly string[];
  save(artifacts: io.ModelArtifacts): Promise<io.SaveResult>;
  load(): Promise<io.ModelArtifacts>;
}

const SCHEME = 'file://';
const TAKEN = Symbol.for('holdfast.tfjs.files');

/** Takes over. Throws `ERR_UNSUPPORTED` where tfjs has no `file://`. */
export function takeOverFiles(tf: Tf, options: HandlerOpenOptions): FileTakeOver {
  const { fileSystem } = tf.io as unknown as { fileSystem?: (path: string) => FileSystem };
  if (typeof fileSystem !== 'function') {
    throw new HoldfastError(
      'ERR_UNSUPPORTED',
      'takeOverFiles is for tfjs-node, whose file:// it takes over. This tf has none: save to holdfast://DIR.',
    );
  }
  const prototype = Object.getPrototypeOf(fileSystem('.')) as FileSystem & { [TAKEN]?: HandlerOpenOptions };
  const isTaken = Object.hasOwn(prototype, TAKEN);
  Object.defineProperty(prototype, TAKEN, { value: options, configurable: true });
  if (!isTaken) hookFileSystem(prototype);
  const isOurs = (to: unknown): to is FileSystem => typeof to === 'object' && to !== null && Object.getPrototypeOf(to) === prototype;
  return {
    handlerFor(to) {
      if (typeof to === 'string') return to.startsWith(SCHEME) ? handlerOf(to.slice(SCHEME.length), options) : undefined;
      return isOurs(to) && typeof to.path === 'string' ? handlerOf(to.path, options) : undefined;
    },
  };
}

/** For graph models, and for whoever calls the handler himself. */
function hookFileSystem(prototype: FileSystem & { [TAKEN]?: HandlerOpenOptions }): void {
  const stock = { save: prototype.save, load: prototype.load };
  prototype.save = async function (artifacts) {
    if (typeof this.path !== 'string') return stock.save.call(this, artifacts);
    return handlerOf(this.path, prototype[TAKEN] ?? {}).save(artifacts);
  };
  prototype.load = async function () {
    if (typeof this.path !== 'string') return stock.load.call(this);
    const isOurs = existsSync(path.join(path.dirname(this.path), MANIFEST_NAME)) || (await readPointer(this.path)) !== undefined;
    if (!isOurs) return stock.load.call(this);
    return new HoldfastHandler(path.dirname(this.path), {}).load();
  };
}

function handlerOf(directory: string, options: HandlerOpenOptions): HoldfastHandler {
  const place = path.resolve(directory);
  return new HoldfastHandler(
    place,
    { ...options, keep: [options.keep ?? keep.last(1), keepPointedAt(place)].flat() },
    pointAtNewest(place),
  );
}

/** What stands in DIR/model.json beside what stock tfjs reads. */
interface Pointer extends ModelJson {
  readonly holdfastCheckpoint: string;
}

/** The pointer in a file; undefined for a model.json of another kind, or none. */
async function readPointer(file: string): Promise<Pointer | undefined> {
  return toPointer(await readFile(file, 'utf8').catch(() => ''));
}

function toPointer(text: string): Pointer | undefined {
  try {
    const document = JSON.parse(text) as Pointer | null;
    return typeof document?.holdfastCheckpoint === 'string' ? document : undefined;
  } catch {
    return undefined;
  }
}

/** Until the newer checkpoint is pointed at, readers need the older one. */
function keepPointedAt(directory: string): RetentionRule {
  return {
    description: `what ${MODEL_JSON} points at`,
    keeps: (entries) => {
      const pointer = toPointer(readIfThere(path.join(directory, MODEL_JSON)));
      return entries.filter(({ name }) => name === pointer?.holdfastCheckpoint);
    },
  };
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Saves to one directory follow one another, so the last one is the newest. */
function pointAtNewest(directory: string): AfterSave {
  return ({ path: checkpoint, name }) => point(directory, checkpoint, name);
}

/** Makes DIR/model.json that of the checkpoint, durably. */
async function point(directory: string, checkpoint: string, name: string): Promise<void> {
  const file = path.join(directory, MODEL_JSON);
  const document = JSON.parse(await readFile(path.join(checkpoint, MODEL_JSON), 'utf8')) as ModelJson;
  const weightsManifest = document.weightsManifest?.map((group) => ({ ...group, paths: group.paths.map((each) => `${name}/${each}`) }));
  const pointer = { ...document, weightsManifest, holdfastCheckpoint: name };
  // Whoever takes the lock next sweeps it, if it stays behind.
  const temporary = path.join(directory, `${TEMPORARY_PREFIX}${MODEL_JSON}`);
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(`${JSON.stringify(pointer)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const parent = await open(directory, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

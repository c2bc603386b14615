/** Models that stock tfjs saved: model.json and files of weights beside it. They have no checksums; sizes are all that can be checked. */
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readRecords } from '../../catalog/registry.js';
import { isCheckpointDirectory, scanDirectory } from '../../catalog/scan.js';
import { throwIfAborted, toHoldfastError } from '../../engine/system-error.js';
import { HoldfastError } from '../../errors.js';
import type { RestoreTarget } from '../../manager/target.js';
import { MODEL_JSON } from '../../tfjs-record/weights-manifest.js';
import type { ModelJson } from '../model/model-json.js';
import { bytesOfSpec, type StoredSpec, type StoredWeight } from './weight-data.js';

/** A stock model. */
export interface StockModel {
  /** Its model.json. */
  readonly file: string;
  readonly document: ModelJson;
  /** When model.json was written. */
  readonly savedAt: Date;
}

/** Where a model is: among checkpoints (or in one), or as stock tfjs saved it. */
export type ModelPlace = { readonly directory: string } | { readonly stock: StockModel };

/**
 * What a path means: a directory of checkpoints, one of them, or the directory or model.json of stock tfjs. Checkpoints come first where a directory has both.
 * Throws `ERR_MODEL` for a model.json that cannot be one, `ERR_NOT_A_DIRECTORY` for another file.
 */
export async function findModel(from: string): Promise<ModelPlace> {
  try {
    const found = await stat(from).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    const file = found?.isFile() === true ? from : path.join(from, MODEL_JSON);
    const directory = path.dirname(file);
    // One that has lost its manifest is still a checkpoint: it must not be read without a check.
    if (found === undefined || (await isCheckpointDirectory(directory))) return { directory };
    const about = await stat(file).catch(() => undefined);
    if (about?.isFile() !== true || (await scanDirectory(directory, await readRecords(directory))).length > 0) return { directory };
    if (!file.endsWith('.json')) {
      throw new HoldfastError('ERR_NOT_A_DIRECTORY', `${file} is a file, and no model.json. Give the directory, or its model.json.`, {
        path: file,
      });
    }
    return { stock: { file, document: parse(file, await readFile(file, 'utf8')), savedAt: about.mtime } };
  } catch (error) {
    throw toHoldfastError(error, `look at ${from}`, { path: from });
  }
}

/** Throws `ERR_NOT_FOUND` where another than the newest is asked for. */
export function assertOnlyOne({ file }: StockModel, target: RestoreTarget = 'latest'): void {
  if (target === 'latest') return;
  throw new HoldfastError(
    'ERR_NOT_FOUND',
    `${file} is a model of stock TensorFlow.js, and the only one of its directory: there is no other step, tag or best one to choose.`,
    { path: file },
  );
}

function parse(file: string, text: string): ModelJson {
  let document: ModelJson | null | undefined;
  try {
    document = JSON.parse(text) as ModelJson | null;
  } catch (cause) {
    throw new HoldfastError('ERR_MODEL', `${file} is not JSON: ${(cause as Error).message}`, { path: file, cause });
  }
  const manifest = document?.weightsManifest ?? [];
  const sound =
    typeof document?.modelTopology === 'object' &&
    Array.isArray(manifest) &&
    manifest.every(
      (group) => [group?.paths, group?.weights].every(Array.isArray) && group.paths.every((each: unknown) => typeof each === 'string'),
    );
  if (sound) return document as ModelJson;
  throw new HoldfastError(
    'ERR_MODEL',
    `${file} is not a model of TensorFlow.js: it has no modelTopology, or its weightsManifest is malformed.`,
    {
      path: file,
    },
  );
}

/**
 * All weights, each in memory of its own, whatever the files' sizes. Throws `ERR_MISSING_FILE`, `ERR_TRUNCATED`, `ERR_EXTENDED` for files that are
 * not as long as their weights, `ERR_MODEL` for specs that tfjs does not know, `ERR_ABORTED`.
 */
export async function readStockWeights({ file, document }: StockModel, signal?: AbortSignal): Promise<StoredWeight[]> {
  const weights: StoredWeight[] = [];
  for (const { paths, weights: specs } of document.weightsManifest ?? []) {
    const group = await GroupFiles.open(path.dirname(file), paths);
    try {
      for (const spec of specs as StoredSpec[]) {
        throwIfAborted(signal, 'The read');
        weights.push({ spec, bytes: await group.read(bytesOfSpec(spec) ?? (await group.stringBytes(spec)), spec.name) });
      }
      group.assertEnd();
    } finally {
      await group.close();
    }
  }
  return weights;
}

interface OpenedFile {
  readonly name: string;
  readonly handle: FileHandle;
  readonly start: number;
  readonly end: number;
}

/** Longest read at a time: one system call takes less than 2 GiB. */
const READ_BYTES = 2 ** 30;
/** Read ahead where lengths of strings are looked up. */
const BLOCK_BYTES = 2 ** 16;

/** The files of one group of weights, as if they were one. */
class GroupFiles {
  private at = 0;
  private block: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array(0) };

  private constructor(private readonly files: readonly OpenedFile[]) {}

  static async open(directory: string, paths: readonly string[]): Promise<GroupFiles> {
    const files: OpenedFile[] = [];
    try {
      for (const name of paths) {
        const start = files.at(-1)?.end ?? 0;
        const handle = await openWeights(directory, name);
        files.push({ name: path.join(directory, name), handle, start, end: start });
        files[files.length - 1] = { name: path.join(directory, name), handle, start, end: start + (await handle.stat()).size };
      }
      return new GroupFiles(files);
    } catch (error) {
      for (const { handle } of files) await handle.close();
      throw toHoldfastError(error, `open the weights in ${directory}`, { path: directory });
    }
  }

  async close(): Promise<void> {
    for (const { handle } of this.files) await handle.close();
  }

  private get end(): number {
    return this.files.at(-1)?.end ?? 0;
  }

  /** The next `length` bytes. */
  async read(length: number, weight: string) {
    this.assertRoom(length, weight);
    const buffer = new ArrayBuffer(length);
    for (let done = 0; done < length; ) {
      const piece = new Uint8Array(buffer, done, Math.min(READ_BYTES, length - done));
      await this.fill(piece, this.at + done, weight);
      done += piece.length;
    }
    this.at += length;
    return { buffer, byteOffset: 0, byteLength: length };
  }

  /** How many bytes the strings that come next take. */
  async stringBytes({ name, shape }: StoredSpec): Promise<number> {
    const count = shape.reduce((product, size) => product * size, 1);
    let length = 0;
    for (let i = 0; i < count; i++) {
      this.assertRoom(length + 4, name);
      length += 4 + (await this.uint32At(this.at + length, name));
    }
    return length;
  }

  assertEnd(): void {
    const last = this.files.at(-1);
    if (last === undefined || this.at === this.end) return;
    throw new HoldfastError(
      'ERR_EXTENDED',
      `The weights in ${this.names} are ${this.end} bytes long, but those that model.json lists fill only ${this.at}. They do not belong together.`,
      { path: last.name, expected: this.at, actual: this.end },
    );
  }

  private assertRoom(length: number, weight: string): void {
    if (this.at + length <= this.end) return;
    throw this.truncated(weight, this.at + length);
  }

  private truncated(weight: string, expected: number): HoldfastError {
    return new HoldfastError(
      'ERR_TRUNCATED',
      `The weights in ${this.names} end after ${this.end} bytes, in the middle of ${JSON.stringify(weight)}. They were cut short, or do not belong to model.json.`,
      { path: this.files.at(-1)?.name ?? '', tensors: [weight], expected, actual: this.end },
    );
  }

  private get names(): string {
    return this.files.map(({ name }) => name).join(', ');
  }

  private async uint32At(position: number, weight: string): Promise<number> {
    let offset = position - this.block.start;
    if (offset < 0 || offset + 4 > this.block.bytes.length) {
      const bytes = new Uint8Array(Math.min(BLOCK_BYTES, this.end - position));
      await this.fill(bytes, position, weight);
      this.block = { start: position, bytes };
      offset = 0;
    }
    return new DataView(this.block.bytes.buffer, offset, 4).getUint32(0, true);
  }

  private async fill(target: Uint8Array, position: number, weight: string): Promise<void> {
    for (const { handle, start, end } of this.files) {
      let at = Math.max(position, start);
      const stop = Math.min(position + target.length, end);
      while (at < stop) {
        const { bytesRead } = await handle.read(target, at - position, stop - at, at - start);
        // It was as long as that when it was opened.
        if (bytesRead === 0) throw this.truncated(weight, stop);
        at += bytesRead;
      }
    }
  }
}

async function openWeights(directory: string, name: string): Promise<FileHandle> {
  const file = path.join(directory, name);
  if (/^[a-z]+:\/\//i.test(name) || path.isAbsolute(name) || path.relative(directory, file).startsWith('..')) {
    throw new HoldfastError('ERR_MODEL', `model.json in ${directory} names the weights ${JSON.stringify(name)}, which are not beside it.`, {
      path: directory,
    });
  }
  return open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new HoldfastError('ERR_MISSING_FILE', `${file} is missing; model.json lists it.`, { path: file, file: name, cause: error });
  });
}

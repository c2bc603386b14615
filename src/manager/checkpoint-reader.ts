/** Reads single tensors of one checkpoint: whole, in part, or mapped into memory. */
import path from 'node:path';
import { checkTensors } from '../catalog/check-digest.js';
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import { memoryFor, restoredAt, type TensorMemory } from '../catalog/destinations.js';
import { closeFiles, type OpenedFile, type OpenFilesOptions, openFiles } from '../catalog/open-files.js';
import { isTensorFile } from '../catalog/read-head.js';
import { readHead, readSlice, readTensors, throwFirst } from '../catalog/read-parts.js';
import type { RestoredTensor } from '../catalog/tensor.js';
import type { FileReader } from '../engine/contract.js';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { Dtype } from '../format/dtype.js';
import type { TensorRole } from '../format/layout.js';
import type { Manifest, ManifestFile, ManifestTensor } from '../format/manifest.js';
import type { TensorEntry } from '../format/safetensors.js';
import { assertKnown } from '../known-options.js';
import { assertSignalAndListener, oneOf } from './options.js';

/** A tensor of an open checkpoint. */
export interface StoredTensor {
  readonly name: string;
  /** Of the model or of the optimizer. */
  readonly role: TensorRole;
  readonly dtype: Dtype;
  /** Sizes per dimension; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Name of its file, and where its bytes begin there. */
  readonly file: string;
  readonly offset: number;
}

/** Options of {@link CheckpointReader.read} and the like. */
export interface ReadTensorOptions {
  /** Whose tensor of that name. Default `model`. */
  readonly role?: TensorRole;
  /** Memory for it, of exactly its length; default new memory. */
  readonly into?: TensorMemory;
  readonly signal?: AbortSignal | undefined;
}

/** A stream of a tensor gives about so many bytes at a time. */
const PIECE_BYTES = 16 * 2 ** 20;

/** Where a tensor is. */
interface Place {
  readonly stored: StoredTensor;
  readonly entry: TensorEntry;
  readonly file: ManifestFile;
  /** Its number in the file. */
  readonly index: number;
  readonly reader: FileReader;
}

/**
 * An open checkpoint. Its files stay open, so that its tensors can be read also when retention has removed it meanwhile; nothing is read
 * before it is asked for, but the heads of the files. Every byte is checked before it is handed out.
 */
export class CheckpointReader implements AsyncDisposable {
  private closed = false;

  private constructor(
    readonly info: CheckpointInfo,
    private readonly opened: readonly OpenedFile[],
    private readonly places: Readonly<Record<TensorRole, ReadonlyMap<string, Place>>>,
  ) {}

  /** Opens the tensor files of a checkpoint and reads their heads. Throws what is damaged. */
  static async open(info: CheckpointInfo, manifest: Manifest, options: OpenFilesOptions): Promise<CheckpointReader> {
    const opened = await openFiles(info.path, manifest.files.filter(isTensorFile), options);
    try {
      const places = { model: new Map<string, Place>(), optimizer: new Map<string, Place>() };
      const heads = await Promise.all(opened.map((file) => placesOf(info, file)));
      for (const place of heads.flat()) places[place.stored.role].set(place.stored.name, place);
      return new CheckpointReader(info, opened, places);
    } catch (error) {
      await closeFiles(opened);
      throw error;
    }
  }

  /** The tensors of the model, by name. */
  get tensors(): ReadonlyMap<string, StoredTensor> {
    return storedOf(this.places.model);
  }

  /** The tensors of the optimizer, by name. */
  get optimizer(): ReadonlyMap<string, StoredTensor> {
    return storedOf(this.places.optimizer);
  }

  /** Reads a tensor whole. Throws `ERR_NOT_FOUND`, `ERR_CHECKSUM`, `ERR_INVALID_ARGUMENT` for memory of another length, `ERR_ABORTED`. */
  async read(name: string, options: ReadTensorOptions = {}): Promise<RestoredTensor> {
    const { role = 'model', into, signal } = checkOptions('read', options, ['role', 'into', 'signal']);
    const place = this.find(name, role);
    const { entry, file, index, reader, stored } = place;
    const range = memoryFor(stored, into && (() => into));
    const result = restoredAt(entry, range);
    await this.checked(place, signal, async () => throwFirst(await readTensors(file, reader, index, [range], signal), this.info.name));
    return result;
  }

  /**
   * Reads the rows `begin` up to, not including, `end` (default: all that follow) of a tensor's first dimension. Only the chunks that they lie in
   * are read. Throws `ERR_INVALID_ARGUMENT` for rows that are not there or do not fill whole bytes, and like {@link read}.
   */
  async slice(name: string, begin: number, end?: number, options: ReadTensorOptions = {}): Promise<RestoredTensor> {
    const { role = 'model', into, signal } = checkOptions('slice', options, ['role', 'into', 'signal']);
    const place = this.find(name, role);
    const { entry, file, reader, stored } = place;
    const rows = rowsOf(entry, begin, end);
    const range = memoryFor({ ...stored, byteLength: rows.bytes }, into && (() => into));
    const result = restoredAt({ ...entry, shape: rows.shape }, range);
    if (rows.bytes === 0) return result;
    await this.checked(place, signal, async () =>
      throwFirst(await readSlice(file, reader, entry.offset + rows.offset, range, signal), this.info.name),
    );
    return result;
  }

  /**
   * Maps a tensor into memory: its pages are read once now, for its checksum, and from then on the operating system keeps them, or reads them
   * again, as it sees fit. Writing to the memory changes this process's copy only. Where the system cannot map, and beyond the 4 GiB that
   * Node.js 20 can take at a time, the tensor is read. A disk that fails later, when a page is read again, ends the process: use {@link read}
   * where that matters. Throws like {@link read}.
   */
  async map(name: string, options: Omit<ReadTensorOptions, 'into'> = {}): Promise<RestoredTensor> {
    const { role = 'model', signal } = checkOptions('map', options, ['role', 'signal']);
    const place = this.find(name, role);
    const { entry, file, index, reader } = place;
    const mapped = entry.bytes === 0 ? undefined : await this.checked(place, signal, () => reader.map(entry.offset, entry.bytes, signal));
    if (mapped === undefined) return this.read(name, options);
    throwFirst(checkTensors(file, [file.tensors?.[index] as ManifestTensor], [mapped.crc32c]), this.info.name);
    return restoredAt(entry, { buffer: mapped.buffer, byteOffset: 0, byteLength: entry.bytes });
  }

  /**
   * Reads a tensor in pieces of some megabytes, for one that is larger than memory: every piece was checked when it comes, and is memory of its
   * own. Throws like {@link read}.
   */
  async *stream(name: string, options: Omit<ReadTensorOptions, 'into'> = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { role = 'model', signal } = checkOptions('stream', options, ['role', 'signal']);
    const { entry, file, reader } = this.find(name, role);
    if (entry.bytes === 0) return;
    if (entry.bytes <= PIECE_BYTES) {
      const { buffer } = await this.read(name, options);
      yield new Uint8Array(buffer);
      return;
    }
    // Whole chunks, so that none is read twice for its checksum.
    const step = Math.max(1, Math.floor(PIECE_BYTES / file.chunkBytes)) * file.chunkBytes;
    const end = entry.offset + entry.bytes;
    for (let at = entry.offset; at < end; ) {
      const next = Math.min(end, (Math.floor(at / step) + 1) * step);
      const piece = new Uint8Array(next - at);
      const begin = at;
      await this.checked(this.find(name, role), signal, async () =>
        throwFirst(await readSlice(file, reader, begin, piece, signal), this.info.name),
      );
      yield piece;
      at = next;
    }
  }

  /** Closes the files. What was mapped stays. Calling it again does nothing. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await closeFiles(this.opened);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private find(name: string, role: TensorRole): Place {
    if (this.closed) throw new HoldfastError('ERR_CLOSED', `The reader of ${this.info.name} was closed.`, { checkpoint: this.info.name });
    const place = this.places[role]?.get(name);
    if (place !== undefined) return place;
    throw new HoldfastError('ERR_NOT_FOUND', `${this.info.name} has no ${role} tensor ${JSON.stringify(name)}.`, {
      checkpoint: this.info.name,
    });
  }

  private async checked<T>({ file }: Place, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal, 'The read');
    try {
      return await work();
    } catch (error) {
      throw toHoldfastError(error, `read ${this.info.name}/${file.name}`, { checkpoint: this.info.name, file: file.name });
    }
  }
}

/** The options of a call, checked. */
function checkOptions(call: string, options: ReadTensorOptions, known: readonly string[]): ReadTensorOptions {
  assertKnown(call, options, known);
  assertSignalAndListener(options);
  oneOf('role', options.role ?? 'model', ['model', 'optimizer']);
  return options;
}

async function placesOf({ name, path: directory }: CheckpointInfo, { file, reader }: OpenedFile): Promise<Place[]> {
  if (reader instanceof HoldfastError) throw reader;
  try {
    const { entries } = await readHead(file, reader);
    return entries.map((entry, index) => {
      const { dtype, shape, bytes, offset } = entry;
      const stored = { name: entry.name, role: file.role as TensorRole, dtype, shape, byteLength: bytes, file: file.name, offset };
      return { stored, entry, file, index, reader };
    });
  } catch (error) {
    throw toHoldfastError(error, `read ${name}/${file.name}`, { checkpoint: name, file: file.name, path: path.join(directory, file.name) });
  }
}

function storedOf(places: ReadonlyMap<string, Place>): ReadonlyMap<string, StoredTensor> {
  return new Map([...places].map(([name, { stored }]) => [name, stored]));
}

/** Rows of a tensor: their shape, and where they begin in it and how long they are, in bytes. */
function rowsOf({ name, dtype, shape, bytes }: TensorEntry, begin: number, end: number | undefined) {
  const [count, ...rest] = shape;
  const refuse = (what: string) =>
    new HoldfastError('ERR_INVALID_ARGUMENT', `slice of ${JSON.stringify(name)}: ${what}.`, { tensors: [name] });
  if (count === undefined) throw refuse('a scalar has no rows');
  const last = end ?? count;
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(last) || begin < 0 || begin > last || last > count) {
    throw refuse(`there are no rows ${String(begin)} to ${String(last)}; it has ${count}`);
  }
  const rowBits = count === 0 ? 0 : (bytes * 8) / count;
  const offset = (begin * rowBits) / 8;
  const length = ((last - begin) * rowBits) / 8;
  if (!Number.isInteger(offset) || !Number.isInteger(length)) throw refuse(`these rows of ${dtype} do not begin and end with whole bytes`);
  return { shape: [last - begin, ...rest], offset, bytes: length };
}

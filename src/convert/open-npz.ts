/** A `.npz` file of NumPy as a source: a zip of `.npy` files, stored or compressed. */
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { type Entry, getFileNameLowLevel, openPromise, type ZipFile } from 'yauzl';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { bitsOf } from '../format/dtype.js';
import { realpath, stat } from '../fs.js';
import { wholeElements } from './chunks.js';
import type { OpenSourceOptions, SourceContents, SourceTensor } from './contents.js';
import { decodeNpyHeader, NPY_PROLOGUE_BYTES, type NpyHeader, npyDataOffset } from './npy.js';
import { splitOptimizer, withoutOptimizer } from './open-safetensors.js';

/** An array in Fortran's order is turned in memory; up to this it fits there. */
const MAX_TURNED_BYTES = 2 ** 30;

/** Opens a `.npz` file. Throws `ERR_FORMAT`, `ERR_CHECKSUM`, `ERR_CONVERT` for arrays that no tensor can hold. */
export async function openNpz(target: string, options: OpenSourceOptions): Promise<SourceContents> {
  const archive = await Archive.open(target);
  try {
    const all: SourceTensor[] = [];
    const others: string[] = [];
    for (const [name, entry] of archive.entries) {
      throwIfAborted(options.signal, 'The conversion');
      if (!name.endsWith('.npy')) others.push(name);
      else all.push(await openArray(archive, name, entry));
    }
    const { tensors, optimizer } = splitOptimizer(all, options.optimizer === true);
    if (options.optimizer === true && optimizer.length === 0) throw withoutOptimizer(target);
    return {
      kind: 'npz',
      path: target,
      ...{ tensors, optimizer, model: undefined, order: undefined, training: undefined, run: undefined },
      warnings: others.length === 0 ? [] : [`What is no .npy file is left out: ${others.slice(0, 10).join(', ')}.`],
      close: async () => archive.close(),
    };
  } catch (error) {
    archive.close();
    throw error;
  }
}

/** An open zip file. */
class Archive {
  private constructor(
    readonly path: string,
    private readonly zip: ZipFile,
    readonly entries: ReadonlyMap<string, Entry>,
  ) {}

  static async open(target: string): Promise<Archive> {
    const real = await realpath(target);
    if (!(await stat(real)).isFile()) throw new HoldfastError('ERR_FORMAT', `${target} is no regular file.`, { path: target });
    const zip = await openPromise(real, { autoClose: false, decodeStrings: false }).catch((error: unknown) => {
      throw toZipError(error, target);
    });
    try {
      return new Archive(target, zip, await readEntries(zip, target));
    } catch (error) {
      zip.close();
      throw error;
    }
  }

  close(): void {
    this.zip.close();
  }

  /** The bytes of a member, from its beginning. Throws `ERR_CHECKSUM` behind the last one if they are not what was stored. */
  async *bytes(name: string, entry: Entry): AsyncGenerator<Uint8Array, void, undefined> {
    let stream: Readable | undefined;
    try {
      stream = await this.zip.openReadStreamPromise(entry);
      let checksum = 0;
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        checksum = crc32(chunk, checksum);
        yield chunk;
      }
      if (checksum === entry.crc32) return;
    } catch (error) {
      throw toZipError(error, `${this.path}: ${name}`);
    } finally {
      stream?.destroy();
    }
    throw new HoldfastError('ERR_CHECKSUM', `${this.path}: ${name} does not match its checksum: it is damaged.`, {
      path: this.path,
      file: name,
    });
  }
}

async function readEntries(zip: ZipFile, target: string): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) {
      // Names are never those of files here: whatever they are, they do no harm.
      const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
      if (entries.has(name))
        throw new HoldfastError('ERR_FORMAT', `${target} holds two files named ${JSON.stringify(name)}.`, { path: target });
      entries.set(name, entry);
    }
  } catch (error) {
    throw toZipError(error, target);
  }
  return entries;
}

/** What yauzl and zlib say of damaged archives; of the operating system's errors they pass on their code. */
function toZipError(error: unknown, where: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall !== undefined && code !== undefined) return toHoldfastError(error, `read ${where}`, { path: where });
  return new HoldfastError('ERR_FORMAT', `${where} cannot be read as a zip file: ${message}.`, { path: where, cause: error });
}

async function openArray(archive: Archive, member: string, entry: Entry): Promise<SourceTensor> {
  const where = `${archive.path}: ${member}`;
  const header = await readHeader(archive, member, entry, where);
  const { dtype, shape, dataOffset, byteLength } = header;
  if (dataOffset + byteLength !== entry.uncompressedSize) {
    const [code, what] =
      dataOffset + byteLength > entry.uncompressedSize ? (['ERR_TRUNCATED', 'shorter'] as const) : (['ERR_EXTENDED', 'longer'] as const);
    throw new HoldfastError(code, `${where} is ${entry.uncompressedSize} bytes long, ${what} than its header says.`, {
      path: archive.path,
      file: member,
      expected: dataOffset + byteLength,
      actual: entry.uncompressedSize,
    });
  }
  if (header.fortranOrder && byteLength > MAX_TURNED_BYTES) {
    throw new HoldfastError(
      'ERR_CONVERT',
      `${where} is in Fortran's order and larger than 1 GiB. Save it with np.ascontiguousarray first.`,
      { path: archive.path, file: member },
    );
  }
  const name = member.slice(0, -'.npy'.length);
  if (name === '') throw new HoldfastError('ERR_FORMAT', `${archive.path} holds an array without a name.`, { path: archive.path });
  return { name, role: 'model', dtype, shape, byteLength, read: (signal) => readData(archive, member, entry, header, signal) };
}

async function readHeader(archive: Archive, member: string, entry: Entry, where: string): Promise<NpyHeader> {
  let head = new Uint8Array(0);
  let wanted = NPY_PROLOGUE_BYTES;
  for await (const chunk of archive.bytes(member, entry)) {
    head = Buffer.concat([head, chunk.subarray(0, 2 ** 21)]);
    if (head.length >= NPY_PROLOGUE_BYTES) wanted = npyDataOffset(head, where);
    if (head.length >= Math.max(wanted, NPY_PROLOGUE_BYTES)) break;
  }
  wanted = npyDataOffset(head, where);
  if (head.length < wanted) throw new HoldfastError('ERR_FORMAT', `${where} ends inside its header.`, { path: archive.path, file: member });
  return decodeNpyHeader(head.subarray(0, wanted), where);
}

async function* readData(
  archive: Archive,
  member: string,
  entry: Entry,
  header: NpyHeader,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { swapBytes, fortranOrder } = header;
  let data: AsyncIterable<Uint8Array> = behind(archive.bytes(member, entry), header.dataOffset, signal);
  if (swapBytes > 0) data = swapped(wholeElements(data, swapBytes, member), swapBytes);
  if (!fortranOrder) {
    yield* data;
    return;
  }
  const turned = new Uint8Array(header.byteLength);
  let at = 0;
  for await (const piece of data) {
    turned.set(piece, at);
    at += piece.length;
  }
  yield fromFortran(turned, header.shape, bitsOf(header.dtype) / 8);
}

async function* behind(
  chunks: AsyncIterable<Uint8Array>,
  skip: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = skip;
  for await (const chunk of chunks) {
    throwIfAborted(signal, 'The conversion');
    const step = Math.min(left, chunk.length);
    left -= step;
    if (step < chunk.length) yield chunk.subarray(step);
  }
}

async function* swapped(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    const copy = Buffer.from(chunk);
    if (size === 2) copy.swap16();
    else if (size === 4) copy.swap32();
    else copy.swap64();
    yield copy;
  }
}

/** An array whose first index is the fastest as one whose last index is. */
function fromFortran(bytes: Uint8Array, shape: readonly number[], size: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  const strides: number[] = [];
  let stride = size;
  for (const length of shape) {
    strides.push(stride);
    stride *= length;
  }
  const index = shape.map(() => 0);
  let from = 0;
  for (let at = 0; at < bytes.length; at += size) {
    for (let i = 0; i < size; i++) result[at + i] = bytes[from + i] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      from += strides[axis] as number;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      from -= (index[axis] as number) * (strides[axis] as number);
      index[axis] = 0;
    }
  }
  return result;
}

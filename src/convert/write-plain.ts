/** Targets that are files of tensors alone: safetensors, one or several, and NumPy's `.npz`. */
import path from 'node:path';
import { Readable } from 'node:stream';
import { ZipFile } from 'yazl';
import { HoldfastError } from '../errors.js';
import { layOutTensors } from '../format/layout.js';
import { encodeHeader } from '../format/safetensors.js';
import type { Json } from '../format/state.js';
import { encodeExtension } from '../tfjs-record/extension.js';
import type { SourceTensor } from './contents.js';
import { encodeNpyHeader, numpyTypeOf } from './npy.js';
import { encodeFacts, METADATA_NAME } from './open-safetensors.js';
import { inOneList, type Plan } from './plan.js';
import { type Meter, NewFile } from './staging.js';

/** What was written. */
export interface WrittenTarget {
  readonly tensors: number;
  readonly bytes: number;
  readonly warnings: readonly string[];
}

/** Writes the bytes of `tensor` and no others. Throws `ERR_SOURCE_LENGTH` if there are more or fewer than it said. */
async function appendTensor(file: NewFile, { name, byteLength, read }: SourceTensor, signal: AbortSignal | undefined): Promise<void> {
  let bytes = 0;
  for await (const piece of read(signal)) {
    bytes += piece.length;
    if (bytes > byteLength) break;
    await file.append(piece);
  }
  if (bytes === byteLength) return;
  throw new HoldfastError(
    'ERR_SOURCE_LENGTH',
    `The source gave other than the ${byteLength} bytes of the tensor ${JSON.stringify(name)}.`,
    {
      tensors: [name],
    },
  );
}

/** One file, in the order in which holdfast lays tensors out. */
export async function writeSafetensorsFile(plan: Plan, target: string, meter: Meter): Promise<WrittenTarget> {
  return writeSafetensors(plan, path.dirname(target), Number.MAX_SAFE_INTEGER, meter, () => target);
}

/** Several files of at most `shardBytes` bytes of tensors each, with an index, in a directory that is there. */
export async function writeSafetensorsDirectory(plan: Plan, directory: string, shardBytes: number, meter: Meter): Promise<WrittenTarget> {
  return writeSafetensors(plan, directory, shardBytes, meter, (name) => path.join(directory, name));
}

async function writeSafetensors(
  plan: Plan,
  directory: string,
  shardBytes: number,
  meter: Meter,
  placeOf: (name: string) => string,
): Promise<WrittenTarget> {
  const all = inOneList(plan);
  const { files, indexes } = layOutTensors('model', all, shardBytes);
  const metadata = { format: 'pt', ...factsOf(plan) };
  let bytes = 0;
  for (const { name, order } of files) {
    const tensors = Array.from(order, (index) => all[index] as SourceTensor);
    bytes += await NewFile.write(placeOf(name), meter, async (file) => {
      await file.append(
        encodeHeader(
          tensors.map((tensor) => ({ ...tensor, bytes: tensor.byteLength })),
          metadata,
        ),
      );
      for (const tensor of tensors) await appendTensor(file, tensor, meter.signal);
    });
  }
  for (const { name, content } of indexes) {
    bytes += await NewFile.write(path.join(directory, name), meter, (file) => file.append(Buffer.from(content)));
  }
  return { tensors: all.length, bytes, warnings: [] };
}

/** Only where the source has something to say: a file of plain tensors stays one. */
function factsOf({ tensors, order, training, run }: Plan): Record<string, string> {
  const strings = tensors.flatMap(({ name, strings: shape }) => (shape === undefined ? [] : [{ name, shape }]));
  if (run === undefined && training === undefined && strings.length === 0) return {};
  const tfjs: Json | undefined = training && encodeExtension({ weights: order, strings, ...training });
  return { [METADATA_NAME]: encodeFacts(run?.step ?? 0, run?.epoch, strings, tfjs) };
}

/** One `.npz` file: a zip of `.npy` files that are stored as they are, as `np.savez` makes it. */
export async function writeNpz(plan: Plan, target: string, meter: Meter): Promise<WrittenTarget> {
  const all = inOneList(plan);
  const arrays = all.map((tensor) => ({ tensor, head: headOf(tensor) }));
  const bytes = await NewFile.write(target, meter, async (file) => {
    const zip = new ZipFile();
    // What one of its streams throws, yazl does not pass on.
    const output = zip.outputStream as Readable;
    zip.on('error', (error: Error) => output.destroy(error));
    for (const { tensor, head } of arrays) {
      const size = head.length + tensor.byteLength;
      zip.addReadStreamLazy(`${tensor.name}.npy`, { size, compress: false, forceDosTimestamp: true, mtime: EPOCH }, (give) => {
        const data = Readable.from(arrayBytes(head, tensor, meter.signal), { objectMode: false });
        data.on('error', (error) => output.destroy(error));
        give(null, data);
      });
    }
    zip.end();
    for await (const piece of output as AsyncIterable<Buffer>) await file.append(piece);
  });
  const strings = all.filter((tensor) => tensor.strings !== undefined).map(({ name }) => JSON.stringify(name));
  const warnings =
    strings.length === 0
      ? []
      : [`NumPy has no strings of any length: ${strings.join(', ')} are bytes, each string its length as a u32 and its UTF-8.`];
  return { tensors: all.length, bytes, warnings };
}

/** The earliest date that a zip file can hold: the same tensors make the same file. */
const EPOCH = new Date(1980, 0, 1);

const MOST_NAME_BYTES = 65535;

function headOf({ name, dtype, shape }: SourceTensor): Uint8Array {
  const type = numpyTypeOf(dtype);
  if (type === undefined) {
    throw new HoldfastError(
      'ERR_CONVERT',
      `NumPy has no type for ${dtype}, of which the tensor ${JSON.stringify(name)} is. Convert it: --dtype f32.`,
      {
        tensors: [name],
      },
    );
  }
  const strange = /^\/|^[a-zA-Z]:|\\|\0/.test(name) || name.split('/').includes('..') || Buffer.byteLength(name) > MOST_NAME_BYTES - 4;
  if (strange) {
    throw new HoldfastError('ERR_CONVERT', `A zip file cannot hold a member named ${JSON.stringify(name)}. Rename the tensor with --map.`, {
      tensors: [name],
    });
  }
  return encodeNpyHeader(type, shape);
}

async function* arrayBytes(
  head: Uint8Array,
  tensor: SourceTensor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  yield toBuffer(head);
  let bytes = 0;
  for await (const piece of tensor.read(signal)) {
    bytes += piece.length;
    yield toBuffer(piece);
  }
  if (bytes !== tensor.byteLength) {
    throw new HoldfastError(
      'ERR_SOURCE_LENGTH',
      `The source gave ${bytes} bytes of the tensor ${JSON.stringify(tensor.name)}, not ${tensor.byteLength}.`,
    );
  }
}

function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Plain safetensors files as a source: one, or several with the index of the Hugging Face convention. */
import path from 'node:path';
import { readBareHeader } from '../catalog/read-bare.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { isVisibleBasename } from '../format/names.js';
import type { TensorEntry } from '../format/safetensors.js';
import type { Json } from '../format/state.js';
import { realpath } from '../fs.js';
import { readSmallFile } from '../storage/local.js';
import { decodeExtension } from '../tfjs-record/extension.js';
import { fileBytes } from './chunks.js';
import { OPTIMIZER_PREFIX, type OpenSourceOptions, type RunFacts, type SourceContents, type SourceTensor } from './contents.js';
import { formatError, isObject, parseJsonObject } from './model-document.js';

/** The member of `__metadata__` in which a converted checkpoint says what its tensors alone do not. */
export const METADATA_NAME = 'holdfast';
const METADATA_VERSION = 1;

const INDEX_END = '.safetensors.index.json';
const MAX_INDEX_BYTES = 512 * 2 ** 20;

/** Whether a name is that of an index. */
export function isIndexName(name: string): boolean {
  return name.endsWith(INDEX_END);
}

/** Opens a `.safetensors` file or an index of several. Throws the codes of headers, `ERR_FORMAT`, `ERR_MISSING_FILE`. */
export async function openSafetensors(target: string, options: OpenSourceOptions): Promise<SourceContents> {
  const isIndex = isIndexName(target);
  const { tensors: entries, metadata, warnings } = isIndex ? await readIndexed(target) : await readOne(target);
  const facts = decodeFacts(metadata, target);
  const strings = new Map(facts?.strings.map(({ name, shape }) => [name, shape]));
  const all = entries.map(({ file, entry }) => toTensor(file, entry, strings));
  const { extension } = facts ?? {};
  const known = extension?.optimizer != null;
  const split = splitOptimizer(all, options.optimizer === true || known);
  if (options.optimizer === true && split.optimizer.length === 0 && !known) throw withoutOptimizer(target);
  const { tensors } = split;
  const isKept = options.optimizer !== false && (known || split.optimizer.length > 0);
  return {
    kind: 'safetensors',
    path: target,
    tensors,
    optimizer: isKept ? split.optimizer : [],
    model: undefined,
    order: extension?.weights,
    training: extension && {
      trainingConfig: extension.trainingConfig,
      optimizer: isKept ? extension.optimizer : null,
    },
    run: facts && { ...facts.run, contents: isKept ? 'full' : 'weights' },
    warnings,
    close: async () => {},
  };
}

/** Takes the tensors of an optimizer out by their prefix, if they are wanted. */
export function splitOptimizer(
  all: readonly SourceTensor[],
  wanted: boolean,
): { tensors: readonly SourceTensor[]; optimizer: readonly SourceTensor[] } {
  const isSlot = ({ name }: SourceTensor) => name.startsWith(OPTIMIZER_PREFIX) && name.length > OPTIMIZER_PREFIX.length;
  if (!wanted) return { tensors: all, optimizer: [] };
  const optimizer = all.filter(isSlot).map((tensor) => ({
    ...tensor,
    name: tensor.name.slice(OPTIMIZER_PREFIX.length),
    role: 'optimizer' as const,
  }));
  return { tensors: all.filter((tensor) => !isSlot(tensor)), optimizer };
}

export function withoutOptimizer(target: string): HoldfastError {
  return new HoldfastError(
    'ERR_CONVERT',
    `${target} has no tensors named ${OPTIMIZER_PREFIX}…, so no state of an optimizer. Leave out --optimizer.`,
    { path: target },
  );
}

interface FileEntry {
  readonly file: string;
  readonly entry: TensorEntry;
}

interface FileSet {
  readonly tensors: readonly FileEntry[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

function toTensor(
  file: string,
  { name, dtype, shape, offset, bytes }: TensorEntry,
  strings: ReadonlyMap<string, readonly number[]>,
): SourceTensor {
  return {
    ...{ name, role: 'model', dtype, shape, strings: dtype === 'U8' ? strings.get(name) : undefined, byteLength: bytes },
    read: (signal) => fileBytes(file, offset, bytes, signal),
  };
}

async function readOne(target: string): Promise<FileSet> {
  const read = async () => {
    const file = await realpath(target);
    return { file, ...(await readBareHeader(file)) };
  };
  const { file, header } = await read().catch((error: unknown) => {
    throw toHoldfastError(error, `read ${target}`, { path: target });
  });
  return { tensors: header.tensors.map((entry) => ({ file, entry })), metadata: header.metadata, warnings: [] };
}

async function readIndexed(target: string): Promise<FileSet> {
  const real = await realpath(target);
  const bytes = await readSmallFile(real, MAX_INDEX_BYTES);
  if (bytes === undefined) throw formatError(target, `is no regular file of at most ${MAX_INDEX_BYTES} bytes`);
  const map = parseJsonObject(bytes, target)['weight_map'];
  if (!isObject(map)) throw formatError(target, 'has no weight_map');
  const files = [...new Set(Object.values(map))];
  const tensors: FileEntry[] = [];
  const warnings: string[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const name of files) {
    if (typeof name !== 'string' || !isVisibleBasename(name))
      throw formatError(target, `names ${JSON.stringify(name)}, which is no name of a file beside it`);
    // Beside the index as it was named: files of a Hugging Face cache are links to places of their own.
    const set = await readOne(path.join(path.dirname(target), name)).catch((error: unknown) => {
      if (!(error instanceof HoldfastError) || error.code !== 'ERR_NOT_FOUND') throw error;
      throw new HoldfastError('ERR_MISSING_FILE', `${target} names ${name}, which is not there.`, {
        path: target,
        file: name,
        cause: error,
      });
    });
    const listed = set.tensors.filter(({ entry }) => Object.hasOwn(map, entry.name) && map[entry.name] === name);
    const others = set.tensors.length - listed.length;
    if (others > 0) warnings.push(`${name} holds ${others} tensors that the index does not list there; they are left out.`);
    tensors.push(...listed);
    if (set.metadata.has(METADATA_NAME)) metadata = set.metadata;
  }
  const found = new Set(tensors.map(({ entry }) => entry.name));
  const missing = Object.keys(map).filter((name) => !found.has(name));
  if (missing.length > 0)
    throw formatError(target, `lists tensors that are not in their files: ${missing.slice(0, 10).join(', ')}`, missing);
  return { tensors, metadata, warnings };
}

interface Facts {
  readonly run: RunFacts;
  readonly strings: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly extension: ReturnType<typeof decodeExtension>;
}

/** What {@link encodeFacts} wrote; `undefined` where it did not, or not so that it can be understood. */
function decodeFacts(metadata: ReadonlyMap<string, string>, file: string): Facts | undefined {
  const text = metadata.get(METADATA_NAME);
  if (text === undefined) return undefined;
  const value = parseJsonObject(Buffer.from(text), `${METADATA_NAME} in __metadata__ of ${file}`);
  const { version, step, epoch, strings = [], tfjs } = value;
  if (version !== METADATA_VERSION) return undefined;
  const isCount = (number: Json | undefined): number is number => Number.isSafeInteger(number) && (number as number) >= 0;
  const isShape = (shape: Json | undefined) => Array.isArray(shape) && shape.every(isCount);
  const sound =
    isCount(step) &&
    (epoch === undefined || isCount(epoch)) &&
    Array.isArray(strings) &&
    strings.every((each: Json) => isObject(each) && typeof each['name'] === 'string' && isShape(each['shape']));
  if (!sound) throw formatError(file, `has a member "${METADATA_NAME}" in __metadata__ that is malformed`);
  return {
    run: { step, epoch, contents: 'weights' },
    strings: strings as unknown as Facts['strings'],
    extension: decodeExtension(tfjs, path.basename(file)),
  };
}

/** What a plain file says beside its tensors, as JSON for its `__metadata__`. */
export function encodeFacts(step: number, epoch: number | undefined, strings: Facts['strings'], tfjs: Json | undefined): string {
  return JSON.stringify({ version: METADATA_VERSION, step, epoch, strings, tfjs });
}

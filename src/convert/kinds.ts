/** Of what kind a source is, by what is there, and a target, by its name. */
import { constants } from 'node:fs';
import path from 'node:path';
import { scanDirectory } from '../catalog/scan.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import { open, stat } from '../fs.js';
import { exists, listDirectory } from '../storage/local.js';
import { MODEL_JSON } from '../tfjs-record/weights-manifest.js';
import type { ConvertKind } from './contents.js';
import { isIndexName } from './open-safetensors.js';

/** A source: what it is, and the file or directory of it that is opened. */
export interface FoundSource {
  readonly kind: ConvertKind;
  readonly path: string;
}

/** Finds out what is at `target`, or takes `kind` for it. Throws `ERR_NOT_FOUND`; `ERR_INVALID_ARGUMENT` where it is nothing that can be converted. */
export async function findSource(target: string, kind: ConvertKind | undefined): Promise<FoundSource> {
  try {
    const found = await stat(target);
    if (found.isDirectory()) return await inDirectory(target, kind);
    if (!found.isFile()) throw unknownSource(target, 'It is neither a directory nor a regular file.');
    return { kind: kind ?? (await kindOfFile(target)), path: target };
  } catch (error) {
    throw toHoldfastError(error, `look at ${target}`, { path: target });
  }
}

async function inDirectory(target: string, kind: ConvertKind | undefined): Promise<FoundSource> {
  const names = (await listDirectory(target)).map(({ name }) => name);
  const safetensors = soleSafetensors(names);
  if (kind === 'npz') throw unknownSource(target, 'A .npz is a file, and this is a directory.');
  if (kind === 'safetensors') {
    if (safetensors === undefined)
      throw unknownSource(target, 'It does not hold one .safetensors file, or one index of several. Name the file.');
    return { kind, path: path.join(target, safetensors) };
  }
  if (kind !== undefined) return { kind, path: target };
  if (names.includes(MANIFEST_NAME)) return { kind: 'checkpoint', path: target };
  if (names.includes(MODEL_JSON)) return { kind: 'tfjs', path: target };
  if (safetensors !== undefined) return { kind: 'safetensors', path: path.join(target, safetensors) };
  if ((await scanDirectory(target)).length > 0) return { kind: 'checkpoint', path: target };
  throw unknownSource(target, 'It holds no checkpoint, no model.json, and not one .safetensors file or index.');
}

/** The one file, or the one index, that a directory of safetensors is about. */
function soleSafetensors(names: readonly string[]): string | undefined {
  const indexes = names.filter(isIndexName);
  const files = names.filter((name) => name.endsWith('.safetensors'));
  if (indexes.length > 0) return indexes.length === 1 ? indexes[0] : undefined;
  return files.length === 1 ? files[0] : undefined;
}

async function kindOfFile(target: string): Promise<ConvertKind> {
  const name = path.basename(target);
  if (isIndexName(name) || name.endsWith('.safetensors')) return 'safetensors';
  if (name.endsWith('.npz')) return 'npz';
  if (name.endsWith('.json')) return 'tfjs';
  const first = await firstBytes(target);
  if (first.subarray(0, 2).toString('latin1') === 'PK') return 'npz';
  // A header of less than 16 MiB, and then JSON.
  if (first.length > 8 && first.readUInt32LE(4) === 0 && first[3] === 0 && first[8] === 0x7b) return 'safetensors';
  throw unknownSource(target, 'It does not look like a .safetensors, .npz or model.json file.');
}

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const bytes = Buffer.alloc(9);
    return bytes.subarray(0, await handle.read(bytes, 0, bytes.length, 0));
  } finally {
    await handle.close();
  }
}

function unknownSource(target: string, what: string): HoldfastError {
  return new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `${target} is nothing that can be converted. ${what} If it is, say what it is: --from.`,
    {
      path: target,
    },
  );
}

/** What is made at `target`, by its name. Throws `ERR_INVALID_ARGUMENT` where it says nothing. */
export async function chooseTarget(target: string, source: ConvertKind): Promise<ConvertKind> {
  if (target.endsWith('.npz')) return 'npz';
  if (target.endsWith('.safetensors')) return 'safetensors';
  if (source !== 'checkpoint') return 'checkpoint';
  const what = (await exists(target)) ? '' : ', such as model.safetensors or model.npz';
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `The name ${target} does not say what to make. Give it an ending${what}, or say it: --to tfjs.`,
    {
      path: target,
    },
  );
}

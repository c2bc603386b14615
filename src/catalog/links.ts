/** Symbolic links beside the checkpoints: `latest` and `best`, for people and scripts, and the tags that somebody gave. */
import type { Dirent } from 'node:fs';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { isFileName, RESERVED_NAMES, TEMPORARY_PREFIX } from '../format/names.js';
import { lstat, readlink, realpath } from '../fs.js';
import { removeFile, replaceSymlink, syncDirectory } from '../storage/local.js';

/** Links that every save moves; they tag nothing. */
export const MOVING_LINKS = ['latest', 'best'] as const;

/** Points `link` at the checkpoint `name`, beside it. Throws `ERR_INVALID_NAME` if something that is no link has that name. */
export async function pointLink(directory: string, link: string, name: string): Promise<void> {
  await assertLinkable(directory, link);
  await replaceSymlink(path.join(directory, link), name, TEMPORARY_PREFIX);
}

/** Where `link` points; `undefined` where there is no symbolic link of that name. */
export async function readLink(directory: string, link: string): Promise<string | undefined> {
  return readlink(path.join(directory, link)).catch(() => undefined);
}

/** The tags of checkpoints by the checkpoints' names: whoever points a link at one, by whatever means, wants it to stay. */
export async function readTags(directory: string, listed: readonly Dirent[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const tags = new Map<string, string[]>();
  for (const entry of listed) {
    if (!entry.isSymbolicLink() || entry.name.startsWith('.') || (MOVING_LINKS as readonly string[]).includes(entry.name)) continue;
    const target = await readLink(directory, entry.name);
    const name = target === undefined ? undefined : await findTagged(directory, target);
    if (name !== undefined) tags.set(name, [...(tags.get(name) ?? []), entry.name].sort());
  }
  return tags;
}

/** What of `directory` a link in it points at or into, whichever way that is written; `undefined` where it points elsewhere. */
async function findTagged(directory: string, target: string): Promise<string | undefined> {
  const pointed = path.resolve(directory, target);
  const name = entryOf(path.resolve(directory), pointed);
  if (name !== undefined) return name;
  // The directory may have another path, through a link above it.
  const [real, parent] = await Promise.all([realpath(directory), realpath(path.dirname(pointed))]).catch(() => []);
  return real === undefined || parent === undefined ? undefined : entryOf(real, path.join(parent, path.basename(pointed)));
}

/** The name in `directory` that `file` is or lies below. */
function entryOf(directory: string, file: string): string | undefined {
  const [first = ''] = path.relative(directory, file).split(path.sep);
  return first === '' || first === '..' ? undefined : first;
}

/** Throws `ERR_INVALID_NAME` unless `tag` can be the name of a link beside the checkpoints. */
export function assertTag(tag: unknown): asserts tag is string {
  // One that ends with .safetensors would make the directory itself look like a checkpoint.
  if (typeof tag === 'string' && isFileName(tag) && !RESERVED_NAMES.has(tag) && !tag.endsWith('.safetensors')) return;
  throw new HoldfastError(
    'ERR_INVALID_NAME',
    `A tag cannot be named ${JSON.stringify(tag)}: give a visible basename that does not end with .safetensors, other than ${[...RESERVED_NAMES].join(', ')}.`,
  );
}

/** Throws `ERR_INVALID_NAME` if something that is no symbolic link has the name. */
export async function assertLinkable(directory: string, link: string): Promise<void> {
  const found = await lstat(path.join(directory, link)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined || found.isSymbolicLink()) return;
  throw new HoldfastError(
    'ERR_INVALID_NAME',
    `${path.join(directory, link)} is there already and is no symbolic link: nothing that stands at a name is replaced. Move it away, or choose another name.`,
    { path: path.join(directory, link) },
  );
}

/** Gives the checkpoint `name` a tag, durably; another one that had it loses it. */
export async function setTag(directory: string, tag: string, name: string): Promise<void> {
  try {
    await pointLink(directory, tag, name);
    await syncDirectory(directory);
  } catch (error) {
    throw toHoldfastError(error, `give ${name} the tag ${tag}`, { path: path.join(directory, tag) });
  }
}

/** Takes a tag away, durably. False where there is none. */
export async function removeTag(directory: string, tag: string): Promise<boolean> {
  if ((await readLink(directory, tag)) === undefined) return false;
  try {
    await removeFile(path.join(directory, tag));
    await syncDirectory(directory);
    return true;
  } catch (error) {
    throw toHoldfastError(error, `take the tag ${tag} away`, { path: path.join(directory, tag) });
  }
}

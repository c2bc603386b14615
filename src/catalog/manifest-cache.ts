/** Manifests that were read before: a writer looks at its directory after every save, and most of it has not changed. */
import path from 'node:path';
import type { Manifest } from '../format/manifest.js';
import { MANIFEST_NAME } from '../format/names.js';
import { lstatExactly } from '../fs.js';

interface Cached {
  readonly stamp: string;
  readonly manifest: Manifest;
}

/** Remembers manifests by directory, as long as their file is the same one: inode, size, change times. */
export class ManifestCache {
  private readonly known = new Map<string, Cached>();

  /** The manifest of `directory`; `read` is called where the file is new or has changed, and may throw. */
  async read(directory: string, read: (directory: string) => Promise<Manifest>): Promise<Manifest> {
    const stamp = await stampOf(path.join(directory, MANIFEST_NAME));
    const known = this.known.get(directory);
    if (known !== undefined && known.stamp === stamp) return known.manifest;
    this.known.delete(directory);
    const manifest = await read(directory);
    if (stamp !== undefined) this.known.set(directory, { stamp, manifest });
    return manifest;
  }

  /** A manifest that was just written there. */
  async add(directory: string, manifest: Manifest): Promise<void> {
    const stamp = await stampOf(path.join(directory, MANIFEST_NAME));
    if (stamp !== undefined) this.known.set(directory, { stamp, manifest });
  }

  /** Forgets what is not among `directories` any more. */
  retain(directories: Iterable<string>): void {
    const present = new Set(directories);
    for (const directory of this.known.keys()) if (!present.has(directory)) this.known.delete(directory);
  }
}

async function stampOf(file: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await lstatExactly(file);
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return undefined;
  }
}

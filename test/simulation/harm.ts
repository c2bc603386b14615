/** Damage to a directory of checkpoints: what disks, people and other programs do. */
import { sealJson } from '../../src/format/sealed.js';
import type { Harm } from './attempt.js';
import type { Disk } from './disk.js';
import type { Ledger, Seen } from './ledger.js';
import type { DirectoryNode, FileNode } from './nodes.js';
import type { Random } from './prng.js';

/** Damages one checkpoint, or the registry; it is durable at once. Gives what was done. */
export function doHarm(ledger: Ledger, disk: Disk, seen: readonly Seen[], random: Random): string {
  const directory = ledger.node as DirectoryNode;
  const text =
    random.chance(0.35) || seen.length === 0
      ? harmRegistry(directory, disk, ledger.registries, random)
      : harmCheckpoint(directory, disk, random.pick(seen), random);
  disk.recount();
  return text;
}

function harmCheckpoint(directory: DirectoryNode, disk: Disk, { name, node, attempt }: Seen, random: Random): string {
  if (attempt === undefined || attempt.harm !== 'none') return 'nothing';
  if (random.chance(0.2)) {
    disk.put(node, 'notes.txt', Buffer.from('of somebody'));
    attempt.noted = true;
    attempt.files = new Map([...(attempt.files ?? []), ['notes.txt', (node.entries.get('notes.txt') as FileNode).data]]);
    return `${name}: a note was put into it`;
  }
  const [what, harm] = random.chance(0.1)
    ? removed(directory, name)
    : random.chance(0.4)
      ? harmManifest(node, disk, random)
      : harmFile(node, disk, random);
  attempt.harm = harm;
  return `${name}: ${what}`;
}

function removed(directory: DirectoryNode, name: string): [string, Harm] {
  directory.erase(name);
  return ['removed by hand', 'removed'];
}

function harmManifest(node: DirectoryNode, disk: Disk, random: Random): [string, Harm] {
  const file = node.entries.get('manifest.json') as FileNode;
  const kind = random.pick(['flip', 'cut', 'version', 'remove'] as const);
  if (kind === 'remove') {
    // Without a tensor file beside it, it would not look like a checkpoint at all.
    node.erase('manifest.json');
    return ['its manifest was removed', 'unreadable'];
  }
  // The times of the file tell of it. Of bits that rot by themselves they do not, and what was read of the file before is then believed until somebody reads it.
  change(disk, file, kind === 'version' ? ofAnotherVersion(file.data) : spoil(file.data, kind, random));
  return [`its manifest: ${kind}`, 'unreadable'];
}

/** Of no consequence, or another matter. */
const UNLISTED: readonly string[] = ['manifest.json', 'notes.txt'];

function harmFile(node: DirectoryNode, disk: Disk, random: Random): [string, Harm] {
  const files = [...node.entries].filter(([name, entry]) => !UNLISTED.includes(name) && entry.kind === 'file' && entry.data.length > 0);
  const [name, file] = random.pick(files) as [string, FileNode];
  const kind = random.pick(['flip', 'flip', 'cut', 'remove'] as const);
  if (kind === 'remove') node.erase(name);
  else change(disk, file, spoil(file.data, kind, random));
  return [`${name}: ${kind}`, kind === 'flip' ? 'hidden' : 'visible'];
}

function harmRegistry(directory: DirectoryNode, disk: Disk, older: readonly Uint8Array[], random: Random): string {
  const file = directory.entries.get('registry.json');
  if (file?.kind !== 'file' || file.data.length === 0) return 'nothing';
  const kind = random.pick(['flip', 'cut', 'version', 'remove', 'older'] as const);
  if (kind === 'remove') directory.erase('registry.json');
  else if (kind === 'older') change(disk, file, random.pick(older));
  else change(disk, file, kind === 'version' ? ofAnotherVersion(file.data) : spoil(file.data, kind, random));
  return `registry.json: ${kind}`;
}

function change(disk: Disk, file: FileNode, data: Uint8Array): void {
  file.replace(data);
  disk.touch(file);
}

function spoil(data: Uint8Array, kind: 'flip' | 'cut', random: Random): Uint8Array {
  if (kind === 'cut') return data.slice(0, random.below(data.length));
  const copy = data.slice();
  const at = random.below(copy.length);
  copy[at] = (copy[at] as number) ^ (1 << random.below(8));
  return copy;
}

function ofAnotherVersion(data: Uint8Array): Uint8Array {
  try {
    const { crc32c: _, ...value } = JSON.parse(Buffer.from(data).toString('utf8')) as Record<string, unknown>;
    return sealJson({ ...value, version: 9 });
  } catch {
    // A power loss has left something else of it.
    return sealJson({ version: 9 });
  }
}

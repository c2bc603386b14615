/** A simulated disk with a file system: names, inodes, room, and what a power loss leaves of them. Everything happens at once, by rule. */
import { constants } from 'node:fs';
import type { SimulatedClock } from './clock.js';
import { type SystemCode, systemError } from './errors.js';
import { BLOCK_BYTES, DirectoryNode, FileNode, LinkNode, type Node } from './nodes.js';
import type { Random } from './prng.js';

const MAX_LINKS_FOLLOWED = 40;
/** A journal has at most so many changes of names that are not on the disk. */
const RECENT_CHANGES = 80;

/** Where a path leads: the directory that has, or would have, the last name, and what has it. */
export interface Place {
  readonly parent: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
  /** With all links followed, from the root of the disk. */
  readonly path: readonly string[];
}

export class Disk {
  readonly root: DirectoryNode;
  /** In blocks. */
  capacity = 2 ** 20;
  private used = 0;
  private freeInodes: number[] = [];
  private nextInode = 2;
  private moment = 0;

  constructor(
    private readonly clock: SimulatedClock,
    private readonly random: Random,
  ) {
    this.root = this.makeDirectory();
    this.root.links = 1;
  }

  get freeBlocks(): number {
    return Math.max(0, this.capacity - this.used);
  }

  get usedBlocks(): number {
    return this.used;
  }

  /** Follows links on the way, and at its end if `follow` is set. Throws as the system call `syscall` on `shown` would. */
  find(path: readonly string[], follow: boolean, syscall: string, shown: string): Place {
    const fail = (code: SystemCode) => systemError(code, syscall, shown);
    const left = path.filter((part) => part !== '' && part !== '.').reverse();
    const trail: { node: DirectoryNode; name: string }[] = [];
    let parent = this.root;
    let place: Place = { parent, name: '', node: parent, path: [] };
    let links = 0;
    while (left.length > 0) {
      const name = left.pop() as string;
      if (name === '..') {
        parent = trail.pop()?.node ?? this.root;
        place = { parent, name: '', node: parent, path: trail.map((each) => each.name) };
        continue;
      }
      const node = parent.entries.get(name);
      const names = [...trail.map((each) => each.name), name];
      place = { parent, name, node, path: names };
      if (node?.kind === 'link' && (left.length > 0 || follow)) {
        if (++links > MAX_LINKS_FOLLOWED) throw fail('ELOOP');
        left.push(
          ...node.target
            .split('/')
            .filter((part) => part !== '' && part !== '.')
            .reverse(),
        );
        place = { parent, name, node: undefined, path: names };
        continue;
      }
      if (left.length === 0) break;
      if (node === undefined) throw fail('ENOENT');
      if (node.kind !== 'directory') throw fail('ENOTDIR');
      trail.push({ node: parent, name });
      parent = node;
    }
    return place;
  }

  create(place: Place, syscall: string, shown: string): FileNode {
    const file = new FileNode(this.takeInode());
    this.touch(file);
    this.enter(place, file, syscall, shown);
    return file;
  }

  mkdir(place: Place, shown: string): void {
    if (this.freeBlocks === 0) throw systemError('ENOSPC', 'mkdir', shown);
    this.enter(place, this.makeDirectory(), 'mkdir', shown);
    this.used++;
  }

  symlink(place: Place, target: string, shown: string): void {
    const link = new LinkNode(this.takeInode(), target);
    this.touch(link);
    this.enter(place, link, 'symlink', shown);
  }

  link(from: Place, to: Place, shown: string): void {
    const { node } = from;
    if (node === undefined) throw systemError('ENOENT', 'link', shown);
    if (node.kind === 'directory') throw systemError('EPERM', 'link', shown);
    this.enter(to, node, 'link', shown);
    node.changed = this.clock.stamp();
  }

  /** A file that is durable at once, as whoever is no program under test makes it. */
  put(directory: DirectoryNode, name: string, data: Uint8Array): void {
    const file = new FileNode(this.takeInode());
    file.replace(data);
    file.links = 1;
    this.touch(file);
    directory.place(name, file);
  }

  unlink({ parent, name, node }: Place, shown: string): void {
    if (node === undefined) throw systemError('ENOENT', 'unlink', shown);
    if (node.kind === 'directory') throw systemError('EISDIR', 'unlink', shown);
    parent.change(++this.moment, node, name, undefined);
    this.touch(parent);
    this.drop(node);
  }

  rmdir({ parent, name, node }: Place, shown: string): void {
    if (node === undefined) throw systemError('ENOENT', 'rmdir', shown);
    if (node.kind !== 'directory') throw systemError('ENOTDIR', 'rmdir', shown);
    if (node.entries.size > 0) throw systemError('ENOTEMPTY', 'rmdir', shown);
    parent.change(++this.moment, node, name, undefined);
    this.touch(parent);
    this.drop(node);
  }

  rename(from: Place, to: Place, shown: string): void {
    const fail = (code: SystemCode) => systemError(code, 'rename', shown);
    const { node } = from;
    if (node === undefined || from.name === '') throw fail('ENOENT');
    // The library never does this; what a power loss leaves of it would be two changes that must agree.
    if (from.parent !== to.parent) throw fail('EXDEV');
    const replaced = to.node;
    if (replaced === node) return;
    if (replaced !== undefined) {
      if (replaced.kind === 'directory' && node.kind !== 'directory') throw fail('EISDIR');
      if (replaced.kind !== 'directory' && node.kind === 'directory') throw fail('ENOTDIR');
      if (replaced.kind === 'directory' && replaced.entries.size > 0) throw fail('ENOTEMPTY');
    }
    from.parent.change(++this.moment, node, from.name, to.name);
    this.touch(from.parent);
    node.changed = this.clock.stamp();
    if (replaced !== undefined) this.drop(replaced);
  }

  /** Bytes written, which are fewer where the disk gets full. */
  write(file: FileNode, bytes: Uint8Array, position: number): number {
    const most = (file.blocks + this.freeBlocks) * BLOCK_BYTES;
    const length = Math.min(bytes.length, Math.max(0, most - position));
    if (length === 0 && bytes.length > 0) throw systemError('ENOSPC', 'write');
    const before = file.blocks;
    file.write(bytes.subarray(0, length), position);
    this.used += file.blocks - before;
    this.touch(file);
    return length;
  }

  /** The last descriptor of a file is closed. */
  closed(file: FileNode): void {
    file.openings--;
    this.free(file);
  }

  /** What the power loss leaves is what there is from now on. */
  losePower(survival: { readonly chance: number; readonly asJournal: boolean }): void {
    const until = survival.asJournal ? this.moment - this.random.below(RECENT_CHANGES) : undefined;
    this.root.losePower(this.random, { chance: survival.chance, until });
    this.recount();
  }

  private enter({ parent, name, node: taken }: Place, node: Node, syscall: string, shown: string): void {
    if (taken !== undefined || name === '') throw systemError('EEXIST', syscall, shown);
    parent.change(++this.moment, node, undefined, name);
    node.links++;
    this.touch(parent);
  }

  private makeDirectory(): DirectoryNode {
    const directory = new DirectoryNode(this.takeInode());
    this.touch(directory);
    return directory;
  }

  /** Its contents have changed now. */
  touch(node: Node): void {
    node.modified = this.clock.stamp();
    node.changed = node.modified;
  }

  private drop(node: Node): void {
    node.links--;
    if (node.kind === 'directory') this.used--;
    this.free(node);
  }

  private free(node: Node): void {
    if (node.links > 0 || (node.kind === 'file' && node.openings > 0)) return;
    if (node.kind === 'file') this.used -= node.blocks;
    this.freeInodes.push(node.ino);
  }

  /** The number of an inode that is gone is used again at once, as file systems do. */
  private takeInode(): number {
    return this.freeInodes.pop() ?? this.nextInode++;
  }

  /** Finds out anew what is in use. */
  recount(): void {
    const seen = new Set<Node>();
    const walk = (directory: DirectoryNode) => {
      for (const node of directory.entries.values()) {
        if (!seen.has(node)) node.links = 0;
        node.links++;
        if (seen.has(node)) continue;
        seen.add(node);
        if (node.kind === 'directory') walk(node);
      }
    };
    walk(this.root);
    this.used = 0;
    for (const node of seen) this.used += node.kind === 'file' ? node.blocks : node.kind === 'directory' ? 1 : 0;
    // Numbers of lost inodes stay unused: two inodes must never have one.
    this.freeInodes = [];
  }
}

/** Whether flags of `open(2)` ask for writing. */
export function isWriting(flags: number): boolean {
  return (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
}

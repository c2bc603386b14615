/**
 * What lies on a simulated disk, twice: as a running machine sees it, and as much of it as has certainly reached the disk. Bytes become durable by
 * the fsync of their file, an entry of a directory by the fsync of the directory, and by nothing else.
 */
import type { Random } from './prng.js';

export const BLOCK_BYTES = 4096;
const EMPTY = new Uint8Array();

interface Times {
  /** Microseconds since 1970. */
  modified: number;
  changed: number;
}

export type Node = FileNode | DirectoryNode | LinkNode;

/** How much survives a power loss of what was not durable. */
export interface Survival {
  /** Of each change by itself, from 0 to 1. */
  readonly chance: number;
  /** Changes up to this moment survive all together, as with a journal; `undefined`: each by itself. */
  readonly until: number | undefined;
}

/** A regular file. Its arrays are replaced, never written to, once they are durable or handed out. */
export class FileNode implements Times {
  readonly kind = 'file';
  links = 0;
  openings = 0;
  data: Uint8Array = EMPTY;
  durable: Uint8Array = EMPTY;
  /** An fsync has failed: what was not durable by then never will be, although later fsyncs succeed. */
  lost = false;
  modified = 0;
  changed = 0;

  constructor(readonly ino: number) {}

  get blocks(): number {
    return Math.ceil(this.data.length / BLOCK_BYTES);
  }

  write(bytes: Uint8Array, position: number): void {
    const data = new Uint8Array(Math.max(this.data.length, position + bytes.length));
    data.set(this.data);
    data.set(bytes, position);
    this.data = data;
  }

  sync(): void {
    if (!this.lost) this.durable = this.data;
  }

  /** What the medium holds from now on, as damage makes it. */
  replace(data: Uint8Array): void {
    this.data = data;
    this.durable = data;
  }

  losePower(random: Random, { chance }: Survival): void {
    if (this.data !== this.durable) this.data = this.afterwards(random, chance);
    this.durable = this.data;
    this.lost = false;
    this.openings = 0;
  }

  /** Old, new, cut short, or with some blocks that were never written. */
  private afterwards(random: Random, chance: number): Uint8Array {
    if (chance === 0 || this.lost) return this.durable;
    if (chance === 1) return this.data;
    const kind = random.below(4);
    if (kind === 0) return this.durable;
    if (kind === 1) return this.data;
    if (kind === 2) return this.data.slice(0, random.below(this.data.length + 1));
    const torn = this.data.slice();
    for (let at = 0; at < torn.length; at += BLOCK_BYTES) {
      if (random.chance(chance)) continue;
      torn.fill(0, at, at + BLOCK_BYTES);
      if (random.chance(0.5)) torn.set(this.durable.subarray(at, Math.min(at + BLOCK_BYTES, torn.length)), at);
    }
    return torn;
  }
}

export class LinkNode implements Times {
  readonly kind = 'link';
  links = 0;
  modified = 0;
  changed = 0;

  constructor(
    readonly ino: number,
    readonly target: string,
  ) {}
}

/** A change of a directory's entries, of which either all is durable or nothing. */
interface Change {
  /** The entry that goes. */
  readonly from?: string;
  /** The entry that comes, or is replaced. */
  readonly to?: string;
  readonly node: Node;
  readonly moment: number;
  /** As {@link FileNode.lost}. */
  lost: boolean;
}

export class DirectoryNode implements Times {
  readonly kind = 'directory';
  links = 0;
  entries = new Map<string, Node>();
  private durable = new Map<string, Node>();
  private pending: Change[] = [];
  modified = 0;
  changed = 0;

  constructor(readonly ino: number) {}

  change(moment: number, node: Node, from: string | undefined, to: string | undefined): void {
    const change: Change = { node, moment, lost: false, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    this.pending.push(change);
    apply(change, this.entries);
  }

  /** Whether every entry is as it would be after a power loss. */
  get isDurable(): boolean {
    return this.pending.length === 0;
  }

  sync(): void {
    for (const change of this.pending) if (!change.lost) apply(change, this.durable);
    this.pending = [];
  }

  /** An fsync has failed. */
  lose(): void {
    for (const change of this.pending) change.lost = true;
  }

  losePower(random: Random, survival: Survival): void {
    const { chance, until } = survival;
    for (const change of this.pending) {
      if (!change.lost && (until === undefined ? random.chance(chance) : change.moment <= until)) apply(change, this.durable);
    }
    this.pending = [];
    this.entries = new Map(this.durable);
    for (const node of this.entries.values()) if (node.kind !== 'link') node.losePower(random, survival);
  }

  /** Puts an entry onto the medium. */
  place(name: string, node: Node): void {
    this.entries.set(name, node);
    this.durable.set(name, node);
  }

  /** Takes an entry off the medium, as damage does. */
  erase(name: string): void {
    this.entries.delete(name);
    this.durable.delete(name);
    this.pending = this.pending.filter(({ to }) => to !== name);
  }
}

function apply({ from, to, node }: Change, entries: Map<string, Node>): void {
  // What has that name may be something else, where an earlier change did not survive.
  if (from !== undefined && entries.get(from) === node) entries.delete(from);
  if (to === undefined) return;
  // A directory has one name, also where the change that took the other one away did not survive.
  if (node.kind === 'directory') for (const [name, other] of entries) if (other === node) entries.delete(name);
  entries.set(to, node);
}

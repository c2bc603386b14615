/** What Node.js says of a file, as far as the library asks. */
import type { BigIntStats, Dirent, Stats } from 'node:fs';
import { BLOCK_BYTES, type Node } from './nodes.js';

const KINDS = { file: 0o100644, directory: 0o040755, link: 0o120777 } as const;

export function statsOf(node: Node): Stats {
  return new SimulatedStats(node) as unknown as Stats;
}

class SimulatedStats {
  readonly size: number;
  readonly mode: number;
  readonly dev = 1;
  readonly ino: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;

  constructor(private readonly node: Node) {
    this.size = sizeOf(node);
    this.mode = KINDS[node.kind];
    this.ino = node.ino;
    this.mtimeMs = node.modified / 1000;
    this.ctimeMs = node.changed / 1000;
  }

  isFile(): boolean {
    return this.node.kind === 'file';
  }

  isDirectory(): boolean {
    return this.node.kind === 'directory';
  }

  isSymbolicLink(): boolean {
    return this.node.kind === 'link';
  }
}

export function exactStatsOf(node: Node): BigIntStats {
  const nanoseconds = (microseconds: number) => BigInt(microseconds) * 1000n;
  const stats = {
    dev: 1n,
    ino: BigInt(node.ino),
    size: BigInt(sizeOf(node)),
    mtimeNs: nanoseconds(node.modified),
    ctimeNs: nanoseconds(node.changed),
    isFile: () => node.kind === 'file',
    isDirectory: () => node.kind === 'directory',
    isSymbolicLink: () => node.kind === 'link',
  };
  return stats as unknown as BigIntStats;
}

function sizeOf(node: Node): number {
  return node.kind === 'file' ? node.data.length : node.kind === 'link' ? node.target.length : BLOCK_BYTES;
}

export function direntOf(name: string, node: Node, directory: string): Dirent {
  const entry = {
    name,
    parentPath: directory,
    path: directory,
    isFile: () => node.kind === 'file',
    isDirectory: () => node.kind === 'directory',
    isSymbolicLink: () => node.kind === 'link',
  };
  return entry as unknown as Dirent;
}

/** A simulated process: what it has open, and when something happens to it. */
import type { SystemCode } from './errors.js';
import type { DirectoryNode, FileNode } from './nodes.js';

export interface OpenFile {
  readonly node: FileNode | DirectoryNode;
  readonly flags: number;
  readonly path: string;
}

/** Something that goes wrong once, at the `at`th operation of a process. */
export interface Fault {
  readonly at: number;
  readonly code: SystemCode;
}

/** A process, or a thread of one, that sees the disk below a directory of its own (`/sim/<tag>`), so that its operations are known. */
export class SimulatedProcess {
  alive = true;
  /** Operations done so far. */
  operations = 0;
  /** It dies with this operation, which happens or not. */
  diesAt = Number.POSITIVE_INFINITY;
  fault: Fault | undefined;
  /** What an operation fails with, every time; for tests of one situation. */
  fails: ((operation: string, path: string) => SystemCode | undefined) | undefined;
  /** Before which operation it dies; for tests of one situation. */
  endsBefore: ((operation: string, path: string) => boolean) | undefined;
  /** Something that happens before an operation. */
  hook: { readonly at: number; readonly run: () => void } | undefined;
  /** Where the fault struck, if it did. */
  struck: { readonly operation: string; readonly path: string; readonly ofDirectory: boolean; readonly code: SystemCode } | undefined;
  readonly open = new Map<number, OpenFile>();

  /** Hears of its death, at that very moment. */
  onEnd: (() => void) | undefined;

  constructor(
    readonly tag: string,
    /** The process that it is a thread of. */
    readonly of?: SimulatedProcess,
  ) {}

  get mount(): string {
    return `/sim/${this.tag}`;
  }

  get isAlive(): boolean {
    return this.alive && this.of?.alive !== false;
  }

  /** Itself, and whose thread it is. */
  get line(): SimulatedProcess[] {
    return this.of === undefined ? [this] : [this, this.of];
  }

  end(): void {
    if (!this.alive) return;
    this.alive = false;
    this.onEnd?.();
  }

  /** So many operations from now, it dies. */
  dieAfter(operations: number): void {
    this.diesAt = this.operations + operations;
  }
}

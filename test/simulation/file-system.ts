/**
 * The file operations of the library over a simulated disk. Every one of them is counted, may be the last of its process, may fail, may let others go
 * first, and is noted down.
 */
import { type BigIntStats, constants, type Dirent, type Stats, type StatsFs } from 'node:fs';
import path from 'node:path';
import type { FileOperations, Transfers } from '../../src/fs.js';
import { PROCESS_ID, type SimulatedClock } from './clock.js';
import type { Disk, Place } from './disk.js';
import { type SystemCode, systemError } from './errors.js';
import { BLOCK_BYTES, DirectoryNode, type FileNode, type Node } from './nodes.js';
import type { Random } from './prng.js';
import { type OpenFile, SimulatedProcess } from './process.js';
import { direntOf, exactStatsOf, statsOf } from './stats.js';
import type { Trace } from './trace.js';

const EXT4 = 0xef53;

/** What all simulated disks are mounted in: it is there, and nothing can be done to it. */
const OUTSIDE = { path: '/sim', node: new DirectoryNode(1) } as const;

/** How often an operation lets others go first, and moves fewer bytes than it was asked to. */
export interface Unsteadiness {
  readonly yields: number;
  readonly short: number;
}

/** What is wrong with a file system, on purpose. */
export interface Breakage {
  /** Instead of making a file durable. */
  readonly syncFile?: (file: FileNode) => void;
  /** Instead of making the entries of a directory durable. */
  readonly syncDirectory?: (directory: DirectoryNode) => void;
  /** A failure of one of these operations is reported as success. */
  readonly swallows?: readonly string[];
  /** A link replaces what has its name. */
  readonly linksReplace?: boolean;
}

export class SimulatedFileSystem implements FileOperations {
  private readonly processes = new Map<string, SimulatedProcess>();
  private readonly files = new Map<number, { readonly file: OpenFile; readonly process: SimulatedProcess }>();
  private nextDescriptor = 100;
  private readonly outside = new SimulatedProcess('outside');
  /** Who did something last. */
  private last = this.outside;
  /** What `/proc` says of this boot, and of the process that the whole simulation is. */
  bootId = '';
  startTime = 1;
  /** Where the checkpoints are: entries of directories above may be late, but are not lost. */
  checkpoints = '/';

  constructor(
    private readonly disk: Disk,
    private readonly clock: SimulatedClock,
    private readonly random: Random,
    private readonly trace: Trace,
    private readonly unsteadiness: Unsteadiness,
    private readonly breakage: Breakage,
  ) {}

  /** A process, or with `of` a thread of one, that sees the disk at its own place. */
  start(tag: string, of?: SimulatedProcess): SimulatedProcess {
    const process = new SimulatedProcess(tag, of);
    this.processes.set(tag, process);
    return process;
  }

  /** The process is gone, with its threads: what it had open is closed. */
  reap(gone: SimulatedProcess): void {
    gone.end();
    for (const process of this.processes.values()) {
      if (process !== gone && process.of !== gone) continue;
      for (const [fd, { node }] of process.open) {
        this.files.delete(fd);
        if (node.kind === 'file') this.disk.closed(node);
      }
      process.open.clear();
    }
  }

  /** Paths of what a process has open, its threads included, but for those that died: Node.js closes what they had. */
  openFilesOf(owner: SimulatedProcess): string[] {
    const processes = [...this.processes.values()].filter((process) => process === owner || (process.of === owner && process.alive));
    return processes.flatMap(({ open }) => [...open.values()].map(({ path: file }) => file));
  }

  link = (existing: string, file: string): Promise<void> =>
    this.at(existing, 'link', (from, shown) => {
      const to = this.placeOf(file, false, 'link');
      if (this.breakage.linksReplace === true && to.node !== undefined) this.disk.unlink(to, shown);
      this.disk.link(from(false), this.placeOf(file, false, 'link'), shown);
    });

  rename = (from: string, to: string): Promise<void> =>
    this.at(from, 'rename', (place, shown) => this.disk.rename(place(false), this.placeOf(to, false, 'rename'), shown));

  unlink = (file: string): Promise<void> => this.at(file, 'unlink', (place, shown) => this.disk.unlink(place(false), shown));

  symlink = (target: string, file: string): Promise<void> =>
    this.at(file, 'symlink', (place, shown) => this.disk.symlink(place(false), target, shown));

  readlink = (file: string): Promise<string> =>
    this.at(file, 'readlink', (place, shown) => {
      const node = there(place(false), 'readlink', shown);
      if (node.kind !== 'link') throw systemError('EINVAL', 'readlink', shown);
      return node.target;
    });

  stat = (file: string): Promise<Stats> => this.at(file, 'stat', (place, shown) => statsOf(there(place(true), 'stat', shown)));

  lstat = (file: string): Promise<Stats> => this.at(file, 'lstat', (place, shown) => statsOf(there(place(false), 'lstat', shown)));

  lstatExactly = (file: string): Promise<BigIntStats> =>
    this.at(file, 'lstat', (place, shown) => exactStatsOf(there(place(false), 'lstat', shown)));

  statfs = (file: string): Promise<StatsFs> =>
    this.at(file, 'statfs', (place, shown) => {
      there(place(true), 'statfs', shown);
      const { capacity, freeBlocks } = this.disk;
      const figures = { type: EXT4, bsize: BLOCK_BYTES, blocks: capacity, bfree: freeBlocks, bavail: freeBlocks, files: 0, ffree: 0 };
      return figures as unknown as StatsFs;
    });

  realpath = (file: string): Promise<string> =>
    this.at(file, 'realpath', (place, shown, process) => {
      const found = place(true);
      there(found, 'realpath', shown);
      return [process.mount, ...found.path].join('/');
    });

  mkdir = (directory: string, _mode: number): Promise<void> =>
    this.at(directory, 'mkdir', (place, shown) => this.disk.mkdir(place(false), shown));

  readdir = (directory: string): Promise<Dirent[]> =>
    this.at(directory, 'scandir', (place, shown) => {
      const node = there(place(true), 'scandir', shown);
      if (node.kind !== 'directory') throw systemError('ENOTDIR', 'scandir', shown);
      return this.random.shuffle([...node.entries].map(([name, entry]) => direntOf(name, entry, shown)));
    });

  removeAll = async (target: string): Promise<void> => {
    const found = await this.lstat(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) return;
    if (!found.isDirectory()) return this.unlink(target);
    for (const { name } of await this.readdir(target)) await this.removeAll(path.join(target, name));
    await this.at(target, 'rmdir', (place, shown) => this.disk.rmdir(place(false), shown));
  };

  /** The only files that are read so are those of `/proc`, by whoever has done something just now. */
  readText = (file: string): Promise<string> =>
    this.perform(this.last, 'read', file, undefined, () => {
      if (file === '/proc/sys/kernel/random/boot_id') return `${this.bootId}\n`;
      if (file === `/proc/${PROCESS_ID}/stat`) return `${PROCESS_ID} (node) S ${'0 '.repeat(18)}${this.startTime} 0`;
      throw systemError('ENOENT', 'open', file);
    });

  open = (file: string, flags: number, _mode: number | undefined): Promise<number> =>
    this.at(file, 'open', (place, shown, process) => {
      const follow = (flags & constants.O_NOFOLLOW) === 0 && (flags & constants.O_EXCL) === 0;
      const node = shown === OUTSIDE.path ? OUTSIDE.node : this.nodeToOpen(place(follow), flags, shown);
      const fd = this.nextDescriptor++;
      const opened = { node, flags, path: shown };
      process.open.set(fd, opened);
      this.files.set(fd, { file: opened, process });
      if (node.kind === 'file') node.openings++;
      return fd;
    });

  close = (fd: number): Promise<void> =>
    this.on(fd, 'close', ({ node }, process) => {
      process.open.delete(fd);
      this.files.delete(fd);
      if (node.kind === 'file') this.disk.closed(node);
    });

  fstat = (fd: number): Promise<Stats> => this.on(fd, 'fstat', ({ node }) => statsOf(node));

  readonly moving: Transfers = {
    sync: (fd) => this.on(fd, 'fsync', ({ node }) => this.sync(node)),
    read: (fd, buffer, offset, length, position) =>
      this.on(fd, 'read', ({ node }) => {
        const { data } = asFile(node, 'read');
        const count = this.shorten(Math.max(0, Math.min(length, data.length - position)));
        buffer.set(data.subarray(position, position + count), offset);
        return count;
      }),
    write: (fd, bytes, offset, length, position) =>
      this.on(fd, 'write', ({ node }) =>
        this.disk.write(asFile(node, 'write'), bytes.subarray(offset, offset + this.shorten(length)), position),
      ),
    readAll: (fd) => this.on(fd, 'read', ({ node }) => Buffer.from(asFile(node, 'read').data)),
    writeAll: async (fd, bytes) => {
      for (let at = 0; at < bytes.length; ) at += await this.moving.write(fd, bytes, at, bytes.length - at, at);
    },
  };

  transfers = (): Transfers => this.moving;

  private sync(node: Node): void {
    const { breakage } = this;
    if (node.kind === 'file') (breakage.syncFile ?? (() => node.sync()))(node);
    else if (node.kind === 'directory') (breakage.syncDirectory ?? (() => node.sync()))(node);
  }

  private shorten(length: number): number {
    return length > 1 && this.random.chance(this.unsteadiness.short) ? this.random.between(1, length - 1) : length;
  }

  private nodeToOpen(found: Place, flags: number, shown: string): FileNode | DirectoryNode {
    const { node } = found;
    const fail = (code: SystemCode) => systemError(code, 'open', shown);
    if (node === undefined) {
      if ((flags & constants.O_CREAT) === 0) throw fail('ENOENT');
      return this.disk.create(found, 'open', shown);
    }
    if ((flags & constants.O_CREAT) !== 0 && (flags & constants.O_EXCL) !== 0) throw fail('EEXIST');
    if (node.kind === 'link') throw fail('ELOOP');
    const writes = (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
    if (node.kind === 'directory' && writes) throw fail('EISDIR');
    if (node.kind !== 'directory' && (flags & constants.O_DIRECTORY) !== 0) throw fail('ENOTDIR');
    return node;
  }

  /** Who asks for it. */
  processOf(file: string): SimulatedProcess | undefined {
    return this.processes.get(file.slice('/sim/'.length, file.indexOf('/', '/sim/'.length) >>> 0));
  }

  private placeOf(file: string, follow: boolean, syscall: string): Place {
    const process = this.processOf(file) as SimulatedProcess;
    return this.disk.find(file.slice(process.mount.length).split('/'), follow, syscall, file);
  }

  /** An operation on a path. */
  private at<T>(
    file: string,
    operation: string,
    work: (place: (follow: boolean) => Place, shown: string, process: SimulatedProcess) => T,
  ): Promise<T> {
    const process = file === OUTSIDE.path ? this.outside : this.processOf(file);
    if (process === undefined) return Promise.reject(systemError('ENOENT', operation, file));
    const shown = file.slice(process.mount.length);
    return this.perform(process, operation, shown, undefined, () => work((follow) => this.placeOf(file, follow, operation), file, process));
  }

  /** An operation on a descriptor. */
  private on<T>(fd: number, operation: string, work: (file: OpenFile, process: SimulatedProcess) => T): Promise<T> {
    const found = this.files.get(fd);
    if (found === undefined) return Promise.reject(systemError('EBADF', operation));
    const { file, process } = found;
    return this.perform(process, operation, file.path.slice(process.mount.length), file.node, () => {
      // Others may have gone first, and closed it.
      if (!this.files.has(fd)) throw systemError('EBADF', operation);
      return work(file, process);
    });
  }

  private perform<T>(process: SimulatedProcess, operation: string, shown: string, node: Node | undefined, work: () => T): Promise<T> {
    const { yields } = this.unsteadiness;
    if (yields === 0 || !this.random.chance(yields)) {
      try {
        return Promise.resolve(this.performNow(process, operation, shown, node, work));
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(this.performNow(process, operation, shown, node, work));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  private performNow<T>(process: SimulatedProcess, operation: string, shown: string, node: Node | undefined, work: () => T): T {
    if (!process.isAlive) throw dead(operation, shown);
    this.last = process;
    this.clock.tick();
    try {
      // A thread that ends takes nobody with it; the process that ends takes all its threads.
      for (const each of process.line) if (++each.operations === each.diesAt) this.kill(each, work);
      const owner = process.of ?? process;
      this.runHook(owner);
      if (owner.endsBefore?.(operation, shown)) this.kill(owner, undefined);
      const code = owner.fails?.(operation, shown);
      if (code !== undefined) throw systemError(code, operation, shown);
      if (owner.fault !== undefined && owner.operations >= owner.fault.at) {
        const error = this.strike(owner, owner.fault, operation, shown, node);
        // A file is closed whatever is said of it.
        if (operation === 'close') work();
        // What was asked for does not happen, and nobody hears of it.
        if (this.breakage.swallows?.includes(operation)) return undefined as T;
        throw error;
      }
      const result = work();
      this.trace.note(process.tag, operation, shown, 'ok');
      return result;
    } catch (error) {
      this.trace.note(process.tag, operation, shown, (error as NodeJS.ErrnoException).code ?? String(error));
      throw error;
    }
  }

  private runHook(process: SimulatedProcess): void {
    const { hook } = process;
    if (hook === undefined || process.operations < hook.at) return;
    process.hook = undefined;
    hook.run();
  }

  /** Its last operation happens or not, and without `work` does not. */
  private kill(process: SimulatedProcess, work: (() => unknown) | undefined): never {
    const happens = work !== undefined && this.random.chance(0.5);
    try {
      if (happens) work();
    } catch {
      // It fails, and nobody is there to see it.
    }
    process.end();
    throw dead(happens ? 'after' : 'before', '');
  }

  private strike(
    process: SimulatedProcess,
    { code }: { code: SystemCode },
    operation: string,
    shown: string,
    node: Node | undefined,
  ): Error {
    process.fault = undefined;
    process.struck = { operation, path: shown, ofDirectory: node?.kind === 'directory', code };
    if (operation === 'fsync' && this.random.chance(0.5)) {
      if (node?.kind === 'file') node.lost = true;
      // Nothing could be done about a lost directory of checkpoints: the next fsync of its parent reports success.
      else if (node?.kind === 'directory' && shown.startsWith(this.checkpoints)) node.lose();
    }
    return systemError(code, operation, shown);
  }
}

function dead(operation: string, shown: string): Error {
  return Object.assign(systemError('EIO', operation, shown), { message: `the process is dead (${operation} ${shown})` });
}

function there({ node }: Place, syscall: string, shown: string): Node {
  if (node === undefined) throw systemError('ENOENT', syscall, shown);
  return node;
}

function asFile(node: Node, syscall: string): FileNode {
  if (node.kind !== 'file') throw systemError('EISDIR', syscall);
  return node;
}

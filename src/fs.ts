/**
 * File operations as promises, made of Node.js's callback functions. Those of `node:fs/promises` end the whole process
 * (`Assertion failed: (req_wrap) != nullptr`) if the worker that calls one is being terminated at that moment.
 *
 * A thread that does nothing but write checkpoints makes the short ones itself ({@link blockThisThread}): a hop to libuv's threads and back
 * takes several times longer than most of them, and a small checkpoint consists of a hundred.
 *
 * All of it goes through one table ({@link FileOperations}), which a test can replace: by one that fails, or by a whole file system of its own.
 */
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

let blocking = false;

/** From now on the short operations of this thread are done when they return. */
export function blockThisThread(): void {
  blocking = true;
}

/** As `rm` with `recursive` and `force`: the rmSync of some versions of Node.js says less of what fails. */
function removeHere(target: string): void {
  const found = fs.lstatSync(target, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) {
    fs.unlinkSync(target);
    return;
  }
  for (const name of fs.readdirSync(target)) removeHere(path.join(target, name));
  fs.rmdirSync(target);
}

/** An operation that is over in a moment, in both its forms. */
export function short<Arguments extends readonly unknown[], Result>(
  hop: (...given: Arguments) => Promise<Result>,
  stay: (...given: Arguments) => Result,
): (...given: Arguments) => Promise<Result> {
  return async (...given) => (blocking ? stay(...given) : hop(...given));
}

/** How the bytes of an open file move: both ways have the same results. */
export interface Transfers {
  sync(fd: number): Promise<void>;
  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  readAll(fd: number): Promise<Buffer>;
  writeAll(fd: number, bytes: Uint8Array): Promise<void>;
}

const readAt = promisify(fs.read);
const writeAt = promisify(fs.write);

const HOPPING: Transfers = {
  sync: promisify(fs.fsync),
  read: async (fd, buffer, offset, length, position) => (await readAt(fd, buffer, offset, length, position)).bytesRead,
  write: async (fd, bytes, offset, length, position) => (await writeAt(fd, bytes, offset, length, position)).bytesWritten,
  readAll: promisify(fs.readFile),
  writeAll: promisify(fs.writeFile),
};

const STAYING: Transfers = {
  sync: async (fd) => fs.fsyncSync(fd),
  read: async (fd, buffer, offset, length, position) => fs.readSync(fd, buffer, offset, length, position),
  write: async (fd, bytes, offset, length, position) => fs.writeSync(fd, bytes, offset, length, position),
  readAll: async (fd) => fs.readFileSync(fd),
  writeAll: async (fd, bytes) => fs.writeFileSync(fd, bytes),
};

const lstatPromise = promisify(fs.lstat);
const readdirPromise = promisify(fs.readdir);
const readlinkPromise = promisify(fs.readlink);

const NODE = {
  link: short<[existing: string, file: string], void>(promisify(fs.link), fs.linkSync),
  rename: short<[from: string, to: string], void>(promisify(fs.rename), fs.renameSync),
  unlink: short<[file: string], void>(promisify(fs.unlink), fs.unlinkSync),
  symlink: short<[target: string, file: string], void>(promisify(fs.symlink), fs.symlinkSync),
  readlink: short<[file: string], string>(
    (file) => readlinkPromise(file, 'utf8'),
    (file) => fs.readlinkSync(file, 'utf8'),
  ),
  stat: short<[file: string], fs.Stats>(promisify(fs.stat), fs.statSync),
  lstat: short<[file: string], fs.Stats>(lstatPromise, fs.lstatSync),
  lstatExactly: short<[file: string], fs.BigIntStats>(
    (file) => lstatPromise(file, { bigint: true }),
    (file) => fs.lstatSync(file, { bigint: true }),
  ),
  statfs: short<[file: string], fs.StatsFs>(promisify(fs.statfs), fs.statfsSync),
  realpath: short<[file: string], string>(promisify(fs.realpath.native), fs.realpathSync.native),
  mkdir: short<[directory: string, mode: number], void>(
    (directory, mode) => promisify(fs.mkdir)(directory, mode),
    (directory, mode) => void fs.mkdirSync(directory, mode),
  ),
  readdir: short<[directory: string], fs.Dirent[]>(
    (directory) => readdirPromise(directory, { withFileTypes: true }),
    (directory) => fs.readdirSync(directory, { withFileTypes: true }),
  ),
  removeAll: short<[directory: string], void>((directory) => promisify(fs.rm)(directory, { recursive: true, force: true }), removeHere),
  readText: short<[file: string], string>(
    (file) => promisify(fs.readFile)(file, 'utf8'),
    (file) => fs.readFileSync(file, 'utf8'),
  ),
  open: short<[file: string, flags: number, mode: number | undefined], number>(promisify(fs.open), fs.openSync),
  close: short<[fd: number], void>(promisify(fs.close), fs.closeSync),
  fstat: short<[fd: number], fs.Stats>(promisify(fs.fstat), fs.fstatSync),
  /** `ofSmall`: of a file whose bytes move in a moment. */
  transfers: (ofSmall: boolean): Transfers => (ofSmall && blocking ? STAYING : HOPPING),
};

/** Every operation on files that JavaScript code of this library does. */
export type FileOperations = typeof NODE;

let operations = NODE;

/** From now on `replacement` does everything that is asked of this module in this thread; without it, Node.js again. */
export function replaceFileOperations(replacement: FileOperations = NODE): void {
  operations = replacement;
}

export const link: FileOperations['link'] = (...given) => operations.link(...given);
export const rename: FileOperations['rename'] = (...given) => operations.rename(...given);
export const unlink: FileOperations['unlink'] = (...given) => operations.unlink(...given);
export const symlink: FileOperations['symlink'] = (...given) => operations.symlink(...given);
export const readlink: FileOperations['readlink'] = (...given) => operations.readlink(...given);
export const stat: FileOperations['stat'] = (...given) => operations.stat(...given);
export const lstat: FileOperations['lstat'] = (...given) => operations.lstat(...given);
/** With nanoseconds. */
export const lstatExactly: FileOperations['lstatExactly'] = (...given) => operations.lstatExactly(...given);
export const statfs: FileOperations['statfs'] = (...given) => operations.statfs(...given);
export const realpath: FileOperations['realpath'] = (...given) => operations.realpath(...given);
export const mkdir: FileOperations['mkdir'] = (...given) => operations.mkdir(...given);
/** The entries of a directory, with their kinds. */
export const readdir: FileOperations['readdir'] = (...given) => operations.readdir(...given);
/** Removes what has that name, and all that is in it. */
export const removeAll: FileOperations['removeAll'] = (...given) => operations.removeAll(...given);
export const readText: FileOperations['readText'] = (...given) => operations.readText(...given);

/** An open file. Closing is up to whoever opened it. */
export class OpenFile {
  constructor(
    private readonly fd: number,
    private readonly transfers: Transfers,
  ) {}

  /** Bytes read into `buffer` at `offset`; 0 at the end of the file. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.transfers.read(this.fd, buffer, offset, length, position);
  }

  /** Bytes written, which may be fewer than asked for. */
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.transfers.write(this.fd, bytes, offset, length, position);
  }

  /** Everything from the beginning on. */
  readAll(): Promise<Buffer> {
    return this.transfers.readAll(this.fd);
  }

  /** Everything at once, from the beginning on. */
  writeAll(bytes: Uint8Array): Promise<void> {
    return this.transfers.writeAll(this.fd, bytes);
  }

  stat(): Promise<fs.Stats> {
    return operations.fstat(this.fd);
  }

  sync(): Promise<void> {
    return this.transfers.sync(this.fd);
  }

  close(): Promise<void> {
    return operations.close(this.fd);
  }
}

/** Opens a file of any length, with the flags of `open(2)`: its bytes are never waited for in this thread. */
export async function open(file: string, flags: number, mode?: number): Promise<OpenFile> {
  return new OpenFile(await operations.open(file, flags, mode), operations.transfers(false));
}

/** Opens a directory, or a file whose bytes are read or written in a moment. */
export async function openSmall(file: string, flags: number, mode?: number): Promise<OpenFile> {
  return new OpenFile(await operations.open(file, flags, mode), operations.transfers(true));
}

/**
 * File operations as promises, made of Node.js's callback functions. Those of `node:fs/promises` end the whole process
 * (`Assertion failed: (req_wrap) != nullptr`) if the worker that calls one is being terminated at that moment.
 */
import fs from 'node:fs';
import { promisify } from 'node:util';

export const link = promisify(fs.link);
export const lstat = promisify(fs.lstat);
export const mkdir = promisify(fs.mkdir);
export const readdir = promisify(fs.readdir);
export const readFile = promisify(fs.readFile);
export const rename = promisify(fs.rename);
export const rm = promisify(fs.rm);
export const stat = promisify(fs.stat);
export const statfs = promisify(fs.statfs);
export const symlink = promisify(fs.symlink);
export const unlink = promisify(fs.unlink);

const openFile = promisify(fs.open);
const closeFile = promisify(fs.close);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const readAt = promisify(fs.read);
const writeAt = promisify(fs.write);
const writeWhole = promisify(fs.writeFile);

/** An open file. Closing is up to whoever opened it. */
export class OpenFile {
  constructor(private readonly fd: number) {}

  /** Bytes read into `buffer` at `offset`; 0 at the end of the file. */
  async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return (await readAt(this.fd, buffer, offset, length, position)).bytesRead;
  }

  /** Bytes written, which may be fewer than asked for. */
  async write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return (await writeAt(this.fd, bytes, offset, length, position)).bytesWritten;
  }

  /** Everything from the beginning on. */
  readAll(): Promise<Buffer> {
    return readFile(this.fd);
  }

  /** Everything at once, from the beginning on. */
  writeAll(bytes: Uint8Array): Promise<void> {
    return writeWhole(this.fd, bytes);
  }

  stat(): Promise<fs.Stats> {
    return fstat(this.fd);
  }

  sync(): Promise<void> {
    return fsync(this.fd);
  }

  close(): Promise<void> {
    return closeFile(this.fd);
  }
}

/** Opens a file, with the flags of `open(2)`. */
export async function open(file: string, flags: number, mode?: number): Promise<OpenFile> {
  return new OpenFile(await openFile(file, flags, mode));
}

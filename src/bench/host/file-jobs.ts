/** What one writes oneself with node:fs. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastError } from '../../errors.js';
import { dropCache } from '../drop-cache.js';
import { elementsOf } from '../workload.js';
import { makeTensors, type Tensor } from './data.js';
import type { Job } from './job.js';
import type { JobSettings } from './messages.js';

/** Linux reads and writes no more than this at once. */
const MAX_TRANSFER_BYTES = 1 << 30;

/** All tensors into one new file, one after another, then fsync of it and of the directory. */
export async function fsSave({ tensors, directory }: JobSettings): Promise<Job> {
  const data = await makeTensors(tensors);
  const file = (call: number) => path.join(directory, `${call}.bin`);
  return {
    run: (call) => writeDurably(file(call), data),
    after: (call) => rm(file(call)),
  };
}

/** The same file read back into new memory, the page cache emptied before. */
export async function fsLoad({ tensors, directory }: JobSettings): Promise<Job> {
  const file = path.join(directory, 'tensors.bin');
  // It is there already where the process is started for every turn.
  if (!existsSync(file)) await writeDurably(file, await makeTensors(tensors));
  let loaded: Uint8Array[] = [];
  return {
    before: async () => {
      loaded = [];
      (globalThis as { gc?: () => void }).gc?.();
      // Else memory would be measured.
      if (!(await dropCache(directory))) throw new HoldfastError('ERR_UNSUPPORTED', 'the page cache cannot be emptied: GNU dd is missing');
    },
    run: async () => {
      const handle = await open(file, 'r');
      try {
        for (const shape of tensors) {
          const bytes = new Uint8Array(4 * elementsOf(shape));
          await readAll(handle, bytes);
          loaded.push(bytes);
        }
      } finally {
        await handle.close();
      }
    },
  };
}

/** The least that makes one file durable under its name: write, fsync, rename, fsync of the directory, without leaving the thread. */
export async function bareSave({ tensors, directory }: JobSettings): Promise<Job> {
  const data = await makeTensors(tensors);
  const joined = Buffer.concat(data.map(({ data: { buffer } }) => new Uint8Array(buffer)));
  const temporary = path.join(directory, 'new.bin');
  const target = (call: number) => path.join(directory, `${call}.bin`);
  return {
    run: async (call) => {
      const fd = openSync(temporary, 'w');
      try {
        for (let at = 0; at < joined.length; ) at += writeSync(fd, joined, at, Math.min(MAX_TRANSFER_BYTES, joined.length - at));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      // A name of its own: replacing the last file would remove it within the run, which is counted for nobody.
      renameSync(temporary, target(call));
      const directoryFd = openSync(directory, 'r');
      try {
        fsyncSync(directoryFd);
      } finally {
        closeSync(directoryFd);
      }
    },
    after: (call) => rm(target(call)),
  };
}

/** All tensors into one new file; then fsync of it and of its directory. */
export async function writeDurably(file: string, tensors: readonly Tensor[]): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    for (const { data } of tensors) await handle.writeFile(new Uint8Array(data.buffer));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFile(path.dirname(file));
}

/** Makes a file durable, or the names in a directory. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(MAX_TRANSFER_BYTES, bytes.length - at));
    if (bytesRead === 0) throw new HoldfastError('ERR_TRUNCATED', 'The file that was written for this is too short.');
    at += bytesRead;
  }
}

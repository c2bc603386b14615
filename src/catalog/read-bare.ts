/** The header of a safetensors file that belongs to no checkpoint. */
import { constants } from 'node:fs';
import path from 'node:path';
import { HoldfastError } from '../errors.js';
import { decodeHeader, decodeHeaderLength, LENGTH_BYTES, type SafetensorsHeader } from '../format/safetensors.js';
import { type OpenFile, open } from '../fs.js';

/** Reads and checks the header of `file`. Throws the codes of docs/FORMAT.md and system errors. */
export async function readBareHeader(file: string): Promise<{ header: SafetensorsHeader; fileBytes: number }> {
  const name = path.basename(file);
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `${file} is neither a directory nor a regular file.`, { path: file });
    }
    const first = await readExactly(handle, 0, Math.min(LENGTH_BYTES, stat.size));
    const length = decodeHeaderLength(first, stat.size, name);
    const json = await readExactly(handle, LENGTH_BYTES, length);
    return { header: decodeHeader(json, stat.size, name), fileBytes: stat.size };
  } finally {
    await handle.close();
  }
}

async function readExactly(handle: OpenFile, position: number, bytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytes);
  for (let at = 0; at < bytes; ) {
    const bytesRead = await handle.read(buffer, at, bytes - at, position + at);
    if (bytesRead === 0) throw new HoldfastError('ERR_TRUNCATED', `The file ended at byte ${position + at}.`, { offset: position + at });
    at += bytesRead;
  }
  return buffer;
}
